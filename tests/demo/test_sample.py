from __future__ import annotations

import json

import pytest
from hypothesis import given

from ccrouter.demo.sample import fill, sample
from tests.demo.shapes import schemas


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (
            {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]},
            {"title": "demo"},
        ),
        ({"properties": {"a": {"type": "boolean"}, "b": {}}, "required": ["a"]}, {"a": False}),
        ({"enum": ["low", "high"]}, "low"),
        ({"const": 7}, 7),
        ({"type": ["integer", "null"]}, 1),
        ({"type": "integer", "minimum": 2.5}, 3),
        ({"type": "integer", "maximum": 0}, 0),
        ({"type": "number", "exclusiveMinimum": 1}, 2),
        ({"type": "number", "exclusiveMaximum": 1}, 0),
        ({"type": "string", "minLength": 6}, "demo.."),
        ({"type": "string", "maxLength": 2}, "de"),
        ({"type": "string", "format": "uri"}, "https://example.com/"),
        ({"type": "array", "items": {"type": "null"}, "minItems": 2}, [None, None]),
        ({"items": {"type": "null"}}, []),
        ({"anyOf": [{"type": "boolean"}, {"type": "string"}]}, False),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
                    {"properties": {"b": {"const": 2}}, "required": ["b"]},
                ]
            },
            {"a": 1, "b": 2},
        ),
        ({"$ref": "#/$defs/x~1y", "$defs": {"x/y": {"type": "boolean"}}}, False),
        (True, "demo"),
        (None, "demo"),
    ],
)
def test_a_value_satisfies_its_schema(schema, value):
    assert sample(schema) == value


def test_a_schema_that_contains_itself_ends():
    root = {
        "type": "object",
        "properties": {name: {"$ref": "#"} for name in "abcdefgh"},
        "required": list("abcdefgh"),
    }
    assert len(json.dumps(sample(root))) < 100_000


def test_a_reference_to_itself_ends():
    assert sample({"$ref": "#"}) == "demo"


def test_what_is_given_stays_and_what_is_required_is_added():
    schema = {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a", "b"]}
    assert fill(schema, {"a": "mine", "c": 3}) == {"a": "mine", "b": 1, "c": 3}


@given(schemas)
def test_no_schema_breaks_it(schema):
    sample(schema)
    fill(schema if isinstance(schema, dict) else {}, {})
