"""dist-scripts/try asks the demo model and no other, whatever the user who tries it has."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.processes import PATIENCE, sandbox
from tests.release.scripts import SCRIPTS

pytestmark = pytest.mark.only_on("linux", "darwin")

#: The script with this Python in place of the environment that it would make.
TRY = f"""
import runpy, sys
from pathlib import Path
sys.path.insert(0, {str(SCRIPTS)!r})
import _environment

def prepare(self):
    self.python = Path(sys.executable)
    return self

_environment.Environment.prepare = prepare
runpy.run_path({str(SCRIPTS / "try")!r}, run_name="__main__")
"""


class Recorder(http.server.BaseHTTPRequestHandler):
    """Refuses everything, and remembers that it was asked."""

    asked: list[str]

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.send_error(400)

    do_GET = do_POST  # noqa: N815  the names are http.server's


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A backend that nothing should come to: its address, and the paths that it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (Recorder,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "more",
    [
        "",
        "[[routes]]\nuse = 'claude-opus-5-5'",
        "[aliases]\ndemo = 'claude-opus-5-5'\n'demo:demo' = 'claude-opus-5-5'",
    ],
    ids=["another default", "a rule for everything", "an alias"],
)
def test_neither_configuration_nor_an_open_input_changes_what_is_tried(
    tmp_path: Path, elsewhere: tuple[str, list[str]], more: str
) -> None:
    url, asked = elsewhere
    file = tmp_path / "ccrouter" / "config.toml"
    file.parent.mkdir()
    file.write_text(f"{more}\n[providers.anthropic]\nbase_url = '{url}'\napi_key = 'k'\n")
    command = [sys.executable, "-c", TRY]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=sandbox(tmp_path), stdin=pipe, stdout=pipe, text=True) as tried:
        try:
            tried.wait(PATIENCE)  # and nobody closes its input
        finally:
            tried.kill()
        assert tried.stdout is not None
        assert tried.stdout.read().startswith("You said: Hello! What are you?\n")
    assert tried.returncode == 0
    assert asked == []
