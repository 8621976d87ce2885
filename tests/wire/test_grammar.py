from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import GrammarError, TruncatedStream, WireError
from ccrouter.wire import events
from ccrouter.wire.grammar import DELTAS, ENDED, KNOWN, TRANSITIONS, Grammar, State
from tests.strategies import streams

START = events.message_start("msg_1", "m", {"input_tokens": 1, "output_tokens": 0})
TEXT = events.block_start(0, {"type": "text", "text": ""})
DELTA = events.block_delta(0, {"type": "text_delta", "text": "hi"})
STOP = events.block_stop(0)
CLOSE = events.message_delta("end_turn", {"output_tokens": 1})
END = events.message_stop()
PING = events.ping()
ERROR = events.error("api_error", "broken")

#: The rules once more, in another form: a letter for each type, and what a whole stream spells.
LETTERS = {
    "message_start": "s",
    "content_block_start": "b",
    "content_block_delta": "d",
    "content_block_stop": "e",
    "message_delta": "m",
    "message_stop": "t",
    "ping": "p",
    "error": "x",
}
_BLOCKS = "[pu]*(b[dpu]*e[pu]*)*"
WHOLE = re.compile(f"[pu]*(s{_BLOCKS}m[mpu]*t|x|s{_BLOCKS}(x|b[dpu]*x|m[mpu]*x))")
#: Block type -> delta types, written down from Anthropic's documents and SDK, not from the table.
FITTING = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "redacted_thinking": set(),
    "tool_use": {"input_json_delta"},
    "server_tool_use": {"input_json_delta"},
    "mcp_tool_use": {"input_json_delta"},
    "compaction": {"compaction_delta"},
}


def is_right(stream):
    """Whether a stream of well-shaped events is whole and right."""
    if not WHOLE.fullmatch("".join(LETTERS.get(event["type"], "u") for event in stream)):
        return False
    closed = 0
    block = ""
    for event in stream:
        if "index" in event and event["index"] != closed:
            return False
        if event["type"] == "content_block_start":
            block = event["content_block"]["type"]
        elif event["type"] == "content_block_delta":
            if event["delta"]["type"] not in FITTING.get(block, {event["delta"]["type"]}):
                return False
        elif event["type"] == "content_block_stop":
            closed += 1
    return True


def accepts(stream):
    grammar = Grammar()
    try:
        for event in stream:
            grammar.feed(event)
        grammar.finish()
    except WireError:
        return False
    return True


@given(streams())
def test_every_stream_that_follows_the_rules_is_accepted(stream):
    assert is_right(stream)
    grammar = Grammar()
    for event in stream:
        grammar.feed(event)
    grammar.finish()
    assert grammar.state is State.STOPPED


@given(st.data(), streams())
def test_a_stream_with_one_event_left_out_doubled_or_moved_is_judged_by_the_rules(data, stream):
    place = data.draw(st.integers(0, len(stream) - 1))
    other = data.draw(st.integers(0, len(stream) - 1))
    swapped = list(stream)
    swapped[place], swapped[other] = swapped[other], swapped[place]
    for changed in (
        stream[:place] + stream[place + 1 :],
        [*stream[:place], stream[place], *stream[place:]],
        swapped,
        [*stream[:place], ERROR],
        [*stream[:place], ERROR, *stream[place:]],
    ):
        assert accepts(changed) is is_right(changed), changed


@given(streams(), st.data())
def test_no_proper_part_of_a_stream_is_whole(stream, data):
    part = stream[: data.draw(st.integers(0, len(stream) - 1))]
    grammar = Grammar()
    for event in part:
        grammar.feed(event)
    with pytest.raises(TruncatedStream, match=grammar.state.value):
        grammar.finish()


