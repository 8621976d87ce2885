"""The program behind ``dist-scripts/bench``; see there."""

import argparse
import json
import os
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _bench_backend import EVENTS, WHOLE

Command = list[str]

#: ccrouter from the sources.
SOURCES: Command = [sys.executable, "-m", "ccrouter"]


class Target:
    """Where the client sends: the router or the backend itself."""

    def __init__(self, port: int, headers: bytes = b"") -> None:
        self.port = port
        self.headers = headers

    def connect(self) -> socket.socket:
        peer = socket.create_connection(("127.0.0.1", self.port))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return peer

    def post(self, peer: socket.socket, body: bytes) -> None:
        peer.sendall(
            b"POST /v1/messages?beta=true HTTP/1.1\r\nhost: 127.0.0.1\r\n%scontent-type: application/json\r\n"
            b"anthropic-version: 2023-06-01\r\nx-app: cli\r\ncontent-length: %d\r\n\r\n"
            % (self.headers, len(body))
            + body
        )


def _read_until(peer: socket.socket, end: bytes) -> None:
    tail = b""
    while not tail.endswith(end):
        data = peer.recv(1 << 20)
        if not data:
            raise SystemExit("the connection ended early: " + tail.decode("utf-8", "replace"))
        tail = (tail + data)[-4096:]


