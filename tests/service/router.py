"""A whole router over real loopback sockets, and what is asked of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import trio

from ccrouter.service import Options, Running, serve
from tests.backend import Backend, Reply, Seen

SSE = [(b"content-type", b"text/event-stream")]
NOWHERE = "http://127.0.0.1:9"


@asynccontextmanager
async def running(
    tmp_path: Path,
    config: str = "",
    environ: Mapping[str, str] | None = None,
    lines: list[str] | None = None,
    host: str | None = None,
) -> AsyncIterator[Running]:
    file = tmp_path / "config.toml"
    file.write_text(config)
    log = [] if lines is None else lines
    options = Options(config=file, port=0, host=host, log=log.append)
    async with trio.open_nursery() as nursery:
        it: Running = await nursery.start(
            lambda task_status: serve(
                options,
                environ={"HOME": str(tmp_path), **(environ or {})},
                platform="linux",
                task_status=task_status,
            )
        )
        yield it
        it.end()


def client(it: Running, **more: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=it.url, headers={"x-ccrouter-token": it.token}, trust_env=False, timeout=10, **more
    )


def body(**fields: Any) -> dict[str, Any]:
    base = {"model": "claude-opus-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    return base | fields


def anthropic(it: Backend) -> str:
    return f'[providers.anthropic]\nbase_url = "{it.url}"\napi_key = "sk-configured-key"\n'


STATE = Path(".local/state/ccrouter")


async def answering(seen: Seen, reply: Reply) -> None:
    """A backend that says how many tokens it took, and which model was asked for."""
    model = json.loads(seen.body or b"{}").get("model", "")
    usage = {"input_tokens": 3, "output_tokens": 5}
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": model}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    status = 529 if model == "down" else 200
    await reply.whole(status, [(b"content-type", b"application/json")], json.dumps(answer).encode())


def one_and_two(it: Backend) -> str:
    return f"""
[providers.one]
preset = "messages"
base_url = "{it.url}"
[providers.two]
preset = "messages"
base_url = "{it.url}"
[aliases]
big = ["one:down", "two:up"]
"""
