"""The configuration as the tables of its file: read back it is the same, and no secret stands in it."""

from __future__ import annotations

import json

import pytest
from attrs import asdict, evolve, fields
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.cli.config_dump import as_toml, rule_table, tables
from ccrouter.errors import ConfigError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Budget, Model, Price, Provider, Timeouts
from ccrouter.providers.secret import FromCommand, FromEnv, FromFile, Literal
from ccrouter.routing.config import Config, Demo, Explain, Profile, Server
from ccrouter.routing.load import parse
from ccrouter.routing.rules import Rule, When
from ccrouter.routing.values import CLASSES, DAYS, EFFORTS, PARTS, SLOTS
from tests.cli.test_config import SECRET, WHOLE


def test_what_show_hides_cannot_be_taken_for_a_configuration():
    hidden = as_toml(tables(parse(WHOLE, where="f", presets=PRESETS)))
    with pytest.raises(ConfigError, match="hidden"):
        parse(hidden, where="f", presets=PRESETS)


names = st.from_regex(r"[A-Za-z0-9._-]{1,8}", fullmatch=True)
words = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=6)
seconds = st.floats(min_value=1e-6, max_value=1e6)
deadlines = st.builds(Timeouts, seconds, seconds, seconds, seconds)
sources = st.one_of(
    st.builds(FromEnv, st.just("K")),
    st.builds(FromFile, words | st.just('a\x7f "\n\\')),
    st.builds(FromCommand, words.map(lambda word: (word,)), st.none() | seconds),
)
dollars = st.floats(min_value=0, max_value=1e6) | st.integers(0, 100).map(float)
counts = st.integers(1, 10**6)
prices = st.builds(Price, dollars, dollars, st.none() | dollars, st.none() | dollars)
models = st.builds(
    Model,
    words,
    st.none() | words,
    st.none() | counts,
    st.none() | st.booleans(),
    max_output=st.none() | counts,
    tools=st.none() | st.booleans(),
    thinking=st.none() | st.booleans(),
    price=st.none() | prices,
)
loaded = st.builds(
    Model,
    words,
    num_ctx=st.none() | counts,
    keep_alive=st.none() | st.sampled_from([0.0, float("inf")]) | seconds,
)


def few(strategy, least=1):
    return st.lists(strategy, min_size=least, max_size=2, unique=True).map(tuple)


targets = few(words.map(lambda word: f"ollama:{word}"))
patterns = few(words | st.just("claude-*"), 0)
spans = st.tuples(st.integers(0, 1439), st.integers(0, 1440)).filter(lambda span: span[0] != span[1])
bounds = st.tuples(st.none() | st.integers(1, 1000), st.none() | st.integers(2000, 10**6))


@st.composite
def rules(draw, profiles):
    over, under = draw(bounds)
    hints = st.dictionaries(st.sampled_from(["x-a", "x.b", "user-agent"]), words, max_size=2)
    quotas = st.dictionaries(st.sampled_from(["anthropic", "ollama"]), st.integers(1, 100), max_size=2)
    when = When(
        classes=draw(few(st.sampled_from(CLASSES), 0)),
        agent=draw(patterns),
        model=draw(patterns),
        tokens_over=over,
        tokens_under=under,
        has=draw(few(st.sampled_from(PARTS), 0)),
        server_tool=draw(patterns),
        effort=draw(st.none() | st.sampled_from(EFFORTS)),
        headers=tuple(draw(hints).items()),
        project=draw(patterns),
        hours=draw(st.none() | spans),
        days=draw(few(st.sampled_from(DAYS), 0)),
        profile=draw(few(st.sampled_from(["*", *profiles]), 0)),
        quota_over=tuple(draw(quotas).items()),
    )
    return Rule(name=draw(words), when=when, use=draw(targets | few(st.just("{model}"))))


def some_aliases():
    """Each leads to a model of ``ollama``'s. The names of families are names for all of Claude's."""
    return st.dictionaries(words.filter(lambda word: ":" not in word) | st.just("haiku"), targets, max_size=2)


@st.composite
def some_profiles(draw, own):
    found = {}
    for name in draw(st.sets(words, max_size=2)):
        found[name] = Profile(
            default=draw(st.none() | st.sampled_from(["demo", "openrouter:x"])),
            subagent=draw(st.just(()) | targets),
            classifier=draw(st.just(()) | targets),
            aliases=draw(some_aliases()),
            routes=tuple(draw(st.lists(rules(["*"]), max_size=2))),
            off=frozenset(draw(st.sets(st.sampled_from(["anthropic", "vllm"])))),
        )
    return found


