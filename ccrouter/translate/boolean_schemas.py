"""Tools' schemas with an object wherever a schema stands, for who knows no ``true`` and ``false`` there.

Both are schemas since draft 6, and generators write ``true`` for "any", such as google/jsonschema-go. Ollama's
types have no place for them, nor has the grammar that llama.cpp makes of all tools together: "Unrecognized schema:
true" (common/json-schema-to-grammar.cpp, 2026-11). One of them in one tool makes every request fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import is_
from typing import Any

from ccrouter.translate.told import Note

#: Where a schema holds others that those servers look at: by name, or in a list.
_BY_NAME = frozenset({"properties", "$defs", "definitions"})
_LISTED = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})

#: Any value. Of ``{}`` llama.cpp makes an object (2026-11), and not of this.
_ANY: Mapping[str, Any] = {"type": ["string", "number", "boolean", "object", "array", "null"]}

#: What is deeper is left alone: far deeper than any tool's.
_DEEPEST = 24


def spelled_out(schema: Mapping[str, Any], where: str, note: Note) -> Mapping[str, Any]:
    """``schema`` with an object where ``true`` or ``false`` stands for one; the very same where none does.

    Each change is noted, as one of ``where``. ``false``, which allows nothing, is told as anything too, for want
    of words. Linear in its size.
    """
    words = f"{where}: true or false for a schema spelled out"
    found: Mapping[str, Any] = _SpelledOut(lambda: note(words)).write(schema, 0)
    return found


class _SpelledOut:
    """Walks through schemas as far as those look who know only objects for them, and nothing else."""

    def __init__(self, note: Callable[[], None]) -> None:
        self._note = note

    def write(self, schema: Any, depth: int) -> Any:
        """The same object where nothing is changed in it, as in almost all of them."""
        if not isinstance(schema, dict):
            self._note()
            return _ANY
        if depth > _DEEPEST:
            return schema
        found = schema
        for key, value in schema.items():
            written = value
            if key in _BY_NAME and isinstance(value, dict):
                parts = {name: self.write(each, depth + 1) for name, each in value.items()}
                written = value if all(map(is_, parts.values(), value.values())) else parts
            elif (key in _LISTED or key == "items") and isinstance(value, list):
                forms = [self.write(each, depth + 1) for each in value]
                written = value if all(map(is_, forms, value)) else forms
            elif key in ("items", "additionalProperties") and isinstance(value, dict):
                written = self.write(value, depth + 1)
            elif key == "items":
                # Without it all items are taken, but for those that ``prefixItems`` speaks of.
                self._note()
                found = {name: each for name, each in found.items() if name != key}
                continue
            if written is not value:
                found = {**found, key: written}
        return found
