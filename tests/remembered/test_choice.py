"""What was chosen holds from the next look on, and a file that cannot be read chooses nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ccrouter.remembered.choice import NAME, ChoiceFile, with_project
from ccrouter.routing.profiles import Choice

ALL = Choice(
    profile="local", projects=(("/a", "cloud"), ("/b", "local")), subagent="ollama:q", classifier="anthropic:h"
)


def test_a_choice_is_read_by_every_router_from_its_next_look_on(tmp_path: Path) -> None:
    writer, reader = ChoiceFile(tmp_path), ChoiceFile(tmp_path)
    assert reader.current() == Choice()
    writer.write(ALL)
    assert reader.current() == ALL
    writer.write(Choice(profile="cloud"))
    assert reader.current() == Choice(profile="cloud")


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ChoiceFile(tmp_path)
    file.write(ALL)
    file.current()
    monkeypatch.setattr("ccrouter.remembered.json_file.read", None)
    assert file.current() == ALL


def test_nothing_chosen_leaves_no_file(tmp_path: Path) -> None:
    file = ChoiceFile(tmp_path / "state")
    file.write(Choice())
    assert not (tmp_path / "state").exists()
    file.write(ALL)
    file.write(Choice())
    assert list((tmp_path / "state").iterdir()) == []
    assert file.current() == Choice()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({}, Choice()),
        ({"profile": 1, "projects": [], "subagent": {}, "classifier": None}, Choice()),
        (
            {"profile": "local", "projects": {"/a": 1, "/b": "cloud"}},
            Choice(profile="local", projects=(("/b", "cloud"),)),
        ),
        ({"subagent": "x", "new": "thing"}, Choice(subagent="x")),
    ],
)
def test_of_a_file_of_any_shape_what_is_right_counts(tmp_path: Path, value: object, found: Choice) -> None:
    (tmp_path / NAME).write_text(json.dumps(value))
    assert ChoiceFile(tmp_path).current() == found


def test_a_file_that_breaks_and_is_mended_is_followed(tmp_path: Path) -> None:
    file = ChoiceFile(tmp_path)
    file.write(ALL)
    assert file.current() == ALL
    (tmp_path / NAME).write_text("{")
    assert file.current() == Choice()
    file.write(ALL)
    assert file.current() == ALL


@pytest.mark.only_on("linux", "darwin")
def test_a_pipe_in_its_place_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    assert ChoiceFile(tmp_path).current() == Choice()


def test_a_directory_has_one_profile() -> None:
    choice = with_project(Choice(), "/a", "local")
    assert choice.projects == (("/a", "local"),)
    choice = with_project(with_project(choice, "/b", "cloud"), "/a", "cloud")
    assert dict(choice.projects) == {"/a": "cloud", "/b": "cloud"}
    assert with_project(choice, "/a", None).projects == (("/b", "cloud"),)
    assert with_project(choice, "/nowhere", None) == choice