def body(mode: str, size: int, model: str = "claude-opus-5-5") -> bytes:
    """A request of about ``size`` bytes in the shape of Claude Code's."""
    tools = [
        {"name": f"T{n}", "description": "word " * 200, "input_schema": {"type": "object"}} for n in range(12)
    ]
    request: dict[str, Any] = {
        "model": model,
        "mode": mode,
        "stream": mode != "whole",
        "tools": tools,
        "messages": [],
    }
    text = "some words of a conversation about code " * 25
    while len(json.dumps(request)) < size:
        turns = [{"role": "user", "content": [{"type": "text", "text": text}]} for _ in range(8)]
        request["messages"] += turns[: max(1, (size - len(json.dumps(request))) // 1100)]
    return json.dumps(request).encode()


def cpu(pid: int) -> float:
    """Processor seconds of a process so far, all its threads, ended ones included (Linux: its CPU clock)."""
    return time.clock_gettime((~pid << 3) | 2)


def memory(pid: int, kind: str = "VmRSS") -> float:
    """Resident megabytes, all or of a kind."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) * 1024 / 1e6


@contextmanager
def started(command: Command, **more: Any) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **more)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def _line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line:
        raise SystemExit("a process of the benchmark did not start")
    return line


def measure(target: Target, watched: list[int], count: int, requests: bytes, end: bytes, warm: int = 20) -> float:
    """Processor seconds of the watched processes for each request."""
    peer = target.connect()
    for number in range(count + warm):
        if number == warm:
            before = sum(map(cpu, watched))
        target.post(peer, requests)
        _read_until(peer, end)
    peer.close()
    return (sum(map(cpu, watched)) - before) / count


@contextmanager
def bench() -> Iterator[tuple[subprocess.Popen[str], Target, list[str], dict[str, Any]]]:
    """A backend; and for routers to it the arguments, and what else to start them with."""
    backend = [sys.executable, str(Path(__file__).resolve().with_name("_bench_backend.py"))]
    with tempfile.TemporaryDirectory() as home, started(backend) as upstream:
        port = int(_line(upstream))
        config = Path(home, "config.toml")
        config.write_text(
            f'[providers.anthropic]\nbase_url = "http://127.0.0.1:{port}"\napi_key = "sk-benchmark"\n'
            f'[providers.chat]\nbase_url = "http://127.0.0.1:{port}/v1"\n'
            f'[providers.responses]\nbase_url = "http://127.0.0.1:{port}/v1"\n'
            '[aliases]\nbig = "anthropic:claude-opus-5-5"\n'
        )
        environ = {**os.environ, "HOME": home, "XDG_CACHE_HOME": str(Path(home, "cache"))}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # whoever has it installed has it as bytecode
        arguments = ["serve", "--port", "0", "--print-env=json", "--config", str(config)]
        yield upstream, Target(port), arguments, {"stderr": subprocess.DEVNULL, "env": environ}


def figures(commands: list[Command]) -> list[dict[str, Any]]:
    """Of each; their starts are taken in turns, since a machine is slower at one time than at another."""
    with bench() as (_, _, arguments, options):
        # The sources, which come first, have no first time.
        first = [_first_starts([*command, *arguments], options) for command in commands[1:]]
        turns = [[_start([*command, *arguments], options) for command in commands] for _ in range(9)]
    found: list[dict[str, Any]] = []
    for command, times in zip(commands, zip(*turns, strict=True), strict=True):
        row = {"start_ms": round(statistics.median(times))}
        if found:
            row["first_start_ms"] = round(statistics.median(first[len(found) - 1]))
        # A backend of its own: it tells of every hang-up, those of the router before as well.
        with (
            bench() as (upstream, direct, arguments, options),
            started([*command, *arguments], **options) as router,
        ):
            found.append({**row, **_of_one(router, direct, upstream)})
    found[0] |= _routing(found[0])
    return found


def _routing(whole: dict[str, Any]) -> dict[str, Any]:
    """What the dispatcher's part of a request costs with fifty rules; its ratio to a whole request without any."""
    program = [sys.executable, str(Path(__file__).resolve().with_name("_bench_routing.py"))]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    rows: dict[str, dict[str, float]] = json.loads(subprocess.check_output(program, env=environ))
    for name, row in rows.items():
        size = name.split("_")[1]
        row["ratio"] = round(row["us"] / 1000 / whole[f"request_{size}"]["router_ms"], 3)
    return rows


def _of_one(router: subprocess.Popen[str], direct: Target, upstream: subprocess.Popen[str]) -> dict[str, Any]:
    """Of a router that has just been started."""
    told = json.loads(_line(router))
    headers = f"x-ccrouter-token: {told['env']['ANTHROPIC_AUTH_TOKEN']}\r\n".encode()
    routed = Target(told["port"], headers)
    # Private is what no file holds: pages of a program's file are shared by all who run it, and can be dropped.
    idle = {
        "idle": round(memory(router.pid), 1),
        "idle_private": round(memory(router.pid, "RssAnon"), 1),
    }
    return {
        **_costs(direct, routed, upstream.pid, router.pid),
        **_hang_up(routed, upstream),
        "memory_mb": {**idle, **_memories(routed, router.pid)},
    }


def _start(command: Command, options: dict[str, Any]) -> float:
    """Milliseconds to listening."""
    before = time.monotonic()
    with started(command, **options) as child:
        _line(child)
        return (time.monotonic() - before) * 1000


def _first_starts(command: Command, options: dict[str, Any]) -> list[float]:
    """The same with nothing unpacked yet."""
    found = []
    for _ in range(5):
        shutil.rmtree(options["env"]["XDG_CACHE_HOME"], ignore_errors=True)
        found.append(_start(command, options))
    return found


def _costs(direct: Target, routed: Target, upstream: int, router: int) -> dict[str, Any]:
    """Of requests and events. Direct ones are in the Messages format always, as without a router."""
    whole, chunked = WHOLE[-20:], b"0\r\n\r\n"
    result: dict[str, Any] = {}
    rows: list[tuple[str, int, bytes, bytes, int]] = [
        ("request_50kb", 600, body("whole", 50_000), whole, 1),
        ("request_50kb_renamed", 600, body("whole", 50_000, "big"), whole, 1),
        ("request_150kb", 300, body("brief", 150_000), chunked, 1),
        ("request_150kb_chat", 300, body("brief", 150_000, "chat:brief"), chunked, 1),
        ("request_150kb_responses", 300, body("brief", 150_000, "responses:brief"), chunked, 1),
        ("request_1mb", 100, body("whole", 1_000_000), whole, 1),
        ("stream_burst", 100, body("burst", 50_000), chunked, EVENTS),
        ("stream_burst_chat", 100, body("burst", 50_000, "chat:burst"), chunked, EVENTS),
        ("stream_burst_responses", 100, body("burst", 50_000, "responses:burst"), chunked, EVENTS),
        ("stream_paced", 3, body("paced", 50_000), chunked, EVENTS),
    ]
    brief = {
        wire: measure(routed, [router], 200, body("brief", 50_000, model), chunked)
        for wire, model in (("", "claude-opus-5-5"), ("_chat", "chat:brief"), ("_responses", "responses:brief"))
    }
    for name, count, requests, end, events in rows:
        warm = 1 if name == "stream_paced" else 20
        alone = measure(direct, [upstream, os.getpid()], count, requests, end, warm)
        added = measure(routed, [router], count, requests, end, warm)
        result[name] = {
            "router_ms": round(added * 1e3, 3),
            "direct_ms": round(alone * 1e3, 3),
            "ratio": round(added / alone, 2),
        }
        wire = next((wire for wire in ("_chat", "_responses") if name.endswith(wire)), "")
        if wire:
            result[name]["times_messages"] = round(
                result[name]["router_ms"] / result[name.removesuffix(wire)]["router_ms"], 2
            )
        if events > 1:
            result[name]["router_us_an_event"] = round((added - brief[wire]) / events * 1e6, 1)
    return result


def _hang_up(routed: Target, upstream: subprocess.Popen[str]) -> dict[str, Any]:
    delays = []
    for _ in range(50):
        peer = routed.connect()
        routed.post(peer, body("silent", 50_000))
        _read_until(peer, b"\n\n\r\n")
        closed = time.monotonic()
        peer.close()
        delays.append((float(_line(upstream)) - closed) * 1000)
    return {"hang_up_ms": {"median": round(statistics.median(delays), 2), "worst": round(max(delays), 2)}}


def _memories(routed: Target, router: int) -> dict[str, Any]:
    def held(count: int, mode: str, seconds: float) -> float:
        peers = []
        for _ in range(count):
            peers.append(routed.connect())
            routed.post(peers[-1], body(mode, 50_000))
            if mode == "silent":
                _read_until(peers[-1], b"\n\n\r\n")
        time.sleep(seconds)
        size = memory(router)
        for peer in peers:
            peer.close()
        time.sleep(0.3)
        return size

    served = memory(router)
    streams = held(100, "silent", 0.2)
    stalled = held(10, "flood", 2.0)
    return {
        "after_the_requests_above": round(served, 1),
        "with_100_open_streams": round(streams, 1),
        "with_10_clients_that_do_not_read_70_mb_each": round(stalled, 1),
    }


def table(names: list[str], found: list[dict[str, Any]]) -> Iterator[str]:
    """A row for each figure of a router: of the sources, then of each other with its ratio to that."""
    rows = [dict(_leaves(each)) for each in found]
    yield "  ".join([" " * 60, *(f"{name:>24}" for name in names)])
    for key in dict.fromkeys(key for row in rows for key in row):
        if key.endswith((" direct_ms", " ratio", " times_messages")):  # about the client, or the wires
            continue
        cells = []
        for row in rows:
            own, sources = row.get(key), rows[0].get(key)
            ratio = f" ({own / sources:.2f})" if own is not None and sources and row is not rows[0] else ""
            cells.append(f"{'' if own is None else own}{ratio}")
        yield "  ".join([f"{key:60}", *(f"{cell:>24}" for cell in cells)])


def _leaves(value: dict[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    for key, each in value.items():
        if isinstance(each, dict):
            yield from _leaves(each, f"{path}{key} ")
        else:
            yield path + key, each


def main() -> int:
    parser = argparse.ArgumentParser(prog="dist-scripts/bench", description="What the router costs.")
    parser.add_argument("--json", action="store_true", help="the figures for a machine to read")
    parser.add_argument(
        "--command",
        action="append",
        type=shlex.split,
        default=[],
        help="another ccrouter, such as build/out/ccrouter, to be measured against the sources; may be repeated",
    )
    args = parser.parse_args()
    commands: list[Command] = [SOURCES, *args.command]
    found = figures(commands)
    if args.json:
        named = {shlex.join(command): each for command, each in zip(commands, found, strict=True)}
        print(json.dumps(named if args.command else found[0]))
        return 0
    if args.command:
        print(*table(["sources", *(command[-1][-24:] for command in args.command)], found), sep="\n")
        return 0
    for name, value in found[0].items():
        print(
            f"{name:24}",
            *([f"{key} {each}" for key, each in value.items()] if isinstance(value, dict) else [value]),
            sep="  ",
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
