"""What comes of a call, part by part, down a channel: a `Whole` reply, or `Head`, some `Piece`, and `End`.

What can go wrong with a backend is foreseen and comes down the same channel as a `Failed`. What can't be foreseen,
a mistake of ccrouter's own, comes as a `Mistaken`: what is being written to the client is written whole first.
"""

from __future__ import annotations

from typing import TypeAlias

from attrs import field, frozen

from ccrouter.errors import ApiError, UpstreamError
from ccrouter.wire.events import Usage
from ccrouter.wire.headers import Headers


@frozen
class Head:
    """A stream begins. ``changes`` were made to the request, see `Outbound`."""

    status: int
    headers: Headers = field(repr=False)
    changes: tuple[str, ...] = ()


@frozen
class Piece:
    """Whole frames of a stream. ``first`` is the type of its first event, ``ended`` whether its last is in it.

    ``usage`` and ``failure`` are what the stream told up to here: one that is cut short has no `End` to tell them.
    """

    data: bytes = field(repr=False)
    first: str | None
    ended: bool
    usage: Usage = field(factory=dict, eq=False)
    failure: ApiError | None = field(default=None, eq=False)


@frozen
class Whole:
    """A reply that is no stream, complete, its content coding undone where that can be."""

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    notes: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    usage: Usage = field(factory=dict)


@frozen
class Failed:
    """The attempt is over without a whole reply."""

    error: ApiError | UpstreamError


@frozen
class Mistaken:
    """The attempt is over by a mistake of ours. To be raised again by who reads it, for the log."""

    error: Exception = field(repr=False)


@frozen
class End:
    """The stream is whole, or told itself that it failed. ``notes`` are for the log, see `Reply`."""

    failure: ApiError | None = None
    notes: tuple[str, ...] = ()
    usage: Usage = field(factory=dict)


Part: TypeAlias = Head | Piece | Whole | Failed | Mistaken | End
