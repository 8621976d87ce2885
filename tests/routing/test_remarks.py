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


@pytest.mark.parametrize(
    ("default", "told"),
    [
        ("", ["providers.work", "providers.foundry"]),
        ('default = "ollama"', ["providers.work", "providers.foundry"]),
        ('default = "cheap"', ["providers.work", "providers.foundry"]),
        ('default = "anthropic"', []),
        ('default = "work"', []),
        ('default = "work:claude-opus-5-5"', []),
        ('default = "mine"', []),
    ],
)
@pytest.mark.parametrize("login", ["", "[providers.anthropic]"])
def test_a_second_account_for_claude_that_gets_nothing_by_itself_is_named(default, told, login):
    text = f"""
        {default}
        [aliases]
        mine = ["foundry:claude-opus-5-5", "ollama:x"]
        cheap = "ollama:x"
        [providers.work]
        preset = "anthropic"
        api_key = "k"
        [providers.foundry]
        base_url = "https://r.services.ai.azure.com/anthropic"
        {login}
    """
    found = warnings(load(text), presets.PRESETS)
    assert [line.split(":")[0] for line in found] == told
    assert all("go to `anthropic`" in line for line in found)
    assert warnings(load(login), presets.PRESETS) == []


def test_what_a_profile_leaves_nothing_of_is_named():
    text = """
        default = "vllm"
        subagent = ["ollama:s", "vllm:s"]
        classifier = "small"  # as long as no profile has another
        [aliases]
        small = ["ollama:claude-a", "ollama:claude-b"]
        bare = "ollama"
        [[routes]]
        when = { model = "x" }
        use = "ollama:x"
        [[routes]]
        when = { profile = "home" }
        use = "ollama:x"
        [[routes]]
        when = { model = "y" }
        use = ["small", "vllm:y"]
        [profiles.away]
        providers = { ollama = false }
        subagent = "ollama:t"
        [profiles.out]
        providers = { ollama = false }
        classifier = "vllm:c"
        aliases = { small = "vllm:a" }
        [profiles.home]
        subagent = "ollama:t"
    """
    found = [line for line in warnings(load(text), presets.PRESETS) if "leads nowhere" in line]
    assert [line.split(":")[0] for line in found if "`out`" in line] == ["routes[0].use"]
    found = [line for line in found if "`out`" not in line]
    assert [line.split(":")[0] for line in found] == [
        "classifier",
        "aliases.small",
        "routes[0].use",
        "profiles.away.subagent",
    ]
    assert all("`away` is in force, which switches off ollama" in line for line in found)


def test_of_two_accounts_with_keys_of_their_own_the_second_is_named():
    text = """
        [providers.work]
        preset = "anthropic"
        api_key = "k"
        [providers.anthropic]
        api_key = "k"
    """
    (only,) = warnings(load(text), presets.PRESETS)
    assert only.startswith("providers.anthropic: names like `claude-…` go to `work`, and not here; say")


ACCOUNTS = """
[aliases]
mine = "best"
best = "work:claude-opus-5-5"
local = "ollama:q"
[providers.anthropic]
api_key = "k"
[providers.work]
preset = "anthropic"
api_key = "k"
[providers.ollama]
"""


def test_who_said_by_way_of_aliases_where_claude_is_is_not_told_how_to():
    assert warnings(load(f'default = "mine"\n{ACCOUNTS}'), presets.PRESETS) == []
    assert len(warnings(load(f'default = "local"\n{ACCOUNTS}'), presets.PRESETS)) == 1


def test_what_leads_through_two_aliases_to_who_is_switched_off_leads_nowhere():
    text = """
        subagent = "mine"
        [aliases]
        mine = "local[1m]"
        local = "ollama:q"
        [providers.ollama]
        [profiles.away]
        providers = { ollama = false }
    """
    found = [line for line in warnings(load(text), presets.PRESETS) if "leads nowhere" in line]
    assert [line.split(":")[0] for line in found] == ["subagent", "aliases.mine", "aliases.local"]


@pytest.mark.parametrize("name", ["olama:x", "olama:x[1m]"])
def test_an_alias_that_is_called_nearly_as_a_provider_is_meant_by_its_name(name):
    assert warnings(load(f"subagent = '{name}'\n[aliases]\n'olama:x' = 'ollama:x'"), presets.PRESETS) == []


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


LOCAL = "[profiles.local]\ndefault = 'ollama:q'\nproviders = { anthropic = false }\n"


@pytest.mark.parametrize(
    ("conditions", "past"),
    [
        ("class = 'classifier'", False),
        ("class = ['subagent', 'auxiliary']", False),
        ("class = 'auxiliary', profile = ['cloud', 'lo*']", False),
        ("class = 'auxiliary', profile = 'cloud'", True),
        ("class = 'auxiliary', quota_over = { anthropic = 80 }", True),
        ("class = 'auxiliary', hours = '22:00-06:00'", True),
        ("class = 'auxiliary', project = '~/work'", True),
        ("class = 'classifier', model = 'claude-haiku-5-5'", True),
        ("model = 'claude-haiku-5-5'", True),
        ("class = 'title'", True),
    ],
)
def test_without_claude_checks_deserve_a_word_where_some_get_past_all_rules(conditions, past):
    use = "openrouter:anthropic/claude-haiku-5-5"
    told = warnings(
        load(f"{LOCAL}[profiles.cloud]\n[[routes]]\nwhen = {{ {conditions} }}\nuse = '{use}'"), presets.PRESETS
    )
    assert len(told) == past
    assert all("profiles.local.providers: Claude Code's safety checks go to ollama:q;" in each for each in told)


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
    assert [line for line in warnings(load(text), presets.PRESETS) if "leads nowhere" not in line] == []


