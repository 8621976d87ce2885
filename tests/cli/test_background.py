"""``ccrouter subagent`` and ``ccrouter classifier``: a menu, and a choice by number or name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ccrouter.cli.background import WARNING
from ccrouter.cli.main import main
from ccrouter.errors import StartError
from ccrouter.menu import Listed
from ccrouter.remembered.choice import NAME, ChoiceFile
from ccrouter.routing.config import Config, Profile
from ccrouter.routing.profiles import Choice
from tests.cli.routers import FakeRouter

MODELS = [
    Listed(name="ollama:qwen3:8b", label="", description="Ollama · 32k", provider="ollama", anthropic=False),
    Listed(name="x:y", label="", description="\x1b[31mred", provider="x", anthropic=False),
]

Choose = Callable[..., tuple[int, str, str]]


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> FakeRouter:
    it = FakeRouter()
    it.running.listed = MODELS
    monkeypatch.setattr("ccrouter.service.serve", it.serve)
    return it


@pytest.fixture
def choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], router: FakeRouter
) -> Choose:
    monkeypatch.setenv("CCROUTER_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("CCROUTER_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text("[aliases]\ndefaults = 'ollama:q'\n")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def chosen(tmp_path: Path) -> Choice:
    return ChoiceFile(tmp_path / "state").current()


def test_the_menu_is_numbered_and_marks_the_present_one(choose: Choose, router: FakeRouter) -> None:
    assert choose("subagent")[1].splitlines() == [
        "*   0  default          as they are asked for",
        "    1  ollama:qwen3:8b  Ollama · 32k",
        "    2  x:y              ?[31mred",
    ]
    assert router.options is not None
    assert (router.options.host, router.options.port) == ("127.0.0.1", 0)
    assert router.running.asked[-1] == "end"
    choose("subagent", "1")
    assert [line[0] for line in choose("subagent")[1].splitlines()] == [" ", "*", " "]


def test_a_model_is_chosen_by_number_or_name_and_given_back(choose: Choose, tmp_path: Path) -> None:
    said = (0, "", "subagent: ollama:qwen3:8b, from the next request on\n")
    assert choose("subagent", "1") == said
    assert chosen(tmp_path) == Choice(subagent="ollama:qwen3:8b")
    for back in ("0", "default"):
        assert choose("subagent", "ollama:qwen3:8b") == said
        assert choose("subagent", back) == (
            0,
            "",
            "subagent: as the configuration says, from the next request on\n",
        )
        assert not (tmp_path / "state" / NAME).exists()


def test_a_name_needs_no_router_nor_does_the_default(choose: Choose, router: FakeRouter) -> None:
    choose("subagent", "ollama:q")
    choose("subagent", "default")
    choose("subagent", "0")
    assert router.options is None


@pytest.mark.parametrize("wanted", ["defualt", "Default", "defaul"])
def test_what_is_nearly_the_default_is_no_model(choose: Choose, tmp_path: Path, wanted: str) -> None:
    code, _, err = choose("subagent", wanted)
    assert (code, err) == (2, f"ccrouter: {wanted!r} is no model; did you mean `default`?\n")
    assert chosen(tmp_path) == Choice()


@pytest.mark.parametrize(
    ("wanted", "doubtful"),
    [("olama:x", True), ("ollama:x", False), ("llama3.2:1b", False), ("defaults", False), ("openruter,y/z", True)],
)
def test_a_name_that_nearly_names_a_provider_is_doubted(
    choose: Choose, tmp_path: Path, wanted: str, doubtful: bool
) -> None:
    code, _, err = choose("subagent", wanted)
    assert code == 0
    assert chosen(tmp_path).subagent == wanted
    assert ("warning: `" in err) is doubtful
    assert ("names no provider, so it goes to" in err) is doubtful


def test_a_name_of_a_preset_that_is_not_set_up_is_doubted(choose: Choose, tmp_path: Path) -> None:
    code, _, err = choose("subagent", "azure:x")
    assert (code, chosen(tmp_path).subagent) == (0, "azure:x")
    assert (
        "warning: `azure:x` goes to whoever lists such a model, else nowhere: there is no [providers.azure];"
        in err
    )
    (tmp_path / "config.toml").write_text("[providers.azure]\nbase_url = 'https://r.example/openai/v1'")
    assert "warning" not in choose("subagent", "azure:x")[2]


def test_with_a_mistake_in_the_configuration_a_choice_is_made_all_the_same(choose: Choose, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("prot = 1")
    assert choose("subagent", "ollama:x")[0] == 0
    assert chosen(tmp_path).subagent == "ollama:x"


def test_the_classifier_comes_with_its_warning(choose: Choose, tmp_path: Path) -> None:
    assert choose("classifier", "2") == (0, "", f"classifier: x:y, from the next request on\n{WARNING}\n")
    assert chosen(tmp_path) == Choice(classifier="x:y")
    assert WARNING not in choose("classifier", "default")[2]


def test_one_setting_leaves_the_other_and_the_profile_alone(choose: Choose, tmp_path: Path) -> None:
    ChoiceFile(tmp_path / "state").write(Choice(profile="local", projects=(("/a", "b"),), classifier="x:y"))
    choose("subagent", "1")
    choose("classifier", "default")
    assert chosen(tmp_path) == Choice(profile="local", projects=(("/a", "b"),), subagent="ollama:qwen3:8b")


def test_the_default_is_what_would_hold_without_the_choice(
    choose: Choose, router: FakeRouter, tmp_path: Path
) -> None:
    router.running.config = Config(
        subagent=("a:b", "c:d"), profiles={"local": Profile(subagent=("ollama:local",))}
    )
    assert choose("subagent")[1].splitlines()[0] == "*   0  default          a:b or c:d"
    ChoiceFile(tmp_path / "state").write(Choice(profile="local", subagent="gone:z"))
    lines = choose("subagent")[1].splitlines()
    assert lines[0] == "    0  default          ollama:local"
    assert lines[-1] == "*      gone:z  (no provider lists it now)"


def test_as_json_it_is_json(choose: Choose, router: FakeRouter) -> None:
    router.running.config = Config(classifier=("a:b",))
    choose("classifier", "x:y")
    assert json.loads(choose("classifier", "--json")[1]) == {
        "setting": "classifier",
        "chosen": "x:y",
        "configured": ["a:b"],
        "models": [
            {"name": "ollama:qwen3:8b", "description": "Ollama · 32k"},
            {"name": "x:y", "description": "\x1b[31mred"},
        ],
    }


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("3", "there is no number 3: the menu has 0 to 2; see ccrouter subagent"),
        ("9" * 5000, "the menu has 0 to 2"),
        ("0000003", "the menu has 0 to 2"),
        ("", "'' is no model; ccrouter subagent shows which there are"),
        (" ", "' ' is no model"),
        ("-1", "'-1' is no model"),
    ],
)
def test_what_is_no_model_is_wrong_use(choose: Choose, tmp_path: Path, wanted: str, said: str) -> None:
    code, out, err = choose("subagent", wanted)
    assert (code, out) == (2, "")
    assert said in err
    assert not (tmp_path / "state").exists()


def test_a_choice_that_cannot_be_kept_is_said_with_what_helps(choose: Choose, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    for wanted in ("x:y", "default"):
        code, out, err = choose("subagent", wanted)
        assert (code, out) == (1, "")
        assert "cannot be written: " in err
        assert "CCROUTER_STATE" in err


def test_a_router_that_cannot_start_says_why_in_one_line(choose: Choose, router: FakeRouter) -> None:
    router.failure, router.fails_at_start = StartError("port taken"), True
    assert choose("subagent") == (1, "", "ccrouter: port taken\n")


def test_the_configuration_that_is_named_is_the_one_that_is_read(choose: Choose, router: FakeRouter) -> None:
    choose("subagent", "--config", "other.toml")
    assert router.options is not None
    assert router.options.config == Path("other.toml")
