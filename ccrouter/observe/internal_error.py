"""A mistake of ccrouter's own, told without what it was made on: that may be a prompt or a credential. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from traceback import extract_tb


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors inside a group, or inside groups of it; else the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error


def message(error: BaseException) -> str:
    """What the client is told of it."""
    return f"ccrouter: {line(error)}"


def line(error: BaseException) -> str:
    """What the log is told of it."""
    return f"a mistake in ccrouter itself: {described(error)}"


def described(error: BaseException) -> str:
    """``TypeError at ccrouter/translate/turns.py:41 in read``: its kind and its innermost place of ours."""
    found = next(leaves(error))
    frames = extract_tb(found.__traceback__)
    ours = [frame for frame in frames if "ccrouter" in frame.filename] or frames
    if not ours:
        return type(found).__name__
    last = ours[-1]
    parts = last.filename.replace("\\", "/").split("/")
    # From the package on: what stands before it is about the machine.
    begin = max((at for at, part in enumerate(parts) if part == "ccrouter"), default=len(parts) - 1)
    return f"{type(found).__name__} at {'/'.join(parts[begin:])}:{last.lineno} in {last.name}"
