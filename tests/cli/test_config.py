import argparse
import json
import os
import re
import tomllib

import pytest
from attrs import asdict, evolve, fields
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrouter.cli.config import STARTER, add_parser, as_toml, rule_shown, run, shown
from ccrouter.errors import ConfigError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Budget, Model, Price, Provider, Timeouts
from ccrouter.providers.secret import FromCommand, FromEnv, FromFile, Literal
from ccrouter.routing.config import Config, Demo, Explain, Profile, Server
from ccrouter.routing.load import parse
from ccrouter.routing.rules import Rule, When
from ccrouter.routing.schema import json_schema
from ccrouter.routing.values import CLASSES, DAYS, EFFORTS, PARTS, SLOTS

SECRET = "SeKrIt-0123456789"

WHOLE = f"""
default = "big"
[server]
token = "{SECRET}"
[providers.work]
preset = "messages"
base_url = "https://llm.example.com"
api_key = {{ command = ["op", "--token={SECRET}", "read"], ttl = "1h" }}
models = ["a", {{ id = "b", window = 1 }}]
headers = {{ x-team = "{SECRET}", x-key = {{ env = "K" }}, x-file = {{ file = "~/k" }} }}
[providers.demo]
[aliases]
big = "work:a"
"""


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where the command finds its file when nothing names one."""
    monkeypatch.delenv("CCROUTER_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "ccrouter" / "config.toml"


def save(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


def parsed(*argv):
    parser = argparse.ArgumentParser(prog="ccrouter")
    parser.add_argument("--config")
    add_parser(parser.add_subparsers(dest="command"))
    return parser.parse_args(argv)


def config(*argv):
    return run(parsed("config", *argv))


# ------------------------------------------------------------------------------------------------------- check


def test_check_says_that_a_file_is_fine(path, capsys):
    save(path, WHOLE)
    assert config("check") == 0
    assert capsys.readouterr() == (f"{path}: fine\n", "")


def test_check_tells_every_mistake_and_fails(path, capsys):
    save(path, "[server]\nprot = 1\nping = 0\n")
    assert config("check") == 1
    out, err = capsys.readouterr()
    assert out.startswith(
        f"{path}:2: server.prot: unknown key `prot`; did you mean `port`?\n{path}:3: server.ping: "
    )
    assert err == ""


def test_check_is_content_without_a_file(path, capsys):
    assert config("check") == 0
    assert capsys.readouterr().out == f"{path}: not there, which is fine: none is needed\n"


def test_check_fails_for_a_named_file_that_is_missing(path, tmp_path, capsys):
    assert config("check", "--config", str(tmp_path / "no.toml")) == 1
    assert capsys.readouterr().out == f"{tmp_path / 'no.toml'}: cannot be read: No such file or directory\n"


def test_check_gives_the_same_as_json(path, capsys):
    save(path, "a = 1\n[server]\nport = 'x'\n")
    assert config("check", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["file"], report["fine"], report["warnings"]) == (str(path), False, [])
    assert [(each["line"], each["key"]) for each in report["mistakes"]] == [(1, "a"), (3, "server.port")]
    save(path, "a = [,\n")
    config("check", "--json")
    (mistake,) = json.loads(capsys.readouterr().out)["mistakes"]
    assert (mistake["line"], mistake["column"], mistake["key"], mistake["message"]) == (
        1,
        6,
        None,
        "Invalid value",
    )


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_check_warns_on_standard_error_and_still_succeeds(path, capsys):
    save(path, WHOLE)
    path.chmod(0o644)
    assert config("check") == 0
    out, err = capsys.readouterr()
    assert out == f"{path}: fine\n"
    assert err.startswith(f"warning: {path}: other users of this machine may read it")
    assert SECRET not in err


@pytest.mark.only_on("linux", "darwin")
def test_a_file_that_nobody_can_look_at_is_not_said_to_be_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CCROUTER_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ("long" * 100)))  # as where one has no permission
    assert config("path") == 0
    assert capsys.readouterr().err == ""
    assert config("check") == 1
    assert "config.toml: cannot be read: File name too long" in capsys.readouterr().out


# -------------------------------------------------------------------------------------------------- path, schema


def test_path_prints_where_the_file_is_or_would_be(path, capsys):
    assert config("path") == 0
    out, err = capsys.readouterr()
    assert (out, "config init" in err) == (f"{path}\n", True)
    save(path, "")
    config("path")
    assert capsys.readouterr() == (f"{path}\n", "")


def test_the_flag_counts_before_the_command_and_after_it(path, tmp_path, capsys):
    named = str(tmp_path / "named.toml")
    for argv in (["--config", named, "config", "path"], ["config", "path", "--config", named]):
        run(parsed(*argv))
        assert capsys.readouterr().out == f"{named}\n"


def test_the_environment_names_the_file(path, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CCROUTER_CONFIG", str(tmp_path / "env.toml"))
    config("path")
    assert capsys.readouterr().out == f"{tmp_path / 'env.toml'}\n"


def test_schema_prints_the_schema(path, capsys):
    assert config("schema") == 0
    assert json.loads(capsys.readouterr().out) == json_schema(PRESETS)


@pytest.mark.parametrize("argv", [["config"], ["config", "chekc"], ["config", "path", "--jsn"]])
def test_wrong_use_is_exit_code_two(argv):
    with pytest.raises(SystemExit) as caught:
        parsed(*argv)
    assert caught.value.code == 2


@pytest.mark.parametrize("verb", ["check", "path", "show", "schema", "init"])
def test_every_verb_has_help_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        parsed("config", verb, "--help")
    assert caught.value.code == 0
    assert f"example: ccrouter config {verb}" in capsys.readouterr().out


# --------------------------------------------------------------------------------------------------------- show


def test_show_prints_what_is_in_force_with_the_sources_of_secrets_only(path, capsys):
    save(path, WHOLE)
    assert config("show") == 0
    out, err = capsys.readouterr()
    assert (SECRET in out, err) == (False, "")
    tree = tomllib.loads(out)
    assert tree["default"] == "big"
    assert (tree["server"]["port"], tree["server"]["drain"]) == (11436, "10s")
    assert tree["server"]["token"] == {"hidden": "written in the file"}
    work = tree["providers"]["work"]
    assert work["api_key"] == {"command": ["op"], "ttl": "1h", "hidden": "arguments: 2"}
    assert work["headers"] == {
        "x-team": {"hidden": "written in the file"},
        "x-key": {"env": "K"},
        "x-file": {"file": "~/k"},
    }
    assert work["models"] == ["a", {"id": "b", "window": 1}]
    assert tree["aliases"] == {"big": "work:a"}


def test_show_gives_the_same_as_json(path, capsys):
    save(path, WHOLE)
    config("show", "--json")
    tree = json.loads(capsys.readouterr().out)
    assert tree == shown(parse(WHOLE, where="f", presets=PRESETS))
    assert SECRET not in json.dumps(tree)


def test_show_without_a_file_prints_the_defaults(path, capsys):
    assert config("show") == 0
    assert parse(capsys.readouterr().out, where="f", presets=PRESETS) == Config()


def test_show_of_a_broken_file_says_what_is_wrong(path):
    save(path, "[server]\nport = 'x'\n")
    with pytest.raises(ConfigError, match=r":2: server\.port: "):
        config("show")


def test_what_show_hides_cannot_be_taken_for_a_configuration():
    hidden = as_toml(shown(parse(WHOLE, where="f", presets=PRESETS)))
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
    assert parse(as_toml(shown(config)), where="f", presets=PRESETS) == config


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
    assert rule_shown(Rule(name="x", when=when, use=("a", "b"))) == {
        "name": "x",
        "when": {"class": "main", "hours": "09:00-24:00", "days": ["mon", "tue"], "quota_over": {"anthropic": 80}},
        "use": ["a", "b"],
    }
    assert rule_shown(Rule(name="y", use=("a",))) == {"name": "y", "when": {}, "use": "a"}


hiding = st.builds(Literal, st.just(SECRET)) | st.builds(FromCommand, st.just(("op", SECRET)), st.none())


@given(configs(secrets=hiding))
def test_show_never_prints_a_secret(config):
    tree = shown(config)
    assert SECRET not in as_toml(tree)
    assert SECRET not in json.dumps(tree)


# --------------------------------------------------------------------------------------------------------- init


def test_init_writes_a_file_for_its_owner_only_and_says_where(path, capsys):
    assert config("init") == 0
    out, err = capsys.readouterr()
    assert (out, "config check" in err) == (f"{path}\n", True)
    assert path.read_text(encoding="utf-8") == STARTER
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600


def test_init_never_overwrites(path, capsys):
    save(path, "mine")
    assert config("init") == 1
    assert path.read_text(encoding="utf-8") == "mine"
    assert capsys.readouterr() == ("", f"{path}: is there already and stays as it is\n")


def test_init_says_why_it_cannot_write(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert config("init", "--config", str(tmp_path / "file" / "config.toml")) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r".*config\.toml: cannot be written: .+\n", err)


def test_the_starter_file_is_the_configuration_of_defaults():
    assert parse(STARTER, where="f", presets=PRESETS) == Config()


def test_the_starter_file_is_right_with_every_line_switched_on():
    text = re.sub(r"^#(?=\S)", "", STARTER, flags=re.MULTILINE)
    config = parse(text, where="f", presets=PRESETS)
    assert set(config.providers) == {"anthropic", "ollama", "work"}
    assert config.server.token == FromEnv("CCROUTER_TOKEN")
    assert config.aliases
