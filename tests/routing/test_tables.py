"""The tables and what is made of them belong together: no key is forgotten on the way."""

from __future__ import annotations

import pytest
from attrs import fields, has

from ccrouter.providers.provider import Budget, Model, Price, Provider, Timeouts
from ccrouter.routing import tables
from ccrouter.routing.config import Config, Demo, Explain, Profile, Server
from ccrouter.routing.profiles import Project
from ccrouter.routing.rules import Rule, When
from ccrouter.routing.schema import keys
from ccrouter.routing.tables import (
    BudgetTable,
    DemoTable,
    ExplainTable,
    FileTable,
    ModelTable,
    PriceTable,
    ProfileTable,
    ProjectTable,
    ProviderTable,
    RouteTable,
    ServerTable,
    TimeoutsTable,
    WhenTable,
)

TABLES = [each for name, each in vars(tables).items() if name.endswith("Table") and has(each)]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_key_has_a_meaning_for_editors_and_may_be_left_out(table):
    for each in fields(table):
        meaning = each.metadata["meaning"]
        assert meaning[0].isupper()
        assert meaning.endswith(".")
    assert table() == table()


@pytest.mark.parametrize(
    ("table", "made", "renamed"),
    [
        (FileTable, Config, {}),
        (ServerTable, Server, {}),
        (TimeoutsTable, Timeouts, {}),
        (ProviderTable, Provider, {}),
        (ModelTable, Model, {}),
        (PriceTable, Price, {}),
        (BudgetTable, Budget, {}),
        (RouteTable, Rule, {}),
        (WhenTable, When, {"class": "classes"}),
        (ProfileTable, Profile, {"providers": "off"}),
        (ExplainTable, Explain, {}),
        (DemoTable, Demo, {}),
        (ProjectTable, Project, {}),
    ],
)
def test_every_key_has_a_place_in_what_is_made_of_it(table, made, renamed):
    places = {each.name for each in fields(made)}
    assert {renamed.get(key, key) for key in keys(table)} <= places


@pytest.mark.parametrize("table", [WhenTable, RouteTable, ProfileTable, BudgetTable, ExplainTable])
def test_what_is_made_of_it_has_no_place_that_no_key_fills(table):
    made = {WhenTable: When, RouteTable: Rule, ProfileTable: Profile, BudgetTable: Budget, ExplainTable: Explain}[
        table
    ]
    renamed = {"class": "classes"} | ({"providers": "off"} if made is Profile else {})
    not_said = {"lent"} if made is Rule else set()  # by whose file it is
    assert {each.name for each in fields(made) if each.init} - not_said == {
        renamed.get(key, key) for key in keys(table)
    }


def test_a_projects_keys_mean_what_they_mean_in_the_file():
    assert set(keys(ProjectTable)) < set(keys(FileTable))
    assert not set(keys(ProjectTable)) & {
        "providers",
        "server",
        "classifier",
        "profiles",
        "slots",
        "explain",
        "demo",
    }
