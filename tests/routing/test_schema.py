import json
import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import ConfigError
from ccrouter.providers.presets import PRESETS
from ccrouter.routing.load import parse
from ccrouter.routing.mistakes import tables
from ccrouter.routing.schema import json_schema
from ccrouter.routing.spelling import spell_path
from ccrouter.routing.tables import FileTable

SCHEMA = json_schema(PRESETS)

CONTRACT = """
default = "anthropic"                    # provider for names that nothing else claims

[server]
port = 11436
token = { env = "CCROUTER_TOKEN" }       # else random for each start
drain = "10s"                            # how long a stop waits for running streams
ping = "15s"                             # a ping whenever a stream was silent for so long
timeouts = { connect = "10s", first_byte = "10m", idle = "5m", total = "1h" }   # also per provider

[providers.anthropic]                    # a name that is a preset needs nothing more

[providers.ollama]
base_url = "http://192.168.1.50:11434"

[providers.work]
preset = "chat"
timeouts = { idle = "90s" }              # silence in mid-stream
base_url = "https://llm.example.com/v1"
api_key = { command = ["op", "read", "op://work/llm/key"], ttl = "1h" }
models = ["qwen3-coder", { id = "glm-5", window = 131072, vision = false }]
headers = { "x-team" = "core" }

[aliases]
big = "openai:gpt-5.1"
haiku = "ollama:qwen3:8b"                # deliberate: see the warning about background work

[[routes]]                               # first match wins; all conditions of a rule must hold
when = { class = "subagent", agent = "Explore" }
use = "ollama:qwen3-coder:30b"

[[routes]]
when = { tokens_over = 150000 }
use = ["openrouter:google/gemini-3-pro", "anthropic:claude-sonnet-5-5[1m]"]   # fallback order

[profiles.local]
default = "ollama"
subagent = "ollama:qwen3:8b"
"""

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
KNOWN = {
    "$ref", "$schema", "additionalProperties", "allOf", "anyOf", "default", "definitions", "dependencies",
    "description", "enum", "exclusiveMinimum", "items", "maximum", "minItems", "minimum", "oneOf", "pattern",
    "properties", "propertyNames", "required", "title", "type",
}  # fmt: skip


def is_valid(value, schema):
    """As much of JSON Schema, draft 7, as the schema uses; a word beyond that is an error here."""
    assert schema.keys() <= KNOWN, schema.keys() - KNOWN
    match schema.get("type"):
        case None:
            pass
        case "integer" | "number" if isinstance(value, bool):
            return False
        case kind if not isinstance(value, TYPES[kind]):
            return False
    return all(_holds(word, rule, value, schema) for word, rule in schema.items())


def _holds(word, rule, value, schema):
    match word, value:
        case "$ref", _:
            return is_valid(value, SCHEMA["definitions"][rule.removeprefix("#/definitions/")])
        case "allOf", _:
            return all(is_valid(value, each) for each in rule)
        case "anyOf", _:
            return any(is_valid(value, each) for each in rule)
        case "oneOf", _:
            return sum(is_valid(value, each) for each in rule) == 1
        case "enum", _:
            return value in rule
        case "pattern", str():
            return re.search(rule.removesuffix("$") + r"\Z" if rule.endswith("$") else rule, value) is not None
        case "minimum", int() | float():
            return value >= rule
        case "exclusiveMinimum", int() | float():
            return value > rule
        case "maximum", int() | float():
            return value <= rule
        case "items", list():
            return all(is_valid(each, rule) for each in value)
        case "minItems", list():
            return len(value) >= rule
        case "required", dict():
            return set(rule) <= value.keys()
        case "dependencies", dict():
            return all(key not in value or set(needed) <= value.keys() for key, needed in rule.items())
        case "propertyNames", dict():
            return all(is_valid(key, rule) for key in value)
        case "properties", dict():
            return all(is_valid(value[key], each) for key, each in rule.items() if key in value)
        case "additionalProperties", dict():
            rest = [each for key, each in value.items() if key not in schema.get("properties", {})]
            return not rest if rule is False else all(is_valid(each, rule) for each in rest)
    return True


def accepted(tree):
    text = "\n".join(f"{inline(key)} = {inline(value)}" for key, value in tree.items())
    assert tomllib.loads(text) == tree
    try:
        parse(text, where="f", presets=PRESETS)
    except ConfigError:
        return False
    return True


