"""What every router of these tests is spared."""

from __future__ import annotations

import pytest
from attrs import evolve

import ccrouter.router
from ccrouter.providers.presets import PRESETS
from tests.service.router import NOWHERE


@pytest.fixture(autouse=True)
def no_local_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens to run on this machine's default ports is not part of a test."""
    presets = {name: evolve(row, base_url=NOWHERE) if row.probe else row for name, row in PRESETS.items()}
    monkeypatch.setattr(ccrouter.router, "PRESETS", presets)
