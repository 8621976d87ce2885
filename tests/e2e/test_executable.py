"""The one file: how it unpacks itself, what it needs of the system, and what is left of that in a process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import ccrouter
from tests.e2e import upstream
from tests.e2e.replies import Text
from tests.e2e.sandbox import Sandbox
from tests.e2e.stage import Client, staged
from tests.executable import folder_build, one_file, sparing
from tests.programs import write_program

pytestmark = [pytest.mark.e2e, pytest.mark.executable, pytest.mark.only_on("linux", "darwin")]

#: Seconds for anything to happen. Only a failing test waits so long.
PATIENCE = 60

#: The second line of whatever keeps it from starting.
WAY_OUT = "set XDG_CACHE_HOME to a folder where it can, or use the build that is a folder"


def started(*argv: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run with this environment and nothing else."""
    return subprocess.run(
        argv,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def version(home: Path, program: Path | None = None) -> None:
    """It starts in this home."""
    done = started(program or one_file(), "--version", HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"ccrouter {ccrouter.__version__}")
    assert done.stderr == ""


def cache(home: Path) -> Path:
    """The one folder that it has unpacked itself to."""
    [found] = (home / ".cache" / "ccrouter").iterdir()
    return found


def unpacked(home: Path) -> dict[str, tuple[int, int, int]]:
    """Its files: what changes when one is written."""
    folder = cache(home)
    found = {str(path.relative_to(folder)): path.lstat() for path in folder.rglob("*") if not path.is_dir()}
    return {name: (file.st_ino, file.st_size, file.st_mtime_ns) for name, file in found.items()}


def settled(home: Path) -> None:
    """All that is unpacked is whole: another start, which compares all of it, finds nothing to write."""
    before = unpacked(home)
    assert "ccrouter.bin" in before
    version(home)
    assert unpacked(home) == before


# ------------------------------------------------------------------------------------------- unpacking


def test_a_first_start_unpacks_for_its_user_alone_and_a_second_one_uses_that(tmp_path: Path) -> None:
    version(tmp_path)
    for path in (tmp_path / ".cache" / "ccrouter", cache(tmp_path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert cache(tmp_path).name.startswith(f"{ccrouter.__version__}-")
    settled(tmp_path)


def test_starts_at_once_share_one_unpacking(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    many = [
        subprocess.Popen([one_file(), "--version"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(8)
    ]
    said = {(process.communicate(timeout=PATIENCE)[0], process.returncode) for process in many}
    assert len(said) == 1
    [(line, code)] = said
    assert code == 0, line
    settled(tmp_path)


def test_damage_to_what_is_unpacked_is_mended(tmp_path: Path) -> None:
    version(tmp_path)
    folder = cache(tmp_path)
    for name in ("_ssl.so", "ccrouter.bin", "certifi/cacert.pem"):
        path = folder / name
        content = path.read_bytes()
        for damaged in (content[:-1], content[:1000] + b"?" + content[1001:], b"", None):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            version(tmp_path)
            assert path.read_bytes() == content
    settled(tmp_path)


def small_files(*argv: str | Path) -> list[str | Path]:
    """The command, able to write files of 2 MB and no larger."""
    return ["/bin/sh", "-c", 'ulimit -f 4096 && exec "$@"', "sh", *argv]


def test_a_start_that_was_killed_while_it_unpacked_is_made_good_by_the_next(tmp_path: Path) -> None:
    done = started(*small_files(one_file(), "--version"), HOME=str(tmp_path))
    assert done.returncode == -signal.SIGXFSZ
    assert (cache(tmp_path) / "ccrouter.bin").stat().st_size < 4_000_000
    version(tmp_path)
    settled(tmp_path)


def test_a_disk_without_room_is_told_in_two_lines(tmp_path: Path) -> None:
    done = subprocess.run(
        small_files(one_file(), "--version"),
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        restore_signals=False,  # the signal of the limit stays ignored: writing fails instead
    )
    refused(done, "couldn't unpack")
    version(tmp_path)
    settled(tmp_path)


def refused(done: subprocess.CompletedProcess[str], reason: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    why, way_out = done.stderr.splitlines()
    assert reason in why
    assert WAY_OUT in way_out


# ------------------------------------------------------------------------------------------- where it cannot


@pytest.fixture(scope="module")
def namespace() -> list[str]:
    """What a command is started with that may mount."""
    words = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no namespaces to mount in: run as root, or allow users theirs")
    return words


@pytest.mark.only_on("linux")
@pytest.mark.parametrize(("option", "reason"), [("ro", "failed to open"), ("noexec", "couldn't launch")])
def test_a_cache_that_is_read_only_or_runs_nothing_is_told_with_the_way_out(
    namespace: list[str], tmp_path: Path, option: str, reason: str
) -> None:
    mounted, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    mounted.mkdir()
    mount = 'mount -t tmpfs -o "$0" none "$1" && shift && exec "$@"'
    start: list[str | Path] = [*namespace, "sh", "-c", mount, option, mounted, one_file(), "--version"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = started(*start, **environ, XDG_CACHE_HOME=str(mounted))
    refused(done, reason)
    done = started(*start, **environ, XDG_CACHE_HOME=str(elsewhere))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("home", ["", "home"])
def test_a_home_that_is_no_absolute_path_is_not_unpacked_to(tmp_path: Path, home: str) -> None:
    (tmp_path / "home").mkdir()
    there = {"HOME": home, "XDG_CACHE_HOME": home}
    done = started("/bin/sh", "-c", 'cd "$0" && exec "$@"', tmp_path, one_file(), "--version", **there)
    refused(done, "neither XDG_CACHE_HOME nor HOME is set to an absolute path")
    assert not list((tmp_path / "home").iterdir())
    version_there = started(one_file(), "--version", HOME=home, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert version_there.returncode == 0, version_there.stderr


def test_spaces_and_letters_of_all_kinds_in_paths_do_no_harm(tmp_path: Path) -> None:
    place, home = tmp_path / "a folder, 'ü' $HOME", tmp_path / "my home 🙂"
    place.mkdir()
    home.mkdir()
    program = place / "cc router"
    shutil.copy2(one_file(), program)
    version(home, program)
    link = tmp_path / "ccrouter"
    link.symlink_to(program)
    version(home, link)
    for word in ("ccrouter", "./ccrouter"):  # by the PATH, and relative
        found = started(
            "/bin/sh",
            "-c",
            f"cd \"$0\" && {word} ask -m demo:demo 'good morning'",
            tmp_path,
            PATH=str(tmp_path),
            HOME=str(home),
        )
        assert "good morning" in found.stdout, found.stderr
    settled(home)


# ------------------------------------------------------------------------------------------- as a process


@contextmanager
def serving(program: Path, home: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A router, and the line that it printed."""
    with subprocess.Popen(
        [program, "serve", "--port", "0", "--print-env=json"],
        env={"HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield process, json.loads(line)
        finally:
            process.kill()


def streamed(printed: dict[str, Any], prompt: str = "good morning") -> str:
    """What the demo model streams."""
    headers = {"authorization": f"Bearer {printed['env']['ANTHROPIC_AUTH_TOKEN']}"}
    question = {"model": "demo:demo", "max_tokens": 64, "stream": True}
    question["messages"] = [{"role": "user", "content": prompt}]
    reply = httpx.post(
        f"{printed['url']}/v1/messages", headers=headers, json=question, timeout=PATIENCE, trust_env=False
    )
    assert reply.text.rstrip().endswith('{"type":"message_stop"}'), reply.text
    return reply.text


@pytest.fixture(params=["one file", "folder"])
def either(request: pytest.FixtureRequest) -> Path:
    """Both programs."""
    return one_file() if request.param == "one file" else folder_build()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (signal.SIGTERM, 0),
        (signal.SIGHUP, 0),
        (signal.SIGINT, 130),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_it_is_one_process_that_every_signal_reaches(
    either: Path, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    with serving(either, tmp_path) as (process, printed):
        assert printed["pid"] == process.pid, "whoever started it has another in hand than the one that serves"
        assert "message_start" in streamed(printed)
        process.send_signal(sent)
        _, complaints = process.communicate(timeout=PATIENCE)  # ends when the last one who holds the pipes has
        assert process.returncode == code
        assert "Traceback" not in complaints
        with pytest.raises(httpx.ConnectError):
            httpx.get(printed["url"], trust_env=False)


def test_ctrl_c_at_any_moment_of_its_start_ends_it_without_a_word(either: Path, tmp_path: Path) -> None:
    version(tmp_path, either)  # what a first start unpacks takes longer
    for milliseconds in range(10, 330, 16):
        with subprocess.Popen(
            [either, "serve", "--port", "0"],
            env={"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            time.sleep(milliseconds / 1000)
            process.send_signal(signal.SIGINT)
            try:
                _, complaints = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
        assert process.returncode in {130, -signal.SIGINT}, (milliseconds, complaints)
        assert "Traceback" not in complaints
        assert "Error" not in complaints


def test_a_router_whose_files_are_removed_serves_on(tmp_path: Path) -> None:
    with serving(one_file(), tmp_path) as (process, printed):
        shutil.rmtree(cache(tmp_path))
        assert "message_start" in streamed(printed)
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_a_command_gets_the_environment_that_it_would_get_without(either: Path, tmp_path: Path) -> None:
    dump = "import json, os, sys; json.dump(dict(os.environ), sys.stdout)"
    write_program(tmp_path / "dump", dump, "-IS")
    given = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    done = started(either, "run", "--", tmp_path / "dump", **given, **sparing())
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    added = {name for name in got.keys() - given.keys() - sparing().keys() if not name.startswith("ANTHROPIC_")}
    direct = json.loads(started(tmp_path / "dump", **given).stdout)
    assert not [name for name in added if "NUITKA" in name or name.startswith(("LD_", "DYLD_", "PYTHON", "_MEI"))]
    assert {name: got[name] for name in direct} == direct


@pytest.mark.parametrize(
    "arguments",
    [["-c"], ["-c", "print(1)", "--multiprocessing-fork"], ["-m", "this", "-"], ["--", "-c"]],
    ids=" ".join,
)
def test_arguments_that_interpreters_take_are_the_command_s(
    either: Path, tmp_path: Path, arguments: Sequence[str]
) -> None:
    write_program(tmp_path / "claude", "import json, sys; json.dump(sys.argv[1:], sys.stdout)", "-IS")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = started(either, "run", *arguments, HOME=str(tmp_path), PATH=path, **sparing())
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    wanted = list(arguments[1:]) if arguments[0] == "--" else list(arguments)
    assert got[len(got) - len(wanted) :] == wanted
    assert (
        started(either, "run", "--", "sh", "-c", "exit 7", HOME=str(tmp_path), PATH=path, **sparing()).returncode
        == 7
    )


async def test_claude_code_goes_on_with_a_conversation_by_minus_c(new_client: Client, sandbox: Sandbox) -> None:
    async with staged(new_client, "run", sandbox) as stage:
        stage.upstream.script = lambda received: (
            upstream.usual(received) or received.say(Text(f"Answer {len(received.turns)}."))
        )
        first = await stage.ask("one")
        second = await stage.ask("two", "-c")
        assert (first.answer, second.answer) == ("Answer 1.", "Answer 3.")
        assert first.json["session_id"] == second.json["session_id"]
