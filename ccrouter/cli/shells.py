"""Variables in the words of a shell. Pure.

`render` gives text that sets exactly the given values and nothing more, whatever is in them; where a shell
cannot be told a value safely it raises UsageError and names the variable, never the value. How each format is
meant to be read:

==============  ======================================================
``sh``          ``eval "$(ccrouter env)"`` in any POSIX shell
``fish``        ``ccrouter env --format fish | source``
``powershell``  ``ccrouter env --format powershell | Invoke-Expression``
``cmd``         ``for /f "delims=" %i in ('ccrouter env --format cmd') do %i``, or as a batch file
``dotenv``      a ``.env`` file, by python-dotenv's rules
``json``        one line of JSON: ``{"env": {...}, ...}``
==============  ======================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Literal, get_args

from ccrouter.errors import UsageError

Format = Literal["sh", "fish", "powershell", "cmd", "dotenv", "json"]

FORMATS: tuple[Format, ...] = get_args(Format)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

#: Means itself, unquoted, in every POSIX shell and .env reader. No ``=`` and ``~``: zsh expands them.
_HARMLESS = re.compile(r"[A-Za-z0-9_./:@%+,-]+", re.ASCII)


def render(env: Mapping[str, str], fmt: Format, extras: Mapping[str, str | int]) -> str:
    """The variables, one a line, with a line end after the last. ``extras`` stand beside them in ``json``."""
    for name, value in env.items():
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} cannot be the name of a variable in every shell")
        if "\0" in value:
            raise UsageError(f"{name} contains a NUL character, which no environment can hold")
    if fmt == "json":
        return json.dumps({"env": dict(env), **extras}) + "\n"
    line = _LINES[fmt]
    return "".join(f"{line(name, value)}\n" for name, value in env.items())


def failing(fmt: Format | None) -> str:
    """What fails where the variables would have been set, so that nothing goes on without; "" where nothing can.

    Else ``eval "$(ccrouter env)" && claude`` would start claude past the router when there is none: to evaluate
    nothing is a success. ``None``: who reads it is not known, so it fails in each of them.
    """
    return _FAILING.get(fmt, "")


_FAILING: dict[Format | None, str] = {
    "sh": "false\n",
    "fish": "false\n",
    "powershell": "throw 'ccrouter env has failed'\n",
    # To sh and fish all of it is `false` with one argument, for they take \" as a quote within the quotes. To
    # PowerShell the quotes end behind the backslash, a second command follows, and then a comment.
    None: 'false "\\"; throw \'ccrouter env has failed\' #"\n',
}


def _sh(name: str, value: str) -> str:
    if _HARMLESS.fullmatch(value):
        return f"export {name}={value}"
    quoted = value.replace("'", "'\\''")
    return f"export {name}='{quoted}'"


def _fish(name: str, value: str) -> str:
    if _HARMLESS.fullmatch(value):
        return f"set -gx {name} {value}"
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{quoted}'"


def _powershell(name: str, value: str) -> str:
    # Two traps: Invoke-Expression gets our output line by line, so no value may span lines; and PowerShell
    # reads a program's output in the console's code page and takes typographic quotes for quotes, so only
    # ASCII may go out. What is neither printable nor ASCII goes as [char] codes, in UTF-16 as in .NET.
    pieces: list[str] = []
    for plain, other in re.findall(r"([ -~]+)|([^ -~])", value):
        if plain:
            pieces.append("'" + plain.replace("'", "''") + "'")
        else:
            units = other.encode("utf-16-be", "surrogatepass")
            pieces += [f"[char]0x{units[at : at + 2].hex()}" for at in range(0, len(units), 2)]
    if not pieces or not pieces[0].startswith("'"):
        pieces.insert(0, "''")  # the sum is a string only when its first term is one
    return f"$env:{name} = {' + '.join(pieces)}"


def _cmd(name: str, value: str) -> str:
    # cmd has no quoting: a percent sign is doubled in a batch file and single in a `for` loop, a quote ends
    # the quoted part, `!` depends on a mode of the caller, other characters on the code page.
    bad = sorted(set(re.findall(r'[^ -~]|["%!]', value)))
    if bad:
        raise UsageError(
            f"cmd cannot be given {name} safely: it contains {', '.join(ascii(c) for c in bad[:3])}; "
            "use --format powershell or json"
        )
    return f'set "{name}={value}"'


def _dotenv(name: str, value: str) -> str:
    if _HARMLESS.fullmatch(value) or not value:
        return f"{name}={value}"
    if "${" in value:
        raise UsageError(
            f"a .env file cannot hold {name} safely: its readers expand ${{...}} even in quotes; use --format json"
        )
    if not re.search(r"['\\\r\n]", value):
        return f"{name}='{value}'"  # the form that all readers take literally
    if "$" in value:
        raise UsageError(
            f"a .env file cannot hold {name} safely: some readers expand $ in double quotes; use --format json"
        )
    quoted = re.sub(r'["\\]', r"\\\g<0>", value).replace("\n", "\\n").replace("\r", "\\r")
    return f'{name}="{quoted}"'


_LINES: dict[str, Callable[[str, str], str]] = {
    "sh": _sh,
    "fish": _fish,
    "powershell": _powershell,
    "cmd": _cmd,
    "dotenv": _dotenv,
}
