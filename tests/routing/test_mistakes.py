from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.mistakes import _DEEP, Mistake, placed, tables
from ccrouter.routing.tables import FileTable, ProjectTable

SECRET = "SeKrIt-0123456789"


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (Mistake("is wrong"), "f: is wrong"),
        (Mistake("is wrong", ("a", "b c", 0)), 'f: a."b c"[0]: is wrong'),
        (Mistake("is wrong", ("a",), 3), "f:3: a: is wrong"),
        (Mistake("is wrong", (), 3, 7), "f:3:7: is wrong"),
    ],
)
def test_a_mistake_is_told_with_what_is_known_of_its_place(mistake, told):
    assert mistake.told("f") == told


def test_mistakes_are_told_in_the_order_of_their_lines_and_at_a_table_around_them():
    text = "a = 1\n[b]\nc = 2\n"
    found = placed(
        [Mistake("x", ("b", "c")), Mistake("y", ("b", "missing")), Mistake("z", ("a",)), Mistake("w")], text
    )
    assert [(each.words, each.line) for each in found] == [("w", None), ("z", 1), ("y", 2), ("x", 3)]


def test_a_file_whose_shape_is_right_has_its_tables():
    found = tables("profile = 'x'\nroutes = [{ use = 'a', when = { class = 'main' } }]", FileTable)
    assert isinstance(found, FileTable)
    assert (found.profile, found.routes[0].when.class_) == ("x", ("main",))


def wrong(text):
    found = tables(text, FileTable)
    assert isinstance(found, tuple)
    return found


@pytest.mark.parametrize("shape", [FileTable, ProjectTable])
@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a = [1,,]", 1, 8, "Invalid value"),
        ("\na = [", 2, None, "Invalid value, at the end of the file"),
        ("a = 1\na = 2\n", 2, 6, "Cannot overwrite a value"),
        ("a = " + "[" * 9999, None, None, "is nested too deeply to be read"),
        ("a = " + "1" * 9999, None, None, "holds a number that is too long to be read"),
    ],
)
def test_what_is_no_toml_is_told_with_its_place(shape, text, line, column, words):
    (mistake,) = tables(text, shape)
    assert (mistake.line, mistake.column, mistake.words) == (line, column, words)


WORD = '; text stands in quotes, as in default = "anthropic"'
NUMBER = '; text stands in quotes, as in drain = "10s"'


