from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate.schema import checked, gemini, is_strict, of_object, ollama
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
    assert is_strict({**closed, "properties": {"a": {"type": "array", "items": {"type": "string"}}}})
    for array in ({"type": ["array", "null"]}, {"type": "array", "items": {}}):
        assert not is_strict({**closed, "properties": {"a": array}})


NO_REGEX = r"^\p{L}+$"
NOTED = ("here: a pattern that the backend can't read left out", "here: items added to an array without")

#: What looks like a schema and is none: values, and names of properties.
LOOKS = {"type": "array", "pattern": NO_REGEX}


@pytest.mark.parametrize(
    ("schema", "said", "noted"),
    [
        ({"type": "string", "pattern": NO_REGEX, "minLength": 1}, {"type": "string", "minLength": 1}, NOTED[:1]),
        ({"type": "string", "pattern": "^[a-z]+$"}, {"type": "string", "pattern": "^[a-z]+$"}, ()),
        ({"type": "array", "minItems": 1}, {"type": "array", "minItems": 1, "items": {}}, NOTED[1:]),
        ({"type": ["array", "null"]}, {"type": ["array", "null"], "items": {}}, NOTED[1:]),
        ({"type": "array", "items": True}, {"type": "array", "items": True}, ()),
        (
            {"patternProperties": {NO_REGEX: {}, "^a": LOOKS}, "additionalProperties": False},
            {"patternProperties": {"^a": {"type": "array", "items": {}}}},
            (NOTED[0], NOTED[1], NOTED[0]),
        ),
        (
            {"patternProperties": {"^a": {}}, "additionalProperties": False},
            {"patternProperties": {"^a": {}}, "additionalProperties": False},
            (),
        ),
        ({"properties": {"pattern": {"type": "string"}, "items": {}}, "default": LOOKS, "enum": [LOOKS]},) * 2
        + ((),),
    ],
)
def test_a_schema_without_what_openais_validator_refuses(schema, said, noted):
    notes: list[str] = []
    assert checked(schema, "here", notes.append) == said
    assert sorted(notes) == sorted(noted)


def refused(schema):
    """What OpenAI would refuse in a schema, by the places of JSON Schema."""
    if not isinstance(schema, dict):
        return []
    found = [schema["pattern"]] if schema.get("pattern") == NO_REGEX else []
    found += [name for name in schema.get("patternProperties", ()) if name == NO_REGEX]
    if "array" in str(schema.get("type")) and "items" not in schema:
        found.append("items")
    for name in ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"):
        found += [each for held in schema.get(name, {}).values() for each in refused(held)]
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        found += [each for held in schema.get(name, ()) for each in refused(held)]
    for name in ("items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"):
        found += refused(schema.get(name))
    return found


_leaves = st.sampled_from(
    [
        True,
        {},
        LOOKS,
        {"type": "string", "pattern": NO_REGEX},
        {"type": "array"},
        {"pattern": "^a", "enum": [LOOKS]},
    ]
)
schemas = st.recursive(
    _leaves,
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(["object", "array", ["array", "null"]])},
        optional={
            **dict.fromkeys(("items", "additionalProperties", "not", "contains", "if", "then"), inner),
            **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), st.lists(inner, max_size=2)),
            **dict.fromkeys(
                ("properties", "$defs", "dependentSchemas", "patternProperties"),
                st.dictionaries(st.sampled_from(["pattern", "items", "type", NO_REGEX]), inner, max_size=2),
            ),
        },
    ),
    max_leaves=12,
)


@given(schemas)
def test_any_schema_is_mended_where_it_would_be_refused_and_nowhere_else(schema):
    before = json.dumps(schema)
    notes: list[str] = []
    found = checked(schema, "here", notes.append)
    assert refused(found) == []
    assert len(notes) == len(refused(schema))
    assert found is schema or notes
    assert checked(found, "here", notes.append) is found
    assert json.dumps(schema) == before


@given(anything)
def test_anything_can_be_checked(schema):
    checked(schema, "here", lambda _: None)


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


_ALWAYS = {"truncate": False, "shift": False, "stream": True}
