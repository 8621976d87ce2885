"""What all routers of this user remember together: the pins of sessions, and what budgets have been used up.

Each router has its own view in memory and writes down only what it added, under a lock, on top of what the others
wrote meanwhile, which it takes over. So two routers that serve one session agree after a moment, and a budget is
exact to what was used up since the last writing (`EVERY`). Where nothing can be written (a read-only home), the
memory of this router is all there is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import trio

from ccrouter.file_lock import locked
from ccrouter.remembered import json_file
from ccrouter.routing import pins
from ccrouter.routing.budget import Amount, Ledger
from ccrouter.routing.pins import Pins

NAME = "notebook.json"

#: How soon something new is written down, in seconds.
EVERY = 2.0

#: How long another router may hold the lock, in seconds.
_PATIENCE = 2.0


class Notebook:
    """The file in ``folder``, and this router's view of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.pins = Pins()
        self.ledger = Ledger()
        self._added = Ledger()
        self._dirty = trio.Event()

    def open(self, now: float) -> None:
        """Read what was written down before; blocks for a moment. ``now``: seconds since 1970."""
        self._take_over(json_file.read(self.path), now)

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
        self._dirty = trio.Event()
        if not self._added.dump() and not self.pins.changed:
            return
        added, self._added = self._added, Ledger()
        changed, self.pins.changed = self.pins.changed, {}
        written = False
        try:
            json_file.make_folder(self.path.parent)
            async with locked(self.path.with_suffix(".lock"), _PATIENCE):
                value = await trio.to_thread.run_sync(self._write, added, changed, now)
                written = True
            self._take_over(value, now)
        except trio.TooSlowError:
            self._dirty.set()  # the other one will be done soon
        except OSError:
            pass  # tried again when there is something new, or at the end
        finally:
            if not written:
                self._added.merge(added)
                self.pins.changed = changed | self.pins.changed

    def _write(self, added: Ledger, changed: dict[str, pins.Pin], now: float) -> dict[str, Any]:
        value = json_file.read(self.path)
        ledger = Ledger.load(value.get("spent"))
        ledger.merge(added)
        sessions = pins.load(value.get("sessions"), now)
        for session, pin in changed.items():  # of two pins the later one stands, whoever writes first
            if session not in sessions or sessions[session].seen <= round(pin.seen):
                sessions[session] = pin
        value |= {"spent": ledger.dump(), "sessions": pins.dump(pins.newest(sessions.items()))}
        json_file.write(self.path, value)
        return value

    def _take_over(self, value: dict[str, Any], now: float) -> None:
        ledger = Ledger.load(value.get("spent"))
        ledger.merge(self._added)  # what came while it was written
        self.ledger = ledger
        self.pins.merge(pins.load(value.get("sessions"), now))
