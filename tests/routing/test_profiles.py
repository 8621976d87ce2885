from __future__ import annotations

import pytest
from attrs import fields
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.config import Config, Lent, Profile
from ccrouter.routing.profiles import Choice, Project, in_force
from ccrouter.routing.rules import Rule
from tests.routing.samples import provider

HERE = "/home/me/work"


def rule(name):
    return Rule(name=name, use=(f"ollama:{name}",))


CONFIG = Config(
    default="file",
    providers={"work": provider()},
    aliases={"a": ("file:a",), "b": ("file:b",)},
    routes=(rule("file"),),
    subagent=("file:s",),
    classifier=("file:c",),
    profiles={
        "local": Profile(
            default="local",
            subagent=("local:s",),
            classifier=("local:c",),
            aliases={"a": ("local:a",), "c": ("local:c",)},
            routes=(rule("local"),),
            off=frozenset({"anthropic"}),
        ),
        "bare": Profile(),
    },
)
PROJECT = Project(
    default="project",
    subagent=("project:s",),
    aliases={"a": ("project:a",), "d": ("project:d",)},
    routes=(rule("project"),),
)


def names(config):
    return [each.name for each in config.routes]


# What holds


def test_without_anything_said_the_file_holds():
    found = in_force(CONFIG, Choice(), None, HERE)
    assert (found.config, found.profile, found.problem) == (CONFIG, None, None)


def test_a_profile_changes_what_it_speaks_of():
    found = in_force(CONFIG, Choice(profile="local"), None, HERE)
    config = found.config
    assert (found.profile, found.problem) == ("local", None)
    assert (config.default, config.subagent, config.classifier) == ("local", ("local:s",), ("local:c",))
    assert config.aliases == {"a": ("local:a",), "b": ("file:b",), "c": ("local:c",)}
    assert names(config) == ["local", "file"]
    assert config.off == {"anthropic"}


def test_a_profile_leaves_what_it_does_not_speak_of():
    found = in_force(CONFIG, Choice(profile="bare"), None, HERE)
    assert (found.config, found.profile) == (CONFIG, "bare")


def test_a_projects_own_words_come_before_the_profiles():
    config = in_force(CONFIG, Choice(profile="local"), PROJECT, HERE).config
    assert (config.default, config.subagent, config.classifier) == ("project", ("project:s",), ("local:c",))
    assert config.aliases == {
        "a": ("project:a",),
        "b": ("file:b",),
        "c": ("local:c",),
        "d": ("project:d",),
    }
    assert names(config) == ["project", "local", "file"]


def test_a_project_that_says_nothing_changes_nothing():
    assert in_force(CONFIG, Choice(), Project(), HERE).config == CONFIG


def test_the_models_that_were_chosen_win_over_all():
    config = in_force(CONFIG, Choice(profile="local", subagent="x:s", classifier="x:c"), PROJECT, HERE).config
    assert (config.subagent, config.classifier) == (("x:s",), ("x:c",))


def test_as_they_ask_can_be_chosen_too():
    config = in_force(CONFIG, Choice(profile="local", subagent="", classifier=""), PROJECT, HERE).config
    assert (config.subagent, config.classifier) == ((), ())


# Which profile

THERE = Choice(profile="all", projects=((HERE, "there"),))
NAMED = Config(profile="file", profiles={each: Profile() for each in ("all", "there", "file", "project", "same")})


@pytest.mark.parametrize(
    ("choice", "project", "profile"),
    [
        (Choice(), None, "file"),
        (Choice(profile="all"), None, "all"),
        (Choice(), "project", "project"),
        (Choice(profile="all"), "project", "project"),
        (THERE, None, "there"),
        (THERE, "project", "there"),
        (Choice(profile="same", projects=((HERE, "same"),)), "project", "same"),
        (Choice(projects=(("/elsewhere", "there"),)), "project", "project"),
    ],
)
def test_the_nearest_word_on_the_profile_counts(choice, project, profile):
    own = None if project is None else Project(profile=project)
    assert in_force(NAMED, choice, own, HERE).profile == profile


def test_a_directory_that_is_not_known_has_no_word_of_its_own():
    assert in_force(NAMED, THERE, None, None).profile == "all"


