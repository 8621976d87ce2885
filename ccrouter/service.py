"""One running router: everything put together, from its start to its stop.

`serve` binds the port, tells its caller through `Running`, and serves until it is drained, ended or cancelled.
What changes while it runs is looked up when it is needed: the configuration's file at each request, the local
servers and the login of this machine in the background, at most every few seconds.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio
from attrs import evolve, frozen

import ccrouter
from ccrouter.attempt.backends import Backends
from ccrouter.config_file import ConfigFile, choose
from ccrouter.dispatch import Dispatcher
from ccrouter.edits import Edits
from ccrouter.endpoints import Endpoints
from ccrouter.errors import StartError
from ccrouter.files import home
from ccrouter.menu import describe
from ccrouter.observe.log import Log, silent
from ccrouter.providers.presets import PRESETS
from ccrouter.remembered import place
from ccrouter.remembered.choice import ChoiceFile
from ccrouter.remembered.notebook import Notebook
from ccrouter.remembered.project import ProjectFiles
from ccrouter.routing.caller import Caller
from ccrouter.routing.config import Config
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.routing.directory import DEMO, build
from ccrouter.routing.names import Directory
from ccrouter.server.connection import Limits
from ccrouter.server.gate import Gate
from ccrouter.server.listen import bind
from ccrouter.server.listen import serve as serve_port
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
class Options:
    """What the command line says. ``token``: None for the configured one, or else a random one."""

    config: Path | None = None
    host: str | None = None
    port: int | None = None
    token: str | None = None
    log: Log = silent

    @property
    def given(self) -> list[str]:
        """The keys of ``[server]`` that it speaks of."""
        return [key for key in ("host", "port", "token") if getattr(self, key) is not None]


@frozen(kw_only=True)
class Listed:
    """A model as a menu shows it. ``name`` is what the user types."""

    name: str
    label: str
    description: str
    provider: str
    anthropic: bool


class Running:
    """A router that accepts connections, for who started it."""

    def __init__(self, service: _Service, port: int) -> None:
        self._service = service
        self.host = service.host
        self.port = port
        self.url = f"http://{_in_url(self.host)}:{port}"
        self.token = service.token

    @property
    def config(self) -> Config:
        """The configuration of this moment."""
        return self._service.config()

    @property
    def busy(self) -> int:
        """How many requests are being answered."""
        return self._service.stop.open - len(self._service.stop.idle)

    def drain(self) -> None:
        """Accept no more and end when all running streams have, or the drain time is over."""
        self._service.stop.drain()

    def end(self) -> None:
        """End now; running streams get an ``error`` event."""
        self._service.stop.end()

    async def models(self, seconds: float) -> list[Listed]:
        """The models that can be had, asking each provider for at most ``seconds`` in all. Never fails."""
        return await self._service.models(seconds)


async def serve(
    options: Options,
    *,
    environ: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
    task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until stopped. Raises StartError, ConfigError and SecretError before it reports `Running`."""
    path, required = choose(None if options.config is None else str(options.config), environ, platform)
    file = ConfigFile(path, required=required, presets=PRESETS)
    config = file.current()
    edits = Edits(file, options.log, given=options.given)
    host = options.host if options.host is not None else config.server.host
    if not is_loopback(host) and config.server.token is None and options.token is None:
        raise StartError(
            f"{host} can be reached from other machines: set server.token in the configuration first, "
            "or listen on 127.0.0.1"
        )
    store = Secrets(environ)
    token = options.token
    if token is None and config.server.token is not None:
        token = await store.get(config.server.token)
    port = options.port if options.port is not None else config.server.port
    listeners = await bind(host, port)
    http = HttpDial(environ=environ)
    service: _Service | None = None
    try:
        async with trio.open_nursery() as background:
            service = _Service(
                file=file,
                edits=edits,
                secrets_=store,
                http=http,
                token=token or f"ccr-{secrets.token_urlsafe(32)}",
                host=host,
                options=options,
                environ=environ,
                platform=platform,
                background=background,
            )
            bound: int = listeners[0].socket.getsockname()[1]
            running = Running(service, bound)
            service.url = running.url
            endpoints = Endpoints(service)
            service.config()  # says what deserves a word in it
            background.start_soon(service.machine.look)
            background.start_soon(service.facts.keep_fresh)
            background.start_soon(service.notebook.keep, time.time)
            task_status.started(running)
            await serve_port(
                listeners,
                endpoints.answer,
                endpoints.refuse,
                stop=service.stop,
                limits=Limits(),
                max_connections=lambda: file.current().server.max_connections,
                drain_seconds=lambda: file.current().server.drain,
            )
            background.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):  # cancelled, not even a forceful close would come to its end
            for listener in listeners:
                await trio.aclose_forcefully(listener)
            with trio.move_on_after(1):
                await http.aclose()
            if service is not None:  # nobody else has a hand in its notebook any more
                with trio.move_on_after(1):
                    await service.notebook.write(time.time())


