"""The private folder of running routers: who serves on which port, and files that live as long as they do.

``$XDG_RUNTIME_DIR/ccrouter``, or a folder of this user alone in the folder for temporary files. Every file in
it is readable by its owner only, carries its writer's process id, and is removed by its writer at the end, with
the folder when it was the last; what a killed writer left behind is removed by whoever looks next.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from attrs import asdict, field, frozen

import ccrouter
from ccrouter.errors import CcrouterError
from ccrouter.files import Replacement
from ccrouter.routing.config import DEFAULT_PORT

#: What ``GET /health`` tells, and so many bytes of what may be something else are read.
_HEALTHY = b'{"status": "ok"}'
_MOST = 1024

#: Seconds in which a router that lives answers, if nothing keeps it.
_SILENT = 1.0

#: How often a folder that goes away under our feet is made anew.
_TRIES = 10


@frozen(kw_only=True)
class Record:
    """A running router; ``PORT.json`` in the folder.

    ``purpose``: ``serve`` is there for whoever asks, ``run`` for the one command that it was started with,
    ``sidecar`` for the program that started it.
    """

    url: str
    port: int
    pid: int
    token: str = field(repr=False)
    version: str
    purpose: str = "serve"
    started: float = 0.0
    """When, in seconds since 1970."""


def record(url: str, port: int, token: str, purpose: str = "serve") -> Record:
    """The one of this process."""
    return Record(
        url=url,
        port=port,
        pid=os.getpid(),
        token=token,
        version=ccrouter.__version__,
        purpose=purpose,
        started=time.time(),
    )


def folder(environ: Mapping[str, str]) -> Path:
    """The folder, made when it is missing. Raises CcrouterError when it cannot be had, or not be trusted."""
    path = _place(environ)
    if path is None:
        raise CcrouterError(
            "no folder for temporary files can be written to; set XDG_RUNTIME_DIR to a folder of yours"
        )
    try:
        while True:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # whoever was its last has removed it in between
                return _trusted(path)
    except OSError as error:
        raise CcrouterError(
            f"cannot make the folder {path}: {error.strerror}; set XDG_RUNTIME_DIR to a folder of yours"
        ) from None


def _place(environ: Mapping[str, str]) -> Path | None:
    """Where the folder is, or would be; None where nothing can be written."""
    runtime = Path(environ.get("XDG_RUNTIME_DIR", ""))
    # `su` and containers leave it set to another's. The XDG specification: a relative path is to be ignored.
    if runtime.is_absolute() and os.access(runtime, os.W_OK | os.X_OK):
        return runtime / "ccrouter"
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError:  # it has tried them all
        return None
    # A user's own folder on Windows.
    return temporary / ("ccrouter" if sys.platform == "win32" else f"ccrouter-{os.getuid()}")


def _trusted(path: Path) -> Path:
    found = path.lstat()
    # In a folder that all users share, anybody can have made ours before us, to read the token from it.
    if sys.platform != "win32" and (
        not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077
    ):
        raise CcrouterError(
            f"{path} is not a folder that only you can open; remove it, "
            "or set XDG_RUNTIME_DIR to a folder of yours"
        )
    return path


@contextlib.contextmanager
def announced(record: Record, environ: Mapping[str, str]) -> Iterator[None]:
    """While the block runs, other commands find this router."""
    with _written(environ, f"{record.port}.json", json.dumps(asdict(record))):
        yield


@contextlib.contextmanager
def findable(record: Record, environ: Mapping[str, str]) -> Iterator[None]:
    """Like `announced`, for ``ccrouter explain`` alone. Never fails: nothing else depends on it."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(CcrouterError, OSError):
            stack.enter_context(announced(record, environ))
        yield


@contextlib.contextmanager
def private_file(kind: str, text: str, environ: Mapping[str, str] | None = None) -> Iterator[Path]:
    """A file that only this user can read, for as long as the block runs."""
    environ = os.environ if environ is None else environ
    _sweep(folder(environ))
    with _written(environ, f"{kind}-{os.getpid()}.json", text) as path:
        yield path


