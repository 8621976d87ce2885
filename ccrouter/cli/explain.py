"""``ccrouter explain``: which rule chose which target for a request, and what was changed on the way."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ccrouter.cli import interrupt, joined
from ccrouter.cli.terminal import emit, say
from ccrouter.errors import UsageError
from ccrouter.observe.log import printable
from ccrouter.wire import headers as http
from ccrouter.wire.claude_code import CLASS_HEADER

#: No line is longer, in characters: a terminal has others to show.
_WIDEST = 2_000

#: No router remembers so many.
_MOST = 100_000

_HEADERS = f'{{"{CLASS_HEADER.decode()}": "subagent"}}'
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")

#: Headers of a saved request that speak of its own connection, or open doors; all others may decide its way.
_NOT_SENT = frozenset(
    name.decode()
    for name in http.CREDENTIALS
    | http.HOP_BY_HOP
    | {b"host", b"origin", b"content-length", b"content-encoding", b"accept-encoding", b"expect"}
)

_EXAMPLE = f"""\
examples:
  ccrouter explain                     the last request of the running router
  ccrouter explain --last 5            the last five, the newest first
  ccrouter explain request.json        what would happen to this one, without sending it

A saved request is the JSON body of POST /v1/messages. With the client's headers, it is
{{"headers": {_HEADERS}, "body": {{…}}}}.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare ``explain``."""
    parser = subparsers.add_parser(
        "explain",
        description="Tell which rule chose which target for a request, how each try went, and what was changed.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a saved request; -: standard input")
    parser.add_argument("--last", type=int, metavar="N", help="how many of the last requests (default: 1)")
    parser.add_argument("--port", type=int, metavar="N", help="ask the router on this port")
    parser.add_argument(
        "--config", type=Path, metavar="CONFIG", help="with FILE: by this configuration, whatever router runs"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Explain."""
    if args.file is not None and args.last is not None:
        raise UsageError("either FILE or --last, not both; see ccrouter explain --help")
    if args.last is not None and args.last < 1:
        raise UsageError("--last wants a number of requests, 1 or more")
    if args.file is None:
        if args.config is not None:
            raise UsageError("--config goes with FILE; the running router has its own configuration")
        last = min(args.last or 1, _MOST)
        told = interrupt.run(partial(joined.ask, f"/explain?last={last}", port=args.port))["requests"]
        if not told and not args.json:
            say("The router has had no request yet.")
            return 0
        requests = [happened(each) for each in told]
    else:
        if args.config is not None and args.port is not None:
            raise UsageError("either --config or --port: the running router has its own configuration")
        headers, body = _saved(args.file)
        ask = partial(
            joined.ask, "/explain", port=args.port, body=body, headers=headers, config=args.config, own=True
        )
        told = interrupt.run(ask)
        requests = [would_happen(told)]
    emit((json.dumps(told, indent=2) if args.json else "\n\n".join(map(_text, requests))) + "\n")
    return 0


def _saved(file: Path) -> tuple[dict[str, str], bytes]:
    """Headers and body of a saved request."""
    is_stdin = file == Path("-")
    if is_stdin and sys.stdin is None:
        raise UsageError("-: standard input is closed")
    try:
        content = sys.stdin.buffer.read() if is_stdin else file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UsageError(f"{file}: is no saved request: it must be one JSON object")
    bare = "messages" in value or not isinstance(value.get("body"), dict)
    body = value if bare else value["body"]
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise UsageError(f"{file}: is no saved request: it names no `model`")
    if bare:
        return {}, content
    given = value.get("headers") or {}
    if not isinstance(given, dict) or not all(map(_is_header, given.items())):
        raise UsageError(f"{file}: `headers` must be an object of strings, as in {_HEADERS}")
    kept = {key.lower(): each for key, each in given.items() if key.lower() not in _NOT_SENT}
    return kept, json.dumps(body).encode()


def _is_header(header: tuple[str, object]) -> bool:
    name, value = header
    return _NAME.fullmatch(name) is not None and isinstance(value, str) and _VALUE.fullmatch(value) is not None


# ------------------------------------------------------------------------------------------ in words


def _text(lines: Iterator[str]) -> str:
    """What stands in them comes from clients, backends and repositories, and goes to a terminal."""
    return "\n".join(printable(each, _WIDEST) for each in lines)


