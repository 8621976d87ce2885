"""The program behind ``dist-scripts/bench``; see there.

``_bench.py backend`` is the backend: it reads requests with as little work as it can and answers from memory.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EVENTS = 500
_DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":" word"}}\n\n'
)
_START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
    b'"role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
)
_STOP = (
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":9}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)
_WHOLE = b'{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"text","text":"hello"}]}'


# The backend


def backend() -> None:
    """Serve until killed. Prints its port, then a line for each peer that hung up: the monotonic time."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(peer,), daemon=True).start()


def _serve(peer: socket.socket) -> None:
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            if not (data := peer.recv(1 << 20)):
                return
            buffer += data
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        parts, have = [buffer], len(buffer)
        while have < size:
            parts.append(peer.recv(1 << 20))
            have += len(parts[-1])
        body = b"".join(parts)
        body, buffer = body[:size], body[size:]
        mode = next(
            (mode for mode in (b"burst", b"paced", b"silent", b"flood") if b'"' + mode + b'"' in body[:200]), b""
        )
        try:
            _answer(peer, mode)
        except OSError:
            print(time.monotonic(), flush=True)
            return


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _answer(peer: socket.socket, mode: bytes) -> None:
    if not mode:
        peer.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (len(_WHOLE), _WHOLE)
        )
        return
    peer.sendall(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        + _chunk(_START)
    )
    if mode == b"silent":
        peer.recv(1)
        raise ConnectionResetError
    if mode == b"flood":
        piece = _chunk(_DELTA * 100)
        for _ in range(6000):
            peer.sendall(piece)
    elif mode == b"burst":
        peer.sendall(_chunk(_DELTA) * EVENTS)
    else:
        for _ in range(EVENTS):
            peer.sendall(_chunk(_DELTA))
            time.sleep(0.002)
    peer.sendall(_chunk(_STOP) + b"0\r\n\r\n")


# The client and the figures


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


def memory(pid: int) -> float:
    """Resident megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def started(arguments: list[str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, **more)
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


def figures() -> dict[str, Any]:
    here = str(Path(__file__).resolve())
    with tempfile.TemporaryDirectory() as home, started([here, "backend"]) as upstream:
        port = int(_line(upstream))
        config = Path(home, "config.toml")
        config.write_text(
            f'[providers.anthropic]\nbase_url = "http://127.0.0.1:{port}"\napi_key = "sk-benchmark"\n'
            '[aliases]\nbig = "anthropic:claude-opus-5-5"\n'
        )
        arguments = ["-m", "ccrouter", "serve", "--port", "0", "--print-env=json", "--config", str(config)]
        quiet: dict[str, Any] = {"stderr": subprocess.DEVNULL, "env": {**os.environ, "HOME": home}}
        starts = []
        for _ in range(5):
            before = time.monotonic()
            with started(arguments, **quiet) as child:
                _line(child)
                starts.append((time.monotonic() - before) * 1000)
        with started(arguments, **quiet) as child:
            told = json.loads(_line(child))
            headers = f"x-ccrouter-token: {told['env']['ANTHROPIC_AUTH_TOKEN']}\r\n".encode()
            return {
                "start_ms": round(statistics.median(starts)),
                **_costs(Target(port), Target(told["port"], headers), upstream.pid, child.pid),
                **_hang_up(Target(told["port"], headers), upstream),
                **_memories(Target(told["port"], headers), child.pid),
            }


def _costs(direct: Target, routed: Target, upstream: int, router: int) -> dict[str, Any]:
    whole, chunked = _WHOLE[-20:], b"0\r\n\r\n"
    result: dict[str, Any] = {}
    rows: list[tuple[str, int, bytes, bytes, int]] = [
        ("request_50kb", 600, body("whole", 50_000), whole, 1),
        ("request_50kb_renamed", 600, body("whole", 50_000, "big"), whole, 1),
        ("request_1mb", 100, body("whole", 1_000_000), whole, 1),
        ("stream_burst", 100, body("burst", 50_000), chunked, EVENTS),
        ("stream_paced", 3, body("paced", 50_000), chunked, EVENTS),
    ]
    for name, count, requests, end, events in rows:
        warm = 1 if name == "stream_paced" else 20
        alone = measure(direct, [upstream, os.getpid()], count, requests, end, warm)
        added = measure(routed, [router], count, requests, end, warm)
        result[name] = {
            "router_ms": round(added * 1e3, 3),
            "direct_ms": round(alone * 1e3, 3),
            "ratio": round(added / alone, 2),
        }
        if events > 1:
            base = result["request_50kb"]["router_ms"] / 1e3
            result[name]["router_us_an_event"] = round((added - base) / events * 1e6, 1)
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

    idle = memory(router)
    streams = held(100, "silent", 0.2)
    stalled = held(10, "flood", 2.0)
    return {
        "memory_mb": {
            "idle": round(idle, 1),
            "with_100_open_streams": round(streams, 1),
            "with_10_clients_that_do_not_read_70_mb_each": round(stalled, 1),
        }
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="dist-scripts/bench", description="What the router costs.")
    parser.add_argument("--json", action="store_true", help="the figures for a machine to read")
    parser.add_argument("role", nargs="?", choices=["backend"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role == "backend":
        backend()
    result = figures()
    if args.json:
        print(json.dumps(result))
        return 0
    for name, value in result.items():
        print(
            f"{name:24}",
            *([f"{key} {each}" for key, each in value.items()] if isinstance(value, dict) else [value]),
            sep="  ",
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
