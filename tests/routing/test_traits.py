from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.values import EFFORTS, PARTS
from ccrouter.translate import conversation, tokens, window
from ccrouter.wire.messages import read_request
from tests.routing.samples import headers, request, traits
from tests.strategies import json_values

TOOL = {"name": "Read", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
DOCUMENT = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}


def said(*blocks):
    return [{"role": "user", "content": list(blocks)}]


# Tokens


@pytest.mark.parametrize("count", [1, 10, 100, 1000, 5000])
def test_a_prompt_exceeds_a_number_as_its_estimate_does(count):
    one = traits(messages=[{"role": "user", "content": "word " * count}])
    size = tokens.of(one.request)
    assert not one.tokens_exceed(size)
    assert one.tokens_exceed(size - 1)


def test_tokens_are_counted_only_where_the_length_leaves_it_open(monkeypatch):
    one = traits(messages=[{"role": "user", "content": "word " * 100}])
    with monkeypatch.context() as patch:
        patch.delattr(tokens, "Count")
        assert not one.tokens_exceed(len(one.request.text))
    assert window.surely_fits(one.request, len(one.request.text))
    assert one.tokens_exceed(50)


def test_tokens_are_counted_once(monkeypatch):
    one = traits(messages=[{"role": "user", "content": "word " * 100}])
    assert one.tokens_exceed(1)
    assert one.request.sizes.tokens is not None
    assert one.request.sizes.most_tokens is None
    count = tokens.estimate(one.request.fields)
    with monkeypatch.context() as patch:
        patch.delattr(tokens, "Count")
        assert one.tokens_exceed(count - 1)
        assert not one.tokens_exceed(count)


# Parts


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        ("images", {"messages": said(IMAGE)}),
        ("images", {"messages": said({"type": "tool_result", "content": [{"type": "text", "text": "a"}, IMAGE]})}),
        ("documents", {"messages": said({"type": "text", "text": "a"}, DOCUMENT)}),
        ("documents", {"messages": said({"type": "tool_result", "content": [DOCUMENT]})}),
        ("tools", {"tools": [TOOL]}),
        ("thinking", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ("thinking", {"thinking": {"type": "adaptive", "display": "omitted"}}),
    ],
)
def test_a_request_has_a_part_and_no_other(part, fields):
    one = traits(**fields)
    assert [each for each in PARTS if one.has(each)] == [part]
    assert [each for each in PARTS if one.has(each)] == [part], "asked again, it says the same"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tools": []},
        {"thinking": {"type": "disabled"}},
        {"thinking": None},
        {"messages": said({"type": "text", "text": '"image" "document"'})},
        {"messages": [{"role": "user", "content": '"image"'}]},
        {"system": [IMAGE]},
    ],
)
def test_what_only_speaks_of_parts_has_none(fields):
    assert not any(traits(**fields).has(part) for part in PARTS)


# Server tools


def test_server_tools_are_those_without_a_schema_by_name_and_type():
    assert traits(tools=[TOOL, SEARCH, {"type": "custom", "name": "x"}]).server_tools == (
        "web_search",
        "web_search_20250305",
    )
    assert traits().server_tools == ()
    assert traits(tools=[{**TOOL, "type": "hologram"}]).server_tools == ()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from([None, "custom", "web_search_20250305", 5]),
            "name": st.sampled_from([None, "", "Read", 5]),
            "input_schema": st.sampled_from([None, {}, {"type": "object"}, []]),
        },
    )
)
def test_rules_and_bridges_have_one_mind_on_which_tools_the_backend_runs(tool):
    run = conversation.read({"tools": [tool]}).server_tools
    assert traits(tools=[tool]).server_tools == tuple(said for each in run for said in (each.name, each.type))


# Effort


@pytest.mark.parametrize("effort", EFFORTS)
def test_the_effort_is_the_conversations(effort):
    assert traits(output_config={"effort": effort}).effort == effort


def test_a_later_message_has_the_last_word_on_effort():
    messages = [
        {"role": "user", "content": "a", "output_config": {"effort": "low"}},
        {"role": "user", "content": "b", "output_config": {"effort": "max"}},
        {"role": "user", "content": "c"},
    ]
    assert traits(messages=messages, output_config={"effort": "medium"}).effort == "max"


@pytest.mark.parametrize("config", [None, {}, [], {"effort": "hologram"}, {"effort": ["low"]}, {"effort": 3}])
def test_an_effort_that_nobody_knows_is_none(config):
    assert traits(output_config=config).effort is None


# Headers


def test_of_a_header_the_first_value_counts():
    one = traits(said=[*headers(x_team="core"), *headers(x_team="other")])
    assert (one.header("x-team"), one.header("x-none")) == ("core", None)


# Odd shapes

_loaded = json_values.map(json.loads)
_typed = st.fixed_dictionaries({"type": _loaded | st.sampled_from(["image", "enabled"]), "content": _loaded})
_message = st.fixed_dictionaries({"role": _loaded, "content": st.lists(_typed, max_size=2)})
_odd = _loaded | st.lists(_typed | _message, max_size=2) | _typed


@given(st.dictionaries(st.sampled_from(["messages", "tools", "thinking", "output_config"]), _odd, max_size=3))
def test_no_shape_of_a_request_is_beyond_it(fields):
    text = json.dumps({"model": "m", "metadata": '"image" "document"', **fields})
    one = traits(read_request(text.encode()))
    assert all(one.has(part) in (True, False) for part in PARTS)
    assert all(isinstance(each, str) for each in one.server_tools)
    assert one.effort in (None, *EFFORTS)
    assert one.tokens_exceed(0) in (True, False)


def test_prompts_and_headers_are_not_shown():
    one = traits(request(system="secret"), said=headers(x_a="secret"))
    assert "secret" not in repr(one)
