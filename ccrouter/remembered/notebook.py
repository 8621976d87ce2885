"""What all routers of this user remember together: the pins of sessions, and what budgets have been used up.

Each router has its own view in memory and writes down only what it added, under a lock, on top of what the others
wrote meanwhile, which it takes over; and it looks whether they wrote before it decides on a budget. So two routers
that serve one session agree after a moment, and a budget is exact to what was used up since the last writing
(`EVERY`). Where nothing can be written (a read-only home), the memory of this router is all there is. The loss of
the file gives no budget back: a damaged one is put aside, and what this router knows is written in its place.

What of that a user is to know stands in `Notebook.problems`, and once in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import trio
from attrs import frozen

from ccrouter.file_lock import locked
from ccrouter.files import Stamp, stamp
from ccrouter.observe.log import Log, silent
from ccrouter.remembered import json_file
from ccrouter.routing import pins
from ccrouter.routing.budget import Amount, Ledger
from ccrouter.routing.pins import Pins

NAME = "notebook.json"

#: How soon something new is written down, in seconds.
EVERY = 2.0

#: How long another router may hold the lock, in seconds.
_PATIENCE = 2.0

#: What a damaged file is called from then on.
_ASIDE = f"{NAME}.damaged"


@frozen
class _View:
    """What was used up, and the pins."""

    ledger: Ledger
    sessions: dict[str, pins.Pin]


@frozen
class _Written:
    """What stands in the file now. ``put_aside``: what stood there before was damaged."""

    value: dict[str, Any]
    stamp: Stamp | None
    put_aside: bool


class Notebook:
    """The file in ``folder``, and this router's view of it."""

    def __init__(self, folder: Path, log: Log = silent) -> None:
        self.path = folder / NAME
        self.pins = Pins()
        self.ledger = Ledger()
        self._log = log
        self._added = Ledger()
        self._dirty = trio.Event()
        self._seen: Stamp | None = None
        self._writing = trio.Lock()
        self._damaged: str | None = None
        self._not_kept: str | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """What a user is to know."""
        return tuple(each for each in (self._damaged, self._not_kept) if each is not None)

    def open(self, now: float, *, budgets: bool = False) -> None:
        """Read what was written down before; blocks for a moment. ``now``: seconds since 1970.

        ``budgets``: there are some, so it matters whether anything can be kept.
        """
        if budgets:
            try:
                json_file.try_out(self.path.parent)
            except OSError as error:
                self._keeps_nothing(error)
        self._seen = stamp(self.path)
        try:
            self._take_over(json_file.load(self.path), now)
        except FileNotFoundError:
            pass
        except OSError as error:
            if budgets:
                self._keeps_nothing(error)
        except ValueError:
            self._is_damaged(
                "what budgets had used up is not known any more; it is put aside when they are written"
            )

    def look(self, now: float) -> None:
        """Take over what others wrote since; blocks for a moment where they did. Never fails."""
        if self._writing.locked():  # it is not known whether what is on its way is in the file already
            return
        seen = stamp(self.path)
        if seen is None or seen == self._seen:
            return
        self._seen = seen
        with suppress(OSError, ValueError):  # told, and mended, by who writes next
            self._take_over(json_file.load(self.path), now)

    def spend(self, provider: str, day: str, amount: Amount) -> None:
        """Count what a reply cost."""
        self.ledger.add(provider, day, amount)
        self._added.add(provider, day, amount)
        self._dirty.set()

    def pinned(self) -> None:
        """A pin has changed."""
        if self.pins.changed:
            self._dirty.set()

    async def keep(self, clock: Callable[[], float]) -> NoReturn:
        """Write down what is new, `EVERY` so often. ``clock`` gives seconds since 1970."""
        while True:
            await self._dirty.wait()
            await trio.sleep(EVERY)
            await self.write(clock())

    async def write(self, now: float) -> None:
        """Write down what is new, if there is something. Never fails; what was not written is kept."""
        async with self._writing:
            self._dirty = trio.Event()
            if self._added.dump() or self.pins.changed:
                await self._write_what_is_new(now)

    async def _write_what_is_new(self, now: float) -> None:
        new, self._added, self.pins.changed = _View(self._added, self.pins.changed), Ledger(), {}
        known = _View(Ledger(), self.pins.all())
        known.ledger.merge(self.ledger)
        written: _Written | None = None
        try:
            json_file.make_folder(self.path.parent)
            async with locked(self.path.with_suffix(".lock"), _PATIENCE):
                written = await trio.to_thread.run_sync(self._write, new, known, now)
        except trio.TooSlowError:
            self._dirty.set()  # the other one will be done soon
        except OSError as error:  # tried again when there is something new, or at the end
            if new.ledger.dump():
                self._keeps_nothing(error)
        finally:
            if written is None:
                self._added.merge(new.ledger)
                self.pins.changed = new.sessions | self.pins.changed
        if written is not None:
            self._seen = written.stamp
            self._not_kept = None
            self._take_over(written.value, now)
            if written.put_aside and self._damaged is None:
                self._is_damaged(f"it was put aside as {_ASIDE}, and what this router knows written in its place")

    def _write(self, new: _View, known: _View, now: float) -> _Written:
        """Write ``new`` on top of what stands there; where nothing does any more, all that is ``known``."""
        value: dict[str, Any] = {}
        put_aside = False
        try:
            value = json_file.load(self.path)
        except FileNotFoundError:
            there = known
        except ValueError:
            self.path.replace(self.path.with_name(_ASIDE))
            put_aside = True
            there = known
        else:
            there = _View(Ledger.load(value.get("spent")), pins.load(value.get("sessions"), now))
            there.ledger.merge(new.ledger)
        sessions = there.sessions
        for session, pin in new.sessions.items():  # of two pins the later one stands, whoever writes first
            if session not in sessions or sessions[session].seen <= round(pin.seen):
                sessions[session] = pin
        value |= {"spent": there.ledger.dump(), "sessions": pins.dump(pins.newest(sessions.items()))}
        json_file.write(self.path, value)
        return _Written(value, stamp(self.path), put_aside)

    def _is_damaged(self, words: str) -> None:
        self._damaged = f"{self.path}: is damaged: {words}"
        self._log(f"warning: {self._damaged}")

    def _keeps_nothing(self, error: OSError) -> None:
        if self._not_kept is None:
            self._not_kept = (
                f"{self.path}: cannot be kept: {error.strerror or error}; what budgets have used up is forgotten"
                " when this router stops. Make its folder one of yours, or set CCROUTER_STATE to another folder"
            )
            self._log(f"warning: {self._not_kept}")

    def _take_over(self, value: dict[str, Any], now: float) -> None:
        ledger = Ledger.load(value.get("spent"))
        ledger.merge(self._added)  # what came while it was written
        self.ledger = ledger
        self.pins.merge(pins.load(value.get("sessions"), now))
