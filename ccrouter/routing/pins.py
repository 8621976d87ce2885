"""Which target a session stays with, so that its prompt caches hold. Pure.

A pin decides among the targets that are equally meant, never against anybody's word:

* of a list in fallback order, a session that had to go on to the second stays with that one, even when the first
  is back: to return would cost its cache a second time;
* a name that nobody explained (no rule, no alias, no ``PROVIDER:``) can mean another model as soon as a server is
  started or a list changes: a session goes on with what it meant first.

A pin holds for one *intent*: the rule or name by which the targets were chosen, all that its aliases stand for,
and the profile. Another model name, another profile, an edited rule or alias is another intent, and its first
request is pinned anew; a turn of the conversation for which there is but one model releases the session. A pin
to a target that is gone, or rests after failures, does not hold; one to a server of this machine that is not
running does: the conversation was not meant for anybody outside. What a client asks besides, with an intent of its
own, such as a compaction that has a rule to itself, has a pin of its own (`routing.route`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from ccrouter.providers.provider import Target

#: How many sessions are remembered, and for how long, in seconds.
MOST = 2_000
LONGEST = 30 * 24 * 3600.0

#: A pin that is used is written down again at most this often, in seconds.
_REFRESH = 3600.0


@frozen
class Pin:
    """``target`` is ``PROVIDER:MODEL``, ``seen`` when it was last used, in seconds since 1970.

    Without a target it says that the session was released, to those who wrote down an older one.
    """

    intent: str
    target: str
    seen: float


class Pins:
    """The pins of all sessions. ``changed`` holds those that nobody has written down yet."""

    def __init__(self, pins: Mapping[str, Pin] | None = None) -> None:
        self._pins: dict[str, Pin] = dict(pins or {})
        self.changed: dict[str, Pin] = {}

    def __len__(self) -> int:
        return len(self._pins)

    def all(self) -> dict[str, Pin]:
        """All of them at this moment."""
        return dict(self._pins)

    def of(self, session: str, intent: str) -> str | None:
        """The target that a session stays with; None where it may choose."""
        pin = self._pins.get(session)
        return pin.target if pin is not None and pin.intent == intent else None

    def holds(self, session: str) -> bool:
        """Whether a session stays with a target, whatever is meant."""
        pin = self._pins.get(session)
        return pin is not None and bool(pin.target)

    def release(self, session: str, now: float) -> None:
        """The session stays with nobody any more."""
        self._pins.pop(session, None)
        self._pins[session] = self.changed[session] = Pin("", "", now)
        self._trim()

    def hold(self, session: str, intent: str, target: Target, now: float) -> None:
        """The session was answered by ``target``, and is to stay with it."""
        before = self._pins.pop(session, None)
        pin = Pin(intent, str(target), now)
        same = before is not None and (before.intent, before.target) == (pin.intent, pin.target)
        if before is not None and same and now - before.seen < _REFRESH:
            pin = before
        else:
            self.changed[session] = pin
        self._pins[session] = pin  # the one that was used last is the last
        self._trim()

    def merge(self, others: Mapping[str, Pin]) -> None:
        """Take over what others wrote down; of two pins of a session the later one stands."""
        for session, pin in others.items():
            own = self._pins.get(session)
            if own is None or own.seen < pin.seen:
                self._pins[session] = pin
        self._trim()

    def _trim(self) -> None:
        while len(self._pins) > MOST:
            del self._pins[next(iter(self._pins))]


def key(session: str, agent: str | None) -> str:
    """What a pin is for: a session's conversation, or one of its agents' conversation."""
    return f"{session}/{agent}" if agent else session


def dump(pins: Mapping[str, Pin]) -> dict[str, list[object]]:
    """For JSON."""
    return {session: [pin.intent, pin.target, round(pin.seen)] for session, pin in pins.items()}


def load(value: object, now: float) -> dict[str, Pin]:
    """What `dump` gave, without what is too old; whatever else stands there is left out."""
    found: dict[str, Pin] = {}
    for session, row in value.items() if isinstance(value, dict) else ():
        match row:
            case [str(intent), str(target), int() | float() as seen] if now - LONGEST < seen <= now + 60:
                found[str(session)] = Pin(intent, target, float(seen))
            case _:
                pass
    return newest(found.items())


def newest(pins: Iterable[tuple[str, Pin]]) -> dict[str, Pin]:
    """Those that were used last, in that order."""
    return dict(sorted(pins, key=lambda each: each[1].seen)[-MOST:])
