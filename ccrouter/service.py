"""One running router: everything put together, from its start to its stop.

`serve` binds the port, tells its caller through `Running`, and serves until it is drained, ended or cancelled.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import trio
from attrs import frozen

from ccrouter.config_file import ConfigFile, choose
from ccrouter.edits import KEPT, Edits
from ccrouter.endpoints import Endpoints
from ccrouter.errors import StartError
from ccrouter.menu import Listed
from ccrouter.observe.log import Log, silent
from ccrouter.providers.presets import PRESETS
from ccrouter.router import Opened, Router
from ccrouter.routing.config import Config
from ccrouter.server.connection import Limits
from ccrouter.server.listen import bind
from ccrouter.server.listen import serve as serve_port
from ccrouter.upstream.pool import HttpDial
from ccrouter.upstream.secrets import Secrets
from ccrouter.wire.hosts import is_loopback


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
        return [key for key in KEPT if getattr(self, key) is not None]


class Running:
    """A router that accepts connections, for who started it."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self.host = router.host
        self.port = router.port
        self.url = router.url
        self.token = router.token

    @property
    def config(self) -> Config:
        """The configuration of this moment."""
        return self._router.config()

    @property
    def busy(self) -> int:
        """How many requests are being answered."""
        return self._router.stop.busy

    def drain(self) -> None:
        """Accept no more and end when all running streams have, or the drain time is over."""
        self._router.stop.drain()

    def end(self) -> None:
        """End now; running streams get an ``error`` event."""
        self._router.stop.end()

    async def models(self, seconds: float) -> list[Listed]:
        """The models that can be had, asking each provider for at most ``seconds`` in all. Never fails."""
        return await self._router.models(seconds)


async def serve(
    options: Options,
    *,
    environ: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
    task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until stopped. Raises StartError, ConfigError and SecretError before it reports `Running`."""
    path, required = choose(options.config, environ, platform)
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
    opened = Opened(
        file=file,
        edits=edits,
        secrets=store,
        http=http,
        host=host,
        port=listeners[0].socket.getsockname()[1],
        token=token or f"ccr-{secrets.token_urlsafe(32)}",
    )
    router: Router | None = None
    try:
        async with trio.open_nursery() as background:
            router = Router(opened, background, log=options.log, environ=environ, platform=platform)
            endpoints = Endpoints(router)
            edits.announce()
            background.start_soon(router.machine.look)
            background.start_soon(router.facts.keep_fresh)
            background.start_soon(router.notebook.keep, time.time)
            task_status.started(Running(router))
            await serve_port(
                listeners,
                endpoints.answer,
                endpoints.refuse,
                stop=router.stop,
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
            if router is not None:  # nobody else has a hand in its notebook any more
                with trio.move_on_after(1):
                    await router.notebook.write(time.time())
