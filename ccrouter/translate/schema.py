r"""What of JSON Schema a vendor takes, and schemas put into those terms.

Ollama reads a tool's schema into types of its own (api/types.go, 2026-11): a member that has another type than it
expects is an error of the whole request, and one that it doesn't know is forgotten. So references are followed,
and what can be said in members that it knows is said in those.

OpenAI refuses a whole request for one schema that its validator, which is Python's, doesn't take (2026-11): for a
pattern that `re` can't compile, such as one with ``\p{L}``, and for an array that says nothing of its items.

Gemini's wire knows a subset of an older OpenAPI schema and refuses the rest by name (2026-11): no references, one
type each, ``enum`` of strings only, ``anyOf`` alone. What can't be said is left out: it widens what the model may
send, and the client checks inputs itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import is_
from typing import Any

from ccrouter.providers.quirks import SchemaTerms
from ccrouter.translate.block_text import Note
from ccrouter.translate.plain_schemas import plain
from ccrouter.translate.regex import compiles

_KEPT = ("title", "description", "minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength", "pattern")
_FORMATS = ("date-time", "enum", "float", "double", "int32", "int64")
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean"})

#: OpenAI refuses a tool whose schema says these at its top (2026-11).
_NOT_ON_TOP = ("allOf", "anyOf", "oneOf", "enum", "not")

#: What Ollama has types for, or what is said there in members that it has types for.
_TYPED = frozenset(
    {"type", "description", "enum", "const", "anyOf", "oneOf", "allOf", "properties", "required", "items"}
)
_DEFINED = frozenset({"$defs", "definitions"})

#: Members that are schemas or lists of them, and those that have them by name (JSON Schema 2020-12 and earlier).
_SCHEMAS = frozenset(
    {
        *("items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"),
        *("additionalProperties", "unevaluatedProperties", "propertyNames"),
        *("allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
    }
)
_NAMED_SCHEMAS = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"}
)
_OTHER_PROPERTIES = frozenset({"additionalProperties", "unevaluatedProperties"})

#: Beyond these a schema that refers to itself is cut off: as deep as Gemini takes, and far larger than any tool's.
_DEEPEST = 24
_LARGEST = 4_000


def of_object(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A tool's ``schema`` as OpenAI insists on it: an object, its properties listed, and no choice of forms.

    Where there are forms to choose from, the properties of all are offered. A reference at the top is followed: it
    would stand beside properties that contradict it.
    """
    found: Mapping[str, Any] = _followed(schema, schema)
    said = found.get("properties")
    if found.get("type") == "object" and isinstance(said, Mapping) and is_one_form(found):
        return found
    if isinstance(found.get("allOf"), list):
        found = _joined({**found, "allOf": [_followed(schema, part) for part in found["allOf"]]})
    said = found.get("properties")
    properties = dict(said) if isinstance(said, Mapping) else {}
    for key in ("anyOf", "oneOf"):
        for each in found[key] if isinstance(found.get(key), list) else []:
            form = _followed(schema, each)
            if isinstance(form, Mapping) and isinstance(form.get("properties"), Mapping):
                properties = {**form["properties"], **properties}
    kept = {key: value for key, value in found.items() if key not in _NOT_ON_TOP}
    return {**kept, "type": "object", "properties": properties}


def is_one_form(schema: Mapping[str, Any]) -> bool:
    """Whether a tool's ``schema`` says nothing at its top that `of_object` must put otherwise."""
    return not any(key in schema for key in ("$ref", *_NOT_ON_TOP))


def checked(schema: Mapping[str, Any], where: str, note: Note) -> Mapping[str, Any]:
    """``schema`` without what OpenAI's validator refuses, at any depth; each change is noted, as one of ``where``.

    What is left out widens what the model may send, and the client checks inputs itself.
    """
    found: Mapping[str, Any] = _Checked(lambda change: note(f"{where}: {change}")).write(schema, 0)
    return found


def taken(schema: Mapping[str, Any], terms: SchemaTerms, where: str, note: Note) -> Mapping[str, Any]:
    """``schema`` in the terms that a backend takes; what is left out for good reason is noted, as of ``where``."""
    match terms:
        case "gemini":
            return gemini(schema)
        case "plain":
            return plain(schema, where, note)
        case "full":
            return checked(schema, where, note)


def gemini(schema: Mapping[str, Any]) -> dict[str, Any]:
    """``schema`` in Gemini's subset."""
    return _Gemini(schema).write(schema, 0)


