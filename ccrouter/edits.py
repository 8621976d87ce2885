"""What edits of the configuration's file mean to a router that runs, with a word in its log for each.

`Edits.config` is asked with each request, so what it gives holds from the next request on. What the port was
opened with can't follow: where the file says something else by now, `Edits.problems` tells that.
"""

from __future__ import annotations

from collections.abc import Collection

from ccrouter.config_file import ConfigFile
from ccrouter.observe.log import Log
from ccrouter.routing.config import Config

#: The keys of ``[server]`` that hold from a start on. The token is among them since clients that run carry it.
KEPT = ("host", "port", "token")


class Edits:
    """The versions of one file, for one router. ``given``: keys of ``[server]`` that its command line spoke of."""

    def __init__(self, file: ConfigFile, log: Log, *, given: Collection[str] = ()) -> None:
        self._file = file
        self._log = log
        self._kept = [key for key in KEPT if key not in given]
        self._started = file.current().server
        self._generation = 0
        self._problem: str | None = None
        self._warned: list[str] = []
        self.problems: tuple[str, ...] = ()
        """What of the newest version does not hold."""

    def config(self) -> Config:
        """The newest good version. What deserves a word about it is said, once."""
        config = self._file.current()
        self.announce()
        return config

    def announce(self) -> None:
        """Say whether the newest version holds, and what deserves a word in it; what was not said before."""
        if self._file.problem != self._problem:
            self._problem = self._file.problem
            if self._problem is None:
                self._log("the configuration is fine again")
            else:
                self._log(f"the last good configuration stays in force: {self._problem}")
        if self._file.generation != self._generation:
            self._generation = self._file.generation
            self.problems = self._not_followed(self._file.current())
            self._warn([*self._file.warnings(), *self.problems])

    def _warn(self, warnings: list[str]) -> None:
        """Say what was not said of the version before."""
        for each in warnings:
            if each not in self._warned:
                self._log(f"warning: {each}")
        self._warned = warnings

    def _not_followed(self, config: Config) -> tuple[str, ...]:
        keys = [key for key in self._kept if getattr(config.server, key) != getattr(self._started, key)]
        if not keys:
            return ()
        named = " and ".join(f"server.{key}" for key in keys)
        until = "; the old token opens the port until then" if "token" in keys else ""
        return (f"{self._file.path}: an edit of {named} does not hold before the router is started anew{until}",)
