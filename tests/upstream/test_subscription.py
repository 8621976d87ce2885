from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from ccrouter.upstream.subscription import Login, NoLogin, has_login, keychain_item, read_login
from tests.programs import write_program

NOW = 1_800_000_000.0
TOKEN = "sk-ant-oat01-live"


def content(token: Any = TOKEN, expires: Any = NOW + 60, **more: Any) -> str:
    return json.dumps({"claudeAiOauth": {"accessToken": token, "expiresAt": expires, **more}})


class Machine:
    """A home directory, and a Keychain that a program of ours pretends."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.bin = root / "bin"
        self.asked = root / "asked"
        self.home.mkdir()
        self.bin.mkdir()
        self.environ = {
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
        }

    def file(self, text: str | bytes, directory: str = ".claude") -> Path:
        path = self.home / directory / ".credentials.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def keychain(self, code: str) -> None:
        """``code`` sees ``args``; the arguments of each call are written down."""
        log = f"open({str(self.asked)!r}, 'a').write(json.dumps(args) + '\\n')"
        write_program(
            self.bin / "security", f"import json, sys, time\nargs = sys.argv[1:]\n{log}\n{code}\n", "-IS"
        )

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self.asked.read_text().splitlines()] if self.asked.exists() else []

    async def read(self, platform: str = "linux") -> Login | NoLogin:
        return await read_login(self.environ, platform, NOW)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# The file


@pytest.mark.parametrize("expires", [NOW + 1, NOW + 0.5, int(NOW + 1) * 1000, None])
async def test_a_login_is_good_until_it_expires_in_seconds_or_milliseconds(machine: Machine, expires: Any) -> None:
    path = machine.file(content(expires=expires))
    assert await machine.read() == Login(TOKEN, str(path))


@pytest.mark.parametrize("expires", [NOW, NOW - 1, int(NOW) * 1000, int(NOW - 1) * 1000, 0, -1])
async def test_an_expired_login_is_none_and_the_reason_says_so(machine: Machine, expires: Any) -> None:
    path = machine.file(content(expires=expires))
    assert await machine.read() == NoLogin(f"the login in {path} has expired", expired=True)
    assert has_login(machine.environ, "linux"), "Claude Code refreshes it by itself"


async def test_each_request_reads_anew(machine: Machine) -> None:
    for token in ("first", "second"):
        path = machine.file(content(token))
        assert await machine.read() == Login(token, str(path))
    path.unlink()
    assert await machine.read() == NoLogin()


async def test_a_tilde_in_the_variable_is_a_name_as_it_is_to_claude(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.home / "~").mkdir()
    machine.file(content("default"), "work")
    path = machine.file(content("work"), "~/work")
    monkeypatch.chdir(machine.home)
    machine.environ["CLAUDE_CONFIG_DIR"] = "~/work"
    assert await machine.read() == Login("work", str(path.relative_to(machine.home)))


async def test_claudes_own_directory_can_be_elsewhere(machine: Machine) -> None:
    machine.file(content("default"))
    path = machine.file(content("work"), ".claude-work")
    machine.environ["CLAUDE_CONFIG_DIR"] = str(path.parent)
    assert await machine.read() == Login("work", str(path))
    assert has_login(machine.environ, "linux")
    path.unlink()
    assert await machine.read() == NoLogin()
    assert not has_login(machine.environ, "linux")


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ("", "does not hold JSON"),
        ("{", "does not hold JSON"),
        (b"\xff\xfe", "does not hold JSON"),
        ("[" * 100_000, "does not hold JSON"),
        ("9" * 5000, "does not hold JSON"),
        ("null", "holds no Claude login"),
        ("[]", "holds no Claude login"),
        ("{}", "holds no Claude login"),
        ('{"mcpOAuth": {}}', "holds no Claude login"),
        ('{"claudeAiOauth": null}', "holds no Claude login"),
        ('{"claudeAiOauth": "sk"}', "holds no Claude login"),
        ('{"claudeAiOauth": {}}', "holds no Claude login"),
        (content(None), "holds no Claude login"),
        (content(""), "holds no Claude login"),
        (content(5), "holds no Claude login"),
        (content("sk\r\nx-evil: 1"), "holds no Claude login"),
        (content("sk\u00e4"), "holds no Claude login"),
    ],
)
async def test_odd_content_counts_as_no_login_with_a_reason(
    machine: Machine, odd: str | bytes, reason: str
) -> None:
    path = machine.file(odd)
    assert await machine.read() == NoLogin(f"{path} {reason}")
    assert not has_login(machine.environ, "linux")


@pytest.mark.parametrize("expires", ["soon", True, [], float("nan")])
async def test_an_expiry_that_is_no_time_counts_as_no_login(machine: Machine, expires: Any) -> None:
    path = machine.file(content(expires=expires))
    assert await machine.read() == NoLogin(f"{path} does not say when its login expires")


async def test_what_cannot_be_read_counts_as_no_login_with_a_reason(machine: Machine) -> None:
    (machine.home / ".claude" / ".credentials.json").mkdir(parents=True)
    found = await machine.read()
    assert isinstance(found, NoLogin)
    assert "cannot be read: Not a regular file" in found.reason
    assert not has_login(machine.environ, "linux")


async def test_a_fresh_machine_has_no_login_and_nothing_to_complain_of(machine: Machine) -> None:
    for platform in ("linux", "darwin", "win32"):
        assert await machine.read(platform) == NoLogin()
        assert not has_login(machine.environ, platform)


# The variable


async def test_the_variable_comes_before_all_else(machine: Machine) -> None:
    machine.file(content("file"))
    machine.keychain(f"print({content('keychain')!r})")
    machine.environ["CLAUDE_CODE_OAUTH_TOKEN"] = " sk-own "
    assert await machine.read("darwin") == Login("sk-own", "CLAUDE_CODE_OAUTH_TOKEN")
    assert has_login(machine.environ, "darwin")
    assert machine.calls == []


async def test_a_variable_that_holds_no_token_is_passed_over_and_told(machine: Machine) -> None:
    machine.environ["CLAUDE_CODE_OAUTH_TOKEN"] = "two words"
    assert await machine.read() == NoLogin("CLAUDE_CODE_OAUTH_TOKEN holds no token")
    path = machine.file(content())
    assert await machine.read() == Login(TOKEN, str(path))


# The Keychain


async def test_the_keychain_comes_before_the_file_and_only_on_macos(machine: Machine) -> None:
    path = machine.file(content("file"))
    machine.keychain(f"print({content('keychain')!r})")
    assert await machine.read("darwin") == Login("keychain", "the Keychain")
    assert machine.calls == [["find-generic-password", "-s", "Claude Code-credentials", "-w"]]
    assert await machine.read("linux") == Login("file", str(path))
    assert len(machine.calls) == 1


async def test_the_item_of_the_user_is_asked_for_before_any_other_of_that_name(machine: Machine) -> None:
    machine.environ["USER"] = "ada"
    machine.keychain(f"print({content()!r} if '-a' in args else '{{\"mcpOAuth\": {{}}}}')")
    assert await machine.read("darwin") == Login(TOKEN, "the Keychain")
    assert machine.calls == [["find-generic-password", "-s", "Claude Code-credentials", "-a", "ada", "-w"]]


async def test_an_item_under_another_account_is_found_too(machine: Machine) -> None:
    machine.environ["USER"] = "ada"
    machine.keychain(f"sys.exit(44) if '-a' in args else print({content()!r})")
    assert await machine.read("darwin") == Login(TOKEN, "the Keychain")


def test_a_directory_of_ones_own_has_an_item_of_its_own() -> None:
    assert keychain_item({}) == "Claude Code-credentials"
    assert keychain_item({"CLAUDE_CONFIG_DIR": ""}) == "Claude Code-credentials"
    # Claude Code's own naming, as seen for these two paths.
    assert keychain_item({"CLAUDE_CONFIG_DIR": "/Users/test/.claude-work"}) == "Claude Code-credentials-03abf0ee"
    assert keychain_item({"CLAUDE_CONFIG_DIR": "/Users/test/.claude-work/"}) == "Claude Code-credentials-8bd6f0f5"


async def test_an_expired_item_gives_way_to_the_file_and_is_the_reason_when_there_is_none(
    machine: Machine,
) -> None:
    machine.keychain(f"print({content(expires=NOW - 1)!r})")
    assert await machine.read("darwin") == NoLogin("the login in the Keychain has expired", expired=True)
    machine.file("{")
    assert await machine.read("darwin") == NoLogin("the login in the Keychain has expired", expired=True)
    path = machine.file(content())
    assert await machine.read("darwin") == Login(TOKEN, str(path))


@pytest.mark.parametrize("code", ["sys.exit(44)", "print('secret'); sys.exit(44)"])
async def test_an_item_that_does_not_exist_is_no_error(machine: Machine, code: str) -> None:
    machine.keychain(code)
    assert await machine.read("darwin") == NoLogin()
    assert not has_login(machine.environ, "darwin")
    path = machine.file(content())
    assert await machine.read("darwin") == Login(TOKEN, str(path))


async def test_a_locked_keychain_is_told(machine: Machine) -> None:
    machine.keychain("sys.exit(36)")
    assert await machine.read("darwin") == NoLogin("the Keychain refused (security: exit code 36)")


async def test_that_a_login_expired_is_a_better_reason_than_that_another_is_odd(machine: Machine) -> None:
    machine.keychain("print('not json')")
    path = machine.file(content(expires=NOW - 1))
    assert await machine.read("darwin") == NoLogin(f"the login in {path} has expired", expired=True)


async def test_odd_output_of_the_keychain_counts_as_no_login(machine: Machine) -> None:
    machine.keychain("print('not json')")
    assert await machine.read("darwin") == NoLogin("the Keychain does not hold JSON")


async def test_a_keychain_that_does_not_answer_is_given_five_seconds(
    machine: Machine, mock_clock: trio.testing.MockClock
) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    machine.keychain(f"import socket; socket.create_connection(('127.0.0.1', {port})).recv(1)")
    found: list[Login | NoLogin] = []

    async def ask() -> None:
        found.append(await machine.read("darwin"))

    async with listener, trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        line = await listener.accept()
        mock_clock.jump(4.9)
        await trio.testing.wait_all_tasks_blocked()
        assert not found
        mock_clock.jump(0.2)
        async with line:
            assert await line.receive_some() == b""
    assert found == [NoLogin("the Keychain did not answer within 5 s")]


def test_the_item_is_looked_for_without_its_secret(machine: Machine) -> None:
    machine.keychain("pass")
    assert has_login(machine.environ, "darwin")
    assert not has_login(machine.environ, "linux")
    assert machine.calls == [["find-generic-password", "-s", "Claude Code-credentials"]]


def test_a_token_stays_out_of_reprs() -> None:
    assert TOKEN not in repr(Login(TOKEN, "the Keychain"))
