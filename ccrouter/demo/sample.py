"""A simple value that satisfies a JSON schema: for tools that must be called and answers that must be JSON.

It serves schemas as tools and clients write them. Of those that only say no (``not``, ``pattern``,
``dependentRequired``) it takes no notice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ccrouter.demo.turn import mapping, mappings, strings

#: Bounds for schemas that refer to themselves or ask for very much.
_DEPTH = 12
_NODES = 500
_LENGTH = 1000
_ITEMS = 16

_FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "uri": "https://example.com/",
    "email": "demo@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: object, text: str = "demo") -> Any:
    """A value for the schema; ``text`` stands for strings."""
    return _Sampler(mapping(schema), text).value(schema, 0)


def fill(schema: Mapping[str, Any], given: Mapping[str, Any], text: str = "demo") -> dict[str, Any]:
    """The object ``given`` with the further properties that the schema requires."""
    wanted = sample({"type": "object", **schema}, text)
    return {**(wanted if isinstance(wanted, dict) else {}), **given}


class _Sampler:
    """Walks one schema. ``$ref`` is looked up from its root; the nodes made are counted."""

    def __init__(self, root: Mapping[str, Any], text: str) -> None:
        self._root = root
        self._text = text
        self._left = _NODES

    def value(self, schema: object, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > _DEPTH or schema is False:
            return None
        wanted = self._resolved(mapping(schema))
        if "const" in wanted:
            return wanted["const"]
        if isinstance(options := wanted.get("enum"), list) and options:
            return options[0]
        match _kind(wanted):
            case "object":
                properties = mapping(wanted.get("properties"))
                return {
                    name: self.value(properties.get(name), depth + 1) for name in strings(wanted.get("required"))
                }
            case "array":
                count = min(_whole(wanted.get("minItems"), 0), _ITEMS)
                return [self.value(wanted.get("items"), depth + 1) for _ in range(count)]
            case "integer" | "number" as kind:
                return _number(wanted, whole=kind == "integer")
            case "boolean":
                return False
            case "null":
                return None
        return self._string(wanted)

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Without ``$ref``, ``allOf``, ``anyOf`` and ``oneOf``: the first alternative is taken."""
        for _ in range(_DEPTH):
            parts = [self._target(schema["$ref"])] if "$ref" in schema else []
            parts += mappings(schema.get("allOf"))
            parts += mappings(schema.get("anyOf"))[:1] + mappings(schema.get("oneOf"))[:1]
            if not parts:
                break
            schema = {k: v for k, v in schema.items() if k not in ("$ref", "allOf", "anyOf", "oneOf")}
            for part in parts:
                schema = _merged(schema, part)
        return schema

    def _target(self, reference: object) -> Mapping[str, Any]:
        if not isinstance(reference, str) or not reference.startswith("#"):
            return {}
        found: Mapping[str, Any] = self._root
        for step in reference[1:].split("/")[1:]:
            found = mapping(found.get(step.replace("~1", "/").replace("~0", "~")))
        return found

    def _string(self, schema: Mapping[str, Any]) -> str:
        wanted = schema.get("format")
        text = _FORMATS.get(wanted, self._text) if isinstance(wanted, str) else self._text
        text = text.ljust(min(_whole(schema.get("minLength"), 0), _LENGTH), ".")
        return text[: _whole(schema.get("maxLength"), len(text))]


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, str):
        return kind
    if kinds := strings(kind):
        return kinds[0]
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**one, **other}
    if "properties" in one and "properties" in other:
        merged["properties"] = {**mapping(one["properties"]), **mapping(other["properties"])}
    if "required" in one and "required" in other:
        merged["required"] = [*strings(one["required"]), *strings(other["required"])]
    return merged


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    """The number nearest to 1 within the bounds."""
    number: float = 1
    if (least := _finite(schema.get("minimum"))) is not None:
        number = max(number, math.ceil(least) if whole else least)
    if (above := _finite(schema.get("exclusiveMinimum"))) is not None and number <= above:
        number = math.floor(above) + 1
    if (most := _finite(schema.get("maximum"))) is not None:
        number = min(number, math.floor(most) if whole else most)
    if (below := _finite(schema.get("exclusiveMaximum"))) is not None and number >= below:
        number = math.ceil(below) - 1
    return number


def _finite(value: object) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if good else None  # type: ignore[return-value]  # `good` says that it is a number


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise
