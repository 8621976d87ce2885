"""``ccrouter explain``: which rule chose which target for a request, and what was changed on the way."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ccrouter.cli import joined
from ccrouter.errors import UsageError

_EXAMPLE = """\
examples:
  ccrouter explain                     the last request of the running router
  ccrouter explain --last 5            the last five, the newest first
  ccrouter explain request.json        what would happen to this one, without sending it

A saved request is the JSON body of POST /v1/messages. With the client's headers, it is
{"headers": {"x-claude-code-request-class": "subagent"}, "body": {…}}.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare ``explain``."""
    parser = subparsers.add_parser(
        "explain",
        description="Tell which rule chose which target for a request, how each try went, and what was changed.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="a saved request, or - for standard input")
    parser.add_argument("--last", type=int, metavar="N", help="how many of the last requests (default: 1)")
    parser.add_argument("--port", type=int, metavar="N", help="of the router on this port")
    parser.add_argument("--config", type=Path, metavar="FILE", help="with FILE: by this configuration")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Explain."""
    import trio  # see `joined.ask`

    if args.file is not None and args.last is not None:
        raise UsageError("either FILE or --last, not both; see ccrouter explain --help")
    if args.last is not None and args.last < 1:
        raise UsageError("--last wants a number of requests, 1 or more")
    if args.file is None:
        if args.config is not None:
            raise UsageError("--config goes with FILE; the running router has its own configuration")
        told = trio.run(partial(joined.ask, f"/explain?last={args.last or 1}", port=args.port))["requests"]
        if not told and not args.json:
            print("The router has had no request yet.", file=sys.stderr)
        words = ["\n".join(happened(each)) for each in told]
    else:
        headers, body = _saved(args.file)
        ask = partial(
            joined.ask, "/explain", port=args.port, body=body, headers=headers, config=args.config, own=True
        )
        told = trio.run(ask)
        words = ["\n".join(would_happen(told))]
    print(json.dumps(told, indent=2, ensure_ascii=False) if args.json else "\n\n".join(words))
    return 0


def _saved(name: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of a saved request."""
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror or error}") from None
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UsageError(f"{name}: is no saved request: it must be one JSON object")
    if "messages" in value or not isinstance(value.get("body"), dict):
        return {}, content
    given = value.get("headers") or {}
    if not isinstance(given, dict) or not all(isinstance(each, str) and each.isascii() for each in given.values()):
        raise UsageError(f"{name}: headers must be an object of strings, in ASCII")
    kept = {
        key.lower(): each for key, each in given.items() if key.lower().startswith(("x-claude-", "anthropic-"))
    }
    return kept, json.dumps(value["body"]).encode()


# ------------------------------------------------------------------------------------------ in words


def happened(told: Mapping[str, Any]) -> Iterator[str]:
    """A request of the past, in lines."""
    when = datetime.fromtimestamp(told["at"]).astimezone().strftime("%H:%M:%S")
    yield f"{when}  {told['model']} -> {_last_target(told)}  {told['result']} in {told['seconds']:.2f} s"
    yield f"  request    {told['request_id']}"
    yield from _about(told)
    if told["candidates"]:
        yield f"  candidates {', '.join(told['candidates'])}"
    for each in told["passed_over"]:
        yield f"  passed     {each['target']}: {each['why']}"
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
    for number, each in enumerate(told["candidates"], 1):
        known = [f"spoken to by {each['wire']}"]
        if each["window"] is not None:
            known.append(f"window {each['window']}")
        known += [words for key, words in _CAN if each[key] is False]
        yield f"  {number}. {each['target']}: {', '.join(known)}"
        if each["rests"] is not None:
            yield f"       rests for {each['rests']['seconds']} s after failures ({each['rests']['why']})"
        if each["plan_used"] is not None:
            yield f"       {each['plan_used']} % of its plan are used up"
        for key, word in (("budget", "no budget left"), ("refused", "would be refused")):
            if each[key] is not None:
                yield f"       {word}: {each[key]}"
        yield from (f"       changed: {change}" for change in each["changes"])


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
    share = f" ({round(100 * read / prompt)} % from the cache)" if prompt else ""
    return f"{prompt} in{share}, {usage.get('output_tokens', 0)} out"


def _money(dollars: float | None) -> str:
    return "" if dollars is None else f", ${dollars:.4f}"
