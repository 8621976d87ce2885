import tomllib
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.spelling import (
    duration,
    line_of,
    lines,
    nearest,
    shown,
    spell_duration,
    spell_key,
    spell_path,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("1.5m", 90), ("1h", 3600), ("250ms", 0.25), ("0s", 0), ("0.5s", 0.5), ("90m", 5400)],
)
def test_durations_are_read_in_all_their_units(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "s", "-1s", "+1s", "1 s", "1S", "1d", ".5s", "1.s", "1e3s", "\u0661s", "1s\n"]
)
def test_what_is_no_duration_is_not_read_as_one(text):
    assert duration(text) is None


@given(st.floats(min_value=0, max_value=1e9))
def test_a_spelled_duration_is_read_back_exactly(seconds):
    assert duration(spell_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(10, "10s"), (90, "90s"), (300, "5m"), (3600, "1h"), (0.02, "20ms"), (0, "0s")]
)
def test_durations_are_spelled_as_people_spell_them(seconds, text):
    assert spell_duration(float(seconds)) == text


def test_the_nearest_right_spelling_is_found_across_case_and_dashes():
    assert nearest("prot", ["host", "port", "token"]) == "port"
    assert nearest("Base-URL", ["base_url", "api_key"]) == "base_url"
    assert nearest("qqqq", ["base_url", "api_key"]) is None


def test_paths_are_spelled_as_toml_spells_them():
    assert spell_path(("providers", "my host", "models", 0, "id")) == 'providers."my host".models[0].id'


def test_a_name_in_a_message_cannot_move_the_cursor_or_flood_the_terminal():
    for spell in (shown, spell_key):
        assert spell("a\x1b[2J\nb\u202e\x9b").isprintable()
        assert len(spell("x" * 5000)) <= 62
        assert "\x1b" not in spell("\x1b")


# ------------------------------------------------------------------------------------------------ lines

TRICKY = '''\
# a = 1
top = """
[fake]
fake = 1
\\""" still """""
server.port = 1                      # a dotted key names its table
"quoted.key" = 'a "literal" # string'
'single' = \'\'\'
no = "key"
\'\'\'\'\'
"esc\\u0061ped" = 3

[providers . "my host"]  # [not.this]
models = [
  "one", # a comment with ] and "
  { id = "two", sizes = [1, [2,
     3]] },

  { id = "three" }
]
date = 1979-05-27T07:32:00Z
inf = -inf

[[routes]]
use = "a"
when = { class = "x", deep.est = 1 }
[routes.sub]
k = 1
[[routes]]
use = "b"
[[routes.inner]]
[[routes.inner]]
z = 1
'''


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_every_way_to_write_a_key_leads_to_its_line(ending):
    tomllib.loads(TRICKY)
    found = lines(TRICKY.replace("\n", ending))
    source = TRICKY.split("\n")

    def at(mark):
        (line,) = [number for number, text in enumerate(source, 1) if mark in text]
        return line

    assert found["top",] == at("top =")
    assert found["server",] == found["server", "port"] == at("server.port")
    assert found["quoted.key",] == at("quoted.key")
    assert found["single",] == at("'single'")
    assert found["escaped",] == at("ped")
    assert found["providers",] == found["providers", "my host"] == at("[providers")
    assert found["providers", "my host", "models"] == at("models =")
    assert found["providers", "my host", "models", 0] == at('"one"')
    assert found["providers", "my host", "models", 1, "id"] == at('"two"')
    assert found["providers", "my host", "models", 1, "sizes", 1, 1] == at("3]]")
    assert found["providers", "my host", "models", 2, "id"] == at('"three"')
    assert found["providers", "my host", "inf"] == at("inf =")
    assert found["routes",] == found["routes", 0] == at('use = "a"') - 1
    assert found["routes", 0, "when", "class"] == found["routes", 0, "when", "deep", "est"] == at("when")
    assert found["routes", 0, "sub", "k"] == at("k = 1")
    assert found["routes", 1, "use"] == at('use = "b"')
    assert found["routes", 1, "inner", 1, "z"] == at("z = 1")
    assert ("fake",) not in found
    assert ("no",) not in found
    assert ("not", "this") not in found


