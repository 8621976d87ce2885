"""The members of what a backend sent, whatever they are. Pure."""

from __future__ import annotations

from typing import Any

from ccrouter.errors import FrameError
from ccrouter.wire import json_text


def frame_object(data: bytes, what: str) -> dict[str, Any]:
    """The object that a frame is. ``what`` says in the error what should have been one: "a chunk".

    A number that JSON can't say is nothing: it would be written in the next request, and be refused in each that
    follows. Raises FrameError for anything else.
    """
    try:
        value = json_text.loads(data, nan="null")
    except FrameError as error:
        raise FrameError(f"the backend sent {what} that {error}") from None
    if not isinstance(value, dict):
        raise FrameError(f"the backend sent {what} that is no object")
    return value


def as_object(value: Any) -> dict[str, Any]:
    """An object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; none of anything else."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
