"""Names of tools and ids of calls, as a backend takes them and as the client has them.

Both maps are functions of the name or id alone: what else is in a request, and when, makes no difference, so that
a prompt stays the same from turn to turn. What needs nothing stays as it is; anything else becomes its readable
beginning and a hash of the whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Literal

from ccrouter.translate import schema
from ccrouter.translate.block_text import Note
from ccrouter.translate.changes import Changes
from ccrouter.translate.turns import Call, Conversation, Tool

#: What OpenAI's function names and ids of calls may look like; everybody else takes at least that.
_PLAIN = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NINE = re.compile(r"[a-zA-Z0-9]{9}")
_ODD = re.compile(r"[^a-zA-Z0-9_-]+")

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Names:
    """Names of tools, there (at the backend) and back (to the client)."""

    def __init__(self, conversation: Conversation, also: Iterable[str] = ()) -> None:
        """``also``: names that stand elsewhere in the request, as in ``tool_choice``."""
        self._back: dict[str, str] = {}
        for turn in conversation.turns:
            self._add(part.name for part in turn.parts if isinstance(part, Call))
        self._add(also)
        # Last, so that a tool that there is wins over a name that only history or a mistake knows.
        self._add(tool.name for tool in conversation.tools)

    def _add(self, names: Iterable[str]) -> None:
        for name in names:
            there = self.there(name)
            if there != name:
                self._back[there] = name

    def there(self, name: str) -> str:
        """At most 64 of the characters that every vendor takes."""
        return _fitting(name, "tool")

    def of_tools(self, tools: Iterable[Tool]) -> tuple[str, ...]:
        """What becomes of tools that are offered, for people."""
        changes = Changes()
        for tool in tools:
            if self.there(tool.name) != tool.name:
                changes.note("tools: a name that was not plain replaced")
            if not schema.is_one_form(tool.schema):
                changes.note("tools: parameters that are a choice or a reference told as one list")
        return changes.listed()

    def back(self, name: str) -> str:
        """The client's name for what a backend calls ``name``; unchanged when nobody said it before."""
        return self._back.get(name, name)


class Ids:
    """Ids of calls at the backend. The same client's id always gives the same id there."""

    def __init__(self, style: Literal["any", "nine"]) -> None:
        """``any``: up to 64 letters, digits, ``_`` and ``-``; ``nine``: exactly nine letters and digits."""
        self._style = style

    def there(self, call_id: str) -> str:
        """For a call and for its result alike."""
        if self._style == "any":
            return _fitting(call_id, "call")
        if _NINE.fullmatch(call_id):
            return call_id
        number = int.from_bytes(_digest(call_id), "big")
        letters = []
        for _ in range(9):
            number, place = divmod(number, len(_LETTERS))
            letters.append(_LETTERS[place])
        return "".join(letters)


def client_id(call_id: str | None, message_id: str, index: int) -> str:
    """The id under which the client is to carry a backend's call, the ``index``-th of a message.

    Unlike any other in the conversation, whatever the backend sends: many say ``call_0`` or nothing, turn after
    turn. The backend's own is its beginning, for people; there is no way back to it, and none is needed, since
    a backend looks for nothing but that call and result agree.
    """
    told = call_id or ""
    mark = _digest(f"{message_id}\0{index}\0{told}").hex()[:12]
    return f"{_ODD.sub('_', told)[:40].strip('_-') or 'call'}_{mark}"


def note_renamed(call: Call, name: str, call_id: str, note: Note) -> None:
    """Note what of a call is another at the backend, in the words of the Messages lane."""
    if call_id != call.id:  # one that an earlier call has too was given a mark that isn't plain
        note("tool_use: an id that was taken or not plain replaced")
    if name != call.name:
        note("tool_use: a name that was not plain replaced")


def is_plain(name: str) -> bool:
    """Whether these are the characters that Anthropic takes, for ids and for names of tools; of any length."""
    return bool(name) and not _ODD.search(name)


def plain(name: str, instead: str) -> str:
    """``name`` if it is plain, else a form of it that is."""
    return name if is_plain(name) else _fitting(name, instead)


def _fitting(name: str, instead: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    return f"{_ODD.sub('_', name)[:51].strip('_-') or instead}_{_digest(name).hex()[:12]}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