@pytest.mark.parametrize(
    ("directory", "profile"),
    [
        ("/srv", "outer"),
        ("/srv/", "outer"),
        ("/srv/app", "inner"),
        ("/srv/app/deep", "inner"),
        ("/srv/apple", "outer"),
        ("/home", None),
        ("C:\\work\\x", "windows"),
        (None, None),
    ],
)
def test_of_directories_the_longest_that_fits_counts(directory, profile):
    choice = Choice(profile="all", projects=(("/srv", "outer"), ("/srv/app/", "inner"), ("C:/work", "windows")))
    assert choice.of(directory) == profile


@pytest.mark.parametrize(
    ("choice", "project"),
    [
        (Choice(profile="olcal"), None),
        (Choice(projects=((HERE, "olcal"),)), None),
        (Choice(), Project(profile="olcal")),
    ],
)
def test_a_profile_that_is_not_there_is_a_problem_and_no_error(choice, project):
    found = in_force(CONFIG, choice, project, HERE)
    assert (found.config, found.profile) == (CONFIG, None)
    assert found.problem is not None
    assert "no profile 'olcal'" in found.problem
    assert "local, bare" in found.problem


def test_where_there_are_no_profiles_that_is_said():
    problem = in_force(Config(), Choice(profile="x"), None, None).problem
    assert problem is not None
    assert "there are: none" in problem


# What a project can't touch

_words = st.sampled_from(["work", "anthropic", "ollama:x", "local", "x"])
_targets = st.lists(_words, min_size=1, max_size=2).map(tuple)
projects = st.builds(
    Project,
    profile=st.none() | st.just("local"),
    default=st.none() | _words,
    subagent=st.just(()) | _targets,
    aliases=st.dictionaries(_words, _targets, max_size=2),
    routes=st.lists(st.builds(Rule, name=_words, use=_targets), max_size=2).map(tuple),
)


@given(projects, st.sampled_from([Choice(), Choice(profile="local"), Choice(classifier="x:c")]))
def test_a_project_touches_names_and_rules_only(project, choice):
    with_it = in_force(CONFIG, choice, project, HERE)
    same_profile = Choice(profile=with_it.profile, classifier=choice.classifier)
    without = in_force(CONFIG, same_profile, None, HERE).config
    own = {"default", "subagent", "aliases", "routes", "lent", "off"}
    for each in fields(Config):
        if each.name not in own:
            assert getattr(with_it.config, each.name) == getattr(without, each.name)
    users_own = in_force(CONFIG, choice, None, HERE).config
    assert with_it.config.off == without.off | users_own.off
    assert with_it.config.lent == Lent(
        aliases=frozenset(project.aliases),
        default=project.default is not None,
        subagent=bool(project.subagent),
    )
    assert with_it.config.providers is CONFIG.providers


@pytest.mark.parametrize(
    ("choice", "profile", "off"),
    [
        (Choice(), "cloud", {"work"}),
        (Choice(profile="private"), "cloud", {"work", "openrouter"}),
        (Choice(projects=((HERE, "private"),)), "private", {"openrouter"}),
        (Choice(profile="gone"), "cloud", {"work"}),
    ],
)
def test_what_the_user_switched_off_stays_off_whatever_a_repository_asks_for(choice, profile, off):
    profiles = {"cloud": Profile(off=frozenset({"work"})), "private": Profile(off=frozenset({"openrouter"}))}
    found = in_force(Config(profiles=profiles), choice, Project(profile="cloud"), HERE)
    assert (found.profile, found.config.off) == (profile, off)


def test_what_the_user_chose_for_subagents_is_no_projects_word():
    found = in_force(CONFIG, Choice(subagent="x:q"), Project(subagent=("y:q",)), HERE).config
    assert (found.subagent, found.lent.subagent) == (("x:q",), False)


def test_a_project_has_no_words_but_those():
    assert {each.name for each in fields(Project)} == {"profile", "default", "subagent", "aliases", "routes"}


def test_an_unknown_profile_of_a_project_leaves_the_users_own_in_force():
    project = Project(profile="none of ours")
    found = in_force(CONFIG, Choice(profile="local"), project, HERE)
    assert found.profile == "local"
    assert found.problem is not None
    assert found.problem.endswith("so 'local' is in force")
