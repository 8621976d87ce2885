"""dist-scripts/install.sh against a release served from loopback; the program in it is a shell script."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ccrouter.cli import runtime

pytestmark = pytest.mark.only_on("linux")

SCRIPT = Path(__file__).parents[2] / "dist-scripts" / "install.sh"
ARCH = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine().lower()]
PROGRAM = "#!/bin/sh\necho ccrouter {version}\n"


class Files(SimpleHTTPRequestHandler):
    """Serves the files of a release; silent."""

    def __init__(self, *args: Any, release: Release | None = None, **more: Any) -> None:
        self.release = release
        super().__init__(*args, **more)

    def do_GET(self) -> None:
        """Half of a file, where the release has it so."""
        if self.release is not None:
            self.release.asked.append(self.path)
            if self.release.cut and self.path.endswith(self.release.cut):
                content = Path(self.translate_path(self.path)).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
                return
        super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Nothing."""


class Release:
    """Releases as a host of them serves them: ``/releases/download/vX/…`` and ``/releases/latest/download/…``."""

    def __init__(self, place: Path, url: str) -> None:
        self.place = place
        self.url = url
        self.asked: list[str] = []
        self.cut = ""
        """The end of a path whose file is never sent whole."""

    def publish(self, version: str, program: str | None = None, *, latest: bool = True) -> None:
        """One release with the plain and the folder form of a program."""
        there = self.place / "releases" / "download" / f"v{version}"
        there.mkdir(parents=True)
        sums = []
        for suffix in (f"linux-{ARCH}", f"linux-{ARCH}-folder"):
            stem = f"ccrouter-{version}-{suffix}"
            text = (PROGRAM if program is None else program).format(version=version)
            archive = there / f"{stem}.tar.gz"
            with tarfile.open(archive, "w:gz") as tar:
                for name, content, mode in (("ccrouter", text, 0o755), ("NOTICES.txt", "notices\n", 0o644)):
                    member = tarfile.TarInfo(f"{stem}/{name}")
                    member.mode = mode
                    member.size = len(content.encode())
                    tar.addfile(member, io.BytesIO(content.encode()))
            sums.append(f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}\n")
        (there / "SHA256SUMS").write_text("".join(sums))
        if latest:
            newest = self.place / "releases" / "latest" / "download"
            shutil.rmtree(newest, ignore_errors=True)
            shutil.copytree(there, newest)

    def archives(self) -> list[Path]:
        return sorted(self.place.rglob("*.tar.gz"))


@pytest.fixture
def release(tmp_path: Path) -> Iterator[Release]:
    place = tmp_path / "served"
    place.mkdir()
    served = Release(place, "")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(place), release=served))
    served.url = f"http://127.0.0.1:{server.server_address[1]}/releases"
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "a home with spaces"
    home.mkdir()
    return home


