from __future__ import annotations

import re

from ccrouter.observe.internal_error import described, leaves, line, message
from ccrouter.translate.tokens import estimate


def caught(run):
    try:
        run()
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError("nothing was raised")


def test_a_mistake_is_named_by_its_kind_and_its_innermost_place_in_the_package():
    error = caught(lambda: estimate(None))  # type: ignore[arg-type]
    said = described(error)
    assert re.fullmatch(r"AttributeError at ccrouter/translate/tokens\.py:\d+ in \w+", said)


def test_what_it_was_made_on_is_not_told():
    assert "secret" not in described(caught(lambda: int("secret")))


def test_an_error_that_was_never_raised_has_no_place():
    assert described(ValueError("x")) == "ValueError"


def test_groups_are_opened():
    inner = caught(lambda: estimate(None))  # type: ignore[arg-type]
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [inner]), ValueError()])
    assert list(leaves(group)) == [inner, group.exceptions[1]]
    assert described(group) == described(inner)


def test_client_and_log_are_told_the_same():
    assert line(ValueError("x")) == "a mistake in ccrouter itself: ValueError"
    assert message(ValueError("x")) == "ccrouter: a mistake in ccrouter itself: ValueError"
