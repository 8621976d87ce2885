"""The private folder of running routers."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from attrs import evolve

from ccrouter.cli import runtime
from ccrouter.cli.runtime import Record
from ccrouter.errors import CcrouterError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


@pytest.fixture(scope="module")
def dead() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def record(port: int, pid: int | None = None) -> Record:
    return Record(
        url=f"http://127.0.0.1:{port}", port=port, pid=pid or os.getpid(), token="ccr-secret", version="1"
    )


def test_a_router_is_found_while_it_runs_and_not_after(environ: dict[str, str]) -> None:
    with runtime.announced(record(9), environ), runtime.announced(record(8), environ):
        assert runtime.running(environ) == [record(8), record(9)]
    assert runtime.running(environ) == []


def test_the_folder_goes_with_the_last_file_in_it(environ: dict[str, str], tmp_path: Path) -> None:
    with runtime.announced(record(9), environ):
        with runtime.private_file("settings", "{}", environ):
            pass
        assert [path.name for path in (tmp_path / "ccrouter").iterdir()] == ["9.json"]
    assert list(tmp_path.iterdir()) == []
    assert runtime.running(environ) == []
    assert list(tmp_path.iterdir()) == [], "who only looks makes none"


def test_a_folder_that_another_removes_as_its_last_is_made_again(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = runtime.folder
    times: list[Path] = []

    def removed_at_once(environ: dict[str, str]) -> Path:
        path = made(environ)
        if not times:
            path.rmdir()
        times.append(path)
        return path

    monkeypatch.setattr(runtime, "folder", removed_at_once)
    with runtime.announced(record(9), environ):
        assert runtime.running(environ) == [record(9)]
    assert len(times) == 2


def test_without_a_folder_for_temporary_files_no_router_is_found_and_none_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    assert runtime.running({}) == []
    with pytest.raises(CcrouterError, match="set XDG_RUNTIME_DIR"):
        runtime.folder({})


def test_a_runtime_directory_that_is_not_absolute_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)
    assert runtime.folder({"XDG_RUNTIME_DIR": "."}).parent == tmp_path / "tmp"


def test_only_its_owner_can_read_the_token(environ: dict[str, str], tmp_path: Path) -> None:
    with runtime.announced(record(9), environ):
        folder = tmp_path / "ccrouter"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600]
    assert "ccr-secret" not in repr(record(9))


def test_what_a_killed_router_left_is_ignored_and_removed(
    environ: dict[str, str], tmp_path: Path, dead: int
) -> None:
    folder = runtime.folder(environ)
    left = folder / "9.json"
    left.write_text(json.dumps({"url": "u", "port": 9, "pid": dead, "token": "t", "version": "1"}))
    settings = folder / f"settings-{dead}.json"
    settings.write_text("{}")
    living = folder / f"settings-{os.getpid()}.json"
    living.write_text("{}")
    assert runtime.running(environ) == []
    assert list(folder.iterdir()) == [living]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"url": 1, "port": "x", "pid": 1, "token": 1, "version": 1}'])
def test_a_broken_record_is_ignored(environ: dict[str, str], text: str) -> None:
    (runtime.folder(environ) / "9.json").write_text(text)
    assert runtime.running(environ) == []


def test_the_next_router_on_a_port_keeps_its_record_when_the_last_one_ends(environ: dict[str, str]) -> None:
    last = runtime.announced(record(9), environ)
    last.__enter__()
    with runtime.announced(record(9), environ):
        last.__exit__(None, None, None)
        assert runtime.running(environ) == [record(9)]


def test_a_record_never_follows_a_link(environ: dict[str, str], tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (runtime.folder(environ) / "9.json").symlink_to(victim)
    with runtime.announced(record(9), environ):
        assert victim.read_text() == "precious"


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_folder_that_others_can_open_is_refused(mode: int, environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "ccrouter").mkdir()
    (tmp_path / "ccrouter").chmod(mode)
    with pytest.raises(CcrouterError, match="only you can open"):
        runtime.folder(environ)


def test_a_link_in_place_of_the_folder_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "ccrouter").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CcrouterError, match="only you can open"):
        runtime.folder(environ)


def test_without_a_runtime_directory_the_folder_is_named_for_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = runtime.folder({"XDG_RUNTIME_DIR": str(tmp_path / "missing")})
    assert folder == tmp_path / f"ccrouter-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_alive_tells_the_living_from_the_dead(dead: int) -> None:
    assert runtime.alive(os.getpid())
    assert runtime.alive(1)
    assert not runtime.alive(dead)


HEALTHY = b'HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{"status": "ok"}'


@pytest.mark.parametrize(
    ("reply", "there"),
    [
        (HEALTHY, True),
        (None, True),  # busy, or stopped by Ctrl-Z
        (HEALTHY.replace(b"ok", b"up"), False),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", False),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False),
        (b"", False),
    ],
    ids=["a router", "silence", "something like it", "another server", "no HTTP", "the end"],
)
def test_what_is_at_the_address_decides_whether_a_router_can_be_asked(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, reply: bytes | None, there: bool
) -> None:
    monkeypatch.setattr(runtime, "_SILENT", 0.2 if reply is None else 10)
    with socket.create_server(("127.0.0.1", 0)) as server, runtime.announced(record(9), environ):
        known = record(server.getsockname()[1])
        with runtime.announced(known, environ):  # at 9 nobody is
            done = threading.Event()

            def serve() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    if reply is None:
                        done.wait()
                    else:
                        connection.sendall(reply)

            thread = threading.Thread(target=serve)
            thread.start()
            assert runtime.answering(environ) == ([known] if there else [])
            done.set()
            thread.join()


def test_what_a_router_is_for_and_since_when_is_found_with_it(environ: dict[str, str]) -> None:
    own = evolve(record(9), purpose="run", started=1234.5)
    with runtime.announced(own, environ):
        assert runtime.running(environ) == [own]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, ("serve", 0.0)),  # a router of an older version
        ({"purpose": "run", "started": 5}, ("run", 5.0)),
        ({"started": "x"}, None),
        ({"started": None}, None),
    ],
)
def test_a_record_of_another_version_is_read_as_far_as_it_goes(
    environ: dict[str, str], more: dict[str, object], found: tuple[str, float] | None
) -> None:
    value = {"url": "u", "port": 9, "pid": os.getpid(), "token": "t", "version": "1"} | more
    (runtime.folder(environ) / "9.json").write_text(json.dumps(value))
    assert [(each.purpose, each.started) for each in runtime.running(environ)] == ([found] if found else [])
