"""LiteLLM's proxy as a server of `tests.e2e.child`; run by the Python of an environment that has it. CONFIG_FILE_PATH
names its configuration.

Its own command wants an event loop and a process manager besides, so uvicorn serves its application from here.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading

import uvicorn  # type: ignore[import-not-found,unused-ignore]
from litellm.proxy.proxy_server import app  # type: ignore[import-not-found,unused-ignore]


class Server(uvicorn.Server):  # type: ignore[misc,unused-ignore]
    """Says where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """The application is ready and the port is open when this returns."""
        await super().startup(sockets)
        assert sockets
        host, port = sockets[0].getsockname()
        print(f"LISTENING http://{host}:{port}", flush=True)


def main() -> None:
    """Serve until standard input ends."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, loop="asyncio", log_level="warning"))

    def watch() -> None:
        sys.stdin.read()
        os._exit(0)  # its own way out takes seconds, and there is nothing to be saved

    threading.Thread(target=watch, daemon=True).start()
    asyncio.run(server.serve([listening]))


if __name__ == "__main__":
    main()
