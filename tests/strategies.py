"""What hypothesis draws for the tests of wires: cuts, mutations, JSON texts, streams of events and their bytes."""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen
from hypothesis import strategies as st

from ccrouter.wire import events
from ccrouter.wire.events import Event

# Bytes


@st.composite
def cuts(draw: st.DrawFn, whole: bytes) -> list[bytes]:
    """``whole`` in pieces, some of them empty: at a few places, or byte by byte."""
    if draw(st.booleans()) and len(whole) < 2000:
        return [whole[place : place + 1] for place in range(len(whole))]
    places = draw(st.lists(st.integers(0, len(whole)), max_size=12).map(sorted))
    return [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]


#: What breaks parsers more often than chance would find it.
_NASTY = (b"\r", b"\n", b"\r\n\r\n", b"\x00", b"\xff", b"\xe2\x80", b'"', b"{", b"]", b"data:", b"event: error\n")


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """``whole`` with up to four pieces cut out, doubled, overwritten or put in."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(whole)))
        end = draw(st.integers(start, min(len(whole), start + draw(st.sampled_from([1, 4, 100])))))
        piece = draw(
            st.one_of(st.just(b""), st.just(whole[start:end] * 2), st.sampled_from(_NASTY), st.binary(max_size=4))
        )
        whole = whole[:start] + piece + whole[end:]
    return whole


# JSON texts, as unusual as the standard allows

_spaces = st.text(" \t\n\r", max_size=3)
_numbers = st.sampled_from(
    [
        "0",
        "-0",
        "1.0",
        "1e3",
        "1E+3",
        "1e-7",
        "-0.0",
        "0.1000",
        "123456789012345678901234567890",
        "1.7976931348623157e309",
    ]
) | st.integers().map(str)
_odd_strings = st.sampled_from(
    ['""', r'"\u00e9"', r'"\/\b\f"', r'"\ud83d\ude00"', r'"\ud800"', '"\u2028\u0085"', r'"\\\" "', '"[{,:}]"']
)
json_strings = _odd_strings | st.builds(json.dumps, st.text(max_size=6), ensure_ascii=st.booleans())
#: Few enough for repeated ones to be drawn often; one name is spelled in two ways.
json_keys = st.sampled_from(['"a"', '"b"', r'"\u0061"', '"model"', '""']) | json_strings


def _listed(opening: str, items: st.SearchStrategy[str], closing: str) -> st.SearchStrategy[str]:
    spaced = st.builds("{}{}{}".format, _spaces, items, _spaces)
    return st.lists(spaced, max_size=4).map(lambda each: f"{opening}{','.join(each)}{closing}")


def _member(key: st.SearchStrategy[str], value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("{}{}:{}{}".format, key, _spaces, _spaces, value)


json_values = st.recursive(
    _numbers | json_strings | st.sampled_from(["null", "true", "false"]),
    lambda inner: _listed("[", inner, "]") | _listed("{", _member(json_keys, inner), "}"),
    max_leaves=6,
)


@frozen
class Written:
    """An object or an array as text, and the texts that it was put together from. ``keys`` is empty for an array."""

    text: str
    keys: tuple[str, ...]
    values: tuple[str, ...]


@st.composite
def json_objects(draw: st.DrawFn) -> Written:
    """An object with repeated keys, odd numbers, escapes and white space."""
    members = draw(st.lists(st.tuples(json_keys, json_values), max_size=6))
    texts = [
        f"{draw(_spaces)}{key}{draw(_spaces)}:{draw(_spaces)}{value}{draw(_spaces)}" for key, value in members
    ]
    inside = ",".join(texts) or draw(_spaces)
    text = f"{draw(_spaces)}{{{inside}}}{draw(_spaces)}"
    return Written(text, tuple(key for key, _ in members), tuple(value for _, value in members))


@st.composite
def json_arrays(draw: st.DrawFn) -> Written:
    """An array, as unusual as `json_objects`."""
    values = draw(st.lists(json_values, max_size=6))
    inside = ",".join(f"{draw(_spaces)}{value}{draw(_spaces)}" for value in values) or draw(_spaces)
    return Written(f"{draw(_spaces)}[{inside}]{draw(_spaces)}", (), tuple(values))


# Events

words = st.text(max_size=8) | st.sampled_from(["\u2028", "\u0085", "\r\n\r\n", "data: x\n\n", "😀", "é"])
_counts = st.integers(0, 100_000)
_plain_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
_inputs = st.dictionaries(words, _plain_json, max_size=3)


@st.composite
def _pieces(draw: st.DrawFn, text: str) -> list[str]:
    places = draw(st.lists(st.integers(0, len(text)), max_size=4).map(sorted))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


@st.composite
def _tool(draw: st.DrawFn, kind: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    block = {"type": kind, "id": draw(words), "name": draw(words), "input": {}}
    if kind == "mcp_tool_use":
        block["server_name"] = draw(words)
    pieces = (
        draw(_pieces(json.dumps(draw(_inputs), ensure_ascii=draw(st.booleans())))) if draw(st.booleans()) else [""]
    )
    return block, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


@st.composite
def _text(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    block = {"type": "text", "text": draw(st.just("") | words)}
    deltas: list[dict[str, Any]] = [
        {"type": "text_delta", "text": each} for each in draw(st.lists(words, max_size=3))
    ]
    if draw(st.booleans()):
        citation = {
            "type": "char_location",
            "cited_text": draw(words),
            "document_index": 0,
            "document_title": None,
            "start_char_index": 0,
            "end_char_index": 4,
        }
        deltas.insert(draw(st.integers(0, len(deltas))), {"type": "citations_delta", "citation": citation})
    return block, deltas


@st.composite
def _thinking(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    deltas = [{"type": "thinking_delta", "thinking": each} for each in draw(st.lists(words, max_size=3))]
    return {"type": "thinking", "thinking": "", "signature": ""}, [
        *deltas,
        *({"type": "signature_delta", "signature": each} for each in draw(st.lists(words, max_size=2))),
    ]


_no_deltas: list[dict[str, Any]] = []
_redacted = words.map(lambda word: ({"type": "redacted_thinking", "data": word}, _no_deltas))
_compaction = words.map(
    lambda word: (
        {"type": "compaction", "content": None, "encrypted_content": None},
        [{"type": "compaction_delta", "content": word, "encrypted_content": word}],
    )
)
_unknown_block = words.map(lambda word: ({"type": "hologram", "x": 1}, [{"type": "hologram_delta", "y": word}]))

_known_blocks = st.one_of(
    _text(),
    _thinking(),
    _redacted,
    _compaction,
    _tool("tool_use"),
    _tool("server_tool_use"),
    _tool("mcp_tool_use"),
)


@st.composite
def streams(draw: st.DrawFn, *, unknown: bool = True) -> list[Event]:
    """The events of one whole message, as the grammar allows them. ``unknown``: with types that nobody knows."""
    usage: dict[str, Any] = {
        "input_tokens": draw(_counts),
        "output_tokens": 1,
        "cache_read_input_tokens": draw(st.none() | _counts),
    }
    found = [events.message_start(draw(words), draw(words), usage)]
    for index, (block, deltas) in enumerate(
        draw(st.lists(_known_blocks | _unknown_block if unknown else _known_blocks, max_size=4))
    ):
        found += [
            events.block_start(index, block),
            *(events.block_delta(index, delta) for delta in deltas),
            events.block_stop(index),
        ]
    for _ in range(draw(st.integers(1, 2))):
        found.append(
            events.message_delta(draw(st.sampled_from(["end_turn", "tool_use"])), {"output_tokens": draw(_counts)})
        )
    found.append(events.message_stop())
    between: list[Event] = [events.ping()]
    if unknown:
        between += [{"type": "weather", "report": "\u2028"}, {"type": "ping_v2"}]
    for extra in draw(st.lists(st.sampled_from(between), max_size=4)):
        # Not in front: a client that knows no such event takes it for a message that began wrong.
        found.insert(draw(st.integers(1 if extra["type"] != "ping" else 0, len(found) - 1)), extra)
    return found


@st.composite
def spelled(draw: st.DrawFn, stream: list[Event]) -> bytes:
    """The bytes of ``stream`` as some sender may spell them."""
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    space = draw(st.sampled_from([" ", ""]))
    ascii_only = draw(st.booleans())
    named = draw(st.sampled_from(["first", "first", "last", "never"]))
    comments = draw(st.booleans())
    frames = []
    for event in stream:
        data = f"data:{space}{json.dumps(event, ensure_ascii=ascii_only)}"
        name = f"event:{space}{event['type']}"
        lines = {"first": [name, data], "last": [data, name], "never": [data]}[named]
        if comments:
            lines = [": keep-alive", *lines, "id: 7", ":"]
        frames.append("".join(line + end for line in [*lines, ""]))
    mark = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"]))
    return mark + "".join(frames).encode("utf-8", "backslashreplace")