def running(environ: Mapping[str, str]) -> list[Record]:
    """The routers whose process there is, by port."""
    where = _place(environ)
    if where is None:
        return []
    try:
        _sweep(_trusted(where))
    except FileNotFoundError:  # nobody has announced anything
        return []
    records = [_read(path) for path in where.glob("*.json") if path.stem.isdecimal()]
    return sorted((record for record in records if record is not None), key=lambda record: record.port)


def answering(environ: Mapping[str, str]) -> list[Record]:
    """Those of them that can be asked. Blocks, for a moment."""
    return [record for record in running(environ) if answers(record)]


def on_port(records: Sequence[Record], port: int | None) -> Record | None:
    """The router on ``port``; without one, that on the default port, if it is there.

    Raises CcrouterError where none serves on the port that was named.
    """
    wanted = DEFAULT_PORT if port is None else port
    found = next((record for record in records if record.port == wanted), None)
    if found is None and port is not None:
        there = f"; there is one on {ports(records)}" if records else ""
        raise CcrouterError(f"no router of yours serves on port {port}{there}")
    return found


def ports(records: Sequence[Record]) -> str:
    """Where they serve, in words."""
    return ", ".join(str(record.port) for record in records)


def answers(record: Record) -> bool:
    """Whether a router serves at its address.

    The id of a process that was killed is another's sooner or later, and at once where a container or a machine
    that keeps the folder starts anew. A router that is silent counts: it may be busy, or stopped.
    """
    import http.client  # by those only who found a record

    url = urlsplit(record.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_SILENT)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().read(_MOST) == _HEALTHY
    except TimeoutError:
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def _written(environ: Mapping[str, str], name: str, text: str) -> Iterator[Path]:
    path, written = _put(environ, name, text)
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            if os.path.samestat(path.lstat(), written):  # not if somebody else took the name since
                path.unlink()
        with contextlib.suppress(OSError):  # others' files are in it
            path.parent.rmdir()


def _put(environ: Mapping[str, str], name: str, text: str) -> tuple[Path, os.stat_result]:
    """The path of a file that holds ``text``, and what it is.

    Never in place: a reader sees the whole file or none, and an existing link is replaced, not followed. It lives
    no longer than this process, so it need not survive a power cut.
    """
    for _ in range(_TRIES):
        path = folder(environ) / name
        with contextlib.suppress(FileNotFoundError):  # who left the folder empty has removed it in between
            with Replacement(path) as replacement:  # while its draft is there, the folder stays
                return path, replacement.put(text.encode(), durable=False)
    raise CcrouterError(f"{path} cannot be written: its folder is removed again and again")


def _read(path: Path) -> Record | None:
    try:
        value = json.loads(path.read_text("utf-8"))
        return Record(
            url=str(value["url"]),
            port=int(value["port"]),
            pid=int(value["pid"]),
            token=str(value["token"]),
            version=str(value["version"]),
            purpose=str(value.get("purpose", "serve")),
            started=float(value.get("started", 0)),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _sweep(where: Path) -> None:
    """Removes what dead writers left. A file that is not ours to judge stays."""
    for path in where.glob("*.json"):
        kind, _, pid = path.stem.rpartition("-")
        record = _read(path) if not kind else None
        writer = record.pid if record is not None else int(pid) if kind and pid.isdecimal() else None
        if writer is not None and not alive(writer):
            path.unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """Whether a process of this id exists."""
    if sys.platform == "win32":
        return _alive_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _alive_on_windows(pid: int) -> bool:
    # os.kill would end the process there. A handle can be had while it runs or is held by others; only one
    # that still runs makes the wait time out.
    import ctypes  # Windows only

    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(0x0010_0000, 0, pid)  # SYNCHRONIZE
    if not handle:
        return False
    try:
        return bool(kernel.WaitForSingleObject(handle, 0) == 0x102)  # WAIT_TIMEOUT
    finally:
        kernel.CloseHandle(handle)
