"""How dist-scripts/install.sh downloads: by curl or by wget, within TLS, whole or not at all."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import trustme

from tests.release.test_install_sh import ARCH, Files, Release, home, left, release, run

pytestmark = pytest.mark.only_on("linux")

__all__ = ["home", "release"]  # fixtures

#: All that the script needs besides something to download with.
TOOLS = (
    "cat", "chmod", "cut", "dirname", "find", "getconf", "grep", "gzip", "head", "id", "ln", "mkdir", "mktemp", "mv",
    "readlink", "rm", "sed", "sh", "sha256sum", "sort", "tail", "tar", "tr", "uname",
)  # fmt: skip
LOADERS = ("curl", "wget")


class Front(ThreadingHTTPServer):
    """A host of releases behind TLS, which sends whoever asks to where the files are."""

    daemon_threads = True

    def __init__(self, authority: trustme.CA, place: Path) -> None:
        super().__init__(("127.0.0.1", 0), Redirecting)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.place = place
        self.to = "/kept"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}"


class Redirecting(Files):
    server: Front

    def do_GET(self) -> None:  # noqa: N802  the base class's name
        self.directory = str(self.server.place)
        if self.path.startswith("/kept/"):
            self.path = self.path.removeprefix("/kept")
            super().do_GET()
            return
        self.send_response(302)
        self.send_header("Location", self.server.to + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def front(tmp_path: Path, release: Release) -> Iterator[Front]:
    release.publish("1.2.3")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    (tmp_path / "wgetrc").write_text(f"ca_certificate = {tmp_path}/authority.pem\n")
    with Front(authority, release.place) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def path_with(place: Path, *loaders: str) -> str:
    """A PATH with these of curl and wget, and with neither of the others."""
    tools = place / "only"
    tools.mkdir()
    for name in (*TOOLS, *loaders):
        if (there := shutil.which(name)) is None:
            pytest.skip(f"there is no {name} here")
        (tools / name).symlink_to(there)
    return str(tools)


def trusting(place: Path, loader: str) -> dict[str, Any]:
    return {
        "PATH": path_with(place, loader),
        "CURL_CA_BUNDLE": str(place / "authority.pem"),
        "WGETRC": str(place / "wgetrc"),
    }


@pytest.mark.parametrize("to", ["/kept", "{url}/kept", "//127.0.0.1:{port}/kept"])
@pytest.mark.parametrize("loader", LOADERS)
def test_redirects_are_followed_within_tls(home: Path, tmp_path: Path, front: Front, loader: str, to: str) -> None:
    front.to = to.format(url=front.url, port=front.server_address[1])
    done = run(home, releases=f"{front.url}/releases", **trusting(tmp_path, loader))
    assert done.returncode == 0, done.stderr
    assert left(home) == [".local/bin/ccrouter"]


@pytest.mark.parametrize("loader", LOADERS)
def test_a_redirect_out_of_tls_is_not_followed(
    home: Path, tmp_path: Path, front: Front, release: Release, loader: str
) -> None:
    """Whoever is on the way could give another list of sums with another program."""
    front.to = release.url.removesuffix("/releases")
    done = run(home, releases=f"{front.url}/releases", **trusting(tmp_path, loader))
    assert done.returncode == 1
    assert f"could not download {front.url}/releases/latest/download/SHA256SUMS" in done.stderr
    assert release.asked == []
    assert left(home) == []


@pytest.mark.parametrize("loader", LOADERS)
def test_redirects_without_end_have_one(home: Path, tmp_path: Path, front: Front, loader: str) -> None:
    front.to = ""
    done = run(home, releases=f"{front.url}/releases", **trusting(tmp_path, loader))
    assert done.returncode == 1
    assert "could not download" in done.stderr


@pytest.mark.parametrize("loader", LOADERS)
def test_a_host_whose_certificate_nobody_vouches_for_is_not_believed(
    home: Path, tmp_path: Path, front: Front, loader: str
) -> None:
    done = run(home, releases=f"{front.url}/releases", PATH=path_with(tmp_path, loader))
    assert done.returncode == 1
    assert "certificate" in done.stderr
    assert "--no-check-certificate" not in done.stderr


@pytest.mark.parametrize("loader", LOADERS)
def test_what_is_not_there_is_told_whatever_downloads(
    home: Path, tmp_path: Path, release: Release, loader: str
) -> None:
    done = run(home, releases=release.url, PATH=path_with(tmp_path, loader))
    assert done.returncode == 1
    assert "404" in done.stderr
    assert "could not download" in done.stderr
    assert left(home) == []


#: As Wget2 takes its words: it follows redirects whatever is said of their number.
WGET2 = """\
#!/bin/sh
for word do
    shift
    case $word in
        --https-only) echo "redirect out of TLS" >&2; exit 1 ;;
        --max-redirect=*) ;;
        *) set -- "$@" "$word" ;;
    esac
done
exec {wget} "$@"
"""


def test_nor_is_it_by_the_second_wget(home: Path, tmp_path: Path, front: Front, release: Release) -> None:
    front.to = release.url.removesuffix("/releases")
    wget = shutil.which("wget")
    assert wget is not None
    environ = trusting(tmp_path, "wget")
    second = tmp_path / "only" / "wget"
    second.unlink()
    second.write_text(WGET2.format(wget=wget))
    second.chmod(0o755)
    done = run(home, releases=f"{front.url}/releases", **environ)
    assert done.returncode == 1
    assert left(home) == []


@pytest.mark.parametrize("loader", LOADERS)
def test_a_download_that_is_cut_short_is_not_installed(
    home: Path, tmp_path: Path, release: Release, loader: str
) -> None:
    release.publish("1.2.3")
    release.cut = f"linux-{ARCH}.tar.gz"
    (tmp_path / "wgetrc").write_text("waitretry = 0\n")
    environ: dict[str, Any] = {"PATH": path_with(tmp_path, loader), "WGETRC": str(tmp_path / "wgetrc")}
    done = run(home, releases=release.url, **environ)
    assert done.returncode == 1
    assert "could not download" in done.stderr
    assert left(home) == []


def test_without_curl_and_wget_it_is_said_what_is_missing(home: Path, tmp_path: Path, release: Release) -> None:
    done = run(home, releases=release.url, PATH=path_with(tmp_path))
    assert done.returncode == 1
    assert "curl or wget is needed" in done.stderr


def test_a_directory_that_cannot_be_written_to_is_told_before_the_download(home: Path, release: Release) -> None:
    """As root all can be written to, but not below a file."""
    (home / "file").write_text("")
    done = run(home, "--to", str(home / "file/bin"), releases=release.url)
    assert done.returncode == 1
    assert f"can't write to {home}/file/bin; say where to with --to DIR" in done.stderr
    assert release.asked == []
