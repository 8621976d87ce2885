from __future__ import annotations

from typing import get_args

import pytest

from ccrouter.providers.secret import FromCommand, FromEnv, FromFile, Literal, Secret, source

SOURCES = [
    (Literal("sk-secret"), "the configuration"),
    (FromEnv("WORK_KEY"), "the environment variable WORK_KEY"),
    (FromFile("~/keys/work"), "the file ~/keys/work"),
    (FromCommand(("op", "read", "op://work/llm/key"), 60.0), "the command op"),
]


@pytest.mark.parametrize(("secret", "words"), SOURCES)
def test_a_secret_is_spoken_of_by_its_source(secret, words):
    assert source(secret) == words


def test_each_kind_of_secret_has_a_source():
    assert {type(secret) for secret, _ in SOURCES} == set(get_args(Secret))


def test_a_secret_that_is_written_out_is_not_shown():
    assert "sk-secret" not in f"{Literal('sk-secret')!r}{Literal('sk-secret')}"


def test_recipes_can_be_keys_of_what_is_kept():
    assert len({FromCommand(("a", "b")), FromCommand(("a", "b")), FromCommand(("a", "b"), 1.0)}) == 2
