from __future__ import annotations

import json

import pytest
from hypothesis import given

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


_ALWAYS = {"truncate": False, "shift": False, "stream": True}
