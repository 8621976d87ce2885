"""The state of one router: all that its parts share, and the directory of providers that is in force.

What changes while it runs is looked up when it is needed: the configuration's file at each request, the local
servers and the login of this machine in the background, at most every few seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import trio
from attrs import evolve, field, frozen

import ccrouter
from ccrouter.attempt.backends import Backends
from ccrouter.config_file import ConfigFile
from ccrouter.dispatch import Dispatcher
from ccrouter.edits import Edits
from ccrouter.files import home
from ccrouter.menu import Listed, listed
from ccrouter.observe.log import Log, silent
from ccrouter.observe.warnings import Warnings
from ccrouter.providers.presets import PRESETS
from ccrouter.remembered import place
from ccrouter.remembered.budgets import Budgets
from ccrouter.remembered.choice import ChoiceFile
from ccrouter.remembered.notebook import Notebook
from ccrouter.remembered.project import ProjectFiles
from ccrouter.routing.caller import Caller
from ccrouter.routing.config import Config
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.routing.directory import DEMO, Directory, build, stands_in
from ccrouter.server.gate import Gate
from ccrouter.server.stop import Stop
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.demo import DemoDial
from ccrouter.upstream.dial import Dial
from ccrouter.upstream.facts import Facts
from ccrouter.upstream.machine import Machine
from ccrouter.upstream.models import ModelLists
from ccrouter.upstream.pool import HttpDial
from ccrouter.upstream.secrets import Secrets
from ccrouter.wire.hosts import is_loopback

#: Put together, what was found and listed is used for this long without being put together again, in seconds.
_SETTLED = 1.0

#: How many configurations are kept put together: profiles times projects.
_MOST_SETTLED = 64


@frozen(kw_only=True)
class Opened:
    """What is open before a router runs: the file of its configuration, its port, its way to the backends."""

    file: ConfigFile
    edits: Edits
    secrets: Secrets
    http: HttpDial
    host: str
    port: int
    token: str = field(repr=False)


class Router:
    """The state of one router; what `endpoints.Router` asks for. ``background`` is where it looks around."""

    def __init__(
        self,
        opened: Opened,
        background: trio.Nursery,
        *,
        log: Log = silent,
        environ: Mapping[str, str] = os.environ,
        platform: str = sys.platform,
    ) -> None:
        self._file = file = opened.file
        self._edits = opened.edits
        self._http = opened.http
        self._environ = environ
        self._background = background
        self._started = trio.current_time()
        self._said = ""
        self._settled: dict[int, tuple[Config, float, Directory]] = {}
        self.log = log
        self.host = opened.host
        self.port = opened.port
        self.url = f"http://{_in_url(opened.host)}:{opened.port}"
        self.token = opened.token
        self.stop = Stop()
        self.ending = self.stop.ending
        credentials = Credentials(opened.secrets, environ, platform, dial=opened.http)
        dials: dict[str, Dial] = {"http": opened.http, "demo": DemoDial(lambda: file.current().demo.pace)}
        self.lists = ModelLists(dials, credentials)
        self.facts = Facts(self.lists)
        self.machine = Machine(
            PRESETS, self.lists, file.current, environ=environ, platform=platform, then=self._looked_again
        )
        folder = place.find(environ, platform)
        self.notebook = Notebook(folder, log)
        self.notebook.open(time.time(), budgets=any(each.budget for each in file.current().providers.values()))
        warn = Warnings(log)
        budgets = Budgets(self.notebook, clock=time.time, warn=warn)
        self.backends = Backends(dials=dials, credentials=credentials, facts=self.facts, budgets=budgets)
        self.dispatch = Dispatcher(
            config=self.config,
            build=self._built,
            backends=self.backends,
            notebook=self.notebook,
            choice=ChoiceFile(folder),
            # Of other machines' clients the directories are not here.
            projects=ProjectFiles() if is_loopback(opened.host) else None,
            home=os.path.realpath(home(environ, platform)),  # as clients name their directories
            warn=warn,
            problems=lambda: self._edits.problems,
        )

    def config(self) -> Config:
        """The configuration of this moment."""
        return self._edits.config()

    @property
    def gate(self) -> Gate:
        """Who may pass at this moment."""
        return Gate(host=self.host, hosts=self.config().server.hosts)

    async def looked(self) -> None:
        """Wait for the first look around this machine; see to it that there is another in time."""
        await self.machine.looked(self._background)
        if stands_in(self._built(self.config())):
            await self.machine.looked_anew(self._background)

    async def directory(self) -> Directory:
        """The providers of this moment, by the profile that is in force for everybody."""
        await self.machine.glanced(self._background)
        holds, _ = self.dispatch.in_force(Caller())
        return self._built(holds.config)

    def _built(self, config: Config) -> Directory:
        """The directory of a configuration, made anew `_SETTLED` so often."""
        now = trio.current_time()
        known = self._settled.get(id(config))
        if known is not None and known[0] is config and now < known[1]:
            return known[2]
        directory = self._build(config)
        if len(self._settled) >= _MOST_SETTLED:
            self._settled.clear()
        self._settled[id(config)] = (config, now + _SETTLED, directory)
        return directory

    def _build(self, config: Config) -> Directory:
        directory = build(
            config,
            PRESETS,
            logins=self.machine.logins,
            environ={name for name, value in self._environ.items() if value},
            running=self.machine.running,
            before=self.machine.before,
        )
        models = {provider.name: self.lists.of(provider).models for provider in directory.providers.values()}
        ids = {name: tuple(model.id for model in found) for name, found in models.items() if found}
        return evolve(directory, listed=ids)

    def _looked_again(self) -> None:
        """Somebody has looked around: what was put together before is out of date."""
        self._settled.clear()
        if self.machine.first_look_over:
            self._say_which(self._build(self._file.current()))

    def _say_which(self, directory: Directory) -> None:
        """Say which providers there are, when that changed."""
        if stands_in(directory) and directory.default == DEMO:
            line = (
                "nothing is configured and nothing was found: the built-in demo model answers "
                "(`ccrouter config init` writes a configuration to start from)"
            )
        else:
            line = f"providers: {', '.join(directory.providers)}; default: {directory.default}"
        if line != self._said:
            self._said = line
            self.log(line)

    async def models(self, seconds: float) -> list[Listed]:
        """The models that can be had, asking each provider for at most ``seconds`` in all. Never fails."""
        with trio.move_on_after(seconds):
            directory = await self.directory()
            providers = list(directory.providers.values())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.looked)  # who is slow may be in it, too
                nursery.start_soon(self.lists.refresh, providers, ClientCredentials(), seconds * 0.8)
                nursery.start_soon(self.facts.refresh, providers, ClientCredentials(), seconds * 0.8)
        holds, _ = self.dispatch.in_force(Caller())  # what was listed meanwhile is in it
        return listed(self._build(holds.config).providers.values(), self.lists, self.facts)

    def status(self) -> dict[str, Any]:
        """The router's own part of ``GET /status``."""
        return {
            "version": ccrouter.__version__,
            "url": self.url,
            "pid": os.getpid(),
            "uptime_seconds": round(trio.current_time() - self._started, 1),
            "connections": self.stop.open,
            "requests": self.stop.busy,
            "upstream_connections": self._http.connections_open,
            "config": {"path": str(self._file.path), "problem": self._file.problem},
        }


def _in_url(host: str) -> str:
    """The host as a client on this machine names it."""
    if host == "0.0.0.0":
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host
