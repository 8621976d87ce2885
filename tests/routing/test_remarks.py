from __future__ import annotations

import pytest

from ccrouter.providers import presets
from ccrouter.routing.load import parse
from ccrouter.routing.remarks import literal_secrets, warnings


def load(text):
    return parse(text, where="f", presets=presets.PRESETS)


def test_a_key_over_plain_http_is_allowed_with_a_warning():
    clear = 'preset = "messages"\nbase_url = "http://192.168.1.5"\n'
    text = f"""
        [providers.a]
        {clear}
        api_key = "k"
        [providers.b]
        {clear}
        headers = {{ x-auth = "k" }}
        [providers.c]
        {clear}
        headers = {{ x-team = {{ env = "T" }} }}
        [providers.openrouter]
        base_url = "http://proxy.lan"
        [providers.anthropic]
        base_url = "http://proxy.lan"
        api_key = "k"
        [providers.no-credential]
        {clear}
        headers = {{ x-team = "core" }}
        [providers.loopback]
        preset = "messages"
        base_url = "http://127.0.0.1:1"
        api_key = "k"
        [providers.safe]
        preset = "messages"
        base_url = "https://x.example"
        api_key = "k"
    """
    found = warnings(load(text), presets.PRESETS)
    assert [line.split(":")[0] for line in found] == [
        f"providers.{name}" for name in ("a", "b", "c", "openrouter", "anthropic")
    ]


def test_secrets_that_stand_in_the_file_are_known_by_their_keys():
    config = load("""
        [server]
        token = "t"
        [providers.ollama]
        api_key = { env = "K" }
        headers = { x-team = "core", x-api-token = "v" }
    """)
    assert literal_secrets(config) == ["server.token", "providers.ollama.headers.x-api-token"]


def test_models_that_a_budget_of_dollars_does_not_see_are_named():
    text = """
[providers.work]
preset = "messages"
base_url = "https://llm.example.com"
budget = { dollars_per_day = 5 }
models = [{ id = "a", price = { input = 1, output = 2 } }, "b", "c"]
"""
    (told,) = warnings(load(text), presets.PRESETS)
    assert told == "providers.work.budget: what b, c costs is not counted, for want of a `price`"
    tokens = text.replace("dollars_per_day", "tokens_per_day")
    assert warnings(load(tokens), presets.PRESETS) == []


PRICED = """
[providers.work]
preset = "messages"
base_url = "https://llm.example.com"
budget = { dollars_per_month = 5 }
models = [{ id = "a", price = { input = 1, output = 2 } }]
[providers.work-too]
preset = "messages"
base_url = "https://llm.example.com"
"""


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ('[[routes]]\nuse = ["work:b", "work/c", "work:a", "work:b"]', "b, c"),
        ('[[routes]]\nuse = ["work:a", "work:a[1m]", "work:{model}", "{model}", "work-too:x", "other"]', None),
        ('[aliases]\nbig = "work:d/e:f"\n[profiles.p]\nsubagent = "big"', "d/e:f"),
        ('[profiles.p]\ndefault = "work:b"\nclassifier = "work:claude-c"', "claude-c, b"),
        ('[profiles.p]\ndefault = "work"', None),
    ],
)
def test_models_that_a_budget_of_dollars_does_not_see_are_looked_for_wherever_models_are_named(text, models):
    told = [each for each in warnings(load(PRICED + text), presets.PRESETS) if "is not counted" in each]
    wanted = f"providers.work.budget: what {models} costs is not counted, for want of a `price`"
    assert told == ([] if models is None else [wanted])


