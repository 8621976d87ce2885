"""Set-up that all tests share: what a skip means, how hypothesis searches, a clock that jumps, ``--update-cases``.

``pytest tests/translate tests/matrix --update-cases`` rewrites what golden cases and the matrix expect; the diff is
the review.
"""

from __future__ import annotations

import functools
import math
import os
import signal
import sys

import hypothesis
import pytest
import trio
from trio.testing import MockClock

pytest_plugins = ["pytester"]

# The same examples each time, for everybody, however busy the machine. To search further:
# `dist-scripts/test --hypothesis-profile explore tests/wire`
hypothesis.settings.register_profile("house", derandomize=True, deadline=None, print_blob=True, max_examples=40)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True, max_examples=5000)
# The same on a further Python: what differs there shows in few examples.
hypothesis.settings.register_profile("brief", derandomize=True, deadline=None, print_blob=True, max_examples=15)
hypothesis.settings.load_profile("house")

#: On tests that `only_on` skipped: they have no meaning here, so nothing is missing.
MEANINGLESS_HERE = pytest.StashKey[bool]()


def pytest_addoption(parser):
    parser.addoption("--update-cases", action="store_true", help="rewrite what golden cases and the matrix expect")


def pytest_configure():
    """Started by a script in its background, we are deaf to Ctrl-C; what tests start would be, too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def update_cases(request):
    """Whether to write instead of compare."""
    return bool(request.config.getoption("--update-cases"))


@pytest.fixture
def autojump_clock(monkeypatch):
    """A clock that jumps to the next deadline when nobody has anything to do; a thread at work has.

    pytest-trio's own jumps while it works: how many seconds a test saw pass then depended on how busy the machine was.
    """
    clock = MockClock(autojump_threshold=0)
    genuine = trio.to_thread.run_sync
    at_work = 0

    @functools.wraps(genuine)
    async def run_sync(*args, **kwargs):
        nonlocal at_work
        at_work += 1
        clock.autojump_threshold = math.inf
        try:
            return await genuine(*args, **kwargs)
        finally:
            at_work -= 1
            if not at_work:
                clock.autojump_threshold = 0

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)
    return clock


def nothing_may_be_skipped():
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.get_closest_marker("executable") and not os.environ.get("CCROUTER_TEST_COMMAND"):
        item.stash[MEANINGLESS_HERE] = True
        pytest.skip("about the executable: CCROUTER_TEST_COMMAND=build/out/ccrouter, after dist-scripts/build")
    for mark in item.iter_markers("only_on"):
        if sys.platform not in mark.args:
            item.stash[MEANINGLESS_HERE] = True
            pytest.skip(f"only on {', '.join(mark.args)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    expected = hasattr(report, "wasxfail") or item.stash.get(MEANINGLESS_HERE, False)
    return report if expected else _held_against_ci(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return _held_against_ci((yield))


def _held_against_ci(report):
    """In CI a skip is a failure: what a test needs is to be there."""
    if report.skipped and nothing_may_be_skipped():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason}\nIn CI nothing may be skipped, but by the marker only_on: {report.nodeid}"
    return report
