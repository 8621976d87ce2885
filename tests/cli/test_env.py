"""``ccrouter env``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccrouter.cli import runtime
from ccrouter.cli.env import chosen
from ccrouter.cli.main import main
from ccrouter.errors import CcrouterError
from tests.cli.test_runtime import record


def test_the_router_on_the_default_port_is_preferred() -> None:
    assert chosen([record(9), record(11436)], None).port == 11436
    assert chosen([record(9), record(11436)], 9).port == 9
    assert chosen([record(9)], None).port == 9


def test_several_others_are_a_question() -> None:
    with pytest.raises(CcrouterError, match="ports 8, 9; choose with --port"):
        chosen([record(8), record(9)], None)


def test_a_port_where_none_runs_is_an_error_that_says_where_one_does() -> None:
    with pytest.raises(CcrouterError, match="port 7; there is one on 8, 9"):
        chosen([record(8), record(9)], 7)


def test_it_prints_the_variables_of_the_running_router(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert main(["env"]) == 1
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert b"no router of yours is running" in err
    with runtime.announced(record(9), {"XDG_RUNTIME_DIR": str(tmp_path)}):
        assert main(["env", "--format", "json"]) == 0
    line = json.loads(capfdbinary.readouterr().out)
    assert line["port"] == 9
    assert line["env"]["ANTHROPIC_AUTH_TOKEN"] == "ccr-secret"
