"""The configuration changes under load: no request is lost, and each is served by one version of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from attrs import define, evolve, field

import ccrouter.router
from ccrouter.providers.presets import PRESETS
from ccrouter.service import Options, Running, serve
from tests.backend import Backend, Reply, Seen, backend
from tests.rig import JSON, SSE, Talk, message, request

REQUESTS = 1000
CHANGES = 50
#: After so many further replies the file changes.
EACH = REQUESTS // (CHANGES + 1)
CLIENTS = 12
#: Every so-manieth request is a stream that is held open until the file has changed.
HELD = 40

#: What is asked for: one name for each way on which a version leads to its provider.
NAMES = ("claude-opus-5-5", "big", "anything")


def configuration(version: int, backends: Sequence[Backend]) -> str:
    """A version of the file. It stands in the provider's name, path and key, and in the model's name."""
    provider, model = f"v{version}", f"model-{version}"
    return f"""
default = "{provider}"

[providers.{provider}]
preset = "messages"
base_url = "{backends[version % len(backends)].url}/{version}"
api_key = "sk-{version}"
models = ["{model}"]

[aliases]
big = "{provider}:{model}"

[[routes]]
when = {{ model = "claude-*" }}
use = "{provider}:{model}"
"""


@define(eq=False)
class Load:
    """How far the test is."""

    path: Path
    backends: list[Backend] = field(factory=list)
    version: int = 0
    """In force from now on."""
    issued: int = 0
    replies: list[tuple[str, int, int, int]] = field(factory=list)
    """Name, the version when it was asked for, the one that served it, the one when the reply was whole."""
    changed: trio.Event = field(factory=trio.Event)

    def change(self) -> None:
        """Write the next version: by turns as a whole new file and into the old one, as editors do."""
        self.version += 1
        text = configuration(self.version, self.backends)
        if self.version % 2:
            draft = self.path.with_suffix(".draft")
            draft.write_text(text)
            draft.replace(self.path)
        else:
            self.path.write_text(text)
        self.changed.set()
        self.changed = trio.Event()

    async def answer(self, seen: Seen, reply: Reply) -> None:
        """A backend: it says which version it was asked by, if all that reached it is of that one."""
        if seen.method != "POST":
            await reply.whole(404, JSON, b"{}")
            return
        version = int(seen.target.split("/")[1])
        body = json.loads(seen.body)
        host = (seen.header(b"host") or b"").decode()
        assert self.backends[version % len(self.backends)].url == f"http://{host}"
        assert seen.header(b"x-api-key") == b"sk-%d" % version
        assert body["model"] in {f"model-{version}", "anything"}
        if not body["stream"]:
            said = json.loads(MESSAGE) | {"content": [{"type": "text", "text": str(version)}]}
            await reply.whole(200, JSON, json.dumps(said).encode())
            return
        first, *rest = message(str(version))
        await reply.start(200, SSE)
        await reply.send(first)
        if self.version < CHANGES:
            await self.changed.wait()
        await reply.send(b"".join(rest))
        await reply.end()

    async def ask(self, router: Running) -> None:
        """One client: a request after another, on one connection."""
        async with await trio.open_tcp_stream("127.0.0.1", router.port) as stream:
            talk = Talk(stream)
            while self.issued < REQUESTS:
                number, before = self.issued, self.version
                self.issued += 1
                name = NAMES[number % len(NAMES)]
                held = number % HELD == 0
                await talk.send(request(model=name, stream=held), token=router.token)
                said = await talk.reply()
                assert talk.status == 200, said
                self.replies.append((name, before, _version(said, streamed=held), self.version))
                if len(self.replies) % EACH == 0 and self.version < CHANGES:
                    self.change()


MESSAGE = b"""{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
"stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}}"""


def _version(reply: bytes, *, streamed: bool) -> int:
    if not streamed:
        return int(json.loads(reply)["content"][0]["text"])
    assert b"event: message_stop" in reply, "a stream that began by the old version was cut off"
    events = [json.loads(line[6:]) for line in reply.decode().splitlines() if line.startswith("data: ")]
    (text,) = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    return int(text)


async def test_no_request_is_lost_and_each_is_served_by_one_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What happens to run on this machine's default ports is not part of it.
    nowhere = {name: evolve(row, base_url="http://127.0.0.1:9") for name, row in PRESETS.items() if row.probe}
    monkeypatch.setattr(ccrouter.router, "PRESETS", {**PRESETS, **nowhere})
    load = Load(tmp_path / "config.toml")
    lines: list[str] = []
    environ = {"HOME": str(tmp_path), "CCROUTER_STATE": str(tmp_path / "state")}
    async with backend(load.answer) as one, backend(load.answer) as two, backend(load.answer) as three:
        load.backends += [one, two, three]
        load.path.write_text(configuration(0, load.backends))
        async with trio.open_nursery() as nursery:
            options = Options(config=load.path, port=0, log=lines.append)

            async def start(task_status: trio.TaskStatus[Running]) -> None:
                await serve(options, environ=environ, platform="linux", task_status=task_status)

            router: Running = await nursery.start(start)
            async with trio.open_nursery() as clients:
                for _ in range(CLIENTS):
                    clients.start_soon(load.ask, router)
            router.end()
    assert (len(load.replies), load.version) == (REQUESTS, CHANGES)
    stale = [each for each in load.replies if not each[1] <= each[2] <= each[3]]
    assert not stale, "served by a version that was not in force while the request was on its way"
    served = Counter((name, version) for name, _, version, _ in load.replies)
    assert {version for _, version in served} == {*range(CHANGES + 1)}
    assert {name for name, _ in served} == {*NAMES}
    assert sum(asked < now for _, asked, _, now in load.replies) >= CHANGES, "hardly any was under way at a change"
    assert not [line for line in lines if "stays in force" in line or "mistake" in line]
