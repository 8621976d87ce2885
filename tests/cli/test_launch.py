"""How a command is started behind the router."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from ccrouter.cli.launch import Client, Launch, launch, mode
from ccrouter.cli.settings import Found, Own

URL = "http://127.0.0.1:43117"
TOKEN = "ccr-secret"
NEW, OLD = (2, 1, 329), (2, 1, 197)
PICKER = {"options": [{"model": "ollama:q"}]}


def start(
    *argv: str,
    version: tuple[int, int, int] | None = NEW,
    login: bool = True,
    environ: Mapping[str, str] | None = None,
    found: Found | None = None,
    own: Own | None = None,
    picker: bool = True,
    model: str | None = None,
    slots: Mapping[str, str] | None = None,
    folder: str | None = None,
) -> Launch:
    words = argv or ("claude", "-p", "hi")
    client = Client(
        argv=words,
        is_claude=words[0] == "claude",
        version=version if words[0] == "claude" else None,
        environ=environ or {"HOME": "/h"},
        found=found or Found(),
        own=own,
    )
    chosen = mode(client, URL, picker=picker, has_login=lambda _environ: login)
    rows = PICKER if chosen.picker else None
    return launch(client, chosen, URL, TOKEN, model=model, picker=rows, folder=folder, slots=slots)


def keeps_login(started: Launch) -> bool:
    in_header = TOKEN in started.environ.get("ANTHROPIC_CUSTOM_HEADERS", "")
    in_place = started.environ.get("ANTHROPIC_AUTH_TOKEN") == TOKEN
    assert in_header != in_place, "the token is in exactly one place"
    return in_header


def discovers(started: Launch) -> bool:
    return "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY" in started.environ


@pytest.mark.parametrize(
    ("login", "version", "picker", "kept", "rows", "discovery"),
    [
        (True, NEW, True, True, True, False),
        (True, NEW, False, True, False, False),
        (True, OLD, True, False, False, True),
        (True, OLD, False, True, False, False),
        (True, None, True, False, False, True),
        (False, NEW, True, False, True, False),
        (False, NEW, False, False, False, False),
        (False, OLD, True, False, False, True),
        (False, OLD, False, False, False, False),
    ],
)
def test_the_rules_for_claude_code(
    login: bool,
    version: tuple[int, int, int] | None,
    picker: bool,
    kept: bool,
    rows: bool,
    discovery: bool,
) -> None:
    started = start(login=login, version=version, picker=picker)
    assert keeps_login(started) == kept
    assert started.settings == ({"modelPicker": PICKER} if rows else None)
    assert discovers(started) == discovery
    assert started.environ["ANTHROPIC_BASE_URL"] == URL


@pytest.mark.parametrize("login", [True, False])
def test_another_command_gets_the_header_where_a_login_exists(login: bool) -> None:
    started = start("make", "test", login=login)
    assert keeps_login(started) == login
    assert discovers(started) == (not login)
    assert started.settings is None
    assert started.argv(None) == ["make", "test"]


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"ANTHROPIC_API_KEY": "k"}, Found()),
        ({}, Found(env={"ANTHROPIC_API_KEY": "k"})),
        ({}, Found(key_helper=True)),
    ],
)
def test_a_key_of_the_users_own_is_kept_like_a_login(environ: dict[str, str], found: Found) -> None:
    started = start(login=False, environ=environ, found=found)
    assert keeps_login(started)
    assert started.environ.get("ANTHROPIC_API_KEY") == environ.get("ANTHROPIC_API_KEY")
    assert started.settings == {"modelPicker": PICKER}


def test_the_token_is_in_no_argument_and_the_settings_come_first() -> None:
    started = start("claude", "-p", "hi", "--", "-c", "")
    assert started.argv("S") == ["claude", "--settings", "S", "-p", "hi", "--", "-c", ""]
    assert not started.secret
    assert TOKEN not in json.dumps(started.settings)


def test_the_users_settings_are_merged_in_their_place() -> None:
    own = Own(2, glued=False, file=True, settings={"hooks": {}})
    started = start("claude", "-p", "--settings", "f.json", "hi", own=own, model="m")
    assert started.settings == {"hooks": {}, "modelPicker": PICKER}
    assert started.secret, "what the user kept in a file stays off the command line"
    assert started.argv("S") == ["claude", "--model", "m", "-p", "--settings", "S", "hi"]


def test_settings_that_cannot_be_read_are_left_to_the_client() -> None:
    own = Own(1, glued=False, file=False, settings=None)
    started = start("claude", "--settings", "{bad", own=own, model="m")
    assert started.settings is None
    assert started.argv(None) == ["claude", "--settings", "{bad"]
    assert started.environ["ANTHROPIC_MODEL"] == "m"


def test_a_command_of_the_client_is_left_as_it_is() -> None:
    started = start("claude", "logs", "x", model="m")
    assert started.settings is None
    assert started.argv(None) == ["claude", "logs", "x"]
    assert started.environ["ANTHROPIC_MODEL"] == "m"


def test_a_model_is_an_argument_for_claude_code_and_a_variable_for_others() -> None:
    started = start("claude", "-p", "hi", model="ollama:q")
    assert started.argv("S") == ["claude", "--settings", "S", "--model", "ollama:q", "-p", "hi"]
    assert "ANTHROPIC_MODEL" not in started.environ
    started = start("claude", "-p", model="ollama:q", picker=False)
    assert started.argv(None) == ["claude", "--model", "ollama:q", "-p"]
    assert start("make", model="ollama:q").environ["ANTHROPIC_MODEL"] == "ollama:q"


def test_what_leads_past_the_router_is_taken_away_and_named() -> None:
    environ = {
        "ANTHROPIC_BASE_URL": "https://gw.example.com",
        "ANTHROPIC_AUTH_TOKEN": "theirs",
        "ANTHROPIC_API_KEY": "theirs",
        "CLAUDE_CODE_USE_BEDROCK": "1",
    }
    started = start(environ=environ)
    assert keeps_login(started)
    assert not {"ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK"} & set(started.environ)
    assert "theirs" not in started.environ.values()
    assert len(started.notes) == 1
    assert all(name in started.notes[0] for name in environ)
    assert "theirs" not in started.notes[0]


def test_settings_files_that_contradict_are_overruled_by_private_settings() -> None:
    found = Found(
        env={
            "ANTHROPIC_BASE_URL": "https://gw.example.com",
            "ANTHROPIC_AUTH_TOKEN": "theirs",
            "ANTHROPIC_CUSTOM_HEADERS": "x-team: core",
            "UNRELATED": "1",
        },
        key_helper=True,
    )
    started = start(found=found, picker=False)
    assert started.settings == {
        "env": {
            "ANTHROPIC_BASE_URL": URL,
            "ANTHROPIC_AUTH_TOKEN": "",
            "ANTHROPIC_CUSTOM_HEADERS": f"x-team: core\nx-ccrouter-token: {TOKEN}",
        },
        "apiKeyHelper": "",
    }
    assert started.secret
    assert started.notes == ()


def test_settings_files_that_agree_change_nothing() -> None:
    found = Found(env={"ANTHROPIC_BASE_URL": URL, "UNRELATED": "1"})
    assert start(found=found, picker=False).settings is None


def test_where_settings_cannot_be_overruled_the_user_is_told() -> None:
    found = Found(env={"ANTHROPIC_BASE_URL": "https://gw.example.com"})
    for words in (("make",), ("claude", "hello")):
        started = start(*words, found=found)
        assert started.settings is None
        assert len(started.notes) == 1
        assert "settings.json sets ANTHROPIC_BASE_URL" in started.notes[0]


def test_a_foreign_gateways_key_helper_is_no_login() -> None:
    found = Found(env={"ANTHROPIC_BASE_URL": "https://gw.example.com"}, key_helper=True)
    assert not keeps_login(start(login=False, found=found))


def test_no_secret_is_in_a_repr() -> None:
    started = start(environ={"ANTHROPIC_API_KEY": "k-secret"})
    assert "secret" not in repr(started).replace("secret=", "")


def test_slots_are_given_but_for_those_that_the_user_gave() -> None:
    mine = {"HOME": "/h", "ANTHROPIC_DEFAULT_SONNET_MODEL": "mine"}
    slots = {"ANTHROPIC_CUSTOM_MODEL_OPTION": "ollama:q", "ANTHROPIC_DEFAULT_SONNET_MODEL": "ollama:r"}
    started = start(environ=mine, slots=slots)
    assert started.environ["ANTHROPIC_CUSTOM_MODEL_OPTION"] == "ollama:q"
    assert started.environ["ANTHROPIC_DEFAULT_SONNET_MODEL"] == "mine"
    assert "ANTHROPIC_CUSTOM_MODEL_OPTION" not in start().environ


def test_a_slot_that_the_settings_of_the_client_contradict_is_theirs() -> None:
    found = Found(env={"ANTHROPIC_CUSTOM_MODEL_OPTION": "theirs"})
    started = start(found=found, slots={"ANTHROPIC_CUSTOM_MODEL_OPTION": "ollama:q"})
    assert "ANTHROPIC_CUSTOM_MODEL_OPTION" not in started.environ


def test_the_directory_goes_along_beside_the_headers_of_the_users_settings() -> None:
    found = Found(env={"ANTHROPIC_CUSTOM_HEADERS": "x-team: core"})
    started = start(found=found, picker=False, folder="/home/user/a b")
    headers = f"x-team: core\nx-ccrouter-project: /home/user/a%20b\nx-ccrouter-token: {TOKEN}"
    assert started.settings == {"env": {"ANTHROPIC_CUSTOM_HEADERS": headers}}
    assert started.environ["ANTHROPIC_CUSTOM_HEADERS"] == headers


@pytest.mark.parametrize("words", [("claude", "-p"), ("make",)])
@pytest.mark.parametrize("login", [True, False])
def test_every_command_is_told_from_where_it_was_started(words: tuple[str, ...], login: bool) -> None:
    lines = start(*words, login=login, folder="/src").environ["ANTHROPIC_CUSTOM_HEADERS"].split("\n")
    assert "x-ccrouter-project: /src" in lines
    assert keeps_login(start(*words, login=login, folder="/src")) is login