@st.composite
def documents(draw):
    """A valid TOML text, written in every way that the format allows, and the line of each of its keys."""
    numbers = count()
    text, places = [""], {}

    def write(piece):
        text[0] += piece

    def line():
        return text[0].count("\n") + 1

    def blank(*, breaks):
        choices = ["", " ", "\t"] + (["\n", "# [x] y = 1 '''\n", "\r\n"] if breaks else [])
        write(draw(st.sampled_from(choices)))

    def key():
        name = f"k{next(numbers)}"
        form = draw(st.sampled_from(["{}", '"{}"', "'{}'", '"{} \\" = "', "'{}.[\"'"]))
        written = form.format(name)
        ((read, _),) = tomllib.loads(f"{written} = 0").items()
        return written, read

    def value(path, depth):
        form = draw(st.sampled_from(["scalar", "string", "array", "table"] if depth else ["scalar", "string"]))
        if form == "scalar":
            write(draw(st.sampled_from(["1", "-0.5e3", "true", "nan", "1979-05-27 07:32:00", "0xff"])))
        elif form == "string":
            strings = [
                '"x = 1"',
                '"\\"]"',
                "'}#'",
                '"""\n[a]\nb = 1\n"""',
                "'''\n[[a]]\n''''",
                '""""""',
                '"""a"""""',
                "''",
            ]
            write(draw(st.sampled_from(strings)))
        elif form == "array":
            write("[")
            for index in range(draw(st.integers(0, 3))):
                blank(breaks=True)
                places[*path, index] = line()
                value((*path, index), depth - 1)
                blank(breaks=True)
                write(",")
            blank(breaks=True)
            write("]")
        else:
            write("{")
            for index in range(draw(st.integers(0, 3))):
                write("," if index else "")
                blank(breaks=False)
                assignment(path, depth - 1)
            blank(breaks=False)
            write("}")

    def assignment(path, depth):
        places_of = line()
        for _ in range(draw(st.integers(0, 1))):
            written, read = key()
            write(f"{written} . ")
            path = (*path, read)
            places[path] = places_of
        written, read = key()
        path = (*path, read)
        places[path] = places_of
        write(f"{written} = ")
        value(path, depth)

    arrays: dict[str, int] = {}
    for section in range(draw(st.integers(1, 4))):
        table: tuple[str | int, ...] = ()
        if section:
            if arrays and draw(st.booleans()):
                name = draw(st.sampled_from(sorted(arrays)))
            else:
                name = f"t{next(numbers)}"
                if draw(st.booleans()):
                    arrays[name] = 0
            place = line()
            if name in arrays:
                table = (name, arrays[name])
                arrays[name] += 1
                write(f"[[ {name} ]]")
            else:
                table = (name,)
                write(f"[{name}]")
            places[table] = place
            write(draw(st.sampled_from(["\n", "  # z = 1\n"])))
        for _ in range(draw(st.integers(0, 3))):
            blank(breaks=True)
            assignment(table, 2)
            write("\n")
    return text[0], places


@given(documents())
def test_keys_of_any_document_are_found_on_their_lines(document):
    text, places = document
    tomllib.loads(text)
    found = lines(text)
    assert {path: found.get(path) for path in places} == places


@given(st.text(alphabet="ab.=[]{}\"'#,\n \\1\r", max_size=60))
def test_text_that_is_no_toml_costs_lines_and_nothing_else(text):
    for line in lines(text).values():
        assert 1 <= line <= text.count("\n") + 1


def test_depth_and_length_cost_neither_the_stack_nor_the_square():
    assert lines("a = " + "[" * 50_000)["a",] == 1
    assert len(lines(".".join("a" * 20_000) + " = 1")) < 10


def test_a_missing_key_stands_where_its_table_does():
    found = lines("\n[providers.x]\n")
    assert line_of(("providers", "x", "models", 3, "id"), found) == 2
    assert line_of(("server",), found) is None
