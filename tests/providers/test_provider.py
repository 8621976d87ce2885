from __future__ import annotations

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target, Timeouts
from ccrouter.providers.secret import Literal

PROVIDER = Provider(
    name="work",
    preset=PRESETS["messages"],
    base_url="https://llm.example.com",
    api_key=Literal("sk-secret"),
    headers=(("x-team", Literal("secret-too")),),
    models=(Model("m", window=8192),),
)


def test_a_target_is_spelled_as_its_user_types_it():
    assert str(Target(PROVIDER, "qwen3:8b")) == "work:qwen3:8b"


def test_of_a_model_is_known_what_the_configuration_says():
    assert Target(PROVIDER, "m").known == Model("m", window=8192)
    assert Target(PROVIDER, "n").known == Model("n")


def test_no_secret_is_ever_shown():
    assert "secret" not in repr(PROVIDER)
    assert "secret" not in repr(Target(PROVIDER, "m"))


def test_values_are_equal_by_content_and_cannot_change():
    assert Target(evolve(PROVIDER), "m") == Target(PROVIDER, "m") != Target(PROVIDER, "n")
    assert len({Target(evolve(PROVIDER), "m"), Target(PROVIDER, "m")}) == 1
    with pytest.raises(FrozenInstanceError):
        PROVIDER.base_url = "http://elsewhere.example.com"  # type: ignore[misc]


def test_deadlines_grow_from_the_connection_to_the_whole():
    deadlines = Timeouts()
    assert 0 < deadlines.connect < deadlines.idle <= deadlines.first_byte < deadlines.total