@pytest.mark.parametrize(
    ("text", "path", "meant"),
    [
        ("subagent = 'olama:qwen3:8b'", "subagent", "ollama:qwen3:8b"),
        ("[aliases]\nbig = ['openrouter:x', 'openruter:y/z']", "aliases.big", "openrouter:y/z"),
        ("[[routes]]\nuse = 'lm-studio:x'", "routes[0].use", "lmstudio:x"),
        ("[profiles.a]\nclassifier = 'antropic:claude-x'", "profiles.a.classifier", "anthropic:claude-x"),
        ("[[profiles.a.routes]]\nuse = 'antropic:{model}'", "profiles.a.routes[0].use", "anthropic:{model}"),
        ("[providers.workshop]\npreset = 'ollama'\n[[routes]]\nuse = 'workshp,x'", "routes[0].use", "workshop,x"),
        ("subagent = 'Ollama:qwen3:8b'", "subagent", "ollama:qwen3:8b"),
        ("[aliases]\nglm = 'OpenRouter:z-ai/glm-5'", "aliases.glm", "openrouter:z-ai/glm-5"),
        ("[aliases]\nd = ['deepseek:x', 'DeepSeek,v3']", "aliases.d", "deepseek,v3"),
        ("[providers.Work]\npreset = 'ollama'\n[[routes]]\nuse = 'work:x'", "routes[0].use", "Work:x"),
    ],
)
def test_a_name_that_begins_nearly_as_a_provider_does_deserves_a_word(text, path, meant):
    (told,) = warnings(load(text), presets.PRESETS)
    assert told.startswith(f"{path}: `")
    assert told.endswith(f"did you mean `{meant}`?")


@pytest.mark.parametrize(
    ("text", "path", "meant"),
    [
        ("[[routes]]\nuse = 'ollama'", "routes[0].use", "ollama:MODEL"),
        ("subagent = 'Ollama'", "subagent", "ollama:MODEL"),
        ("[providers.work]\npreset = 'ollama'\n[profiles.a.aliases]\nbig = ['x', 'work']", "profiles.a.aliases.big", "work:MODEL"),
    ],
)  # fmt: skip
def test_a_provider_without_a_model_deserves_a_word(text, path, meant):
    (told,) = warnings(load(text), presets.PRESETS)
    assert told.startswith(f"{path}: `")
    assert "no model, so it goes to whoever lists such a model, else to the default" in told
    assert told.endswith(f"did you mean `{meant}`?")


HOMELESS = sorted(name for name, preset in presets.PRESETS.items() if preset.base_url is None)


@pytest.mark.parametrize("preset", HOMELESS)
def test_a_slash_behind_a_preset_that_is_not_set_up_may_be_a_gateways_and_deserves_a_word(preset):
    text = f"subagent = '{preset}/m'"
    (told,) = warnings(load(text), presets.PRESETS)
    assert told.startswith(f"subagent: `{preset}/m` goes to whoever lists such a model, else to the default")
    assert told.endswith(f"write `PROVIDER:{preset}/m`")
    for there in (
        f"[providers.vllm]\nmodels = ['{preset}/m']",
        f"[providers.{preset}]\nbase_url = 'https://x.example'\napi_key.env = 'K'",
    ):
        others = warnings(load(f"default = 'ollama:x'\n{text}\n{there}"), presets.PRESETS)
        assert not [each for each in others if each.startswith("subagent")]


@pytest.mark.parametrize("value", ["$OPENROUTER_API_KEY", "${KEY}", "%KEY%"])
@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[providers.openrouter]\napi_key = '@'", "providers.openrouter.api_key"),
        ("[providers.openrouter.headers]\nx-team = '@'", "providers.openrouter.headers.x-team"),
        ("[server]\ntoken = '@'", "server.token"),
    ],
)
def test_a_secret_that_looks_like_a_variable_deserves_a_word_and_is_not_repeated(text, path, value):
    (told,) = warnings(load(text.replace("@", value)), presets.PRESETS)
    assert told.startswith(f"{path}: is taken as it stands there")
    assert told.endswith('write { env = "NAME" }')
    assert value.strip("${}%") not in told


@pytest.mark.parametrize("value", ["sk-1", "$5 a day", "a$b", "$", "%", "100%"])
def test_any_other_secret_deserves_none(value):
    assert warnings(load(f"[providers.openrouter]\napi_key = '{value}'"), presets.PRESETS) == []


@pytest.mark.parametrize(
    "name",
    ["qwen3:8b", "llama3.2:1b", "gemma3:4b", "deepseek-r1:8b", "mistral-small:24b", "mixtral:8x7b", "gpt-oss:20b",
     "ollama:x", "openrouter:meta/llama", "plain", "antropic", "moonshotai/kimi-k2", "openruter/x"],
)  # fmt: skip
def test_models_that_have_such_names_deserve_none(name):
    assert warnings(load(f"subagent = '{name}'"), presets.PRESETS) == []


def test_a_model_that_a_provider_lists_deserves_none_whatever_its_name():
    for name in ("olama:x", "mistral"):
        text = f"subagent = '{name}'\n[providers.openrouter]\nmodels = ['{name}']"
        assert warnings(load(text), presets.PRESETS) == []


def test_a_provider_that_is_called_nearly_as_a_preset_takes_nothing_from_it():
    text = "[providers.Ollama]\npreset = 'ollama'\n[[routes]]\nuse = ['ollama:x', 'Ollama:x']"
    assert warnings(load(text), presets.PRESETS) == []


def test_an_alias_deserves_none_whatever_its_name_and_whichever_profile_has_it():
    text = "subagent = 'openai'\n[profiles.a.aliases]\nopenai = 'openai:gpt-5.1'"
    assert warnings(load(text), presets.PRESETS) == []
