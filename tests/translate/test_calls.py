from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate.calls import Calls, arguments_of


def fragment(index=None, call_id=None, name=None, arguments=None, **more):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    found = {"function": function, **more}
    return found | {key: value for key, value in (("index", index), ("id", call_id)) if value is not None}


def gathered(*fragments):
    calls = Calls()
    for each in fragments:
        calls.feed(each)
    return [(call.id, call.name, call.text) for call in calls.found]


# Fragments

ONE = [("a", "Read", '{"x":1}')]
TWO = [("a", "Read", '{"x":1}'), ("b", "Bash", '{"y":2}')]


@pytest.mark.parametrize(
    ("fragments", "expected"),
    [
        pytest.param([fragment(0, "a", "Read", "")] + [fragment(0, arguments=each) for each in ('{"x"', ":1}")], ONE, id="by the book"),
        pytest.param([fragment(0, "a", "Read", '{"x":1}')], ONE, id="whole at once"),
        pytest.param([fragment(0, "a"), fragment(0, name="Read"), fragment(0, arguments='{"x":1}')], ONE, id="id and name apart"),
        pytest.param([fragment(0, name="Read"), fragment(0, "a"), fragment(0, arguments='{"x":1}')], ONE, id="name before id"),
        pytest.param([fragment(0, "a", "Read", '{"x"'), fragment(0, "a", "Read", ":1}"), fragment(0, "a", "Read", "")], ONE, id="id and name repeated"),
        pytest.param([fragment(0, "a", "Read", '{"x"'), fragment(0, "", "", ":1}"), fragment(0, "", "", "")], ONE, id="id and name empty later"),
        pytest.param([fragment(0, "a", "Read", '{"x"'), fragment(0, "q", None, ":1}")], ONE, id="another id in each fragment"),
        pytest.param([fragment(0, "a", "Read", '{"x"'), fragment(0, "q", "Read", ":1}")], ONE, id="another id and the name again"),
        pytest.param([fragment(0, "a", "Read", ""), fragment(0, "q", "Read", '{"x":1}')], ONE, id="another id and the name again before any arguments"),
        pytest.param([fragment(0, "a", "Read", {"x": 1})], [("a", "Read", '{"x": 1}')], id="arguments as an object"),
        pytest.param([fragment(0, "a", "Read", {}), fragment(0, arguments='{"x":1}')], ONE, id="an empty object first"),
        pytest.param([fragment(0, "a", "Read", '{"x":1}'), fragment(0, name="Read", arguments="")], ONE, id="name after the end"),
        pytest.param([fragment(1, "b", "Bash", '{"y"'), fragment(0, "a", "Read", '{"x":1}'), fragment(1, arguments=":2}")], TWO[::-1], id="indexes interleaved"),
        pytest.param([fragment(None, "a", "Read", '{"x"'), fragment(None, "b", "Bash", '{"y"'), fragment(None, "a", arguments=":1}"), fragment(None, "b", arguments=":2}")], TWO, id="interleaved by id"),
        pytest.param([fragment(0, "a", "Read", '{"x":1}'), fragment(0, "b", "Bash", '{"y":2}')], TWO, id="one index for whole calls"),
        pytest.param([fragment(0, "a", "Read", '{"x":1}'), fragment(0, "b", "Read", '{"y":2}')], [TWO[0], ("b", "Read", '{"y":2}')], id="one index, one tool twice"),
        pytest.param([fragment(0, "a", "Read", ""), fragment(0, "b", "Bash", "")], [("a", "Read", ""), ("b", "Bash", "")], id="one index, no arguments"),
        pytest.param([fragment(None, None, "Read", '{"x":1}'), fragment(None, None, "Bash", '{"y":2}')], [("", *TWO[0][1:]), ("", *TWO[1][1:])], id="neither index nor id"),
        pytest.param([fragment(None, None, "Read", '{"x":1}'), fragment(None, None, "Read", '{"y":2}')], [("", "Read", '{"x":1}'), ("", "Read", '{"y":2}')], id="neither, one tool twice"),
        pytest.param([fragment(None, None, "Read", '{"x"'), fragment(arguments=":1}")], [("", "Read", '{"x":1}')], id="neither, in fragments"),
        pytest.param([fragment(0, "a", "Read", '{"x":1}'), fragment(1, "a", "Bash", '{"y":2}')], [TWO[0], ("a", "Bash", '{"y":2}')], id="one id for two indexes"),
        pytest.param([{}, fragment(), fragment(3), {"index": True, "function": "x"}, fragment(0, "", "", "")], [], id="fragments of nothing"),
        pytest.param([fragment(0, 5, ["x"], None), fragment(0, "a", "Read", '{"x":1}')], ONE, id="wrong types"),
    ],
)  # fmt: skip
def test_fragments_come_together_whatever_they_leave_out(fragments, expected):
    assert gathered(*fragments) == expected


