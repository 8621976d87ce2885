"""The line of blocks: whose a delta is, and when a call may go. The rest is shown by tests/translate/messages/test_reply.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccrouter.errors import FrameError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.translate import provenance
from ccrouter.translate.dialect import Kept
from ccrouter.translate.messages import makers
from ccrouter.translate.messages.block import Block
from ccrouter.translate.messages.blocks import MessagesBlocks
from ccrouter.translate.provenance import Origin, read
from ccrouter.wire import events
from ccrouter.wire.events import Event
from ccrouter.wire.messages import read_request

TEXT = {"type": "text", "text": ""}
CALL = {"type": "tool_use", "id": "a", "name": "Read", "input": {}}


def blocks(**asked: Any) -> MessagesBlocks:
    request = read_request(json.dumps({"model": "m", "messages": []} | asked).encode())
    return MessagesBlocks(
        request, Target(Provider(name="p", preset=PRESETS["messages"], base_url="http://x"), "m"), "msg_1"
    )


def feed(line: MessagesBlocks, *said: Event) -> list[Event]:
    """What is written of them, decoded."""
    found = []
    for event in said:
        method = {"start": line.start, "delta": line.delta, "stop": line.stop}[event["type"].rpartition("_")[2]]
        for each in method(event, events.encode(event)):
            found.append(json.loads(each.raw.split(b"data: ")[1]) if isinstance(each, Kept) else each)
    return found


def short(found: list[Event]) -> list[str]:
    """Kind and number of each event, with its words."""
    told = []
    for event in found:
        delta = event.get("delta", {})
        words = delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
        told.append(f"{event['type'].rpartition('_')[2]} {event['index']} {words}".strip())
    return told


def text(index: Any, words: str) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": words}}


def part(index: Any, words: str) -> Event:
    return {
        "type": "content_block_delta",
        "index": index,
        "delta": {"type": "input_json_delta", "partial_json": words},
    }


def test_an_index_that_is_none_means_the_block_that_is_open() -> None:
    line = blocks()
    found = feed(line, events.block_start(0, TEXT), text(None, "a"), text("0", "b"), text(True, "c"))
    assert short(found) == ["start 0", "delta 0 a", "delta 0 b", "delta 0 c"]
    assert short(feed(line, {"type": "content_block_stop"})) == ["stop 0"]


def test_a_stop_of_something_else_does_not_break_a_call() -> None:
    line = blocks()
    found = feed(line, events.block_start(0, CALL), part(0, '{"a":'), events.block_stop(7), part(0, "1}"))
    assert found == []
    assert short(feed(line, events.block_stop(0))) == ["start 0", 'delta 0 {"a":', "delta 0 1}", "stop 0"]


def test_a_block_that_misses_its_stop_is_closed_by_the_next_one() -> None:
    line = blocks()
    found = feed(line, events.block_start(0, TEXT), text(0, "a"), events.block_start(1, CALL), part(1, '{"a":1}'))
    assert short(found) == ["start 0", "delta 0 a", "stop 0"]
    found = feed(line, events.block_start(2, TEXT), text(2, "b"))
    assert short(found) == ["start 1", 'delta 1 {"a":1}', "stop 1", "start 2", "delta 2 b"]


def test_input_as_an_object_and_deltas_without_a_type_are_read() -> None:
    line = blocks()
    bare = {"type": "content_block_delta", "index": 0, "delta": {"partial_json": {"a": 1}}}
    found = feed(line, events.block_start(0, CALL), bare, events.block_stop(0))
    assert short(found) == ["start 0", 'delta 0 {"a": 1}', "stop 0"]


@pytest.mark.parametrize(
    "delta",
    [None, 5, {}, {"type": "text_delta"}, {"type": "text_delta", "text": 5}, {"type": "hologram_delta"}, {"x": 1}],
)
def test_a_delta_that_says_nothing_is_passed_over(delta: Any) -> None:
    line = blocks()
    assert feed(line, {"type": "content_block_delta", "index": 0, "delta": delta}) == []
    assert not line.begun


def test_a_last_call_without_input_waits_for_the_reason() -> None:
    for broken_off in (False, True):
        line = blocks()
        assert feed(line, events.block_start(0, CALL), events.block_stop(0)) == []
        assert len(line.finish(broken_off=broken_off)) == (0 if broken_off else 2)
        assert line.called is not broken_off
        assert bool(line.notes) is broken_off


def test_a_broken_call_holds_what_follows_until_it_is_known_why_the_message_ends() -> None:
    said = [
        events.block_start(0, CALL),
        part(0, '{"a'),
        events.block_stop(0),
        events.block_start(1, TEXT),
        text(1, "x"),
    ]
    line = blocks()
    assert feed(line, *said) == []
    assert [each["index"] for each in line.finish(broken_off=True) if not isinstance(each, Kept)] == [0, 0, 0]
    line = blocks()
    feed(line, *said)
    with pytest.raises(FrameError, match="'Read' are no JSON object"):
        line.finish(broken_off=False)


def test_a_late_signature_is_left_out_and_said_to_be() -> None:
    line = blocks()
    feed(
        line,
        events.block_start(0, {"type": "thinking", "thinking": "", "signature": ""}),
        events.block_start(1, TEXT),
    )
    late = {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "abc"}}
    assert feed(line, late) == []
    assert line.notes == ("a signature_delta of the backend stood where none can, and was left out",)


def test_ids_of_the_conversation_are_not_used_again() -> None:
    history = [{"role": "assistant", "content": [{**CALL, "input": {}}]}, {"role": "user", "content": "x"}, 5]
    line = blocks(messages=history)
    found = feed(line, events.block_start(0, CALL), part(0, '{"a":1}'), events.block_stop(0))
    assert found[0]["content_block"]["id"].startswith("a_")
    assert blocks(messages=None).start(events.block_start(0, CALL), None) == []


def test_a_start_that_is_told_twice_is_one_block() -> None:
    line = blocks()
    found = feed(line, *[events.block_start(0, CALL)] * 2, part(0, '{"a":1}'), *[events.block_stop(0)] * 2)
    found += feed(line, *[events.block_start(1, TEXT)] * 2, text(1, "a"))
    assert short(found) == ["start 0", 'delta 0 {"a":1}', "stop 0", "start 1", "delta 1 a"]


def test_an_index_that_is_used_again_ends_the_call_that_it_meant() -> None:
    line = blocks()
    other = {**CALL, "id": "b"}
    found = feed(line, events.block_start(0, CALL), events.block_start(0, other), part(0, '{"a":1}'))
    assert short(found) == ["start 0", "stop 0"]
    assert short(feed(line, events.block_stop(0))) == ["start 1", 'delta 1 {"a":1}', "stop 1"]


def test_a_call_without_input_that_something_follows_is_whole_even_at_a_limit() -> None:
    line = blocks()
    assert feed(line, events.block_start(0, CALL), events.block_stop(0)) == []
    assert short(feed(line, events.block_start(1, TEXT), text(1, "a"))) == [
        "start 0",
        "stop 0",
        "start 1",
        "delta 1 a",
    ]
    line.finish(broken_off=True)
    assert not line.notes


def test_input_in_the_start_is_whole_even_at_a_limit() -> None:
    line = blocks()
    found = feed(line, events.block_start(0, {**CALL, "input": {"a": 1}}), events.block_stop(0))
    assert short(found) == ["start 0", 'delta 0 {"a":1}', "stop 0"]


def test_what_stands_behind_a_call_stays_behind_it() -> None:
    line = blocks()
    ping = Kept(events.ping(), b"ping")
    assert feed(line, events.block_start(0, CALL), events.block_stop(0)) == []
    assert line.aside(ping) == []
    assert line.finish(broken_off=False)[-1] is ping


def test_space_behind_a_whole_call_is_nothing_and_more_input_is_an_error() -> None:
    line = blocks()
    feed(line, events.block_start(0, CALL), part(0, '{"a":1}'), events.block_stop(0))
    assert feed(line, part(0, "\n")) == []
    with pytest.raises(FrameError, match="without the call"):
        feed(line, part(0, "}"))


def test_a_number_that_json_does_not_have_is_no_input() -> None:
    line = blocks()
    assert feed(line, events.block_start(0, CALL), part(0, '{"a":NaN}'), events.block_stop(0)) == []
    with pytest.raises(FrameError, match="no JSON object"):
        line.finish(broken_off=False)


def test_nor_is_one_that_is_too_large_where_it_has_to_be_written() -> None:
    line = blocks()
    given = {**CALL, "input": {"a": float("inf")}}
    assert feed(line, events.block_start(0, given), events.block_stop(0)) == []
    with pytest.raises(FrameError, match="no JSON object"):
        line.finish(broken_off=False)


def test_a_text_that_begins_again_under_its_index_is_another_one() -> None:
    line = blocks()
    found = feed(line, events.block_start(0, TEXT), text(0, "a"), events.block_start(0, TEXT), text(0, "b"))
    assert short(found) == ["start 0", "delta 0 a", "stop 0", "start 1", "delta 1 b"]


def started(block: dict[str, Any]) -> dict[str, Any]:
    """A block as it is at the client when it begins."""
    found = feed(blocks(), events.block_start(0, block), events.block_stop(0), events.block_start(1, TEXT))
    written: dict[str, Any] = found[0]["content_block"]
    return written


@pytest.mark.parametrize(
    "block",
    [
        {**TEXT, "annotations": []},
        {**CALL, "provider_specific_fields": {"a": 1}},
        {"type": "reasoning", "text": "a plan"},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search_prime", "input": {}},
    ],
)
def test_what_not_everybody_understands_is_marked_with_its_maker(block: dict[str, Any]) -> None:
    found = started(block)
    assert provenance.read(found[makers.MAKER]) == Origin("p", "m", {"f": "messages"})
    assert makers.unmarked(found) == block


def test_what_a_router_behind_this_one_has_marked_goes_back_to_it_with_its_mark() -> None:
    block = {**TEXT, "annotations": [], makers.MAKER: provenance.sign(Origin("q", "n", {"f": "messages"}))}
    found = started(block)
    payload = {"f": "messages", "s": block[makers.MAKER]}
    assert provenance.read(found[makers.MAKER]) == Origin("p", "m", payload)
    assert makers.unmarked(found) == block


@pytest.mark.parametrize("block", [TEXT, {**TEXT, "citations": []}, CALL])
def test_what_everybody_understands_is_not(block: dict[str, Any]) -> None:
    assert started(block) == block


@pytest.mark.parametrize("data", ["AAAA", None])
def test_redacted_thinking_says_whose_it_is(data: str | None) -> None:
    found = started({"type": "redacted_thinking"} | ({} if data is None else {"data": data}))
    origin = Origin("p", "m", {"f": "messages"} | ({} if data is None else {"s": data}))
    assert found == {"type": "redacted_thinking", "data": provenance.sign(origin)}


def test_half_of_a_surrogate_pair_is_signed_and_told_like_anything_else() -> None:
    line = blocks()
    thinking = {"type": "thinking", "thinking": "", "signature": "\ud800"}
    found = feed(line, events.block_start(0, thinking), events.block_stop(0))
    signed = {"type": "signature_delta", "signature": "\udc00"}
    found += feed(line, events.block_start(1, thinking), events.block_delta(1, signed), events.block_stop(1))
    own = [read(each["delta"]["signature"]) for each in found if "delta" in each]
    assert [each and each.payload["s"] for each in own] == ["\ud800", "\udc00"]


def test_a_block_of_a_kind_that_has_no_bytes_takes_no_plain_delta() -> None:
    line = blocks()
    feed(line, events.block_start(0, {"type": "\ud800"}))
    assert line.plain(events.encode(text(0, "a"))) is None


def test_calls_that_wait_are_not_looked_at_again_while_they_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    is_whole = Block.is_whole

    def looked(block: Block) -> bool:
        nonlocal looks
        looks += 1
        return bool(is_whole.fget(block))  # type: ignore[attr-defined]  # a property's

    monkeypatch.setattr(Block, "is_whole", property(looked))
    line = blocks()
    for number in range(200):
        feed(line, events.block_start(number, {**CALL, "id": f"a{number}"}))
    found = feed(line, part(0, '{"a":'), events.block_start(200, CALL), part(0, "1}"))
    assert found == []
    found = feed(line, events.block_start(201, {**CALL, "id": "b"}))
    assert short(found) == ["start 0", 'delta 0 {"a":', "delta 0 1}", "stop 0"]
    assert looks < 210  # once each, and not 200 times 200 / 2