def happened(told: Mapping[str, Any]) -> Iterator[str]:
    """A request of the past, in lines."""
    when = datetime.fromtimestamp(told["at"]).astimezone().strftime("%H:%M:%S")
    yield f"{when}  {told['model']} -> {_last_target(told)}  {told['result']} in {told['seconds']:.2f} s"
    yield f"  request    {told['request_id']}"
    yield from _about(told)
    if told["candidates"]:
        yield f"  candidates {', '.join(map(_standing, told['candidates']))}"
    for each in told["passed_over"]:
        yield f"  skipped    {each['target']}: {each['why']}"
    for number, each in enumerate(told["tries"], 1):
        yield f"  try {number}      {_try(each)}"
    if told["failure"]:
        yield f"  failure    {told['failure']}"
    yield from _list("changed", told["changes"])
    yield from _list("note", told["notes"])
    if told["usage"]:
        yield f"  tokens     {_usage(told['usage'])}" + _money(told["dollars"])
    if told.get("prompt"):
        yield f"  prompt     {told['prompt']}"


def would_happen(told: Mapping[str, Any]) -> Iterator[str]:
    """A request that was not sent, in lines."""
    yield f"{told['model']}, about {told['tokens_estimated']} tokens"
    yield from _about(told)
    yield from _list("changed", told["changes"])
    if told.get("failure"):  # a router of an older version refuses the question
        yield f"  failure    {told['failure']}"
    if told["candidates"]:
        yield "  candidates in this order:"
    for number, each in enumerate(told["candidates"], 1):
        known = [WIRES_IN_WORDS.get(each["wire"], each["wire"])]
        if each["window"] is not None:
            known.append(f"window of {each['window']} tokens")
        known += [words for key, words in _CAN if each[key] is False]
        yield f"  {number}. {each['target']}: {', '.join(known)}"
        if each["rests"] is not None:
            rests = each["rests"]
            yield f"       left alone for {rests['seconds']} s more after failures ({rests['why']})"
        if each["plan_used"] is not None:
            yield f"       {each['plan_used']} % of its plan is used up"
        for key, word in (("budget", "no budget left"), ("refused", "would be refused")):
            if each[key] is not None:
                yield f"       {word}: {each[key]}"
        yield from (f"       changed: {change}" for change in each["changes"])


def _standing(each: Mapping[str, Any] | str) -> str:
    """A candidate with what was known of it; a router of an older version knows but its name."""
    if isinstance(each, str):
        return each
    words = [] if each["plan_used"] is None else [f"{each['plan_used']} % of its plan used up"]
    if each["rests"] is not None:
        words.append(f"left alone for {each['rests']['seconds']} s more after failures: {each['rests']['why']}")
    return f"{each['target']} ({'; '.join(words)})" if words else str(each["target"])


#: Of a router of another version there may be others.
WIRES_IN_WORDS = {
    "messages": "in Anthropic's format",
    "chat": "by Chat Completions",
    "responses": "by Responses",
    "ollama": "by Ollama's own API",
}
_CAN = (("vision", "sees no images"), ("tools", "calls no tools"))


def _about(told: Mapping[str, Any]) -> Iterator[str]:
    agent = f", agent {told['agent']}" if told["agent"] else ""
    task = f", {told['task']}" if told["task"] else ""
    yield f"  class      {told['class']}{task}{agent} ({told['class_because']})"
    if told["project"]:
        yield f"  project    {told['project']}"
    if told["profile"]:
        yield f"  profile    {told['profile']}"
    yield from _list("problem", told["problems"])
    for each in told["rules"]:
        yield f"  rule       {each['rule']}: {each['objection'] or 'fits'}"
    if told["because"]:
        yield f"  chosen by  {told['because']}: {', '.join(told['names'])}"
    if told["pinned"]:
        yield f"  session    stays with {told['pinned']}"


def _last_target(told: Mapping[str, Any]) -> str:
    return str(told["tries"][-1]["target"]) if told["tries"] else "nowhere"


def _try(each: Mapping[str, Any]) -> str:
    words = f"{each['target']}: {each['result']} after {each['seconds']:.2f} s"
    if "kind" in each:
        status = f" {each['status']}" if each["status"] else ""
        words += f" ({each['kind']}{status})" + (f": {each['failure']}" if each["failure"] else "")
    return words


def _list(name: str, rows: list[str]) -> Iterator[str]:
    for each in rows:
        yield f"  {name:10} {each}"


def _usage(usage: Mapping[str, int]) -> str:
    read, written = usage.get("cache_read_input_tokens", 0), usage.get("cache_creation_input_tokens", 0)
    prompt = usage.get("input_tokens", 0) + read + written
    share = f" ({round(100 * read / prompt)} % from the cache)" if prompt and read else ""
    return f"{prompt} in{share}, {usage.get('output_tokens', 0)} out"


def _money(dollars: float | None) -> str:
    return "" if dollars is None else f", ${dollars:.4f}"
