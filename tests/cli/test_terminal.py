"""What a command says."""

from __future__ import annotations

import io
import os
import sys

import pytest

from ccrouter.cli import terminal


def stream(fd: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(fd, "w"), write_through=True)


def test_a_line_is_one_line_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    terminal.say("héllo \udc80")
    assert capfd.readouterr() == ("", "héllo \\udc80\n")


def test_nobody_reading_standard_error_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with stream(writer) as full:
        monkeypatch.setattr(sys, "stderr", full)
        for _ in range(5000):  # several times what a pipe holds
            terminal.say("x" * 100)
    with io.FileIO(reader) as unread:
        lines = unread.readall().splitlines()
    assert set(lines) == {b"x" * 100}, "lines are whole or lost"


def test_a_standard_error_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with stream(writer) as gone:
        monkeypatch.setattr(sys, "stderr", gone)
        terminal.say("x")
    terminal.say("closed")
    monkeypatch.setattr(sys, "stderr", None)
    terminal.say("none")


def test_results_go_out_as_the_bytes_that_they_are(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    terminal.emit("é\n\udcff\n")
    assert capfdbinary.readouterr().out == b"\xc3\xa9\n\xff\n"
