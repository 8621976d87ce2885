"""What is configured, chosen and edited: providers, the port and its token, profiles, projects."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from ccrouter.errors import ConfigError, SecretError, StartError
from ccrouter.remembered.choice import ChoiceFile
from ccrouter.routing.profiles import Choice
from ccrouter.service import Options, serve
from tests.backend import Reply, Seen, backend
from tests.service.router import STATE, answering, anthropic, body, client, one_and_two, running


async def test_an_edit_of_the_configuration_holds_from_the_next_request_on(tmp_path: Path) -> None:
    async def script(seen: Seen, reply: Reply) -> None:
        await reply.whole(200, [], json.dumps({"port": port_of(seen)}).encode())

    def port_of(seen: Seen) -> str:
        return (seen.header(b"host") or b"").decode().rpartition(":")[2]

    lines: list[str] = []
    async with (
        backend(script) as one,
        backend(script) as two,
        running(tmp_path, anthropic(one), lines=lines) as it,
    ):
        async with client(it) as http:
            assert (await http.post("/v1/messages", json=body())).json() == {"port": str(one.port)}
            (tmp_path / "config.toml").write_text(anthropic(two))
            assert (await http.post("/v1/messages", json=body())).json() == {"port": str(two.port)}
            (tmp_path / "config.toml").write_text(anthropic(one) + "\nprot = 5\n")
            assert (await http.post("/v1/messages", json=body())).json() == {"port": str(two.port)}
            problem = (await http.get("/status")).json()["config"]["problem"]
            assert "prot" in problem
            assert "5" in problem
            assert any("prot" in line for line in lines)
            (tmp_path / "config.toml").write_text(anthropic(one))
            assert (await http.post("/v1/messages", json=body())).json() == {"port": str(one.port)}
            assert (await http.get("/status")).json()["config"]["problem"] is None


async def test_an_edit_of_the_server_table_holds_or_is_told_not_to(tmp_path: Path) -> None:
    lines: list[str] = []
    server = '[demo]\npace = 0\n[server]\ntoken = "{}"\nhosts = {}\n'
    async with running(tmp_path, server.format("old", []), lines=lines) as it, client(it) as http:
        named = {"host": "router.lan"}
        refused = await http.get("/status", headers=named)
        assert refused.status_code == 403
        assert "add the name to server.hosts" in refused.json()["error"]["message"]
        (tmp_path / "config.toml").write_text(server.format("new", ["router.lan"]))
        status = await http.get("/status", headers=named)
        assert status.status_code == 200
        (problem,) = status.json()["problems"]
        assert "server.token does not hold before the router is started anew" in problem
        assert f"warning: {problem}" in lines
        assert (await http.get("/status", headers={"x-ccrouter-token": "new"})).status_code == 401


async def test_it_does_not_start_open_to_others_without_a_token(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"server\.token"):
        await serve(Options(host="0.0.0.0", port=0), environ={"HOME": str(tmp_path)})


async def test_it_does_not_start_with_a_broken_configuration_or_a_token_that_cannot_be_had(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[server]\nprot = 1\n")
    with pytest.raises(ConfigError, match="prot"):
        await serve(Options(config=file, port=0), environ={"HOME": str(tmp_path)})
    file.write_text('[server]\ntoken = { env = "NO_SUCH_VARIABLE" }\n')
    with pytest.raises(SecretError, match="NO_SUCH_VARIABLE"):
        await serve(Options(config=file, port=0), environ={"HOME": str(tmp_path)})
    with pytest.raises(ConfigError, match=r"missing\.toml"):
        await serve(Options(config=tmp_path / "missing.toml", port=0), environ={"HOME": str(tmp_path)})


async def test_a_configured_token_is_the_one_that_opens(tmp_path: Path) -> None:
    config = '[server]\ntoken = { env = "T" }\n[demo]\npace = 0\n'
    async with running(tmp_path, config, {"T": "a-token-of-the-team"}) as it, client(it) as http:
        assert it.token == "a-token-of-the-team"
        assert (await http.get("/v1/models")).status_code == 200
        assert (await http.get("/v1/models", headers={"x-ccrouter-token": "wrong"})).status_code == 401


PROFILES = """
[profiles.cloud]
default = "two"
[profiles.bare]
default = "two"
providers = { one = false }
"""


async def test_a_profile_that_is_chosen_holds_from_the_next_request_on(tmp_path: Path) -> None:
    async with backend(answering) as upstream:
        config = 'default = "one"\n' + one_and_two(upstream) + PROFILES
        choice = ChoiceFile(tmp_path / STATE)
        async with running(tmp_path, config) as it, client(it) as http:
            for profile, expected in (("", "one"), ("cloud", "two"), ("bare", "two"), ("", "one")):
                choice.write(Choice(profile=profile or None))
                wanted = body(model=f"{expected}-model") if profile != "bare" else body(model="two:x")
                assert (await http.post("/v1/messages", json=wanted)).status_code == 200
                (told,) = (await http.get("/explain")).json()["requests"]
                assert told["tries"][0]["target"].startswith(f"{expected}:")
                assert told["profile"] == (profile or None)
                assert (await http.get("/status")).json()["profile"] == (profile or None)


async def test_a_provider_that_is_switched_off_is_in_no_list(tmp_path: Path) -> None:
    config = (
        """