def inline(value):
    match value:
        case list():
            return "[" + ", ".join(map(inline, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{inline(key)} = {inline(each)}" for key, each in value.items()) + "}"
        case _:
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def test_the_file_of_the_contract_is_right_by_both_readers():
    assert is_valid(tomllib.loads(CONTRACT), SCHEMA)
    config = parse(CONTRACT, where="f", presets=PRESETS)
    assert (len(config.routes), list(config.profiles), len(config.providers)) == (2, ["local"], 3)


# What the shape alone decides: here both readers must say the same.
secrets = [
    ("s", True), (" s", False), ("", False), (3, False), ({}, False), ({"env": "A"}, True), ({"env": "A-B"}, False),
    ({"file": "~/x"}, True), ({"command": ["a"]}, True), ({"command": []}, False), ({"command": "a"}, False),
    ({"command": ["a"], "ttl": "1h"}, True), ({"env": "A", "ttl": 1}, False), ({"env": "A", "file": "b"}, False),
    ({"env": "A", "x": 1}, False),
]  # fmt: skip
conditions = [
    ({"class": "subagent"}, True), ({"class": ["main", "title"]}, True), ({"class": "sub"}, False), ({"class": []}, False),
    ({"agent": "E*", "model": ["*"], "project": "~", "profile": "*"}, True), ({"agent": ""}, False),
    ({"tokens_over": 1, "tokens_under": 9}, True), ({"tokens_over": 0}, False), ({"tokens_under": "9"}, False),
    ({"has": "images"}, True), ({"has": ["tools", "thinking"]}, True), ({"has": "audio"}, False),
    ({"effort": "max"}, True), ({"effort": "huge"}, False), ({"effort": ["max"]}, False),
    ({"headers": {"x-a": "*"}}, True), ({"headers": {"a b": "*"}}, False), ({"headers": "x"}, False),
    ({"hours": "22:00-06:00"}, True), ({"hours": "9-17"}, False), ({"hours": "24:00-01:00"}, False),
    ({"days": "mon"}, True), ({"days": ["sat", "sun"]}, True), ({"days": "monday"}, False),
    ({"quota_over": {"anthropic": 80}}, True), ({"quota_over": {"anthropic": 0}}, False), ({"quota_over": 80}, False),
    ({"server_tool": "web_search"}, True), ({"hologram": 1}, False),
]  # fmt: skip
durations = [("10s", True), (0.5, True), ("10", False), (0, False), ("-1s", False), (True, False), ([], False)]
CASES = [
    *[({"server": {"token": value}}, right) for value, right in secrets],
    *[({"providers": {"ollama": {"headers": {"x-a": value}}}}, right) for value, right in secrets],
    *[({"providers": {"ollama": {"timeouts": {"idle": value}}}}, right) for value, right in durations],
    ({"demo": {"pace": 0}}, True),
    ({"demo": {"pace": -1}}, False),
    ({"server": {"port": 0}}, True),
    ({"server": {"port": 65536}}, False),
    ({"server": {"port": True}}, False),
    ({"server": {"port": "1"}}, False),
    ({"server": {"host": "::1", "hosts": ["a.lan"]}}, True),
    ({"server": {"hosts": ["a.lan:80"]}}, False),
    ({"server": {"prot": 1}}, False),
    ({"providers": {"w": {}}}, False),
    ({"providers": {"w": {"preset": "nothing"}}}, False),
    ({"providers": {"w x": {"preset": "ollama"}}}, False),
    ({"providers": {"w": {"preset": "ollama", "models": ["a", {"id": "b", "window": 1, "vision": True}]}}}, True),
    ({"providers": {"w": {"preset": "ollama", "models": [{"id": "b", "max_output": 8192}]}}}, True),
    ({"providers": {"w": {"preset": "ollama", "models": [{"id": "b", "max_output": 0}]}}}, False),
    ({"providers": {"w": {"preset": "ollama", "models": [{"window": 1}]}}}, False),
    ({"providers": {"w": {"preset": "ollama", "wire": "ollama"}}}, True),
    *[
        ({"providers": {"ollama": {"models": [{"id": "b", "num_ctx": 65_536, "keep_alive": value}]}}}, right)
        for value, right in [("30m", True), (0, True), (-1, True), ("forever", True), (-2, False), ("no", False)]
    ],
    ({"providers": {"ollama": {"models": [{"id": "b", "num_ctx": 0}]}}}, False),
    ({"providers": {"ollama": {"models": [{"id": "b", "num_ctx": "64k"}]}}}, False),
    ({"providers": {"w": {"preset": "ollama", "models": [{"id": "b", "window": 0}]}}}, False),
    ({"providers": {"ollama": {"base_url": "ftp://x"}}}, False),
    ({"providers": {"ollama": {"base_url": "https://u@x"}}}, False),
    ({"aliases": {"a": "b", "c": ["d", "e"]}}, True),
    ({"aliases": {"a": []}}, False),
    ({"aliases": {"": "x"}}, False),
    ({"routes": []}, True),
    ({"routes": {}}, False),
    ({"routes": [{"use": "a:b", "name": "x"}]}, True),
    ({"routes": [{"use": ["a:b", "{model}"], "when": {}}]}, True),
    ({"routes": [{"use": []}]}, False),
    ({"routes": [{"use": "x", "then": 1}]}, False),
    *[({"routes": [{"use": "x", "when": when}]}, right) for when, right in conditions],
    *[({"profiles": {"p": {"routes": [{"use": "x", "when": when}]}}}, right) for when, right in conditions],
    ({"profile": "p", "profiles": {"p": {}}}, True),
    ({"profiles": {"p": {"default": "ollama", "subagent": "a", "classifier": ["a", "b"]}}}, True),
    ({"profiles": {"p": {"aliases": {"a": "b"}, "providers": {"ollama": False}}}}, True),
    ({"profiles": {"p": {"providers": {"ollama": "no"}}}}, False),
    ({"profiles": {"p": {"providers": {"ollama": 0}}}}, False),
    ({"profiles": {"p": {"providers": {"ollama": []}}}}, False),
    ({"profiles": {"p": {"server": {}}}}, False),
    ({"profiles": {"": {}}}, False),
    ({"subagent": "a", "classifier": ["a", "b"]}, True),
    ({"subagent": []}, False),
    ({"slots": "conservative"}, True),
    ({"slots": "all"}, False),
    ({"explain": {"keep": 10, "prompts": True}}, True),
    ({"explain": {"keep": 0}}, False),
    ({"server": {"tries": 3, "patience": "1m"}}, True),
    ({"server": {"tries": 0}}, False),
    (
        {"providers": {"ollama": {"max_concurrent": 2, "budget": {"tokens_per_day": 1, "tokens_per_month": 2}}}},
        True,
    ),
    ({"providers": {"ollama": {"max_concurrent": 0}}}, False),
    ({"providers": {"ollama": {"budget": {"tokens_per_day": 1.5}}}}, False),
    *[
        ({"providers": {"ollama": {"models": [{"id": "b", "price": price}]}}}, right)
        for price, right in [
            ({"input": 3, "output": 15.5}, True),
            ({"input": 0, "output": 0, "cache_read": 0.1, "cache_write": 1}, True),
            ({"input": 3}, False),
            ({"input": -1, "output": 1}, False),
            ({"input": "3", "output": 1}, False),
            (3, False),
        ]
    ],
]


@pytest.mark.parametrize(("tree", "right"), CASES)
def test_editors_and_the_router_agree_on_the_shape(tree, right):
    assert (accepted(tree), is_valid(tree, SCHEMA)) == (right, right)


text = st.sampled_from(
    [
        "ollama",
        "messages",
        "anthropic",
        "10s",
        "1.5m",
        "https://x.example/v1",
        "HTTP://[::1]:1",
        "a b",
        "",
        "é",
        "A",
        "\n",
    ]
) | st.text(max_size=5)
values = st.one_of(st.booleans(), st.integers(-2, 70000), st.sampled_from([0.5, 1e9]), text)
secret = values | st.fixed_dictionaries(
    {}, optional={"env": text, "file": text, "command": st.lists(text, max_size=2), "ttl": values}
)
timeouts = st.fixed_dictionaries({}, optional=dict.fromkeys(["connect", "idle"], values))
model = text | st.fixed_dictionaries(
    {},
    optional={
        "id": text,
        "name": text,
        "window": values,
        "vision": values,
        "num_ctx": values,
        "keep_alive": values,
    },
)
provider = st.fixed_dictionaries(
    {},
    optional={
        "preset": text, "base_url": text, "api_key": secret, "models": st.lists(model, max_size=2), "timeouts": timeouts,
        "headers": st.dictionaries(text, secret, max_size=2),
    },
)  # fmt: skip
server = st.fixed_dictionaries(
    {},
    optional={"host": text, "port": values, "token": secret, "hosts": st.lists(text, max_size=2), "drain": values},
)
when = st.fixed_dictionaries(
    {},
    optional={
        "class": text | st.sampled_from(["main", "title"]), "agent": text | st.lists(text, max_size=2), "hours": text | st.sampled_from(["22:00-06:00", "\u06609:00-10:00"]),
        "days": text | st.just(["mon"]), "tokens_over": values, "has": st.sampled_from(["images", [], "x"]),
        "quota_over": st.dictionaries(text, values, max_size=1), "headers": st.dictionaries(text, text, max_size=1),
    },
)  # fmt: skip
routes = st.lists(
    st.fixed_dictionaries({}, optional={"name": text, "when": when, "use": text | st.lists(text)}), max_size=2
)
profile = st.fixed_dictionaries(
    {},
    optional={
        "default": text, "subagent": text, "routes": routes, "aliases": st.dictionaries(text, text, max_size=1),
        "providers": st.dictionaries(text, st.booleans(), max_size=2),
    },
)  # fmt: skip
files = st.fixed_dictionaries(
    {},
    optional={
        "default": text, "server": server, "demo": st.fixed_dictionaries({}, optional={"pace": values}),
        "providers": st.dictionaries(text, provider, max_size=2),
        "aliases": st.dictionaries(text, text | st.lists(text, max_size=2), max_size=2),
        "routes": routes, "profile": text, "profiles": st.dictionaries(text, profile, max_size=2), "slots": text,
        "classifier": text, "explain": st.fixed_dictionaries({}, optional={"keep": values, "prompts": values}),
    },
)  # fmt: skip


@given(files)
def test_a_file_that_the_router_accepts_is_never_marked_as_wrong_by_an_editor(tree):
    if accepted(tree):
        assert is_valid(tree, SCHEMA)


def test_the_schema_tells_editors_presets_defaults_and_meanings():
    providers = SCHEMA["properties"]["providers"]
    assert list(providers["properties"]) == list(PRESETS)
    assert SCHEMA["definitions"]["Provider"]["properties"]["preset"]["enum"] == list(PRESETS)
    server = SCHEMA["definitions"]["Server"]["properties"]
    assert (server["port"]["default"], server["drain"]["default"]) == (11436, "10s")
    assert SCHEMA["definitions"]["Timeouts"]["properties"]["total"]["default"] == "1h"
    for table in [SCHEMA, *SCHEMA["definitions"].values()]:
        assert table["additionalProperties"] is False
        assert all(each["description"] for each in table["properties"].values())


def places_of_tables(schema, path=()):
    """Where in a file tables stand; ``ollama`` is what is called as its user likes, and 0 the first of a list."""
    for each in schema.get("allOf", ()):
        yield from places_of_tables(SCHEMA["definitions"][each["$ref"].removeprefix("#/definitions/")], path)
    if schema.get("type") == "array":
        yield from places_of_tables(schema["items"], (*path, 0))
    if schema.get("type") == "object":
        yield path
        for key, inner in schema.get("properties", {}).items():
            yield from places_of_tables(inner, (*path, key))
        if isinstance(inner := schema["additionalProperties"], dict):
            yield from places_of_tables(inner, (*path, "ollama"))


PLACES = sorted({each for each in places_of_tables(SCHEMA) if each}, key=spell_path)


def shape(path, value):
    for key in reversed(path):
        value = [value] if key == 0 else {key: value}
    return tables("\n".join(f"{inline(key)} = {inline(each)}" for key, each in value.items()), FileTable)


@pytest.mark.parametrize("path", PLACES, ids=spell_path)
def test_who_wrote_something_else_than_a_table_is_shown_one_that_may_stand_there(path):
    (mistake,) = shape(path, 3)
    cause, separator, example = mistake.words.partition(" such as ")
    assert (mistake.path, cause) == (path, "must be a table")
    assert separator
    assert isinstance(shape(path, tomllib.loads(f"x = {example}")["x"]), FileTable)


def test_there_are_tables_of_all_kinds():
    assert {("server",), ("routes", 0, "when", "quota_over"), ("profiles", "ollama", "routes", 0)} <= set(PLACES)


def test_the_schema_is_json():
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
