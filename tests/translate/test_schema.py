from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate import schema as module
from ccrouter.translate.schema import gemini, is_strict, of_object, ollama
from tests.translate.dialogues import anything
from tests.translate.ollama.go_types import check


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": {"a": {"type": ["string", "null"], "format": "uri", "minLength": 1}},
                "required": ["a", "gone"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"a": {"type": "string", "minLength": 1, "nullable": True}},
                "required": ["a"],
            },
        ),
        ({"const": "x"}, {"type": "string", "enum": ["x"]}),
        ({"type": "string", "enum": ["a", "", "b", None]}, {"type": "string", "enum": ["a", "b"]}),
        ({"type": "integer", "enum": [1, 2], "exclusiveMinimum": 0}, {"type": "integer"}),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "d", "type": "string"},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        ),
        (
            {"oneOf": [{"type": "string"}, {"type": "null"}], "description": "d"},
            {"type": "string", "description": "d", "nullable": True},
        ),
        (
            {"type": ["string", "integer"], "description": "d"},
            {"anyOf": [{"type": "string", "description": "d"}, {"type": "integer", "description": "d"}]},
        ),
        (
            {"$ref": "#/$defs/P", "$defs": {"P": {"type": "object", "properties": {"x": {"type": "number"}}}}},
            {"type": "object", "properties": {"x": {"type": "number"}}},
        ),
        (
            {
                "allOf": [
                    {"properties": {"a": {"type": "string"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "string"}}, "required": ["b"]},
                ]
            },
            {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "required": ["a", "b"],
            },
        ),
    ],
)
def test_geminis_subset(schema, said):
    assert gemini(schema) == said


def test_a_schema_that_refers_to_itself_comes_to_an_end():
    branch = {"type": "array", "items": {"$ref": "#"}}
    schema = {"type": "object", "properties": dict.fromkeys("abcdef", branch)}
    assert len(str(gemini(schema))) < 1_000_000
    assert gemini({"$ref": "#"}) == {"type": "object"}


@given(anything)
def test_any_schema_can_be_put_into_geminis_terms(schema):
    def check(found):
        assert ("type" in found) != ("anyOf" in found)
        assert not found.keys() & {"$ref", "oneOf", "allOf", "const", "additionalProperties", "$schema"}
        for each in [*found.get("properties", {}).values(), *found.get("anyOf", ())]:
            check(each)
        if found.get("type") == "array":
            check(found["items"])

    check(gemini(schema if isinstance(schema, dict) else {"properties": {"p": schema}}))
    is_strict(schema)


def test_what_openais_strict_mode_takes():
    closed = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert is_strict(closed)
    assert is_strict({**closed, "properties": {"a": closed}})
    assert not is_strict({**closed, "required": []})
    assert not is_strict({**closed, "additionalProperties": True})
    assert not is_strict({**closed, "properties": {"a": {"type": "array", "items": {"type": "object"}}}})


def test_a_tools_schema_always_has_a_type_and_properties():
    assert of_object({}) == {"type": "object", "properties": {}}
    assert of_object({"type": "object", "required": []}) == {"type": "object", "properties": {}, "required": []}


def test_a_tools_schema_offers_the_properties_of_all_its_forms():
    a, b, c = ({name: {"type": "string"}} for name in "abc")
    forms = {"anyOf": [{"properties": a, "required": ["a"]}, {"properties": b}], "properties": c, "not": {}}
    assert of_object(forms) == {"type": "object", "properties": {**a, **b, **c}}
    assert of_object({"allOf": [{"properties": a, "required": ["a"]}, {"properties": b}]}) == {
        "type": "object",
        "properties": {**a, **b},
        "required": ["a"],
    }


def test_a_reference_at_the_top_of_a_tools_schema_is_followed():
    one, two = ({name: {"type": "string"}} for name in "ab")
    a, b = ({"type": "object", "properties": each} for each in (one, two))
    defined = {"$defs": {"A": a, "B": b, "C": {"$ref": "#/$defs/A"}}}
    both = {"type": "object", "properties": {**one, **two}}
    assert of_object({"$ref": "#/$defs/C", "description": "d", **defined}) == {**a, "description": "d", **defined}
    for key in ("anyOf", "oneOf", "allOf"):
        assert of_object({key: [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}], **defined}) == {**both, **defined}
    assert (
        of_object({"$ref": "#"})
        == of_object({"$ref": "https://x.example"})
        == {"type": "object", "properties": {}}
    )


