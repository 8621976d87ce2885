"""What the client gets of OpenAI's wires, read by the types of the anthropic SDK, as the client itself does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccrouter.wire.fold import fold
from ccrouter.wire.sse import Decoder
from tests import golden

pydantic = pytest.importorskip("pydantic")
types = pytest.importorskip("anthropic.types")
EVENT = pydantic.TypeAdapter(types.RawMessageStreamEvent)

CASES = [
    path
    for name in ("chat_reply", "responses_reply")
    for path in sorted((Path(__file__).parent.parent / "cases" / name).glob("*.case"))
]


def events_of(path):
    _, sections = golden.read(path)
    client = sections["client"]
    assert isinstance(client, golden.Message)
    # The golden cases of the Responses wire show signatures in clear; a text is a text to the types.
    found = [json.loads(frame.data or b"{}") for frame in Decoder().feed(client.body)]
    return [event for event in found if event["type"] not in {"ping", "error"}]


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_event_of_the_golden_cases_is_one_of_the_sdks(path):
    events = events_of(path)
    for event in events:
        read = EVENT.validate_python(event)
        assert read.model_extra in (None, {})
        assert json.loads(read.model_dump_json(exclude_unset=True)) == event
    if events and events[-1]["type"] == "message_stop":
        message = types.Message.model_validate(fold(events))
        refused = message.stop_reason == "refusal"
        assert (message.stop_details is not None) is refused
        assert not refused or message.stop_details.type == "refusal"
