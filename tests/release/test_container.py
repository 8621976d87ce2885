"""The container image without a container engine: its files, by the Dockerfile's words, as process 1 of namespaces.

Needs root, for these, and a folder build: that of dist-scripts/build, or the one that CCROUTER_TEST_FOLDER names.
"""

from __future__ import annotations

import ctypes
import hashlib
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread, Timer
from typing import Any, NamedTuple, TypeVar

import pytest
import trustme

pytestmark = [pytest.mark.only_on("linux"), pytest.mark.e2e, pytest.mark.executable]

ROOT = Path(__file__).parents[2]
PORT = 11436
TOKEN = "ccr-" + "t" * 40
DEADLINE = 30.0
QUESTION = {"model": "demo:demo", "max_tokens": 64, "messages": [{"role": "user", "content": "ping"}]}

T = TypeVar("T")


class Recipe(NamedTuple):
    """What the Dockerfile says of a container's start."""

    command: list[str]
    environment: dict[str, str]
    user: str
    stop: signal.Signals


def read_recipe() -> Recipe:
    text = (ROOT / "build" / "container" / "Dockerfile").read_text()
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    said = {word: rest for word, rest in lines if word not in ("LABEL", "ENV")}
    assert said["FROM"] == "scratch"
    assert said["COPY"] == ". /"
    assert said["EXPOSE"] == str(PORT)
    return Recipe(
        json.loads(said["ENTRYPOINT"]) + json.loads(said["CMD"]),
        dict(rest.split("=", 1) for word, rest in lines if word == "ENV"),
        said["USER"],
        signal.Signals[said["STOPSIGNAL"]],
    )


RECIPE = read_recipe()

#: What an engine adds by itself: HOME from /etc/passwd, and a PATH.
OF_THE_ENGINE = {"HOME": "/nonexistent", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def lay_out(directory: Path, folder: Path, umask: int = 0o022) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "dist-scripts" / "container"), str(directory), "--folder", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, umask=umask)


@pytest.fixture(scope="module")
def folder() -> Path:
    if os.geteuid() != 0:
        pytest.skip("needs root, to make namespaces and change the root directory")
    place = Path(os.environ.get("CCROUTER_TEST_FOLDER") or ROOT / "build" / "out" / "ccrouter-folder")
    if not place.is_dir():
        pytest.skip(f"needs {place}, which `python3 dist-scripts/build` makes")
    return place