@given(anything)
def test_any_tools_schema_is_one_of_an_object(schema):
    found = of_object(schema if isinstance(schema, dict) else {"anyOf": schema})
    assert found["type"] == "object"
    assert isinstance(found["properties"], dict)
    assert not found.keys() & {"anyOf", "oneOf", "allOf", "enum", "not", "$ref"}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "object", "properties": {}}, {"type": "object", "properties": {}}),
        ({"additionalProperties": False, "minProperties": 1}, {"additionalProperties": False, "minProperties": 1}),
        (
            {
                "properties": {"a": {"type": ["string", None]}, "b": {"type": 5}, "c": False},
                "required": ["a", None],
            },
            {"properties": {"a": {"type": ["string"]}, "b": {}, "c": {}}, "required": ["a"]},
        ),
        (
            {"properties": {"a": {"description": 5, "enum": "x", "items": [], "anyOf": {}, "required": True}}},
            {"properties": {"a": {}}},
        ),
        (
            {"properties": {"a": {"oneOf": [{"const": 1}, True], "description": "d"}}},
            {"properties": {"a": {"anyOf": [{"enum": [1]}, {}], "description": "d"}}},
        ),
        (
            {"properties": {"a": {"allOf": [{"type": "string"}, {"pattern": "x"}]}}},
            {"properties": {"a": {"type": "string", "pattern": "x"}}},
        ),
        (
            {"properties": {"a": {"$ref": "#/$defs/A", "description": "d"}}, "$defs": {"A": {"type": "string"}}},
            {"properties": {"a": {"type": "string", "description": "d"}}},
        ),
        ({"properties": {"a": {"$ref": "elsewhere"}}}, {"properties": {"a": {"type": "object"}}}),
    ],
)
def test_a_schema_in_members_of_ollamas_types(schema, said):
    assert ollama(schema) == {"type": "object", **said}


def test_a_schema_that_refers_to_itself_ends_at_ollama_too():
    tree = {"properties": {"tree": {"$ref": "#"}}}
    assert len(json.dumps(ollama(tree))) < 1_000
    wide = {"properties": {str(n): {"$ref": "#"} for n in range(50)}}
    assert len(json.dumps(ollama(wide))) < 200_000


@given(anything)
def test_any_schema_has_ollamas_types(value):
    parameters = ollama(of_object(value if isinstance(value, dict) else {}))
    function = {"name": "a", "parameters": parameters}
    check({"model": "m", "messages": [], "tools": [{"type": "function", "function": function}], **_ALWAYS})


ANY = {"type": ["string", "number", "boolean", "object", "array", "null"]}


def spelled_out(schema):
    """Counted: as many changes are noted as there are."""
    noted: list[str] = []
    found = module.spelled_out(schema, "here", noted.append)
    assert set(noted) <= {"here: true or false for a schema spelled out"}
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
def test_true_and_false_in_place_of_a_schema_are_spelled_out(schema, said):
    before = copy.deepcopy(schema)
    assert spelled_out(schema) == said
    assert schema == before


def test_true_and_false_that_are_no_schema_stay():
    values = {"enum": [True], "const": False, "default": True, "examples": [{"properties": {"a": True}}]}
    schema = {"properties": {"a": {**values, "items": {}}}, "additionalProperties": False, "nullable": True}
    assert spelled_out(schema) is schema


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
    items = schema.get("items", schema.get("prefixItems", []))
    named = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    for each in [*named, *schema.get("anyOf", ()), *(items if isinstance(items, list) else [items])]:
        assert_llamacpp_takes(each)
    if schema.get("additionalProperties") not in (None, True, False):
        assert_llamacpp_takes(schema["additionalProperties"])


@given(tool_schemas)
def test_any_legal_schema_can_be_spelled_out_for_those_that_know_only_objects(schema):
    found = spelled_out(schema)
    assert_llamacpp_takes(found)
    function = {"name": "a", "parameters": found}
    check({"model": "m", "messages": [], "tools": [{"type": "function", "function": function}], **_ALWAYS})
    assert spelled_out(found) is found


@given(anything)
def test_what_is_no_schema_at_all_is_spelled_out_too(value):
    assert isinstance(spelled_out(value), dict)


_ALWAYS = {"truncate": False, "shift": False, "stream": True}
