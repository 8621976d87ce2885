from __future__ import annotations

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Budget, Model, Price, Provider, Target, Timeouts
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


def test_a_model_is_spoken_to_by_the_wire_that_can_carry_what_is_configured_of_it():
    models = (Model("wide", num_ctx=65_536), Model("kept", keep_alive=0.0), Model("plain", window=8_192))
    ollama = Provider(name="ollama", preset=PRESETS["ollama"], base_url="http://h", models=models)
    assert [Target(ollama, each).wire for each in ("wide", "kept", "plain", "other")] == [
        "ollama",
        "ollama",
        "messages",
        "messages",
    ]
    chat = evolve(ollama, wire="chat")
    assert [Target(chat, each).wire for each in ("wide", "plain")] == ["ollama", "chat"]
    assert Target(evolve(ollama, wire="ollama"), "other").wire == "ollama"
    # What was found out of a model never decides it.
    assert Target(ollama, "other", Model("other", num_ctx=1)).wire == "messages"


def test_a_prompt_that_is_too_long_is_cut_on_one_wire_and_fails_on_another():
    ollama = Provider(
        name="ollama", preset=PRESETS["ollama"], base_url="http://h", models=(Model("w", num_ctx=1),)
    )
    assert (Target(ollama, "w").overflow, Target(ollama, "m").overflow) == ("fails", "truncates")
    assert Target(evolve(ollama, wire="ollama"), "m").overflow == "fails"
    assert Target(PROVIDER, "m").overflow == "tells"


@pytest.mark.parametrize(
    ("known", "room"),
    [
        ({"loaded": 4_096}, 4_096),
        ({"loaded": 4_096, "num_ctx": 65_536}, 65_536),
        ({"loaded": 65_536, "num_ctx": 4_096}, 4_096),
        ({"num_ctx": 65_536, "window": 40_960}, 40_960),
        ({"num_ctx": 65_536, "window": 40_960, "sources": {"window": "guess"}}, 65_536),
    ],
)
def test_what_a_request_loads_a_model_with_is_the_room_that_it_has(known, room):
    assert Model("m", **known).room == room


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


def test_a_budget_without_limits_is_none():
    assert not Budget()
    for limit in ("tokens_per_day", "tokens_per_month", "dollars_per_day", "dollars_per_month"):
        assert Budget(**{limit: 0})


def test_a_provider_has_no_limits_unless_it_is_given_some():
    assert (PROVIDER.max_concurrent, PROVIDER.budget) == (None, Budget())
    assert evolve(PROVIDER, budget=Budget(tokens_per_day=1)) != PROVIDER


def test_of_a_price_only_the_caches_may_be_unknown():
    assert Price(3.0, 15.0) == Price(input=3.0, output=15.0, cache_read=None, cache_write=None)
    assert Model("m").price is None


def test_only_who_is_known_to_tell_of_a_plan_is_listened_to():
    plans = {name: row.plan for name, row in PRESETS.items() if row.plan != "none"}
    assert plans == {"anthropic": "unified", "codex": "codex"}