[providers.one]
preset = "messages"
base_url = "http://127.0.0.1:9"
models = ["a"]
[providers.two]
preset = "messages"
base_url = "http://127.0.0.1:9"
models = ["b"]
"""
        + PROFILES
    )
    choice = ChoiceFile(tmp_path / STATE)
    async with running(tmp_path, config) as it, client(it) as http:
        for profile, expected in ((None, ["one:a", "two:b"]), ("bare", ["two:b"]), (None, ["one:a", "two:b"])):
            choice.write(Choice(profile=profile))
            assert [row["id"] for row in (await http.get("/v1/models")).json()["data"]] == expected
            assert [row.name for row in await it.models(1.0)] == expected


PROJECT = 'default = "two"\n[[routes]]\nwhen = { class = "main" }\nuse = "two:theirs"\n'


@pytest.mark.parametrize(("host", "read"), [("127.0.0.1", True), ("0.0.0.0", False)])
async def test_a_projects_file_is_read_for_clients_of_this_machine_only(
    tmp_path: Path, host: str, read: bool
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / ".ccrouter.toml").write_text(PROJECT)
    headers = {"x-ccrouter-project": str(project)}
    async with backend(answering) as upstream:
        config = 'default = "one"\n[server]\ntoken = "of-the-team"\n' + one_and_two(upstream)
        async with running(tmp_path, config, host=host) as it, client(it) as http:
            await http.post("/v1/messages", json=body(model="free"), headers=headers)
            judging = headers | {"x-claude-code-request-class": "auxiliary"}
            await http.post("/v1/messages", json=body(model="free"), headers=judging)
            background, main = (await http.get("/explain?last=2")).json()["requests"]
    assert main["tries"][0]["target"] == ("two:theirs" if read else "one:free")
    assert background["tries"][0]["target"] == "one:free"
    assert all(each.header(b"x-ccrouter-project") is None for each in upstream.seen)


@pytest.mark.only_on("linux", "darwin")
async def test_a_home_behind_a_link_is_the_one_that_clients_name(tmp_path: Path) -> None:
    (tmp_path / "disk" / "me").mkdir(parents=True)
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    rule = '[[routes]]\nwhen = { project = "~/work" }\nuse = "demo:mine"\n'
    environ = {"HOME": str(tmp_path / "home" / "me")}
    async with running(tmp_path, f"[demo]\npace = 0\n{rule}", environ=environ) as it, client(it) as http:
        directory = quote(str(tmp_path.resolve() / "disk" / "me" / "work" / "deep"))
        await http.post("/v1/messages", json=body(), headers={"x-ccrouter-project": directory})
        (told,) = (await http.get("/explain?last=1")).json()["requests"]
    assert told["names"] == ["demo:mine"]
