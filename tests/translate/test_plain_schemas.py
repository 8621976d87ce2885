"""Schemas of tools for servers that make a grammar of them."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate import plain_schemas
from tests.translate.dialogues import anything
from tests.translate.ollama.go_types import check

ANY = {"type": ["string", "number", "boolean", "object", "array", "null"]}


SPELLED_OUT = "here: true or false for a schema spelled out"
TOO_LARGE = "here: a count too large for the backend's grammar left out"
RESTRICTED = "here: what all of a text has to be left out"
LEFT_OUT = "here: a pattern that the backend makes no grammar of left out"


def plain(schema):
    noted: list[str] = []
    found = plain_schemas.plain(schema, "here", noted.append)
    assert set(noted) <= {SPELLED_OUT, LEFT_OUT, TOO_LARGE, RESTRICTED}
    assert bool(noted) is (found is not schema)
    return found


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"properties": {"a": True, "b": False}}, {"properties": {"a": ANY, "b": ANY}}),
        ({"properties": {"a": "string", "b": None}}, {"properties": {"a": ANY, "b": ANY}}),  # no schema to anybody
        ({"anyOf": [{"type": "null"}, True]}, {"anyOf": [{"type": "null"}, ANY]}),
        ({"type": "array", "items": True}, {"type": "array"}),
        # A tuple in the words of 2020-12, and in those of draft 7.
        ({"prefixItems": [True, {}], "items": False}, {"prefixItems": [ANY, {}]}),
        ({"items": [True, {}], "additionalItems": False}, {"items": [ANY, {}], "additionalItems": False}),
        (
            {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": True}},
            {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": ANY}},
        ),
        (
            {"properties": {"properties": {"properties": {"a": True}}}},
            {"properties": {"properties": {"properties": {"a": ANY}}}},
        ),
    ],
)
def test_true_and_false_in_place_of_a_schema_are_plain(schema, said):
    before = copy.deepcopy(schema)
    assert plain(schema) == said
    assert schema == before


def test_true_and_false_that_are_no_schema_stay():
    values = {"enum": [True], "const": False, "default": True, "examples": [{"properties": {"a": True}}]}
    schema = {"properties": {"a": {**values, "items": {}}}, "additionalProperties": False, "nullable": True}
    assert plain(schema) is schema


# As common/json-schema-to-grammar.cpp reads them (2026-11), and the grammar's own reader behind it.
TAKEN = ("^a$", "^[a-z_-]+$", "^(?:x{1,3}|y.*)+$", r"^\.[^/]*(json|yaml)?$", "^https?://.+$", '^é "x"$')
REFUSED = ("a", "^a", "a$", "", "^$", r"^\d+$", r"^\S$", r"^[\w.]+$", "^(?!x)a$", "^(?=.*a).{8}$", "^a$|^b$", "^a+?$",
           "^*$", "^(a$", "^a)$", "^[a$", "^a{1,500}$", "^a\n$")  # fmt: skip


@pytest.mark.parametrize("pattern", TAKEN)
def test_a_pattern_that_becomes_a_grammar_stays(pattern):
    schema = {"properties": {"a": {"type": "string", "pattern": pattern}}}
    assert plain(schema) is schema


@pytest.mark.parametrize("pattern", [*REFUSED, None, 5, ["^a$"]])
def test_any_other_pattern_is_left_out(pattern):
    schema = {"properties": {"pattern": {"type": "string", "pattern": pattern, "default": {"pattern": pattern}}}}
    assert plain(schema) == {"properties": {"pattern": {"type": "string", "default": {"pattern": pattern}}}}


@pytest.mark.parametrize("name", ["minLength", "maxLength", "minItems", "maxItems"])
def test_a_count_that_is_too_large_for_a_grammar_is_left_out(name):
    assert plain({"properties": {"a": {"type": "string", name: 524_288}}}) == {
        "properties": {"a": {"type": "string"}}
    }
    for value in (0, 500, None, "x", True):
        schema = {"properties": {name: {name: value}}}
        assert plain(schema) is schema


def test_a_text_stays_a_text_whatever_it_is_to_fit():
    both = [{"pattern": r"^[^\n\r]*$"}, {"pattern": r"^[\s\S]{0,300}$"}]  # whom SendMessage is for
    assert plain({"type": "string", "allOf": both, "description": "d"}) == {"type": "string", "description": "d"}
    for schema in (
        {"allOf": [{"properties": {"a": {"type": "string"}}}, {"required": ["a"]}]},
        {"type": "string", "allOf": [{"enum": ["a"]}]},
        {"allOf": [{"$ref": "#/$defs/A"}]},
        {"type": "object", "allOf": [{"required": ["a"]}]},
        {"type": "integer", "allOf": [{"minimum": 1}]},
    ):
        assert plain(schema) is schema


def test_each_change_is_counted():
    noted: list[str] = []
    schema = {"properties": {"a": True, "b": {"pattern": "x", "items": {"pattern": "y"}}}, "items": False}
    plain_schemas.plain(schema, "here", noted.append)
    assert noted == [SPELLED_OUT, LEFT_OUT, LEFT_OUT, SPELLED_OUT]


_schemas = st.recursive(
    st.booleans() | st.sampled_from([{}, {"type": "string"}, {"enum": [True]}, {"$ref": "#/$defs/A"}]),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", ["object", "null"]]),
            "properties": st.dictionaries(st.sampled_from(["a", "items", "properties"]), inner, max_size=3),
            "additionalProperties": inner,
            "items": inner | st.lists(inner, max_size=2),
            "prefixItems": st.lists(inner, max_size=2),
            "anyOf": st.lists(inner, max_size=2),
            "allOf": st.lists(inner, max_size=2),
            "$defs": st.dictionaries(st.sampled_from(["A", "B"]), inner, max_size=2),
            "default": st.booleans(),
            "pattern": st.sampled_from([*TAKEN, *REFUSED]),
            "maxLength": st.sampled_from([5, 2_000]),
            "maxItems": st.sampled_from([5, 2_000]),
        },
    ),
    max_leaves=20,
)
#: Schemas of tools, legal by draft 2020-12 (or 7, where ``items`` are a list).
tool_schemas = st.dictionaries(st.sampled_from(["a", "b", "items"]), _schemas, max_size=3).map(
    lambda properties: {"type": "object", "properties": properties}
)


def assert_llamacpp_takes(schema):
    """What the converter of its grammars looks at (common/json-schema-to-grammar.cpp, 2026-11)."""
    assert isinstance(schema, dict)
    assert schema.get("pattern") not in REFUSED
    assert max(schema.get("maxLength", 0), schema.get("maxItems", 0)) < 2_000
    items = schema.get("items", schema.get("prefixItems", []))
    named = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    for each in [*named, *schema.get("anyOf", ()), *(items if isinstance(items, list) else [items])]:
        assert_llamacpp_takes(each)
    if schema.get("additionalProperties") not in (None, True, False):
        assert_llamacpp_takes(schema["additionalProperties"])


@given(tool_schemas)
def test_of_any_legal_schema_there_is_one_with_a_grammar(schema):
    found = plain(schema)
    assert_llamacpp_takes(found)
    function = {"name": "a", "parameters": found}
    check({"model": "m", "messages": [], "tools": [{"type": "function", "function": function}], **_ALWAYS})
    assert plain(found) is found


@given(anything)
def test_what_is_no_schema_at_all_is_told_as_anything(value):
    assert isinstance(plain(value), dict)


_ALWAYS = {"truncate": False, "shift": False, "stream": True}