def ollama(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A tool's ``schema``, an object's, in members of the types that Ollama has for them."""
    found = _Ollama(schema).write(schema, 0)
    return {**{key: value for key, value in found.items() if key not in _DEFINED}, "type": "object"}


def is_strict(schema: Any, depth: int = 0) -> bool:
    """Whether OpenAI's strict mode takes a schema: objects closed, all properties required, items told."""
    if depth > _DEEPEST:
        return False
    if isinstance(schema, list):
        return all(is_strict(each, depth + 1) for each in schema)
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        required = schema.get("required")
        if not isinstance(properties, Mapping) or schema.get("additionalProperties") is not False:
            return False
        if not isinstance(required, list) or any(each not in required for each in properties):
            return False
        if not all(is_strict(each, depth + 1) for each in properties.values()):
            return False
    if "array" in _listed(schema.get("type")) and not schema.get("items"):
        return False
    return all(
        is_strict(schema[key], depth + 1) for key in ("items", "anyOf", "$defs", "definitions") if key in schema
    )


class _Gemini:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = _LARGEST

    def write(self, schema: Any, depth: int) -> dict[str, Any]:
        self._left -= 1
        if not isinstance(schema, Mapping) or depth > _DEEPEST or self._left < 0:
            return {"type": "string"} if not isinstance(schema, Mapping) else {"type": "object"}
        if "$ref" in schema:
            return self.write(_found(self._root, schema["$ref"]), depth + 1)
        if isinstance(schema.get("allOf"), list):
            return self.write(_joined(schema), depth + 1)
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list) and schema[key]:
                return self._one_of(schema, schema[key], depth)
        kinds, nullable = _types(schema)
        if len(kinds) > 1:
            rest = {key: value for key, value in schema.items() if key != "type"}
            return self._one_of(rest, [{**rest, "type": kind} for kind in kinds], depth, nullable=nullable)
        return self._one(schema, kinds[0], depth, nullable=nullable)

    def _one_of(
        self, schema: Mapping[str, Any], forms: Iterable[Any], depth: int, *, nullable: bool = False
    ) -> dict[str, Any]:
        written = []
        for form in forms:
            if isinstance(form, Mapping) and form.get("type") == "null":
                nullable = True
            else:
                written.append(self.write(form, depth + 1))
        if len(written) != 1:
            found: dict[str, Any] = {"anyOf": written} if written else {"type": "string"}
        else:
            found = written[0]
            if isinstance(schema.get("description"), str) and "anyOf" not in found:
                found.setdefault("description", schema["description"])
        if nullable and "anyOf" in found:
            found["anyOf"] = [
                {**form, "nullable": True} if "anyOf" not in form else form for form in found["anyOf"]
            ]
        elif nullable:
            found["nullable"] = True
        return found

    def _one(self, schema: Mapping[str, Any], kind: str, depth: int, *, nullable: bool) -> dict[str, Any]:
        found: dict[str, Any] = {"type": kind}
        found.update({key: schema[key] for key in _KEPT if key in schema})
        if nullable or schema.get("nullable") is True:
            found["nullable"] = True
        if schema.get("format") in _FORMATS:
            found["format"] = schema["format"]
        choices = [schema["const"]] if "const" in schema else schema.get("enum")
        if kind == "string" and isinstance(choices, list):
            named = list(dict.fromkeys(each for each in choices if isinstance(each, str) and each))
            if named:
                found["enum"] = named
        properties = schema.get("properties")
        if kind == "object" and isinstance(properties, Mapping):
            found["properties"] = {name: self.write(each, depth + 1) for name, each in properties.items()}
            required = schema.get("required")
            if isinstance(required, list):
                found["required"] = [each for each in required if isinstance(each, str) and each in properties]
        if kind == "array":
            found["items"] = self.write(schema.get("items"), depth + 1)
        return found


