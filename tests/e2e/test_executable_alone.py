"""The one file on a machine that has next to nothing: no Python, no shell, no user, and the C library and zlib.

The machine is a folder that becomes the root, in a mount namespace of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import certifi
import pytest
import trustme

from tests.e2e import router, sdk
from tests.e2e.sandbox import Sandbox
from tests.e2e.test_trust import QUESTION, config, secured
from tests.executable import one_file
from tests.release import scripts

pytestmark = [pytest.mark.e2e, pytest.mark.executable, pytest.mark.only_on("linux")]

PATIENCE = 60

#: Where it is there, and what it calls its home.
PROGRAM = "/opt/ccrouter"
HOME = "/home/somebody"

BUNDLE = "etc/ssl/certs/ca-certificates.crt"

# The kernel's part comes from outside; then nothing of the environment but what the test gives.
ENTER = 'mount --rbind /proc "$0/proc" && exec env -i "$@"'


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of such a machine, to be copied and changed."""
    container = scripts.module("_container")
    unpacked = tmp_path_factory.mktemp("unpacked")
    subprocess.run([one_file(), "--version"], env={"HOME": str(unpacked)}, check=True, timeout=PATIENCE)
    elves = [one_file(), *(path for path in unpacked.rglob("*") if path.is_file() and container.is_elf(path))]
    loader = container.interpreter(one_file().read_bytes())
    libraries = container.resolved(loader, elves)
    libc = next(path for path in libraries if path.name.startswith("libc.so."))
    late = [libc.parent / name for name in container.LOADED_LATE]
    needed = {path for path in libraries if unpacked not in path.parents} | {loader, *late}
    names = {re.sub(r"[.-].*", "", path.name) for path in needed}
    assert names <= {"ld", "libc", "libm", "libz", "libgcc_s", "libnss_dns", "libnss_files", "libdl", "libpthread"}

    root = tmp_path_factory.mktemp("bare")
    for path in needed:
        target = root / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)  # what a link leads to, by the link's name
    for name in ("proc", "tmp", "opt", HOME[1:]):
        (root / name).mkdir(parents=True)
    shutil.copy2(one_file(), root / PROGRAM[1:])
    return root


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def machine(bare: Path, tmp_path: Path) -> Path:
    """The root of a machine of the test's own, or a skip where no namespace can be had."""
    root = shutil.copytree(bare, tmp_path / "machine", symlinks=True)
    done = subprocess.run([*inside(root), PROGRAM], check=False, capture_output=True, text=True, timeout=PATIENCE)
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"needs a mount namespace, so root or what lets users have theirs: {done.stderr}")
    return root


def inside(root: Path, **environ: str) -> list[str]:
    """What a command that runs there is put behind."""
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    assigned = [f"{name}={value}" for name, value in environ.items()]
    chroot = shutil.which("chroot", path=os.environ["PATH"] + ":/usr/sbin")
    assert chroot is not None
    return ["unshare", "--mount", *mapped, "sh", "-c", ENTER, str(root), *assigned, chroot, str(root)]


def started(root: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*inside(root, **environ), PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_it_starts_and_answers_without_python(machine: Path) -> None:
    assert not [path for path in machine.rglob("*") if re.search("python|/bin/", str(path.relative_to(machine)))]
    done = started(machine, "--version", HOME=HOME)
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "ccrouter", "")
    done = started(machine, "ask", "-m", "demo:demo", "good morning", HOME=HOME)
    assert "You said: good morning" in done.stdout, done.stderr


def test_without_a_home_and_a_user_it_says_what_it_needs(machine: Path) -> None:
    done = started(machine, "--version")
    assert (done.returncode, done.stdout) == (2, "")
    assert "neither XDG_CACHE_HOME nor HOME is set" in done.stderr
    done = started(machine, "ask", "-m", "demo:demo", "good morning", XDG_CACHE_HOME="/tmp/cache")
    assert "You said: good morning" in done.stdout, done.stderr


async def test_it_serves_and_streams_there(machine: Path, sandbox: Sandbox) -> None:
    question = {**QUESTION, "model": "demo:demo"}
    async with router.serve(sandbox, program=[*inside(machine, HOME=HOME), PROGRAM]) as running:
        assert "How far away are you?" in sdk.text(await sdk.streamed(running, question))


def configure(root: Path, text: str) -> None:
    path = root / HOME[1:] / ".config" / "ccrouter" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(0o600)


@pytest.mark.parametrize("trusted", [True, False], ids=["an added authority", "as it came"])
async def test_the_system_s_own_certificates_decide_whom_it_trusts(
    machine: Path, sandbox: Sandbox, authority: trustme.CA, trusted: bool
) -> None:
    bundle = machine / BUNDLE
    bundle.parent.mkdir(parents=True)
    shutil.copy(certifi.where(), bundle)
    if trusted:
        authority.cert_pem.write_to_path(str(bundle), append=True)
    async with secured(authority, "127.0.0.1") as port:
        configure(machine, config(f"127.0.0.1:{port}"))
        async with router.serve(sandbox, program=[*inside(machine, HOME=HOME), PROGRAM]) as running:
            if trusted:
                assert sdk.text(await sdk.streamed(running, QUESTION)) == "From afar."
                return
            async with running.client() as client:
                refused = await client.post("/v1/messages", json=QUESTION)
            assert refused.status_code >= 500
            assert f"/{BUNDLE}" in refused.json()["error"]["message"]


async def test_where_the_system_trusts_nobody_it_says_whose_certificates_it_goes_by(
    machine: Path, sandbox: Sandbox, authority: trustme.CA
) -> None:
    async with secured(authority, "127.0.0.1") as port:
        configure(machine, config(f"127.0.0.1:{port}"))
        async with (
            router.serve(sandbox, program=[*inside(machine, HOME=HOME), PROGRAM]) as running,
            running.client() as client,
        ):
            refused = await client.post("/v1/messages", json=QUESTION)
            assert "certifi" in refused.json()["error"]["message"]
