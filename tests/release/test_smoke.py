"""dist-scripts/smoke passes a release that works and says what one that doesn't fails at."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.release.scripts import ROOT, SCRIPTS, module

pytestmark = [pytest.mark.e2e, pytest.mark.only_on("linux", "darwin")]

package = module("_package")

REAL = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from ccrouter.cli.main import main
sys.exit(main())
"""

#: A router in a few lines, to be broken. The machine has another default, which would get a bare `demo`.
SMALL = """
import http.server, json, os, signal, sys, threading

class Router(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert body["model"] == "demo:demo"
        self.send_response(200)
        self.end_headers()
        for name in ("message_start", "content_block_delta", "message_stop"):
            self.wfile.write(f"event: {name}\\ndata: {{}}\\n\\n".encode())
    def log_message(self, *args):
        pass

def wait():
    sys.stdin.buffer.read()
    os._exit(0)

if sys.argv[1] == "--version":
    print("ccrouter VERSION")
elif sys.argv[1] == "ask":
    assert "demo:demo" in sys.argv
    print("You said: good morning")
else:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.Thread(target=wait, daemon=True).start()
    server = http.server.HTTPServer(("127.0.0.1", 0), Router)
    url = f"http://127.0.0.1:{server.server_port}"
    print(json.dumps({"url": url, "env": {"ANTHROPIC_AUTH_TOKEN": "t"}}), flush=True)
    server.serve_forever()
"""


def smoke(tmp_path: Path, code: str, version: str) -> subprocess.CompletedProcess[str]:
    """What it says of a release whose program is ``code``."""
    source, program = tmp_path / "source.py", tmp_path / "program"
    source.write_text(code.replace("VERSION", version))
    program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, str(source)])} "$@"\n')
    made = tmp_path / "made"
    made.mkdir()
    members = [package.Member("ccrouter", program, program=True)]
    package.write(made, f"ccrouter-{version}-{package.system()}", members, 0, as_zip=False)
    return subprocess.run(
        [sys.executable, SCRIPTS / "smoke", made], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_program_that_works_passes(tmp_path: Path) -> None:
    done = smoke(tmp_path, REAL, package.version(ROOT))
    assert (done.returncode, done.stderr) == (0, "")
    assert "says its version, answers, streams, stops" in done.stdout


def test_so_does_a_small_one(tmp_path: Path) -> None:
    done = smoke(tmp_path, SMALL, "1.2.3")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ccrouter VERSION", "ccrouter 9.9.9", "of its version"),
        ("You said: good morning", "", "did not answer"),
        ('print("You said: good morning")', "sys.exit('a secret reason')", "a secret reason"),
        ("else:\n", "else:\n    sys.exit('no port')\n", "did not serve: no port"),
        (', "message_stop")', ")", "streamed ['message_start'"),
        ("os._exit(0)\n\nif", "os._exit(3)\n\nif", "exit code 3"),
        ("lambda *_: os._exit(0)", "lambda *_: os._exit(4)", "exit code 4"),
        ("flush=True)", "flush=True); print('more', flush=True)", "said 'more' on standard output"),
    ],
)
def test_what_does_not_work_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in SMALL
    done = smoke(tmp_path, SMALL.replace(old, new), "1.2.3")
    assert done.returncode == 1, done.stdout
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_release_for_other_systems_only_is_told(tmp_path: Path) -> None:
    (tmp_path / "ccrouter-1.2.3-windows-x64.zip").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, SCRIPTS / "smoke", tmp_path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "holds no archive for" in done.stderr