@pytest.fixture(scope="module")
def image(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("container") / "root"
    done = lay_out(place, folder, umask=0)
    assert done.returncode == 0, done.stderr
    return place


class Container:
    """A container that runs: process 1 of its own namespaces, on a root that nobody can write to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""

    def await_line(self, part: str) -> None:
        """Read until it has said this."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if part in line:
                return
        raise AssertionError(f"it ended without saying {part!r}: {self.said}")

    @property
    def pid(self) -> int:
        """Process 1, as it is known outside."""
        outside = self.process.pid
        return int(Path(f"/proc/{outside}/task/{outside}/children").read_text())

    def inside(self, call: Callable[[], T]) -> T:
        """Call something in the container's network, where whatever it opens stays."""

        def enter() -> T:
            with Path(f"/proc/{self.pid}/ns/net").open() as namespace:
                clone_newnet = 0x40000000
                assert ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), clone_newnet) == 0
            return call()

        with ThreadPoolExecutor(1) as thread:  # a namespace is a thread's own
            return thread.submit(enter).result()

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=DEADLINE)
        self.inside(connection.connect)
        return connection

    def ask(
        self, path: str, question: Any = None, *, token: str = TOKEN, host: str = f"127.0.0.1:{PORT}"
    ) -> tuple[int, dict[str, Any]]:
        connection = self.connect()
        headers = {"authorization": f"Bearer {token}", "host": host, "content-type": "application/json"}
        body = None if question is None else json.dumps(question)
        connection.request("GET" if body is None else "POST", path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return response.status, json.loads(answer)

    def stop(self) -> int:
        """Stop it as an engine does; the exit code."""
        os.kill(self.pid, RECIPE.stop)
        self.said += self.process.communicate(timeout=DEADLINE)[1]
        return self.process.returncode


@contextmanager
def started(
    image: Path,
    environment: Mapping[str, str],
    words: Sequence[str] = RECIPE.command,
    *,
    config: Path | None = None,
) -> Iterator[Container]:
    root = shlex.quote(str(image))
    given = {**RECIPE.environment, **environment}
    assigned = shlex.join(f"{name}={value}" for name, value in given.items())
    script = [
        f"mount --bind {root} {root}",
        f"mount -o remount,bind,ro {root}",
        f"mount -t proc proc {root}/proc",
        *([f"mount --bind {shlex.quote(str(config))} {root}/etc/ccrouter/config.toml"] if config else []),
        f"exec env -i {assigned} {shutil.which('chroot')} --userspec={RECIPE.user} --groups= {root} {shlex.join(words)}",
    ]
    command = ["unshare", "--fork", "--kill-child", "--pid", "--mount", "--net", "sh", "-ec", "\n".join(script)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        watch = Timer(DEADLINE, process.kill)
        watch.start()
        try:
            yield Container(process)
        finally:
            watch.cancel()
            process.kill()


@contextmanager
def serving(image: Path, environment: Mapping[str, str] = OF_THE_ENGINE, **options: Any) -> Iterator[Container]:
    with started(image, {"CCROUTER_TOKEN": TOKEN, **environment}, **options) as container:
        container.await_line("serves on")
        container.inside(loopback_up)
        yield container


def loopback_up() -> None:
    import fcntl  # not on Windows

    with socket.socket() as any_socket:
        siocsifflags, iff_up = 0x8914, 1
        fcntl.ioctl(any_socket, siocsifflags, struct.pack("16sh14x", b"lo", iff_up))


# ------------------------------------------------------------------------------------------- what is in it


def test_every_library_is_found_in_the_image(image: Path) -> None:
    (loader,) = image.glob("lib*/ld-linux*")
    elves = [path for path in image.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    assert len(elves) > 50
    for path in elves:
        inside = [f"/{each.relative_to(image)}" for each in (loader, path)]
        command = ["chroot", str(image), inside[0], "--list", inside[1]]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
        assert listed.returncode == 0, f"{path}: {listed.stderr}"
        assert "not found" not in listed.stdout, f"{path}: {listed.stdout}"


def test_only_root_can_change_its_files(image: Path) -> None:
    for path in (image, *image.rglob("*")):
        mode = path.lstat().st_mode
        assert stat.S_ISLNK(mode) or stat.S_IMODE(mode) in (0o755, 0o644), path


def test_the_user_is_one_that_the_image_knows(image: Path) -> None:
    uid, gid = RECIPE.user.split(":")
    users = [line.split(":") for line in (image / "etc/passwd").read_text().splitlines()]
    assert [uid, gid, "/nonexistent"] in [[line[2], line[3], line[5]] for line in users]
    assert gid in [line.split(":")[2] for line in (image / "etc/group").read_text().splitlines()]
    assert not (image / "nonexistent").exists()


def test_it_has_the_terms_of_every_library(image: Path) -> None:
    assert (image / "usr/lib/ccrouter/NOTICES.txt").is_file()
    texts = [path.read_text("utf-8", "replace") for path in (image / "usr/share").rglob("*") if path.is_file()]
    for named in set(re.findall(r"/usr/share/common-licenses/[\w.-]*\w", "".join(texts))):
        assert (image / named[1:]).is_file(), named
    assert "GNU C Library" in "".join(texts)


def test_the_same_folder_gives_the_same_bytes_modes_and_times(image: Path, folder: Path, tmp_path: Path) -> None:
    def digest(root: Path) -> str:
        made_of = hashlib.sha256()
        for path in sorted((root, *root.rglob("*"))):
            found = path.lstat()
            content = b""
            if path.is_symlink():
                content = bytes(path.readlink())
            elif path.is_file():
                content = path.read_bytes()
            made_of.update(f"{path.relative_to(root)} {found.st_mode} {found.st_mtime_ns}\n".encode() + content)
        return made_of.hexdigest()

    assert lay_out(tmp_path / "again", folder, umask=0o077).returncode == 0
    assert digest(tmp_path / "again") == digest(image)
    assert lay_out(tmp_path / "again", folder).returncode == 0, "its own result it makes anew"
    assert digest(tmp_path / "again") == digest(image)


# ------------------------------------------------------------------------------------------- how it is made


def test_a_directory_with_something_else_in_it_is_left_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    done = lay_out(tmp_path, folder)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "would be removed" in done.stderr
    assert (tmp_path / "letters.txt").read_text() == "dear"


def test_a_folder_that_is_no_build_makes_no_image(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for place, reason in ((tmp_path / "folder", "holds 0 programs"), (tmp_path / "none", "dist-scripts/build")):
        done = lay_out(tmp_path / "root", place)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert reason in done.stderr
        assert not (tmp_path / "root").exists()


def test_a_library_that_is_not_on_this_system_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "folder")
    library = tmp_path / "folder" / "zlib.so"
    library.write_bytes(library.read_bytes().replace(b"\0libc.so.6\0", b"\0libq.so.6\0"))
    done = lay_out(tmp_path / "root", tmp_path / "folder")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "zlib.so" in done.stderr
    assert "libq.so.6" in done.stderr
    assert not (tmp_path / "root").exists()


# ------------------------------------------------------------------------------------------- how it runs


@pytest.mark.parametrize("environment", [OF_THE_ENGINE, {}], ids=["as-engines-start-it", "bare"])
def test_it_answers_who_has_the_token(image: Path, environment: Mapping[str, str]) -> None:
    with serving(image, environment) as container:
        assert container.ask("/health", token="") == (200, {"status": "ok"})
        status, refusal = container.ask("/v1/messages", QUESTION, token="wrong")
        assert (status, refusal["error"]["type"]) == (401, "authentication_error")
        status, answer = container.ask("/v1/messages", QUESTION)
        assert status == 200
        assert "You said: ping" in answer["content"][0]["text"]
        status, told = container.ask("/status")
        assert (status, told["pid"]) == (200, 1)
        ids = re.search(r"^Uid:\s+(.*)$", Path(f"/proc/{container.pid}/status").read_text(), re.MULTILINE)
        assert ids is not None
        assert ids[1].split() == [RECIPE.user.split(":")[0]] * 4
        assert container.stop() == 0
        assert TOKEN not in container.said
        assert "Traceback" not in container.said


def test_it_goes_by_the_names_that_its_clients_use_and_by_no_other(image: Path) -> None:
    with serving(image) as container:
        for name in ("localhost", "127.0.0.1", "172.17.0.2", "[fd00::2]", "ccrouter", "host.docker.internal"):
            assert container.ask("/health", host=f"{name}:{PORT}")[0] == 200, name
        status, refusal = container.ask("/health", host=f"rebound.example:{PORT}")
        assert status == 403
        assert "server.hosts" in refusal["error"]["message"]


def test_without_a_token_it_says_in_one_line_what_is_missing(image: Path) -> None:
    with started(image, OF_THE_ENGINE) as container:
        told, complaint = container.process.communicate(timeout=DEADLINE)
        assert container.process.returncode == 1
        assert told == ""
        assert complaint.count("\n") == 1
        assert "CCROUTER_TOKEN is not set" in complaint


def test_told_to_stop_it_lets_a_stream_end_first(image: Path) -> None:
    with serving(image) as container:
        connection = container.connect()
        headers = {"x-api-key": TOKEN, "content-type": "application/json"}
        connection.request("POST", "/v1/messages", json.dumps({**QUESTION, "stream": True}), headers)
        response = connection.getresponse()
        assert response.readline() == b"event: message_start\n"
        with ThreadPoolExecutor(1) as thread:
            stopped: Future[int] = thread.submit(container.stop)
            container_said = response.read()
            connection.close()
            assert stopped.result() == 0
        assert b"event: message_stop" in container_said
        assert "1 request may finish" in container.said


def test_other_commands_run_in_it_too(image: Path) -> None:
    with started(image, OF_THE_ENGINE, [*RECIPE.command[:1], "--version"]) as container:
        told, complaint = container.process.communicate(timeout=DEADLINE)
        assert container.process.returncode == 0, complaint
        assert told.startswith("ccrouter ")


# --------------------------------------------------------------------- how it reaches a provider: names and trust


class Backend(BaseHTTPRequestHandler):
    """Answers everything with one whole message."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": "from afar"}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        body = json.dumps(message).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Nothing."""


@contextmanager
def https_backend(container: Container, authority: trustme.CA, name: str) -> Iterator[int]:
    """A backend in the container's network; its port."""
    server = container.inside(lambda: HTTPServer(("127.0.0.1", 0), Backend))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def name_server(container: Container) -> Iterator[None]:
    """A name server to which every name is 127.0.0.1, where the C library asks unless told otherwise."""

    def answer() -> None:
        while True:
            query, sender = server.recvfrom(512)
            if not query:
                return
            end = query.index(b"\0", 12) + 5
            is_for_ipv4 = query[end - 4 : end - 2] == b"\0\1"
            record = struct.pack("!HHHIH4s", 0xC00C, 1, 1, 60, 4, bytes((127, 0, 0, 1))) if is_for_ipv4 else b""
            counts = struct.pack("!HHHHH", 0x8180, 1, len(record) and 1, 0, 0)
            server.sendto(query[:2] + counts + query[12:end] + record, sender)

    with container.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server:
        server.bind(("127.0.0.1", 53))
        thread = Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            server.sendto(b"", server.getsockname())
            thread.join()


def test_it_finds_a_provider_by_name_and_trusts_the_certificates_that_are_in_the_image(
    image: Path, tmp_path: Path
) -> None:
    authority = trustme.CA()
    own = tmp_path / "root"
    shutil.copytree(image, own, symlinks=True)
    config = tmp_path / "config.toml"
    config.write_text((own / "etc/ccrouter/config.toml").read_text())
    config.chmod(0o644)
    bundle = own / "etc/ssl/certs/ca-certificates.crt"
    assert bundle.read_text().count("BEGIN CERTIFICATE") > 100
    bundle.write_bytes(authority.cert_pem.bytes())

    with ExitStack() as stack:
        container = stack.enter_context(serving(own, config=config))
        port = stack.enter_context(https_backend(container, authority, "backend.example"))
        stack.enter_context(name_server(container))
        with config.open("a") as file:
            file.write(
                f'[providers.far]\npreset = "messages"\nbase_url = "https://backend.example:{port}"\n'
                'api_key = "k"\nmodels = ["m"]\n'
            )
        status, answer = container.ask("/v1/messages", {**QUESTION, "model": "far:m"})
        assert status == 200, answer
        assert answer["content"][0]["text"] == "from afar"
