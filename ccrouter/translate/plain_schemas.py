r"""Tools' schemas for servers that make a grammar of all tools together, by which a call can't but be well formed.

What there is no grammar for in one tool makes every request fail (llama.cpp's common/json-schema-to-grammar.cpp,
2026-11; LM Studio and newer Ollamas have it inside):

* ``true`` and ``false``, which are schemas since draft 6 ("Unrecognized schema: true"). Generators write ``true``
  for "any", such as google/jsonschema-go. Nor have Ollama's own types a place for them.
* a ``pattern`` that isn't ``^`` to ``$``, and ``\d``, ``\S`` or a look around within one, as zod writes them.
* large counts ("number of repetitions exceeds sane defaults", 2025-11 to 2026-08): a tool of Claude Code's own has
  ``maxLength: 524288``.

And of a text that ``allOf`` only restricts it makes an object, as of whom Claude Code's SendMessage is for.

What is left out widens what the model may send, and the client checks inputs itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from operator import is_
from typing import Any

from ccrouter.translate.block_text import Note

#: Where a schema holds others that those servers look at: by name, or in a list.
_BY_NAME = frozenset({"properties", "$defs", "definitions"})
_LISTED = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})

#: Any value. Of ``{}`` llama.cpp makes an object (2026-11), and not of this.
_ANY: Mapping[str, Any] = {"type": ["string", "number", "boolean", "object", "array", "null"]}

#: What is deeper is left alone: far deeper than any tool's.
_DEEPEST = 24


#: Counts, and up to which one a grammar surely has them: there may be 2000 of all that is repeated within another.
_COUNTS = frozenset({"minLength", "maxLength", "minItems", "maxItems"})
_LARGEST_COUNT = 500

#: What of a form in ``allOf`` there is a grammar of.
_FORMS = frozenset({"properties", "enum", "anyOf", "$ref"})

#: Of a pattern what becomes a grammar as it is meant: plain characters, their lists, groups, counts below 100.
_TOKENS = re.compile(
    r"""\^(?:
        (?: [^\\()\[\]{}^$|.*+?\x00-\x1f] | \\[.^$()\[\]{}|*+?] | \.
            | \[\^?(?:[^\\\[\]\x00-\x1f]|\\[nrt])+\] | \) )
        (?: [*+?] | \{\d{1,2}(?:,\d{0,2})?\} )?
        | \((?:\?:)? | \|
    )+\$""",
    re.VERBOSE,
)


def plain(schema: Mapping[str, Any], where: str, note: Note) -> Mapping[str, Any]:
    """``schema`` in terms of which there is a grammar; the very same where it is in those.

    Each change is noted, as one of ``where``. ``false``, which allows nothing, is told as anything too, for want
    of words. Linear in its size.
    """
    found: Mapping[str, Any] = _Plain(where, note).write(schema, 0)
    return found


class _Plain:
    """Walks through schemas as far as a grammar is made of them, and nothing else: a default may be anything."""

    def __init__(self, where: str, note: Note) -> None:
        self._where = where
        self._note = note

    def write(self, schema: Any, depth: int) -> Any:
        """The same object where nothing is changed in it, as in almost all of them."""
        if not isinstance(schema, dict):
            self._note(f"{self._where}: true or false for a schema spelled out")
            return _ANY
        if depth > _DEEPEST:
            return schema
        changed: dict[str, Any] = {}
        gone = set()
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
                self._note(f"{self._where}: true or false for a schema spelled out")
                gone.add(key)
            elif key == "pattern" and not (isinstance(value, str) and _has_grammar(value)):
                self._note(f"{self._where}: a pattern that the backend makes no grammar of left out")
                gone.add(key)
            elif key in _COUNTS and type(value) is int and value > _LARGEST_COUNT:
                self._note(f"{self._where}: a count too large for the backend's grammar left out")
                gone.add(key)
            if key == "allOf" and _only_restricts(schema):
                self._note(f"{self._where}: what all of a text has to be left out")
                gone.add(key)
            if written is not value:
                changed[key] = written
        if not changed and not gone:
            return schema
        return {key: changed.get(key, value) for key, value in schema.items() if key not in gone}


def _only_restricts(schema: dict[str, Any]) -> bool:
    """Whether the ``allOf`` of a schema is about a text, or nothing that there is a grammar of."""
    forms = schema["allOf"]
    if schema.get("type") not in (None, "string") or "properties" in schema or not isinstance(forms, list):
        return False
    return not any(isinstance(form, dict) and form.keys() & _FORMS for form in forms)


@lru_cache(maxsize=1_000)
def _has_grammar(pattern: str) -> bool:
    if not _TOKENS.fullmatch(pattern):
        return False
    try:
        re.compile(pattern)  # parentheses in pairs, and nothing to repeat where there is nothing
    except (re.error, RecursionError, OverflowError):
        return False
    return True