def test_what_a_vendor_puts_beside_a_call_is_kept():
    calls = Calls()
    calls.feed(fragment(0, "a", "Read", "{}", extra_content={"google": {"thought_signature": "s"}}))
    calls.feed(fragment(0, arguments="", extra_content=5))
    assert calls.found[0].extra == {"google": {"thought_signature": "s"}}


inputs = st.dictionaries(
    st.text(max_size=3), st.integers() | st.text(max_size=4) | st.lists(st.booleans()), max_size=3
)


@given(st.lists(st.tuples(st.sampled_from(["Read", "Bash"]), inputs), max_size=4), st.data())
def test_interleaved_fragments_give_the_calls_that_were_cut(called, data):
    pieces = []
    for index, (name, value) in enumerate(called):
        text = json.dumps(value)
        places = [0, *data.draw(st.lists(st.integers(0, len(text)), max_size=3).map(sorted)), len(text)]
        texts = [text[start:end] for start, end in pairwise(places)]
        pieces.append(
            [fragment(index, f"id{index}", name, "")] + [fragment(index, arguments=each) for each in texts]
        )
    calls = Calls()
    while any(pieces):
        calls.feed(data.draw(st.sampled_from([each for each in pieces if each])).pop(0))
    found = {call.id: (call.name, json.loads(call.text)) for call in calls.found}
    assert found == {f"id{index}": each for index, each in enumerate(called)}


# Arguments


@given(inputs, st.booleans())
def test_the_arguments_of_an_object_are_that_object(value, ascii_only):
    assert arguments_of(json.dumps(value, ensure_ascii=ascii_only)) == value


@given(inputs)
def test_an_object_that_was_encoded_twice_is_decoded_twice(value):
    assert arguments_of(json.dumps(json.dumps(value))) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (" \n", {}),
        ("null", {}),
        ('""', {}),
        ('{"a": "x\ny\tz"}', {"a": "x\ny\tz"}),
        ('{"a": [1, 2, ], }', {"a": [1, 2]}),
        ('{"a": ",]", }', {"a": ",]"}),
        (r'{"a": "\",}", }', {"a": '",}'}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('```\n{"a": "```"}```', {"a": "```"}),
        ("{'a': True, 'b': None, 'c': [False, 1.5]}", {"a": True, "b": None, "c": [False, 1.5]}),
        ("{'it': \"it's\"}", {"it": "it's"}),
        ('{}{"a": 1}', {"a": 1}),
        ('{"a": "😀\u2028"}', {"a": "😀\u2028"}),
    ],
)
def test_what_can_mean_one_thing_only_is_mended(text, expected):
    assert arguments_of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1',
        '{"a": "x',
        '{"a": 1}}',
        '{"a": 1}{"a": 2}',
        '{"a" 1}',
        "{a: 1}",
        "[]",
        "[1]",
        "5",
        "true",
        '"words"',
        "words",
        "{'a': (1, 2)}",
        "{1: 2}",
        "{'a', 'b'}",
        "{'a': b'x'}",
        r"{'a': 'C:\new'}",
        '{"a": NaN}',
        '{"a": 1e999}',
        "{'a': 1e999}",
        '{"a": ' + "[" * 300 + "]" * 300 + "}",
        '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "{'a': " + "(" * 100_000,
        '{"a": ' + "9" * 5000 + "}",
        "{'a': '\0'",
        '{"a": 1, "b": "cut',
        '{"a": 1, "b": "cut}',
        '{"a": 1, "b": "cut\\',
        '{"a": 1,}, ',
        '"{}',
        "```\n{}",
    ],
)
def test_what_would_have_to_be_guessed_is_refused(text):
    assert arguments_of(text) is None


CUT = """
from ccrouter.translate.calls import arguments_of

quoted = chr(92) + chr(34)
code = f"foo({quoted}bar{quoted}); {{ }}," * 10_000
for end in ("", "}", chr(34), chr(92), ", }"):
    for begin in ('{"content":"', '{}{"content":"', '"{', "```" + chr(10) + '{"content":"'):
        assert arguments_of(begin + code + end) is None, (begin, end)
assert arguments_of('{"content":"' + code + '", }') == {"content": code.replace(chr(92), "")}
"""


def test_code_that_was_cut_in_a_string_is_read_once():
    # 200 KB of it took four minutes when each quote inside was taken for a beginning; it takes milliseconds.
    subprocess.run([sys.executable, "-c", CUT], timeout=60, check=True)


@given(st.text("{}[]\"',:\\\n a1\0", max_size=20) | st.text(max_size=20))
def test_arguments_are_an_object_that_has_json_or_nothing(text):
    value = arguments_of(text)
    assert value is None or json.loads(json.dumps(value, allow_nan=False)) == value


def test_what_a_fragment_adds_to_a_call_counts_even_by_itself():
    calls = Calls()
    calls.feed({"extra_content": {"google": {"thought_signature": "lost"}}})
    calls.feed({"index": 0, "id": "a", "function": {"name": "Read", "arguments": "{}"}})
    calls.feed({"index": 0, "extra_content": {"google": {"thought_signature": "s"}}})
    (call,) = calls.found
    assert call.extra == {"google": {"thought_signature": "s"}}