@st.composite
def configs(draw, secrets=sources):
    kinds = {"messages": models, "ollama": models | loaded}
    presets = {name: draw(st.sampled_from([*kinds])) for name in draw(st.sets(names, max_size=2))}
    providers = {
        name: Provider(
            name=name,
            preset=PRESETS[preset],
            base_url=draw(st.sampled_from(["https://x.example", "http://[::1]:1/a"])),
            api_key=draw(st.none() | secrets),
            headers=tuple(
                draw(st.dictionaries(st.sampled_from(["x-a", "x.b", "authorization"]), secrets)).items()
            ),
            models=tuple(draw(st.lists(kinds[preset], max_size=3, unique_by=lambda model: model.id))),
            timeouts=draw(deadlines),
            max_concurrent=draw(st.none() | counts),
            configured=True,
        )
        for name, preset in presets.items()
    }
    for name, each in providers.items():
        priced = any(model.price is not None for model in each.models)
        amounts = st.none() | dollars if priced else st.none()
        budget = st.builds(Budget, st.none() | counts, st.none() | counts, amounts, amounts)
        providers[name] = evolve(each, budget=draw(budget))
    server = Server(
        token=draw(st.none() | secrets),
        hosts=tuple(draw(st.lists(st.sampled_from(["a.lan", "::1"]), max_size=2))),
        drain=draw(seconds | st.just(0.0)),
        ping=draw(seconds),
        timeouts=draw(deadlines),
        tries=draw(st.integers(1, 9)),
        patience=draw(seconds | st.just(0.0)),
    )
    profiles = draw(some_profiles(providers))
    return Config(
        default=draw(st.none() | st.sampled_from(["ollama", *providers])),
        server=server,
        providers=providers,
        aliases=draw(some_aliases()),
        routes=tuple(draw(st.lists(rules([*profiles, "*"]), max_size=3))),
        subagent=draw(st.just(()) | targets),
        classifier=draw(st.just(()) | targets),
        profile=draw(st.none() | st.sampled_from(sorted(profiles))) if profiles else None,
        profiles=profiles,
        slots=draw(st.sampled_from(SLOTS)),
        explain=Explain(keep=draw(counts), prompts=draw(st.booleans())),
        demo=Demo(pace=draw(seconds)),
    )


def drawn(config):
    """Which parts of a configuration there are, so that nobody believes what was never drawn."""
    for each in (*config.routes, *(rule for profile in config.profiles.values() for rule in profile.routes)):
        yield from (name for name, value in asdict(each.when, recurse=False).items() if value)
    for each in config.profiles.values():
        yield from (f"profile {name}" for name, value in asdict(each, recurse=False).items() if value)
    for each in config.providers.values():
        yield from (f"budget {name}" for name, value in asdict(each.budget).items() if value is not None)
        yield from ("price" for model in each.models if model.price is not None)


@given(configs())
def test_what_show_prints_reads_back_as_the_same_configuration(config):
    assert parse(as_toml(tables(config)), where="f", presets=PRESETS) == config


def test_what_is_drawn_has_every_part_of_a_configuration():
    seen = set()

    @settings(derandomize=True, max_examples=150)
    @given(configs())
    def look(config):
        seen.update(drawn(config))

    look()
    expected = {each.name for each in fields(When)}
    expected |= {f"profile {each.name}" for each in fields(Profile)}
    expected |= {f"budget {each.name}" for each in fields(Budget)} | {"price"}
    assert seen == expected


def test_a_rule_is_shown_as_its_table():
    when = When(classes=("main",), hours=(540, 1440), days=("mon", "tue"), quota_over=(("anthropic", 80),))
    assert rule_table(Rule(name="x", when=when, use=("a", "b"))) == {
        "name": "x",
        "when": {"class": "main", "hours": "09:00-24:00", "days": ["mon", "tue"], "quota_over": {"anthropic": 80}},
        "use": ["a", "b"],
    }
    assert rule_table(Rule(name="y", use=("a",))) == {"name": "y", "when": {}, "use": "a"}


hiding = st.builds(Literal, st.just(SECRET)) | st.builds(FromCommand, st.just(("op", SECRET)), st.none())


@given(configs(secrets=hiding))
def test_show_never_prints_a_secret(config):
    tree = tables(config)
    assert SECRET not in as_toml(tree)
    assert SECRET not in json.dumps(tree)
