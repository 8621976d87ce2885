r"""Golden cases: one file holds a whole exchange, what is given and what is expected.

A case begins with a line that says what it shows. Sections follow, each opened by a line ``--- name``:

``target``    ``preset:``, ``model:`` and, where the preset has none, ``base_url:``
``request``   as the client sends it
``sent``      expected: as the backend gets it, without the credential
``changes``   expected: what the router says that it changed
``reply``     as the backend sends it
``client``    expected: as the client gets it
``verdict``   expected: how the reply ended

Messages are a first line, headers, an empty line and a body. The bytes of the body are those that stand there, up
to the next section, its last line end included; ``(unended)`` in the opening line leaves that one out. After
``(escaped)`` line ends are for the eye only, and ``\n``, ``\r``, ``\\`` and ``\xNN`` stand for bytes.
"""

from __future__ import annotations

import re
from pathlib import Path

from attrs import field, frozen

from ccrouter.wire.headers import Headers

_OPENING = re.compile(r"^--- ([a-z]+)(?: \((escaped|unended)\))?\n", re.MULTILINE)
_ESCAPE = re.compile(rb"\\(n|r|\\|x[0-9a-f]{2})")
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"\\": b"\\"}


@frozen
class Message:
    """One side of an exchange."""

    first: str
    headers: Headers = field(factory=list)
    body: bytes = b""


def read(path: Path) -> tuple[str, dict[str, str | Message]]:
    """What the case shows, and its sections by name."""
    shows, *parts = _OPENING.split(path.read_bytes().decode())
    return shows, {
        name: _read_message(text, spelling) if name in {"request", "sent", "reply", "client"} else text
        for name, spelling, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    }


def show(shows: str, sections: dict[str, str | Message]) -> str:
    """The text of a case; `read` gives the same back."""
    return shows + "".join(_show_section(name, section) for name, section in sections.items())


def _read_message(text: str, spelling: str | None) -> Message:
    head, _, rest = text.partition("\n\n")
    first, *lines = head.rstrip("\n").split("\n")
    pairs = [line.partition(": ") for line in lines]
    body = rest.encode()
    if spelling == "unended":
        body = body.removesuffix(b"\n")
    elif spelling == "escaped":
        body = _ESCAPE.sub(_unescape, body.replace(b"\n", b""))
    return Message(first, [(name.encode(), value.encode()) for name, _, value in pairs], body)


def _unescape(escape: re.Match[bytes]) -> bytes:
    return _ESCAPED.get(escape[1]) or bytes.fromhex(escape[1][1:].decode())


def _show_section(name: str, section: str | Message) -> str:
    if isinstance(section, str):
        return f"--- {name}\n{section}"
    headers = [f"{key.decode()}: {value.decode()}" for key, value in section.headers]
    head = "".join(f"{line}\n" for line in [section.first, *headers, ""])
    if not _is_plain(section.body):
        return f"--- {name} (escaped)\n{head}{_escape(section.body)}"
    text = section.body.decode()
    if text and not text.endswith("\n"):
        return f"--- {name} (unended)\n{head}{text}\n"
    return f"--- {name}\n{head}{text}"


def _is_plain(body: bytes) -> bool:
    """Whether it can stand as it is in a file that people and their editors read."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    return text.replace("\n", "").isprintable() and not _OPENING.search(text)


def _escape(body: bytes) -> str:
    def spell(byte: int) -> str:
        match byte:
            case 0x0A:
                return "\\n\n"
            case 0x0D:
                return "\\r"
            case 0x5C:
                return "\\\\"
        return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"

    text = "".join(map(spell, body))
    return text if text.endswith("\n") else text + "\n"
