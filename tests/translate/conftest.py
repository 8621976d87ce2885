"""``pytest tests/translate --update-cases`` rewrites what golden cases expect; the diff is the review."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-cases", action="store_true", help="rewrite what the golden cases expect")


@pytest.fixture
def update_cases(request: pytest.FixtureRequest) -> bool:
    """Whether to write instead of compare. In a run of all tests this file is found too late for its option."""
    return bool(request.config.getoption("--update-cases", default=False))
