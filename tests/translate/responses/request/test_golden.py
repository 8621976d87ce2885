"""Whole requests, as they are written in tests/cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccrouter.errors import ApiError
from ccrouter.translate.responses import request as responses_request
from ccrouter.wire import envelope
from tests import golden
from tests.golden import Message
from tests.translate.responses_wire import request, target

CASES = sorted((Path(__file__).parents[3] / "cases" / "responses_request").glob("*.case"))


def play(sections):
    said = dict(line.split(": ", 1) for line in sections["target"].splitlines())
    given_request = sections["request"]
    asked = request(**json.loads(given_request.body))
    shown = {name: sections[name] for name in ("target", "request")}
    try:
        out = responses_request.render(
            asked, target(said["preset"], said["model"]), given_request.headers, "beta=true", "messages"
        )
    except ApiError as error:
        return shown | {"client": Message(f"HTTP {error.status}", [], envelope.write(error, "req_1"))}
    body = json.dumps(json.loads(out.body), ensure_ascii=False, indent=1).encode() + b"\n"
    return shown | {
        "sent": Message(f"POST {out.url}", out.headers, body),
        "changes": "".join(f"{each}\n" for each in out.changes),
    }


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_golden_case_comes_out_as_it_is_written(path, update_cases):
    shows, expected = golden.read(path)
    out = golden.show(shows, play(expected))
    if update_cases:
        path.write_bytes(out.encode())
    assert out == path.read_bytes().decode()


def test_there_are_golden_cases():
    assert len(CASES) >= 5