def run(
    home: Path, *arguments: str, releases: str = "", cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    temporary = home.parent / "tmp"  # in the real one the routers of whoever runs this are announced
    temporary.mkdir(exist_ok=True)
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "SHELL": "/bin/bash", "LC_ALL": "C"}
    environ |= {"TMPDIR": str(temporary), **more}
    if releases:
        environ["CCROUTER_RELEASES"] = releases
    return subprocess.run(
        ["sh", str(SCRIPT), *arguments],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def left(home: Path) -> list[str]:
    return sorted(
        str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir() or path.is_symlink()
    )


def test_the_newest_release_is_installed_for_this_machine_and_says_what_to_do_next(
    home: Path, release: Release
) -> None:
    release.publish("1.2.3")
    done = run(home, releases=release.url)
    assert done.returncode == 0, done.stderr
    program = home / ".local/bin/ccrouter"
    assert subprocess.check_output([program, "--version"], text=True) == "ccrouter 1.2.3\n"
    assert f"ccrouter 1.2.3 is installed as {program}" in done.stdout
    assert f'export PATH="{program.parent}:$PATH"' in done.stdout
    assert "ccrouter run" in done.stdout
    assert left(home) == [".local/bin/ccrouter"], "nothing else is left behind"


def test_nothing_is_said_of_a_path_that_has_the_directory(home: Path, release: Release) -> None:
    release.publish("1.2.3")
    done = run(home, releases=release.url, PATH=f"{home}/.local/bin:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert "PATH" not in done.stdout


def test_another_program_of_the_name_that_comes_first_is_named(home: Path, release: Release) -> None:
    release.publish("1.2.3")
    other = home / "other"
    other.mkdir()
    (other / "ccrouter").write_text("#!/bin/sh\n")
    (other / "ccrouter").chmod(0o755)
    done = run(home, releases=release.url, PATH=f"{other}:{home}/.local/bin:{os.environ['PATH']}")
    assert f"Another ccrouter comes before it on your PATH: {other}/ccrouter" in done.stdout


@pytest.mark.parametrize(
    ("shell", "line"), [("fish", "fish_add_path"), ("zsh", "~/.zshrc"), ("dash", "export PATH=")]
)
def test_the_line_for_the_path_is_for_the_users_shell(home: Path, release: Release, shell: str, line: str) -> None:
    release.publish("1.2.3")
    assert line in run(home, releases=release.url, SHELL=f"/usr/bin/{shell}").stdout


@pytest.mark.parametrize("name", ["it's", 'a "b" $(c) `d`', "back\\slash"])
@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish"])
def test_the_line_for_the_path_holds_whatever_the_directory_is_called(
    home: Path, release: Release, shell: str, name: str
) -> None:
    release.publish("1.2.3")
    if (there := shutil.which(shell)) is None:
        pytest.skip(f"there is no {shell} here")
    to = home / name
    done = run(home, "--to", f"{to}//", releases=release.url, SHELL=there)
    assert f"installed as {to}/ccrouter\n" in done.stdout
    line = done.stdout.partition("Add it with:\n")[2].partition("\n")[0].strip()
    read = {"bash": ". ~/.bashrc", "zsh": ". ~/.zshrc"}.get(shell, ":")
    found = subprocess.run(
        [there, "-c", f"{line}\n{read}\ncommand -v ccrouter"],
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert found.stdout == f"{to}/ccrouter\n", found.stderr


@pytest.mark.parametrize("written", ["{}", "{}/"])
def test_a_slash_at_the_end_makes_no_other_directory(home: Path, release: Release, written: str) -> None:
    release.publish("1.2.3")
    path = f"{written.format(home / 'bin')}:{os.environ['PATH']}"
    assert "PATH" not in run(home, "--to", f"{home}/bin/", releases=release.url, PATH=path).stdout


def test_an_upgrade_takes_the_place_of_the_old_one_even_while_that_runs(home: Path, release: Release) -> None:
    release.publish("1.0.0", "#!/bin/sh\n[ $# = 0 ] || {{ echo ccrouter {version}; exit; }}\nread line\n")
    assert run(home, releases=release.url).returncode == 0
    program = home / ".local/bin/ccrouter"
    with subprocess.Popen([program], stdin=subprocess.PIPE) as old:
        release.publish("2.0.0")
        done = run(home, releases=release.url)
        assert done.returncode == 0, done.stderr
        assert subprocess.check_output([program, "--version"], text=True) == "ccrouter 2.0.0\n"
        assert old.poll() is None
        old.communicate(b"\n")


def test_a_certain_version_can_be_had(home: Path, release: Release) -> None:
    release.publish("1.0.0")
    release.publish("2.0.0")
    assert "ccrouter 1.0.0 is installed" in run(home, "--version", "v1.0.0", releases=release.url).stdout


def test_an_archive_that_was_tampered_with_is_not_installed(home: Path, release: Release) -> None:
    release.publish("1.0.0")
    assert run(home, releases=release.url).returncode == 0
    release.publish("2.0.0")
    for archive in release.archives():
        archive.write_bytes(archive.read_bytes() + b"\0")
    done = run(home, releases=release.url)
    assert done.returncode == 1
    assert "is not what the release says it is" in done.stderr
    assert "nothing was installed" in done.stderr
    program = home / ".local/bin/ccrouter"
    assert subprocess.check_output([program, "--version"], text=True) == "ccrouter 1.0.0\n", "the old one stays"
    assert left(home) == [".local/bin/ccrouter"]


def test_a_program_that_does_not_run_here_does_not_take_the_place_of_one_that_does(
    home: Path, release: Release
) -> None:
    release.publish("1.0.0")
    assert run(home, releases=release.url).returncode == 0
    release.publish("2.0.0", "#!/bin/sh\necho no room >&2\nexit 2\n")
    done = run(home, releases=release.url)
    assert done.returncode == 1
    assert "does not run here: no room" in done.stderr
    assert "--folder" in done.stderr
    program = home / ".local/bin/ccrouter"
    assert subprocess.check_output([program, "--version"], text=True) == "ccrouter 1.0.0\n"


def test_the_folder_form_lies_beside_the_directory_of_programs(home: Path, release: Release) -> None:
    release.publish("1.0.0")
    for version in ("1.0.0", "2.0.0"):
        if version == "2.0.0":
            release.publish(version)
        done = run(home, "--folder", releases=release.url)
        assert done.returncode == 0, done.stderr
        program = home / ".local/bin/ccrouter"
        assert program.resolve() == home / ".local/lib/ccrouter/ccrouter"
        assert subprocess.check_output([program, "--version"], text=True) == f"ccrouter {version}\n"
        assert left(home) == [
            ".local/bin/ccrouter",
            ".local/lib/ccrouter/NOTICES.txt",
            ".local/lib/ccrouter/ccrouter",
        ]


def test_the_one_file_takes_the_place_of_the_folder_form(home: Path, release: Release) -> None:
    release.publish("1.0.0")
    run(home, "--folder", releases=release.url)
    assert run(home, releases=release.url).returncode == 0
    assert left(home) == [".local/bin/ccrouter"]


def test_a_failed_upgrade_gives_back_the_program_that_was_there(home: Path, release: Release) -> None:
    release.publish("1.0.0")
    assert run(home, "--folder", releases=release.url).returncode == 0
    before = left(home)
    release.publish("2.0.0")
    done = run(home, "--folder", releases=release.url, PATH=with_mv(home, "echo no room left >&2; exit 1"))
    assert done.returncode == 1
    assert "nothing was installed" in done.stderr
    assert left(home) == before
    program = home / ".local/bin/ccrouter"
    assert subprocess.check_output([program, "--version"], text=True) == "ccrouter 1.0.0\n"


def test_a_failed_first_installation_leaves_nothing(home: Path, release: Release) -> None:
    release.publish("1.0.0")
    broken = 'mkdir -p "$2"; echo half >"$2/ccrouter"; exit 1'  # as a copy to another disk that gets full
    assert run(home, "--folder", releases=release.url, PATH=with_mv(home, broken)).returncode == 1
    assert left(home) == []


@pytest.mark.parametrize("then", ["--uninstall", "--folder"])
def test_what_a_killed_upgrade_has_put_aside_is_not_lost_nor_left(home: Path, release: Release, then: str) -> None:
    release.publish("1.0.0")
    assert run(home, "--folder", releases=release.url).returncode == 0
    after = left(home)
    killed = run(home, "--folder", releases=release.url, PATH=with_mv(home, "kill -KILL $PPID; exit 1"))
    assert killed.returncode == -signal.SIGKILL
    library = home / ".local/lib/ccrouter"
    assert not library.exists()
    if then == "--uninstall":
        assert run(home, then).returncode == 0
        assert left(home) == []
        return
    (release.place / "releases/latest/download/SHA256SUMS").unlink()
    assert run(home, then, releases=release.url).returncode == 1
    assert Path(f"{library}.old/ccrouter").exists(), "the only copy, which no failure may take"
    release.publish("2.0.0")
    assert run(home, then, releases=release.url).returncode == 0
    assert [path for path in left(home) if "-install-" not in path] == after


def test_an_upgrade_removes_what_other_versions_had_unpacked(home: Path, release: Release) -> None:
    release.publish("2.0.0")
    cache = home / ".cache/ccrouter"
    for name in ("1.0.0-0123456789ab", "2.0.0-0123456789ab", "2.0.0.1-0123456789ab", "notes-of-mine", "x-0123"):
        (cache / name).mkdir(parents=True)
    assert run(home, releases=release.url).returncode == 0
    assert {path.name for path in cache.iterdir()} == {"2.0.0-0123456789ab", "notes-of-mine", "x-0123"}


def test_uninstalling_leaves_no_trace_but_the_configuration(home: Path, release: Release) -> None:
    release.publish("1.0.0")
    run(home, "--folder", releases=release.url)
    unpacked = home / ".cache/ccrouter/1.0.0"
    unpacked.mkdir(parents=True)
    remembered = home / ".local/state/ccrouter/notebook.json"
    remembered.parent.mkdir(parents=True)
    remembered.write_text("{}")
    configuration = home / ".config/ccrouter/config.toml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("")
    done = run(home, "--uninstall")
    assert done.returncode == 0, done.stderr
    assert left(home) == [".config/ccrouter/config.toml"]
    assert f"kept in {configuration.parent}" in done.stdout
    done = run(home, "--uninstall", "--purge")
    assert done.returncode == 0, done.stderr
    assert left(home) == []


@pytest.mark.parametrize("way", ["XDG_RUNTIME_DIR", "TMPDIR"])
def test_the_token_that_a_killed_router_has_left_is_removed(home: Path, way: str) -> None:
    place = home / "run"
    place.mkdir()
    folder = runtime.folder({"XDG_RUNTIME_DIR": str(place)})
    if way == "TMPDIR":
        folder = folder.rename(place / f"ccrouter-{os.getuid()}")
    (folder / "11436.json").write_text("{}")
    program = put_program(home / ".local/bin")
    done = run(home, "--uninstall", **{way: str(place)})  # type: ignore[arg-type]
    assert f"removed: {program} {folder}\n" in done.stdout
    assert list(place.iterdir()) == []


def test_what_somebody_has_put_where_the_token_would_be_stays(home: Path) -> None:
    precious = home / "precious/11436.json"
    precious.parent.mkdir()
    precious.write_text("")
    (home / "run").mkdir()
    (home / "run/ccrouter").symlink_to(precious.parent)
    assert run(home, "--uninstall", XDG_RUNTIME_DIR=str(home / "run")).returncode == 1
    assert left(home) == ["precious/11436.json", "run/ccrouter"]


@pytest.mark.parametrize("system", ["Linux", "Darwin"])
def test_what_was_unpacked_is_removed_where_the_program_unpacks_it(home: Path, system: str) -> None:
    """The same place on all systems but Windows, whatever else a system has for such files."""
    path = f"{pretended(home, system, 'x86_64')}:{os.environ['PATH']}"
    for cache in ("", f"{home}/elsewhere"):
        unpacked = Path(cache or f"{home}/.cache") / "ccrouter/1.0.0-0123456789ab/ccrouter.bin"
        unpacked.parent.mkdir(parents=True)
        unpacked.write_text("")
        program = put_program(home / ".local/bin")
        done = run(home, "--uninstall", PATH=path, XDG_CACHE_HOME=cache)
        assert done.returncode == 0, done.stderr
        assert f"removed: {program} {unpacked.parents[1]}\n" in done.stdout
        assert left(home) == []


def test_a_path_that_is_not_absolute_counts_for_nothing(home: Path, tmp_path: Path) -> None:
    """The program has it so; and this script may run in any directory."""
    checkout = tmp_path / "ccrouter/precious"
    checkout.parent.mkdir()
    checkout.write_text("")
    for name in ("cache", "state", "config"):
        relative: dict[str, Any] = {f"XDG_{name.upper()}_HOME": "."}
        folder = home / {"cache": ".cache", "state": ".local/state", "config": ".config"}[name] / "ccrouter"
        folder.mkdir(parents=True)
        done = run(home, "--uninstall", "--purge", cwd=tmp_path, **relative)
        assert done.returncode == 0, done.stderr
        assert not folder.exists()
    done = run(home, "--uninstall", "--to", "bin", cwd=tmp_path, HOME="", XDG_CACHE_HOME=".")
    assert done.returncode == 1
    assert checkout.exists()


def test_without_a_home_what_is_named_is_removed(home: Path) -> None:
    unpacked = home / "cache/ccrouter"
    unpacked.mkdir(parents=True)
    put_program(home / "bin")
    done = run(home, "--uninstall", "--to", str(home / "bin"), HOME="", XDG_CACHE_HOME=str(home / "cache"))
    assert done.returncode == 0, done.stderr
    assert not unpacked.exists()


def test_a_folder_of_the_users_own_where_the_program_would_be_stays(home: Path, release: Release) -> None:
    release.publish("1.0.0")
    own = home / "lib/ccrouter/notes"
    own.parent.mkdir(parents=True)
    own.write_text("precious")
    to = ("--to", str(home / "bin"))
    assert run(home, *to, releases=release.url).returncode == 0
    assert left(home) == ["bin/ccrouter", "lib/ccrouter/notes"]
    done = run(home, *to, "--folder", releases=release.url)
    assert done.returncode == 1
    assert f"{own.parent} is not the program's" in done.stderr
    assert run(home, *to, "--uninstall").returncode == 0
    assert left(home) == ["lib/ccrouter/notes"]


def test_a_folder_of_the_users_own_where_an_old_program_would_be_put_aside_stays(
    home: Path, release: Release
) -> None:
    release.publish("1.0.0")
    own = home / ".local/lib/ccrouter.old/notes"
    assert run(home, "--folder", releases=release.url).returncode == 0
    own.parent.mkdir()
    own.write_text("precious")
    done = run(home, "--folder", releases=release.url)
    assert done.returncode == 1
    assert f"{own.parent} is not the program's" in done.stderr
    assert run(home, "--uninstall").returncode == 0
    assert left(home) == [".local/lib/ccrouter.old/notes"]


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_directory_of_the_programs_name_is_never_the_program(
    home: Path, release: Release, through_a_link: bool
) -> None:
    release.publish("1.0.0")
    checkout = home / ("elsewhere" if through_a_link else "src/ccrouter") / "README.md"
    checkout.parent.mkdir(parents=True)
    checkout.write_text("precious")
    if through_a_link:
        (home / "src").mkdir()
        (home / "src/ccrouter").symlink_to(checkout.parent)
    before = left(home)
    for more in ((), ("--folder",)):
        done = run(home, "--to", str(home / "src"), *more, releases=release.url)
        assert done.returncode == 1
        assert f"{home}/src/ccrouter is a directory" in done.stderr
        assert left(home) == before
    done = run(home, "--to", str(home / "src"), "--uninstall")
    assert done.returncode == 1
    assert left(home) == before


def test_a_link_of_another_installer_stays_with_what_its_program_has(home: Path, release: Release) -> None:
    theirs = home / "pipx/venvs/ccrouter/bin/ccrouter"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("#!/bin/sh\n")
    remembered = home / ".local/state/ccrouter/notebook.json"
    remembered.parent.mkdir(parents=True)
    remembered.write_text("{}")
    (home / ".local/bin").mkdir()
    (home / ".local/bin/ccrouter").symlink_to(theirs)
    before = left(home)
    done = run(home, "--uninstall", "--purge")
    assert done.returncode == 1
    assert "was installed by something else" in done.stdout
    assert "removed" not in done.stdout
    assert left(home) == before
    release.publish("1.0.0")
    done = run(home, releases=release.url)
    assert f"was a link to {theirs}; this takes its place" in done.stdout
    assert theirs.exists()


def test_the_folder_form_is_known_by_whatever_way_its_link_was_told(home: Path, release: Release) -> None:
    release.publish("1.0.0")
    run(home, "--folder", releases=release.url)
    (home / ".local/lib/ccrouter/NOTICES.txt").unlink()  # only the link tells
    (home.parent / "other").symlink_to(home)
    done = run(home, "--uninstall", "--to", f"{home.parent}/other/.local/bin/")
    assert done.returncode == 0, done.stderr
    assert left(home) == []


@pytest.mark.parametrize("on_the_path", [True, False])
def test_uninstalling_what_is_not_there_takes_nothing_from_the_one_that_is_elsewhere(
    home: Path, on_the_path: bool
) -> None:
    program = put_program(home / "tools")
    for kept in ("cache", "local/state", "config"):
        (home / f".{kept}/ccrouter").mkdir(parents=True)
        (home / f".{kept}/ccrouter/kept").write_text("")
    announced = runtime.folder({"XDG_RUNTIME_DIR": str(home)}) / "11436.json"
    announced.write_text("{}")
    before = left(home)
    path = f"{program.parent}:{os.environ['PATH']}" if on_the_path else os.environ["PATH"]
    done = run(home, "--uninstall", PATH=path, XDG_RUNTIME_DIR=str(home))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"there is no ccrouter in {home}/.local/bin" in done.stderr
    assert (f"there is one in {program.parent}: " in done.stderr) is on_the_path
    assert left(home) == before
    done = run(home, "--uninstall", "--to", str(program.parent), XDG_RUNTIME_DIR=str(home))
    assert done.returncode == 0, done.stderr
    assert left(home) == [".config/ccrouter/kept"]


def test_a_copy_from_the_sources_says_that_it_knows_no_releases(home: Path) -> None:
    done = run(home)
    assert done.returncode == 1
    assert "CCROUTER_RELEASES" in done.stderr


def test_releases_come_over_tls_or_from_this_machine_only(home: Path) -> None:
    done = run(home, releases="http://example.com/releases")
    assert done.returncode == 1
    assert "must begin with https://" in done.stderr


def test_a_release_that_is_not_there_is_an_error_in_words(home: Path, release: Release) -> None:
    done = run(home, "--version", "9.9.9", releases=release.url)
    assert done.returncode == 1
    assert "could not download" in done.stderr
    assert left(home) == []


def test_a_release_without_a_program_for_this_machine_says_so(home: Path, release: Release) -> None:
    release.publish("1.0.0")
    sums = release.place / "releases/latest/download/SHA256SUMS"
    sums.write_text(sums.read_text().replace(f"linux-{ARCH}", "plan9-x64"))
    done = run(home, releases=release.url)
    assert done.returncode == 1
    assert f"has no program for linux-{ARCH}" in done.stderr


@pytest.mark.parametrize(
    ("system", "machine", "words"),
    [("FreeBSD", "x86_64", "no program for FreeBSD"), ("Linux", "riscv64", "no program for riscv64")],
)
def test_a_system_without_a_program_is_pointed_to_the_sources(
    home: Path, release: Release, system: str, machine: str, words: str
) -> None:
    release.publish("1.0.0")
    done = run(home, releases=release.url, PATH=f"{pretended(home, system, machine)}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert words in done.stderr
    assert "pipx" in done.stderr


def test_a_system_without_glibc_is_pointed_to_the_sources(home: Path, release: Release) -> None:
    release.publish("1.0.0")
    tools = pretended(home, "Linux", platform.machine())
    (tools / "getconf").write_text("#!/bin/sh\nexit 1\n")
    (tools / "getconf").chmod(0o755)
    done = run(home, releases=release.url, PATH=f"{tools}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "needs glibc" in done.stderr


@pytest.mark.parametrize(("here", "runs"), [("2.33", False), ("2.34", True), ("2.100", True), ("3.0", True)])
def test_an_older_glibc_than_the_program_needs_is_told_before_the_download(
    home: Path, release: Release, tmp_path: Path, here: str, runs: bool
) -> None:
    release.publish("1.0.0")
    tools = pretended(home, "Linux", platform.machine())
    (tools / "getconf").write_text(f"#!/bin/sh\necho glibc {here}\n")
    (tools / "getconf").chmod(0o755)
    baked = tmp_path / "install.sh"
    baked.write_text(SCRIPT.read_text().replace("@GLIBC@", "2.34").replace("@RELEASES@", release.url))
    environ = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(home)}
    done = subprocess.run(["sh", baked], env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode == 0) is runs, done.stderr
    assert runs or f"needs glibc 2.34 or newer, here is {here}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--frob"], "no option --frob"), (["--version"], "wants a version"), (["--purge"], "goes with --uninstall")],
)
def test_wrong_use_is_told(home: Path, arguments: list[str], words: str) -> None:
    done = run(home, *arguments)
    assert done.returncode == 1
    assert words in done.stderr