class _Checked:
    """Walks through schemas and nothing else: a property may be called ``pattern``, and a default be anything."""

    def __init__(self, note: Note) -> None:
        self._note = note

    def write(self, schema: Any, depth: int) -> Any:
        """The same object where nothing is changed in it, as in almost all of them: there are thousands."""
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return schema
        changed: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _SCHEMAS:
                written = self._each(value, depth + 1) if isinstance(value, list) else self.write(value, depth + 1)
            elif key in _NAMED_SCHEMAS and isinstance(value, dict):
                written = self._each_named(value, depth + 1)
            else:
                continue
            if written is not value:
                changed[key] = written
        kind = schema.get("type")
        if (kind == "array" or (isinstance(kind, list) and "array" in kind)) and "items" not in schema:
            self._note("items added to an array without")
            changed["items"] = {}
        found = {**schema, **changed} if changed else schema
        return self._readable(found) if "pattern" in found or "patternProperties" in found else found

    def _each(self, schemas: list[Any], depth: int) -> list[Any]:
        found = [self.write(each, depth) for each in schemas]
        return schemas if all(map(is_, found, schemas)) else found

    def _each_named(self, schemas: dict[str, Any], depth: int) -> dict[str, Any]:
        found = {name: self.write(each, depth) for name, each in schemas.items()}
        return schemas if all(map(is_, found.values(), schemas.values())) else found

    def _readable(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Without the patterns that are refused."""
        pattern, named = schema.get("pattern"), schema.get("patternProperties")
        if isinstance(pattern, str) and self._is_refused(pattern):
            schema = {key: value for key, value in schema.items() if key != "pattern"}
        if isinstance(named, dict):
            kept = {name: each for name, each in named.items() if not self._is_refused(name)}
            if len(kept) < len(named):
                # What these forbid is all that goes by no pattern, and now there are fewer.
                schema = {key: value for key, value in schema.items() if key not in _OTHER_PROPERTIES}
                schema["patternProperties"] = kept
        return schema

    def _is_refused(self, pattern: str) -> bool:
        refused = not compiles(pattern)
        if refused:
            self._note("a pattern that the backend can't read left out")
        return refused


def _listed(said: Any) -> list[Any]:
    return said if isinstance(said, list) else [said]


class _Ollama:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = _LARGEST

    def write(self, schema: Any, depth: int) -> dict[str, Any]:
        """What has no meaning there, such as ``true`` for a schema, becomes one that says nothing."""
        self._left -= 1
        if not isinstance(schema, Mapping) or depth > _DEEPEST or self._left < 0:
            return {}
        if "$ref" in schema:
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            return self.write({**_found(self._root, schema["$ref"]), **beside}, depth + 1)
        if isinstance(schema.get("allOf"), list):
            return self.write(_joined(schema), depth + 1)
        found: dict[str, Any] = {}
        for key, value in schema.items():
            match key, value:
                case "type", list():
                    found[key] = [each for each in value if isinstance(each, str)]
                case "const", _:
                    found.setdefault("enum", [value])
                case "enum", list():
                    found[key] = value
                case "anyOf" | "oneOf", list():
                    forms = [self.write(each, depth + 1) for each in value]
                    found["anyOf"] = [*found.get("anyOf", ()), *forms]
                case "properties", Mapping():
                    found[key] = {name: self.write(each, depth + 1) for name, each in value.items()}
                case "required", list():
                    found[key] = [each for each in value if isinstance(each, str)]
                case "items", Mapping():
                    found[key] = self.write(value, depth + 1)
                case "type" | "description", str():
                    found[key] = value
                case _ if key not in _TYPED:
                    found[key] = value
        return found


def _found(root: Mapping[str, Any], reference: Any) -> Mapping[str, Any]:
    """What ``#/$defs/Name`` stands for; any object for what can't be found."""
    found: Any = root
    for name in str(reference).removeprefix("#").split("/")[1:]:
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) and str(reference).startswith("#") else {"type": "object"}


def _followed(root: Mapping[str, Any], schema: Any) -> Any:
    """``schema`` with what its own reference stands for in its place; what stands beside that counts more."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            return schema
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**_found(root, schema["$ref"]), **beside}
    return {key: value for key, value in schema.items() if key != "$ref"}


def _types(schema: Mapping[str, Any]) -> tuple[list[str], bool]:
    said = schema.get("type")
    listed = _listed(said)
    kinds = list(dict.fromkeys(each for each in listed if isinstance(each, str) and each in _TYPES))
    if not kinds:
        kinds = ["object" if "properties" in schema else "array" if "items" in schema else "string"]
    return kinds, "null" in listed


def _joined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """``allOf`` as one schema; of what is said twice, the properties and the required names of both."""
    found: dict[str, Any] = {}
    for part in [{key: value for key, value in schema.items() if key != "allOf"}, *schema["allOf"]]:
        if not isinstance(part, Mapping):
            continue
        for key, value in part.items():
            if key == "properties" and isinstance(value, Mapping) and isinstance(found.get(key), Mapping):
                found[key] = {**found[key], **value}
            elif key == "required" and isinstance(value, list) and isinstance(found.get(key), list):
                found[key] = [*found[key], *value]
            else:
                found.setdefault(key, value)
    return found
