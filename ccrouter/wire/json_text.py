"""JSON that came from outside, as Python's values. Pure.

Python reads more than JSON has, and would write it again: ``NaN`` and ``Infinity``, which no other program reads,
and a number that is too large for a float (``1e999``), which is JSON and becomes an infinity. So whoever reads
says what is to become of them.
"""

from __future__ import annotations

import json
import math
from typing import Any, Literal, NoReturn

from ccrouter.errors import FrameError

#: ``refuse``: a text with such words is no JSON; a number that is too large is read as an infinity, and whoever
#: writes it must look out. For what may go on in its own bytes. ``null``: all of them are nothing, and what was
#: read can be written.
Nan = Literal["refuse", "null"]


def loads(data: bytes | str, *, nan: Nan) -> Any:
    """The value. Raises FrameError, whose message has no subject: ``is not JSON``.

    Bytes are UTF-8 (RFC 8259), with or without the mark that some servers put in front.
    """
    try:
        if isinstance(data, bytes):
            data = data.decode("utf-8", "surrogatepass").removeprefix("\ufeff")
        return _DECODERS[nan].decode(data)
    except RecursionError:
        raise FrameError("is nested too deep") from None
    except ValueError:  # of the encoding and of integers with too many digits, too
        raise FrameError("is not JSON") from None


def loads_or_none(data: bytes | str, *, nan: Nan) -> Any:
    """The value; None for what is no JSON, or is ``null``."""
    try:
        return loads(data, nan=nan)
    except FrameError:
        return None


def _refused(word: str) -> NoReturn:
    raise ValueError(word)


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


_DECODERS = {
    "refuse": json.JSONDecoder(parse_constant=_refused),
    "null": json.JSONDecoder(parse_constant=lambda _: None, parse_float=_finite),
}
