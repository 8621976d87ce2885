"""``ccrouter ask``: one prompt to one model, streamed to standard output.

A router of its own, on a free port, serves just this question: the same way that Claude Code's requests go,
without a running router to find or a token to know.
"""

from __future__ import annotations

import argparse
import errno
import json
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ccrouter.cli import interrupt, own_router
from ccrouter.cli.terminal import emit, say
from ccrouter.errors import UsageError
from ccrouter.observe.log import printable
from ccrouter.wire.envelope import message_in
from ccrouter.wire.headers import TOKEN

_Write = Callable[[str], None]

if TYPE_CHECKING:  # what serves takes long to import
    from ccrouter.service import Running

#: Anthropic's name where the user gives none: an alias or the directory decides what it means.
DEFAULT_MODEL = "sonnet"

_MAX_TOKENS = 8192

#: Why an answer ended that is none, or not whole, by its stop reason.
_NOT_WHOLE = {
    "max_tokens": f"the answer was cut off: it may have {_MAX_TOKENS} tokens at most, thinking included",
    "model_context_window_exceeded": "the answer was cut off: the model's context window is full",
    "refusal": "the model refused to answer",
}

_EXAMPLE = """\
examples:
  ccrouter ask "why is the sky blue?"
  ccrouter ask -m ollama:qwen3:8b "explain this error" < build.log
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare ``ask``."""
    parser = subparsers.add_parser(
        "ask",
        description="Send one prompt to one model and stream the answer to standard output. "
        "What stands on standard input is sent along, when it is no terminal.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-m", "--model", metavar="MODEL", help=f"a model's name or an alias; default: {DEFAULT_MODEL}"
    )
    parser.add_argument("--thinking", action="store_true", help="show the model's thinking too, on standard error")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration to use")
    parser.add_argument(
        "prompt", nargs="*", metavar="PROMPT", help="the question; without one, standard input is it"
    )


def run(args: argparse.Namespace) -> int:
    """Ask. Raises UsageError when there is no question, and what `ccrouter.service.serve` raises."""
    prompt = _prompt(args.prompt)
    question = Question(prompt=prompt, model=args.model or DEFAULT_MODEL, thinking=args.thinking)
    return interrupt.run(partial(_ask, question, args.config))


@frozen(kw_only=True)
class Question:
    """What is asked, of whom, and whether the model's thinking is shown."""

    prompt: str
    model: str
    thinking: bool

    def body(self) -> dict[str, Any]:
        """The Messages request."""
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": _MAX_TOKENS,
            "stream": True,
            "messages": [{"role": "user", "content": self.prompt}],
        }
        if self.thinking:
            body["thinking"] = {"type": "adaptive"}
        return body


def _prompt(words: list[str]) -> str:
    # A stray byte in a line of a log is no reason not to ask about it.
    prompt = _whole(" ".join(words))
    prompt = "\n\n".join(part for part in (prompt, _piped()) if part)
    if not prompt.strip():
        raise UsageError('nothing to ask: give a prompt, as in ccrouter ask "why is the sky blue?"')
    return prompt


def _piped() -> str:
    """What stands on standard input, when it is no terminal. ``nohup`` gives one that cannot be read."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    try:
        return sys.stdin.buffer.read().decode("utf-8", "replace").strip()
    except OSError as error:
        if error.errno == errno.EBADF:
            return ""
        raise UsageError(f"standard input: cannot be read: {error.strerror or error}") from None


async def _ask(question: Question, config: Path | None) -> int:
    """The exit code."""
    import trio  # what serves takes long to import

    from ccrouter.providers.presets import PRESETS
    from ccrouter.routing.remarks import odd
    from ccrouter.server.stop import cancel_when

    code = interrupt.INTERRUPTED
    async with own_router.serving(config) as running:
        if (doubt := odd(question.model, running.config, PRESETS)) is not None:
            say(f"warning: {doubt}")
        with trio.open_signal_receiver(signal.SIGINT) as interrupts:
            async with trio.open_nursery() as asking:
                asking.start_soon(cancel_when, interrupts.__anext__, asking.cancel_scope)
                code = await _stream(running, question)
                asking.cancel_scope.cancel()
    return code


async def _stream(running: Running, question: Question) -> int:
    """Print the answer as it comes; the exit code."""
    import httpx

    from ccrouter.wire.sse import Decoder

    headers = {TOKEN.decode(): running.token, "anthropic-version": "2023-06-01"}
    url = f"{running.url}/v1/messages"
    decoder = Decoder()
    printer = Printer(thinking=question.thinking)
    try:
        async with (
            # The router keeps the deadlines. Its port is never behind a proxy.
            httpx.AsyncClient(timeout=httpx.Timeout(None), trust_env=False) as client,
            client.stream("POST", url, headers=headers, json=question.body()) as response,
        ):
            if response.status_code != 200:
                printer.problem = message_in(await response.aread())
            else:
                async for chunk in response.aiter_raw():
                    for frame in decoder.feed(chunk):
                        printer.feed(json.loads(frame.data or b"{}"))
    except httpx.HTTPError as error:
        printer.problem = f"the answer was cut short: {error}"
    printer.end_line()
    if printer.problem is None and not printer.answered:
        printer.problem = "the model gave no answer"
    if printer.problem is None:
        return 0
    print(f"ccrouter: {printable(printer.problem)}", file=sys.stderr)
    return 1


class Printer:
    """Prints an answer as it comes: text on standard output, thinking and remarks on standard error."""

    def __init__(self, *, thinking: bool) -> None:
        self._thinking = thinking
        self._line: _Write | None = None
        self._half = ""
        self.answered = False
        """Whether anything went to standard output."""
        self.problem: str | None = None
        """Why what was printed is not a whole answer."""

    def feed(self, event: dict[str, Any]) -> None:
        """Show what an event adds; an ``error`` event, or an end that is none, is kept as ``problem``."""
        match event:
            case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": str(text)}} if text:
                self.answered = True
                self._print(text, emit)
            case {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": str(text)}}:
                if self._thinking:
                    self._print(text, _aside)
            case {"type": "content_block_start", "content_block": {"type": "tool_use", "name": str(name)}}:
                self._print(f"[the model asks for the tool {printable(name)}; `ask` has none]", _aside)
            case {"type": "content_block_stop"}:
                self.end_line()
            case {"type": "message_delta", "delta": {"stop_reason": str(reason)}}:
                self.problem = _NOT_WHOLE.get(reason)
            case {"type": "error", "error": {"message": str(message)}}:
                self.problem = message
            case _:
                pass

    def end_line(self) -> None:
        """End the line that is being written, if any."""
        if self._line is not None:
            write, self._line = self._line, None
            write(_whole(self._half) + "\n")
            self._half = ""

    def _print(self, text: str, write: _Write) -> None:
        """Some backends cut a character of two UTF-16 halves in the middle: the first half waits for the other."""
        text = self._half + text
        self._half = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        write(_whole(text.removesuffix(self._half)))
        self._line = write


def _whole(text: str) -> str:
    """``text`` with halves put together; one without its other becomes a replacement character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _aside(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)