def test_without_a_home_a_directory_must_be_named(home: Path, release: Release) -> None:
    release.publish("1.0.0")
    environ = {"PATH": os.environ["PATH"], "CCROUTER_RELEASES": release.url}
    done = subprocess.run(["sh", SCRIPT], env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, "--to DIR" in done.stderr) == (1, True)
    there = home / "bin"
    done = subprocess.run(
        ["sh", SCRIPT, "--to", there], env=environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (there / "ccrouter").is_file()


def test_a_script_that_was_cut_on_its_way_does_nothing(home: Path, tmp_path: Path) -> None:
    """It is piped into a shell by some: every prefix of its lines must be without effect."""
    lines = SCRIPT.read_text().splitlines(keepends=True)
    cut = tmp_path / "cut.sh"
    for count in range(0, len(lines) - 1, 7):
        cut.write_text("".join(lines[:count]))
        done = subprocess.run(
            ["sh", cut, "--uninstall"],
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert b"removed" not in done.stdout
        assert b"there is no ccrouter" not in done.stderr


def put_program(directory: Path) -> Path:
    """What this script takes for a program that it has installed."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "ccrouter"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def with_mv(home: Path, instead: str) -> str:
    """A PATH whose ``mv`` does something else when it is to put the library in its place."""
    tools = home.parent / "tools"
    tools.mkdir()
    own = f'case "$*" in *-install-*/lib/ccrouter) {instead} ;; esac'
    (tools / "mv").write_text(f'#!/bin/sh\n{own}\nexec {shutil.which("mv")} "$@"\n')
    (tools / "mv").chmod(0o755)
    return f"{tools}:{os.environ['PATH']}"


def pretended(home: Path, system: str, machine: str) -> Path:
    """A directory with a ``uname`` that says so."""
    tools = home.parent / "tools"
    tools.mkdir()
    (tools / "uname").write_text(f"#!/bin/sh\ncase $1 in -s) echo {system} ;; -m) echo {machine} ;; esac\n")
    (tools / "uname").chmod(0o755)
    return tools
