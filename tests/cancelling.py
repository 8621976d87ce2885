"""A cancellation at every moment that there is."""

from __future__ import annotations

import trio


class CancelAt(trio.abc.Instrument):
    """Cancels ``scope`` before the ``step``-th step from now: of ``task``, or of whatever task."""

    def __init__(self, scope: trio.CancelScope, step: int, task: trio.lowlevel.Task | None = None) -> None:
        self._scope = scope
        self._left = step
        self._task = task

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """See `trio.abc.Instrument`."""
        if self._task is None or task is self._task:
            self._left -= 1
            if self._left == 0:
                self._scope.cancel()
