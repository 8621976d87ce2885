"""``ccrouter ask`` as a user meets it: a process of its own, with pipes or files for its streams."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from ccrouter.cli.ask import Printer
from ccrouter.cli.main import main
from ccrouter.wire import events
from tests.backend import Reply, Seen, backend
from tests.cli.processes import CCROUTER, PATIENCE, sandbox


def ask(
    folder: Path,
    *arguments: str,
    piped: str = "",
    config: str = "[demo]\npace = 0\n",
    environ: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    file = folder / "config.toml"
    file.write_text(config)
    return subprocess.run(
        [*CCROUTER, "ask", "--config", str(file), *arguments],
        input=piped,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        env=sandbox(folder) | dict(environ or {}),
        check=False,
    )


def test_the_answer_goes_to_standard_output_and_nothing_else_does(tmp_path: Path) -> None:
    done = ask(tmp_path, "-m", "demo:demo", "good", "morning")
    assert done.returncode == 0
    assert done.stdout.startswith("You said: good morning\n")
    assert done.stdout.endswith("\n")
    assert done.stderr == ""


def test_what_is_piped_in_is_sent_along(tmp_path: Path) -> None:
    done = ask(tmp_path, "-m", "demo:demo", "explain", piped="line one\nline two\n")
    assert "line two" in done.stdout


@pytest.mark.parametrize(("model", "warnings"), [("dmeo:x", 0), ("openruter:x", 1), ("demo", 1), ("demo:x", 0)])
def test_a_model_that_is_probably_another_is_told(tmp_path: Path, model: str, warnings: int) -> None:
    done = ask(tmp_path, "-m", model, "hi", config='default = "demo"\n[demo]\npace = 0\n')
    assert done.stdout.startswith("You said: hi\n")
    assert done.stderr.count(f"warning: `{model}` names ") == done.stderr.count("\n") == warnings


def test_a_stray_byte_in_a_prompt_stops_no_question(tmp_path: Path) -> None:
    done = ask(tmp_path, "-m", "demo:demo", "what is caf\udce9?")
    assert done.stdout.startswith("You said: what is caf\ufffd?\n")


def test_without_a_question_it_says_how_to_ask(tmp_path: Path) -> None:
    done = ask(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "ccrouter ask" in done.stderr


class Broken(io.RawIOBase):
    """A disk that fails, or a terminal that has gone."""

    def readable(self) -> bool:
        return True

    def readinto(self, _: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_what_is_piped_in_and_cannot_be_read_is_not_left_out(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(Broken())))
    assert main(["ask", "hi"]) == 2
    assert capfd.readouterr() == ("", f"ccrouter: standard input: cannot be read: {os.strerror(errno.EIO)}\n")


def test_thinking_is_shown_on_standard_error_when_asked_for(tmp_path: Path) -> None:
    done = ask(tmp_path, "-m", "demo:demo", "--thinking", "hello")
    assert "think" in done.stderr
    assert "think" not in done.stdout


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("fail 429", "429"),
        ("fail cut", "broke the connection"),
        ("fail error", "Overloaded"),
    ],
)
def test_a_failure_is_one_line_and_exit_code_1(tmp_path: Path, prompt: str, words: str) -> None:
    done = ask(tmp_path, "-m", "demo:demo", prompt)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("ccrouter: ")
    assert words in line


def stream(stop_reason: str, *blocks: list[dict[str, Any]]) -> list[bytes]:
    """The frames of a message with these blocks, each given as its deltas."""
    told = [events.message_start("msg_1", "m", {"input_tokens": 3, "output_tokens": 1})]
    for index, deltas in enumerate(blocks):
        kind = deltas[0]["type"].removesuffix("_delta")
        told.append(events.block_start(index, {"type": kind, kind: ""}))
        told += [events.block_delta(index, delta) for delta in deltas]
        told.append(events.block_stop(index))
    told += [events.message_delta(stop_reason, {"output_tokens": 5}), events.message_stop()]
    return [events.encode(each) for each in told]


async def ask_of(folder: Path, frames: list[bytes], **environ: str) -> subprocess.CompletedProcess[str]:
    """What it says of a backend that answers with these frames."""

    async def answer(_: Seen, reply: Reply) -> None:
        await reply.whole(200, [(b"content-type", b"text/event-stream")], b"".join(frames))

    async with backend(answer) as it:
        config = f"[providers.w]\npreset = 'messages'\nbase_url = '{it.url}'\nmodels = ['m']\n"
        return await trio.to_thread.run_sync(
            lambda: ask(folder, "-m", "w:m", "--thinking", "hi", config=config, environ=environ)
        )


TEXT = {"type": "text_delta", "text": "It begins"}
THINKING = {"type": "thinking_delta", "thinking": "Hm"}


@pytest.mark.parametrize(
    ("stop_reason", "blocks", "words"),
    [
        ("end_turn", [TEXT], None),
        ("stop_sequence", [THINKING, TEXT], None),
        ("max_tokens", [TEXT], "cut off: it may have 8192 tokens"),
        ("max_tokens", [THINKING], "cut off: it may have 8192 tokens"),
        ("model_context_window_exceeded", [TEXT], "context window is full"),
        ("refusal", [], "the model refused to answer"),
        ("refusal", [TEXT], "the model refused to answer"),
        ("end_turn", [], "the model gave no answer"),
        ("end_turn", [THINKING], "the model gave no answer"),
    ],
)
async def test_what_is_no_whole_answer_is_a_failure(
    tmp_path: Path, stop_reason: str, blocks: list[dict[str, Any]], words: str | None
) -> None:
    done = await ask_of(tmp_path, stream(stop_reason, *([block] for block in blocks)))
    assert done.stdout == ("It begins\n" if TEXT in blocks else "")
    assert done.returncode == (0 if words is None else 1)
    assert words is None or words in done.stderr
    assert done.stderr.count("\n") == (THINKING in blocks) + (words is not None)


#: The deltas of a block, and what is to be read of them.
IN_PIECES = [
    ([r"smile \ud83d", r"\ude00 end"], "smile 😀 end"),
    ([r"\ud83d", "", r"\ude00"], "😀"),
    ([r"\ud83d\ude00 \u2192 é"], "😀 → é"),
    ([r"one \ude00", "two"], "one \ufffdtwo"),
    ([r"one \ud83d", "two"], "one \ufffdtwo"),
    ([r"the end \ud83d"], "the end \ufffd"),
]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
async def test_an_answer_is_utf_8_whatever_the_locale_has_and_however_it_comes(
    tmp_path: Path, encoding: str
) -> None:
    told = [
        [{"type": f"{kind}_delta", kind: json.loads(f'"{piece}"')} for piece in pieces]
        for kind in ("thinking", "text")
        for pieces, _ in IN_PIECES
    ]
    done = await ask_of(tmp_path, stream("end_turn", *told), PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    printed = "".join(f"{line}\n" for _, line in IN_PIECES)
    assert done.stdout == printed
    assert done.stderr == printed.encode(encoding, "backslashreplace").decode()


def test_a_backend_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = ask(
        tmp_path, "-m", "lmstudio:x", "hi", config='[providers.lmstudio]\nbase_url = "http://127.0.0.1:9"\n'
    )
    assert done.returncode == 1
    assert "lmstudio: cannot reach http://127.0.0.1:9" in done.stderr


def test_a_broken_configuration_is_told_by_line(tmp_path: Path) -> None:
    done = ask(tmp_path, "-m", "demo:demo", "hi", config="\n[server]\nprot = 1\n")
    assert done.returncode in {1, 2}
    assert "config.toml:3" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_tool_that_the_model_asks_for_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(thinking=False)
    events: list[dict[str, Any]] = [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": "t", "name": "Bash\x1b"},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "ping"},
        {"type": "error", "error": {"type": "api_error", "message": "over"}},
    ]
    for event in events:
        printer.feed(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Bash?" in captured.err
    assert printer.problem == "over"
