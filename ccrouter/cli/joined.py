"""The router that runs already, asked over its port; or one of our own, for as long as the question takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ccrouter.cli import own_router, runtime
from ccrouter.errors import CcrouterError
from ccrouter.wire.envelope import message_in
from ccrouter.wire.headers import TOKEN

#: Seconds for an answer: the backends may be asked on the way, for three of them.
_PATIENCE = 15.0


def chosen(records: list[runtime.Record], port: int | None) -> runtime.Record | None:
    """The router that is meant: by its port, else the one that was started last."""
    return runtime.on_port(records, port) or max(records, key=lambda record: record.started, default=None)


async def ask(
    path: str,
    *,
    port: int | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    config: Path | None = None,
    own: bool = False,
) -> Any:
    """The JSON at ``path``; with a ``body`` it is a POST. ``own``: without a running router, one is started.

    Raises CcrouterError in words for the user.
    """
    import trio  # what serves takes long to import

    record = None
    if config is None:
        record = chosen(await trio.to_thread.run_sync(runtime.answering, os.environ), port)
    if record is not None:
        return await _get(record.url, record.token, path, body, headers)
    if not own:
        raise CcrouterError("no router of yours is running; start one with `ccrouter` or `ccrouter run`")
    async with own_router.serving(config) as running:
        return await _get(running.url, running.token, path, body, headers)


async def _get(url: str, token: str, path: str, body: bytes | None, headers: Mapping[str, str] | None) -> Any:
    import httpx  # see `ask`

    sent = {**(headers or {}), TOKEN.decode(): token}
    try:
        async with httpx.AsyncClient(timeout=_PATIENCE, trust_env=False) as client:
            response = await client.request(
                "GET" if body is None else "POST", url + path, headers=sent, content=body
            )
            if response.status_code != 200:
                raise CcrouterError(message_in(response.content))
            return response.json()
    except httpx.HTTPError as error:
        raise CcrouterError(f"the router at {url} does not answer: {str(error) or type(error).__name__}") from None
    except ValueError:
        raise CcrouterError(f"what answers at {url} is no router of this version") from None