#: How to come to each state, and what is welcome there.
STATES: dict[State, tuple[list[events.Event], set[str]]] = {
    State.START: ([], {"message_start", "ping", "error"}),
    State.BETWEEN: ([START], {"content_block_start", "message_delta", "ping", "error"}),
    State.BLOCK: ([START, TEXT], {"content_block_delta", "content_block_stop", "ping", "error"}),
    State.CLOSING: ([START, CLOSE], {"message_delta", "message_stop", "ping", "error"}),
    State.STOPPED: ([START, CLOSE, END], set()),
    State.FAILED: ([ERROR], set()),
}
EVENTS = {event["type"]: event for event in (START, TEXT, DELTA, STOP, CLOSE, END, PING, ERROR)}


def test_the_table_has_every_state_and_every_known_type():
    assert set(TRANSITIONS) == set(State) == set(STATES)
    assert set(EVENTS) == KNOWN == set(LETTERS)
    assert {state for row in TRANSITIONS.values() for state in row.values()} == set(State)
    assert {state for state, row in TRANSITIONS.items() if not row} == ENDED


@pytest.mark.parametrize("kind", sorted(LETTERS))
@pytest.mark.parametrize("state", State)
def test_each_event_in_each_state_is_allowed_or_refused_on_purpose(state, kind):
    way, welcome = STATES[state]
    grammar = Grammar()
    for event in way:
        grammar.feed(event)
    assert grammar.state is state
    if kind in welcome:
        grammar.feed(EVENTS[kind])
        return
    with pytest.raises(GrammarError, match=f"^{kind} {state.value}$"):
        grammar.feed(EVENTS[kind])
    assert grammar.state is state


@pytest.mark.parametrize("state", State)
def test_unknown_events_are_passed_over_while_the_stream_lives(state):
    grammar = Grammar()
    for event in STATES[state][0]:
        grammar.feed(event)
    if state in ENDED:
        with pytest.raises(GrammarError, match="'weather'"):
            grammar.feed({"type": "weather"})
    else:
        grammar.feed({"type": "weather"})
    assert grammar.state is state


@pytest.mark.parametrize("index", [1, -1, None, "0", False, 0.5, [0]])
@pytest.mark.parametrize("event", [TEXT, DELTA, STOP])
def test_blocks_are_numbered_without_gaps(event, index):
    grammar = Grammar()
    for each in {"content_block_start": [START]}.get(event["type"], [START, TEXT]):
        grammar.feed(each)
    with pytest.raises(GrammarError, match="expected 0"):
        grammar.feed({**event, "index": index})


def test_the_next_block_has_the_next_number():
    grammar = Grammar()
    for event in [START, TEXT, STOP, {**TEXT, "index": 1}, {**DELTA, "index": 1}, {**STOP, "index": 1}]:
        grammar.feed(event)
    with pytest.raises(GrammarError, match="index 1, expected 2"):
        grammar.feed({**TEXT, "index": 1})


@pytest.mark.parametrize("delta", sorted({each for row in FITTING.values() for each in row} | {"hologram_delta"}))
@pytest.mark.parametrize("block", sorted(FITTING))
def test_a_block_takes_its_own_kinds_of_deltas_only(block, delta):
    assert DELTAS.keys() == FITTING.keys()
    grammar = Grammar()
    grammar.feed(START)
    grammar.feed(events.block_start(0, {"type": block}))
    if delta in FITTING[block]:
        grammar.feed(events.block_delta(0, {"type": delta}))
        return
    with pytest.raises(GrammarError, match=f"{delta} in a {block} block"):
        grammar.feed(events.block_delta(0, {"type": delta}))


@pytest.mark.parametrize("content", [None, "text", [], {}, {"type": None}, {"type": ["text"]}])
def test_blocks_and_deltas_have_types(content):
    grammar = Grammar()
    grammar.feed(START)
    with pytest.raises(GrammarError, match="without a typed content_block"):
        grammar.feed({"type": "content_block_start", "index": 0, "content_block": content})
    grammar.feed(TEXT)
    with pytest.raises(GrammarError, match="without a typed delta"):
        grammar.feed({"type": "content_block_delta", "index": 0, "delta": content})


@pytest.mark.parametrize("event", [{}, {"type": None}, {"type": ["ping"]}, {"type": {}}])
def test_an_event_has_a_type(event):
    with pytest.raises(GrammarError, match="without a type"):
        Grammar().feed(event)