@pytest.mark.parametrize(
    ("value", "column", "cure"),
    [
        ("anthropic", 5, WORD), ("sk-1", 5, WORD), ("$KEY", 5, WORD), ("~/key", 5, WORD), ("/etc/key", 5, WORD),
        ("[ollama, x]", 6, WORD), ("['x', ollama]", 11, WORD), ("{ b = ollama }", 11, WORD), ("möglich", 5, WORD),
        ("10s", 7, NUMBER), ("1.5m", 8, NUMBER), ("127.0.0.1", 10, NUMBER), ("{ b = 5m }", 12, NUMBER), ("[5m]", 7, NUMBER),
        ("'x' y", 9, ""), ("true x", 10, ""), ("01", 6, ""), ("]", 5, ""), ("[1,,]", 8, ""), ("= 1", 5, ""),
    ],
)  # fmt: skip
def test_text_without_quotes_is_told_how_to_mend_and_is_not_repeated(value, column, cure):
    (mistake,) = wrong(f"\r\na = {value}\nb = 1")
    assert (mistake.line, mistake.column) == (2, column)
    found, _, rest = mistake.words.partition(";")
    assert ";" + rest == cure if cure else not rest
    assert value not in found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("routs = []", "routs: unknown key `routs`; did you mean `routes`?"),
        ("port = 1", "port: unknown key `port` here; it belongs into [server]"),
        ("patience = 1", "patience: unknown key `patience` here; it belongs into [server]"),
        ("routes = 3", "routes: must be a list, in [ ]"),
        ("routes = ['x']", 'routes[0]: must be a table such as { use = "ollama:qwen3:8b" }'),
        ("profiles = []", 'profiles: must be a table such as { local = { default = "ollama:qwen3:8b" } }'),
        ("server.timeouts = '10m'", 'server.timeouts: must be a table such as { connect = "10s", idle = "5m" }'),
        ("[[routes]]\nuse = 'x'\nwhen.quota_over = 80", "routes[0].when.quota_over: must be a table such as { anthropic = 80 }"),
        ("providers.ollama = 'http://x'", "providers.ollama: must be a table such as { base_url = "),
        ("[[routes]]\nuse = []", "routes[0].use: must be a model such as"),
        ("[[routes]]\nuse = 'x'\nwhen.clas = 'x'", "routes[0].when.clas: unknown key `clas`; did you mean `class`?"),
        ("[[routes]]\nuse = 'x'\nwhen.class_ = 'main'", "routes[0].when.class_: unknown key `class_`; did you mean `class`?"),
        ("[[routes]]\nuse = 'x'\nwhen.class = 3", "routes[0].when.class: is no class of requests; there are: main, "),
        ("[[routes]]\nuse = 'x'\nwhen.class = []", "routes[0].when.class: must be a class such as"),
        ("[[routes]]\nuse = 'x'\nwhen.class = ['main', 'x']", "routes[0].when.class[1]: is no class of requests"),
        ("[[routes]]\nuse = 'x'\nwhen.has = []", "routes[0].when.has: must be a part such as"),
        ("[[routes]]\nuse = 'x'\nwhen.days = []", "routes[0].when.days: must be a day such as"),
        ("[[routes]]\nuse = 'x'\nwhen.agent = []", "routes[0].when.agent: must be a name, or a list of them"),
        ("[[routes]]\nuse = 'x'\nwhen.hours = '9-17'", "routes[0].when.hours: must be a span of the day such as"),
        ("[[routes]]\nuse = 'x'\nwhen.quota_over = { a = 0 }", "routes[0].when.quota_over.a: must be a whole number"),
        ("slots = 'all'", "slots: is no choice of slots; there are: none, conservative, aggressive"),
        ("providers.o.budget = { tokens = 1 }", "providers.o.budget.tokens: unknown key `tokens`; did you mean `tokens_per_"),
        ("providers.o.budget.dollars_per_day = '5'", "providers.o.budget.dollars_per_day: must be an amount of US dollars"),
        ("providers.o.models = [{ id = 'a', price = 3 }]", "providers.o.models[0].price: must be a table such as { input"),
        ("providers.o.models = [{ id = 'a', price = { input = 3 } }]", "providers.o.models[0].price: must be a table such"),
        ("profiles.a.server = {}", "profiles.a.server: unknown key `server`;"),
        ("profiles.a.providers = { o = 'off' }", "profiles.a.providers.o: must be true or false, without quotes"),
        ("explain.keep = 0", "explain.keep: must be a whole number from 1 to"),
    ],
)  # fmt: skip
def test_each_mistake_in_the_shape_is_told_with_line_key_and_cure(text, words):
    (mistake,) = wrong(text)
    told = mistake.told("f")
    assert told.startswith(f"f:{len(text.splitlines())}: {words}")


def test_a_key_as_long_as_a_novel_is_cut():
    (mistake,) = wrong(f"{'x' * 5000} = 1")
    assert len(mistake.told("f")) < 400


_values = st.sampled_from(
    [
        f"'{SECRET}'",
        f"['{SECRET}']",
        f"{{ class = '{SECRET}' }}",
        f"{{ x = '{SECRET}' }}",
        f"[{{ use = '{SECRET} ' }}]",
    ]
)
_keys = st.sampled_from(
    ["default", "routes", "profiles", "profiles.a.routes", "routes", "slots", "explain", "explain.keep", "server.tries",
     "providers.o.budget", "providers.o.max_concurrent", "providers.o.api_key", "providers.o.models", "port", "profile"]
)  # fmt: skip


@given(_keys, _values, st.sampled_from([FileTable, ProjectTable]))
def test_a_value_is_never_repeated(key, value, shape):
    found = tables(f"{key} = {value}", shape)
    if isinstance(found, tuple):
        assert not any(SECRET in each.told("f") for each in found)


DEEP = "a." * 30_000


@pytest.mark.parametrize(
    "text",
    [
        f"\n\n{DEEP}a = 1",
        f"\n\n[{DEEP}a]",
        f"\n\n[[ {DEEP}a ]]",
        f"\n\nx = {{ {DEEP}a = 1 }}",
        "\n\n" + "'a' . \"b\"." * 6_000 + "a = 1",
    ],
    ids=range(5),
)
def test_a_key_of_thousands_of_parts_is_refused_before_it_costs_anything(text):
    found = tables(text, ProjectTable)
    assert isinstance(found, tuple)
    (mistake,) = found
    assert (mistake.words, mistake.line) == ("holds a key of more than 32 parts, which is none of ours", 3)


@pytest.mark.parametrize("text", ["a" * 64_000, "a" * 64_000 + ".", '"' * 64_000, "a." * 31 + "\n"])
def test_a_look_for_such_keys_takes_a_moment(text):
    assert _DEEP.search(text * 2 if len(text) < 100 else text) is None
