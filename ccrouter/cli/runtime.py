"""The private folder of running routers: who serves on which port, and files that live as long as they do.

``$XDG_RUNTIME_DIR/ccrouter``, or a folder of this user alone in the folder for temporary files. Every file in
it is readable by its owner only, carries its writer's process id, and is removed by its writer at the end;
what a killed writer left behind is removed by whoever looks next.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import asdict, field, frozen

from ccrouter.errors import CcrouterError


@frozen(kw_only=True)
class Record:
    """A running router; ``PORT.json`` in the folder.

    ``purpose``: ``serve`` is there for whoever asks, ``run`` for the one command that it was started with.
    """

    url: str
    port: int
    pid: int
    token: str = field(repr=False)
    version: str
    purpose: str = "serve"
    started: float = 0.0
    """When, in seconds since 1970."""


def folder(environ: Mapping[str, str]) -> Path:
    """The folder, made when it is missing. Raises CcrouterError when it cannot be trusted."""
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK | os.X_OK):  # `su` and containers leave it set to another's
        path = Path(runtime) / "ccrouter"
    elif sys.platform == "win32":
        path = Path(tempfile.gettempdir()) / "ccrouter"  # a user's own folder there
    else:
        path = Path(tempfile.gettempdir()) / f"ccrouter-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise CcrouterError(
            f"cannot make the folder {path}: {error.strerror}; set XDG_RUNTIME_DIR to a folder of yours"
        ) from None
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
    with _written(folder(environ) / f"{record.port}.json", json.dumps(asdict(record))):
        yield


@contextlib.contextmanager
def private_file(kind: str, text: str, environ: Mapping[str, str] | None = None) -> Iterator[Path]:
    """A file that only this user can read, for as long as the block runs."""
    where = folder(os.environ if environ is None else environ)
    _sweep(where)
    with _written(where / f"{kind}-{os.getpid()}.json", text) as path:
        yield path


def running(environ: Mapping[str, str]) -> list[Record]:
    """The routers that run now, by port."""
    where = folder(environ)
    _sweep(where)
    records = [_read(path) for path in where.glob("*.json") if path.stem.isdecimal()]
    return sorted((record for record in records if record is not None), key=lambda record: record.port)


@contextlib.contextmanager
def _written(path: Path, text: str) -> Iterator[Path]:
    # Never in place: a reader sees the whole file or none, and an existing link is replaced, not followed.
    draft = path.with_suffix(f".{os.getpid()}")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        written = os.fstat(file.fileno())
    draft.replace(path)
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            if os.path.samestat(path.lstat(), written):  # not if somebody else took the name since
                path.unlink()


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
