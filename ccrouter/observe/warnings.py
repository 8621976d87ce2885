"""What a user is to know and can mend: said in the log once, not with each request that meets it."""

from __future__ import annotations

from ccrouter.observe.log import Log, printable

#: How long a warning may be, in characters, and how many are not said again.
_LINE = 1_000
_KEPT = 32


class Warnings:
    """A `Log` for warnings. Of those said, the ones met last are remembered."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._said: dict[str, None] = {}

    def __call__(self, warning: str) -> None:
        """Say it, unless that was done."""
        if warning not in self._said:
            self._log(f"warning: {printable(warning, _LINE)}")
        self._said.pop(warning, None)
        self._said[warning] = None
        while len(self._said) > _KEPT:
            del self._said[next(iter(self._said))]