@pytest.mark.parametrize(
    "text",
    [
        "classifier = 'ollama:q'",
        "[aliases]\nhaiku = 'ollama:q'",
        "[profiles.a]\nclassifier = 'ollama:q'",
        "[profiles.a.aliases]\nhaiku = ['anthropic:claude-haiku-5-5', 'ollama:q']",
        "[[routes]]\nwhen = { class = ['main', 'auxiliary'] }\nuse = 'ollama:q'",
        "[[profiles.a.routes]]\nwhen = { class = 'classifier' }\nuse = 'ollama:q'",
        "[[routes]]\nwhen = { model = 'claude-sonnet-5' }\nuse = 'ollama:q'",
        "[profiles.a]\ndefault = 'ollama:q'\nproviders = { anthropic = false }",
        "default = 'ollama:q'\n[profiles.a]\nproviders = { anthropic = false }",
    ],
)
def test_safety_checks_by_another_model_deserve_a_word(text):
    (told,) = warnings(load(text), presets.PRESETS)
    assert "safety checks go to" in told
    assert "ollama:q" in told


@pytest.mark.parametrize(
    "text",
    [
        "classifier = 'anthropic:claude-haiku-5-5'",
        "[aliases]\nhaiku = 'openrouter:anthropic/claude-haiku-5-5'",
        "[[routes]]\nwhen = { class = 'title' }\nuse = 'ollama:q'",
        "subagent = 'ollama:q'",
        "[aliases]\nsonnet = 'ollama:q'",
        "[[routes]]\nwhen = { model = 'claude-*' }\nuse = 'ollama:q'",
        "[[routes]]\nwhen = { model = 'claude-opus-5', agent = 'Explore' }\nuse = 'ollama:q'",
        "[[routes]]\nwhen = { model = 'claude-opus-5' }\nuse = '{model}'",
        (
            "[profiles.a]\ndefault = 'ollama:q'\nproviders = { anthropic = false }\n[[profiles.a.routes]]\n"
            "when = { class = 'classifier' }\nuse = 'openrouter:anthropic/claude-haiku-5-5'"
        ),
        "[[routes]]\nwhen = { class = 'main', model = 'claude-sonnet-5' }\nuse = 'ollama:q'",
        "[profiles.a]\ndefault = 'ollama:q'\nproviders = { openrouter = false }",
        "classifier = 'anthropic:claude-x'\n[profiles.a]\ndefault = 'ollama:q'\nproviders = { anthropic = false }",
    ],
)
def test_safety_checks_by_claude_deserve_none(text):
    assert warnings(load(text), presets.PRESETS) == []


@pytest.mark.parametrize(
    ("text", "path", "meant"),
    [
        ("subagent = 'olama:qwen3:8b'", "subagent", "ollama:qwen3:8b"),
        ("[aliases]\nbig = ['openrouter:x', 'openruter:y/z']", "aliases.big", "openrouter:y/z"),
        ("[[routes]]\nuse = 'lm-studio:x'", "routes[0].use", "lmstudio:x"),
        ("[profiles.a]\nclassifier = 'antropic:claude-x'", "profiles.a.classifier", "anthropic:claude-x"),
        ("[[profiles.a.routes]]\nuse = 'antropic:{model}'", "profiles.a.routes[0].use", "anthropic:{model}"),
        ("[providers.workshop]\npreset = 'ollama'\n[[routes]]\nuse = 'workshp,x'", "routes[0].use", "workshop,x"),
    ],
)
def test_a_name_that_begins_nearly_as_a_provider_does_deserves_a_word(text, path, meant):
    (told,) = warnings(load(text), presets.PRESETS)
    assert told.startswith(f"{path}: `")
    assert told.endswith(f"did you mean `{meant}`?")


@pytest.mark.parametrize(
    "name",
    ["qwen3:8b", "llama3.2:1b", "gemma3:4b", "deepseek-r1:8b", "mistral-small:24b", "mixtral:8x7b", "gpt-oss:20b",
     "ollama:x", "openrouter:meta/llama", "plain", "antropic", "moonshotai/kimi-k2", "openruter/x"],
)  # fmt: skip
def test_models_that_have_such_names_deserve_none(name):
    assert warnings(load(f"subagent = '{name}'"), presets.PRESETS) == []


def test_a_model_that_a_provider_lists_deserves_none_whatever_its_name():
    text = "subagent = 'olama:x'\n[providers.openrouter]\nmodels = ['olama:x']"
    assert warnings(load(text), presets.PRESETS) == []
