"""Records what a real server answers; see dist-scripts/record."""

import argparse
import json
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ccrouter.providers.presets import PRESETS  # noqa: E402
from ccrouter.providers.provider import Provider, Target, Wire  # noqa: E402
from ccrouter.translate.dialects import DIALECTS  # noqa: E402
from tests.recorded.scenarios import FOLDER, SCENARIOS, request  # noqa: E402

WITHIN = 60.0
"""Seconds that a server has for one reply."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Record what a real server answers.")
    parser.add_argument("url", help="the base URL of the server, on this machine and without TLS")
    parser.add_argument("into", help="the folder below tests/recorded: PRESET-VERSION-DATE, or more behind it")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--only", action="append", choices=sorted(SCENARIOS), metavar="SCENARIO")
    parser.add_argument("--wire", action="append", choices=sorted(DIALECTS), metavar="WIRE")
    chosen = parser.parse_args()
    preset = PRESETS[chosen.into.split("-")[0]]
    target = Target(Provider(name=preset.name, preset=preset, base_url=chosen.url), chosen.model)
    folder = FOLDER / chosen.into
    folder.mkdir(parents=True, exist_ok=True)
    for wire in chosen.wire or [each for each in DIALECTS if preset.path(each)]:
        for scenario in chosen.only or SCENARIOS:
            for form in ("stream", "whole"):
                reply = ask(target, wire, scenario, streamed=form == "stream")
                (folder / f"{wire}.{scenario}.{form}.http").write_bytes(reply)
                print(f"{wire:10} {scenario:14} {form:7} {len(reply):6} bytes: {reply[9:12].decode()}")
    return 0


def ask(target: Target, wire: Wire, scenario: str, *, streamed: bool) -> bytes:
    """The reply to what ccrouter sends for a scenario, every byte of it."""
    asked = request(scenario, target.model, stream=streamed)
    headers = [(b"content-type", b"application/json"), (b"anthropic-version", b"2023-06-01")]
    outbound = DIALECTS[wire].render(asked, target, headers, "", "messages")
    fields = json.loads(outbound.body) | {"stream": streamed}
    if not streamed:
        fields.pop("stream_options", None)
    body = json.dumps(fields).encode()
    url = urlsplit(outbound.url)
    head = [
        f"POST {url.path} HTTP/1.1",
        f"host: {url.netloc}",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    head += [f"{name.decode()}: {value.decode()}" for name, value in outbound.headers]
    with socket.create_connection((url.hostname or "", url.port or 80), timeout=WITHIN) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
        return b"".join(iter(lambda: connection.recv(65536), b""))


if __name__ == "__main__":
    raise SystemExit(main())
