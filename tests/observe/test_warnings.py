"""A warning is said once, as long as it is met."""

from __future__ import annotations

from ccrouter.observe.warnings import Warnings


def test_a_warning_is_said_once_and_on_one_line() -> None:
    lines: list[str] = []
    warn = Warnings(lines.append)
    for _ in range(3):
        warn("a\nb" + "x" * 2_000)
    assert lines == ["warning: a?b" + "x" * 997]


def test_one_that_is_met_again_and_again_stays_said_whatever_else_there_is() -> None:
    lines: list[str] = []
    warn = Warnings(lines.append)
    for number in range(1_000):
        warn("met with each request")
        warn(f"another, {number}")
    assert lines.count("warning: met with each request") == 1
    assert len(warn._said) <= 32