class _Service:
    """The state of one router; what `endpoints.Router` asks for."""

    def __init__(
        self,
        *,
        file: ConfigFile,
        edits: Edits,
        secrets_: Secrets,
        http: HttpDial,
        token: str,
        host: str,
        options: Options,
        environ: Mapping[str, str],
        platform: str,
        background: trio.Nursery,
    ) -> None:
        self._file = file
        self.edits = edits
        self._environ = environ
        self._background = background
        self._started = trio.current_time()
        self._told = ""
        self._settled: dict[int, tuple[Config, float, Directory]] = {}
        self._http = http
        self.log = options.log
        self.url = ""
        self.token = token
        self.host = host
        self.stop = Stop()
        self.ending = self.stop.ending
        credentials = Credentials(secrets_, environ, platform, dial=http)
        dials: dict[str, Dial] = {"http": http, "demo": DemoDial(lambda: file.current().demo.pace)}
        self.lists = ModelLists(dials, credentials)
        self.facts = Facts(self.lists)
        self.machine = Machine(
            PRESETS, self.lists, file.current, environ=environ, platform=platform, then=self._looked_again
        )
        self.backends = Backends(dials=dials, credentials=credentials, facts=self.facts)
        folder = place.find(environ, platform)
        self.notebook = Notebook(folder, options.log)
        budgets = any(each.budget for each in file.current().providers.values())
        self.notebook.open(time.time(), budgets=budgets)
        self.dispatch = Dispatcher(
            config=self.config,
            build=self._built,
            backends=self.backends,
            notebook=self.notebook,
            choice=ChoiceFile(folder),
            # Of other machines' clients the directories are not here.
            projects=ProjectFiles() if is_loopback(host) else None,
            home=os.path.realpath(home(environ)),  # as clients name their directories
            log=options.log,
            problems=lambda: self.edits.problems,
        )

    def config(self) -> Config:
        """The configuration of this moment."""
        return self.edits.config()

    @property
    def gate(self) -> Gate:
        """Who may pass at this moment."""
        return Gate(host=self.host, hosts=self.config().server.hosts)

    async def looked(self) -> None:
        """Wait for the first look around this machine; see to it that there is another in time."""
        await self.machine.looked(self._background)

    async def directory(self) -> Directory:
        """The providers of this moment, by the profile that is in force for everybody."""
        await self.looked()
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
        listed = {name: tuple(model.id for model in found) for name, found in models.items() if found}
        return evolve(directory, listed=listed)

    def _looked_again(self) -> None:
        """Somebody has looked around: what was put together before is out of date."""
        self._settled.clear()
        self._tell(self._build(self._file.current()))

    def _tell(self, directory: Directory) -> None:
        """Say which providers there are, when that changed."""
        if list(directory.providers) == [DEMO] and directory.default == DEMO:
            line = (
                "nothing is configured and nothing was found: the built-in demo model answers "
                "(`ccrouter config init` writes a configuration to start from)"
            )
        else:
            line = f"providers: {', '.join(directory.providers)}; default: {directory.default}"
        if line != self._told:
            self._told = line
            self.log(line)

    async def models(self, seconds: float) -> list[Listed]:
        """See `Running.models`."""
        with trio.move_on_after(seconds):
            directory = await self.directory()
            providers = list(directory.providers.values())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.lists.refresh, providers, ClientCredentials(), seconds * 0.8)
                nursery.start_soon(self.facts.refresh, providers, ClientCredentials(), seconds * 0.8)
        holds, _ = self.dispatch.in_force(Caller())  # what was listed meanwhile is in it
        directory = self._build(holds.config)
        return [
            Listed(
                name=f"{provider.name}:{model.id}",
                label=model.name or model.id,
                description=describe(provider.preset.title, self.facts.known(provider, model.id)),
                provider=provider.name,
                anthropic=provider.preset.first_party,
            )
            for provider in directory.providers.values()
            for model in self.lists.of(provider).models
        ]

    def status(self) -> dict[str, Any]:
        """The router's own part of ``GET /status``."""
        return {
            "version": ccrouter.__version__,
            "url": self.url,
            "pid": os.getpid(),
            "uptime_seconds": round(trio.current_time() - self._started, 1),
            "connections": self.stop.open,
            "requests": self.stop.open - len(self.stop.idle),
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
