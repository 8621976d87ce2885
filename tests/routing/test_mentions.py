"""Which names of models a configuration speaks of, and where."""

from __future__ import annotations

import tomllib

from ccrouter.providers.presets import PRESETS
from ccrouter.routing.load import parse
from ccrouter.routing.mentions import mentions
from ccrouter.routing.schema import structure
from ccrouter.routing.tables import FileTable

TEXT = """
default = "ollama:0"
subagent = ["a:1", "a:2"]
classifier = "a:3"
[aliases]
big = ["a:4", "a:5"]
[[routes]]
when = { model = "a:0" }
use = "a:6"
[[routes]]
use = ["a:7", "a:8"]
"""


def test_every_name_is_found_with_its_place_in_a_file_and_in_what_is_made_of_it():
    expected = [
        (("subagent",), "a:1"),
        (("subagent",), "a:2"),
        (("classifier",), "a:3"),
        (("aliases", "big"), "a:4"),
        (("aliases", "big"), "a:5"),
        (("routes", 0, "use"), "a:6"),
        (("routes", 1, "use"), "a:7"),
        (("routes", 1, "use"), "a:8"),
    ]
    assert list(mentions(structure(tomllib.loads(TEXT), FileTable))) == expected
    assert list(mentions(parse(TEXT, where="f", presets=PRESETS))) == expected
    inside = parse("profiles.p.subagent = 'x'", where="f", presets=PRESETS).profiles["p"]
    assert list(mentions(inside, ("profiles", "p"))) == [(("profiles", "p", "subagent"), "x")]


def test_a_rule_that_uses_nothing_has_no_names_and_keeps_its_number():
    file = structure({"routes": [{}, {"use": "x"}]}, FileTable)
    assert list(mentions(file)) == [(("routes", 1, "use"), "x")]
