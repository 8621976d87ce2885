"""Whole replies, as they are written in tests/cases."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests import golden
from tests.golden import Message
from tests.translate.chat.reply.chunks import answer, target

CASES = sorted((Path(__file__).parents[3] / "cases" / "chat_reply").glob("*.case"))


def play(given, seed):
    """The whole case as it comes out. ``given`` has what the case says of target, request and reply."""
    said = dict(line.split(": ", 1) for line in given["target"].splitlines())
    to = target(said["provider"], said["model"], replay=said["replay"], reasoning_apart="reasoning_apart" in said)
    request, reply = given["request"], given["reply"]
    outcomes = [answer(pieces, to, json.loads(request.body)) for pieces in ways_to_cut(reply.body, seed)]
    for other in outcomes[1:]:
        assert other == outcomes[0]
    out, verdict = outcomes[0]
    return {
        "target": given["target"],
        "request": request,
        "reply": reply,
        "client": Message("HTTP 200", [(b"content-type", b"text/event-stream")], out),
        "verdict": f"{verdict}\n",
    }


def ways_to_cut(body, seed):
    """Whole, byte by byte, and at a few places that are the same in every run."""
    yield [body]
    yield [body[place : place + 1] for place in range(len(body))]
    chance = random.Random(seed)
    for _ in range(10):
        places = sorted(chance.randint(0, len(body)) for _ in range(chance.randint(1, 8)))
        yield [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_golden_case_comes_out_as_it_is_written(path, update_cases):
    shows, expected = golden.read(path)
    out = golden.show(shows, play(expected, path.stem))
    if update_cases:
        path.write_bytes(out.encode())
    assert out == path.read_bytes().decode()


def test_there_are_golden_cases():
    assert len(CASES) >= 35
