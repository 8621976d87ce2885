"""The members of what a backend sent, whatever they are. Pure."""

from __future__ import annotations

import json
import math
from typing import Any

from ccrouter.errors import FrameError


def _float(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


# NaN and the infinities, which JSON has no words for, are nothing. So is a number that is too large for a float
# (1e999): it would be written as an infinity in the next request, and be refused in each that follows.
_JSON = json.JSONDecoder(parse_constant=lambda _: None, parse_float=_float)


def frame_object(data: bytes, what: str) -> dict[str, Any]:
    """The object that a frame is. ``what`` says in the error what should have been one: "a chunk".

    Raises FrameError for anything else, RecursionError for what is nested too deep.
    """
    try:
        value = _JSON.decode(data.decode())
    except ValueError:
        raise FrameError(f"the backend sent {what} that is not JSON") from None
    if not isinstance(value, dict):
        raise FrameError(f"the backend sent {what} that is no object")
    return value


def as_object(value: Any) -> dict[str, Any]:
    """An object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; none of anything else."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
