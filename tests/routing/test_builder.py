"""What only the whole of a file shows: rules, profiles, budgets, names that lead nowhere."""

from __future__ import annotations

import pytest

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Budget, Model, Price
from ccrouter.routing.config import Config, Explain, Profile
from ccrouter.routing.load import examine
from ccrouter.routing.rules import Rule, When


def read(text):
    found = examine(text, presets=PRESETS)
    assert isinstance(found, Config), [each.told("f") for each in found]
    return found


def mistakes(text):
    found = examine(text, presets=PRESETS)
    assert not isinstance(found, Config)
    return [each.told("f") for each in found]


# What is built


def test_every_condition_reaches_its_place():
    (rule,) = read("""
        [providers.ollama]
        [profiles.local]
        [[routes]]
        name = "all"
        use = ["{model}", "ollama:m"]
        [routes.when]
        class = ["main", "workflow"]
        agent = "Explore"
        model = ["claude-*", "x"]
        tokens_over = 10
        tokens_under = 100
        has = ["images", "tools"]
        server_tool = "web_search"
        effort = "high"
        headers = { X-Team = "core", x-b = "*" }
        project = "~/work"
        hours = "22:00-06:30"
        days = ["sat", "sun"]
        profile = "local"
        quota_over = { anthropic = 80, ollama = 1 }
    """).routes
    assert rule == Rule(
        name="all",
        use=("{model}", "ollama:m"),
        when=When(
            classes=("main", "workflow"),
            agent=("Explore",),
            model=("claude-*", "x"),
            tokens_over=10,
            tokens_under=100,
            has=("images", "tools"),
            server_tool=("web_search",),
            effort="high",
            headers=(("x-team", "core"), ("x-b", "*")),
            project=("~/work",),
            hours=(22 * 60, 6 * 60 + 30),
            days=("sat", "sun"),
            profile=("local",),
            quota_over=(("anthropic", 80), ("ollama", 1)),
        ),
    )


def test_a_rule_without_a_name_has_its_number_and_its_profiles_name():
    config = read("""
        [[routes]]
        use = "a"
        [[routes]]
        name = "named"
        use = "b"
        [profiles.local]
        routes = [{ use = "c" }, { use = "d" }]
    """)
    assert [each.name for each in config.routes] == ["1", "named"]
    assert [each.name for each in config.profiles["local"].routes] == ["local 1", "local 2"]
    assert config.routes[0].when == When()


def test_a_whole_profile_reaches_its_place():
    config = read("""
        profile = "local"
        subagent = "ollama:s"
        classifier = ["ollama:c", "ollama:d"]
        slots = "aggressive"
        explain = { keep = 5, prompts = true }
        [server]
        tries = 2
        patience = "1m"
        [profiles.local]
        default = "big"
        subagent = ["ollama:a", "ollama:b"]
        classifier = "ollama:x"
        aliases = { big = ["ollama:1", "ollama:2"] }
        providers = { anthropic = false, openrouter = false }
        [[profiles.local.routes]]
        use = "big"
    """)
    assert config.profiles["local"] == Profile(
        default="big",
        subagent=("ollama:a", "ollama:b"),
        classifier=("ollama:x",),
        aliases={"big": ("ollama:1", "ollama:2")},
        routes=(Rule(name="local 1", use=("big",)),),
        off=frozenset({"anthropic", "openrouter"}),
    )
    assert (config.profile, config.subagent, config.classifier) == (
        "local",
        ("ollama:s",),
        ("ollama:c", "ollama:d"),
    )
    assert (config.slots, config.explain) == ("aggressive", Explain(keep=5, prompts=True))
    assert (config.server.tries, config.server.patience) == (2, 60.0)


def test_a_provider_with_a_budget_and_prices_reaches_its_place():
    work = read("""
        [providers.work]
        preset = "messages"
        base_url = "https://llm.example.com"
        max_concurrent = 3
        models = ["plain", { id = "dear", price = { input = 3, output = 15, cache_read = 0.3, cache_write = 3.75 } }]
        budget = { tokens_per_day = 1, tokens_per_month = 2, dollars_per_day = 0.5, dollars_per_month = 4 }
    """).providers["work"]
    assert work.max_concurrent == 3
    assert work.budget == Budget(1, 2, 0.5, 4.0)
    assert work.models == (Model("plain"), Model("dear", price=Price(3.0, 15.0, 0.3, 3.75)))


def test_what_a_file_leaves_out_is_as_the_defaults_say():
    config = read("[providers.ollama]\n[profiles.x]")
    assert config.profiles == {"x": Profile()}
    assert (config.routes, config.subagent, config.classifier, config.slots, config.profile) == (
        (),
        (),
        (),
        "none",
        None,
    )
    assert (config.explain, config.providers["ollama"].max_concurrent) == (Explain(), None)
    assert not config.providers["ollama"].budget


# What is wrong: where, and how to mend it

WORK = "[providers.work]\npreset = 'messages'\nbase_url = 'https://x.example'\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[[routes]]\nwhen = { class = 'main' }",
            'f:1: routes[0]: needs `use`: a model such as "ollama:qwen3:8b", or a list of them in fallback order',
        ),
        (
            "[[routes]]\nuse = 'x'\n[[routes]]\nname = 'y'",
            'f:3: routes[1]: needs `use`: a model such as "ollama:qwen3:8b", or a list of them in fallback order',
        ),
        (
            "[[routes]]\nuse = 'x'\nwhen = { tokens_over = 10, tokens_under = 11 }",
            "f:3: routes[0].when: never holds: nothing has more than 10 and fewer than 11 tokens",
        ),
        (
            "[[routes]]\nuse = 'x'\nwhen.quota_over = { antropic = 80 }",
            "f:3: routes[0].when.quota_over.antropic: `antropic` is no provider or preset; did you mean `anthropic`?",
        ),
        (
            "[profiles.cloud]\n[[routes]]\nuse = 'x'\nwhen = { profile = ['cloud', 'local'] }",
            "f:4: routes[0].when.profile: there is no [profiles.local]",
        ),
        ("profile = 'local'", "f:1: profile: there is no [profiles.local]; there are: none"),
        (
            "profile = 'x'\n[profiles.a]\n[profiles.b]",
            "f:1: profile: there is no [profiles.x]; there are: a, b",
        ),
        (
            "[profiles.a]\nproviders = { olama = false }",
            "f:2: profiles.a.providers.olama: `olama` is no provider or preset; did you mean `ollama`?",
        ),
        (
            "[profiles.a]\nproviders = { ollama = true }",
            "f:2: profiles.a.providers.ollama: can't be switched on here: what is set up is on by itself; leave it out",
        ),
        (
            "[profiles.a]\n[[profiles.a.routes]]\nwhen = {}",
            'f:2: profiles.a.routes[0]: needs `use`: a model such as "ollama:qwen3:8b", or a list of them in fallback order',
        ),
        (
            "[profiles.a]\ndefault = 'olama'",
            "f:2: profiles.a.default: `olama` is no provider, preset or alias; did you mean `ollama`?",
        ),
        (
            "[profiles.a]\ndefault = 'messages:x'",
            (
                "f:2: profiles.a.default: the preset `messages` does not know where it is;"
                ' add [providers.messages] with base_url = "https://…"'
            ),
        ),
        (
            "[profiles.a]\ndefault = 'big'\naliases = { big = 'bare' }",
            "f:2: profiles.a.default: the alias `big` leads to names without a provider; write them as `PROVIDER:MODEL`",
        ),
        (
            "[aliases]\nx = 'y'\n[profiles.a.aliases]\ny = 'x'",
            (
                "f:4: profiles.a.aliases.y: leads back to itself;"
                " to mean the model of that name, name its provider too: `PROVIDER:y`"
            ),
        ),
        (
            "[aliases]\nx = 'y'\ny = 'ollama:z'\n[profiles.a.aliases]\nw = 'x'",
            "f:5: profiles.a.aliases.w: leads through `x` to `y`, a third alias; name the models instead",
        ),
        (
            "default = 'ollama:m'\n[profiles.a]\nproviders = { ollama = false }",
            (
                "f:3: profiles.a.providers.ollama: is where the default leads;"
                " give this profile another `default`, beside `ollama = false`"
            ),
        ),
        (
            "[profiles.a]\ndefault = 'ollama'\nproviders = { ollama = false }",
            (
                "f:3: profiles.a.providers.ollama: is where the default leads;"
                " give this profile another `default`, beside `ollama = false`"
            ),
        ),
        (
            "[[routes]]\nuse = ['x', 'litellm:internal']",
            (
                "f:2: routes[0].use: `litellm:internal`: the preset `litellm` does not know where it is;"
                ' add [providers.litellm] with base_url = "https://…"'
            ),
        ),
        (
            "[profiles.a]\n[profiles.a.aliases]\ncorp = 'azure,gpt-5.1'",
            (
                "f:3: profiles.a.aliases.corp: `azure,gpt-5.1`: the preset `azure` does not know where it is;"
                ' add [providers.azure] with base_url = "https://…"'
            ),
        ),
        (
            "subagent = 'ollama:'",
            "f:1: subagent: `ollama:` names a provider but no model; write `ollama:MODEL`",
        ),
        (
            f"{WORK}[profiles.a]\nclassifier = ['work:x', 'work/']",
            "f:5: profiles.a.classifier: `work/` names a provider but no model; write `work:MODEL`",
        ),
        (
            f"{WORK}budget = {{ dollars_per_day = 5 }}",
            (
                "f:4: providers.work.budget.dollars_per_day: needs what its models cost:"
                " models = [{ id = …, price = { input = 3, output = 15 } }]"
            ),
        ),
        (
            f"{WORK}models = ['a']\nbudget.dollars_per_month = 5",
            (
                "f:5: providers.work.budget.dollars_per_month: needs what its models cost:"
                " models = [{ id = …, price = { input = 3, output = 15 } }]"
            ),
        ),
    ],
)
def test_each_mistake_is_told_with_line_key_and_cure(text, told):
    assert mistakes(text) == [told]


def test_a_name_that_is_like_no_provider_is_told_with_those_that_there_are():
    (told,) = mistakes("[[routes]]\nuse = 'x'\nwhen.quota_over = { zzzzzz = 80 }")
    assert "`zzzzzz` is no provider or preset; there are: anthropic, " in told
    (told,) = mistakes(f"{WORK}[profiles.a]\nproviders = {{ zzzzzz = false }}")
    assert "there are: work, anthropic, " in told


@pytest.mark.parametrize(
    "text",
    [
        "default = 'ollama'\n[profiles.a]\ndefault = 'demo'\nproviders = { ollama = false }",
        "[profiles.a]\nproviders = { anthropic = false }",
        "[aliases]\nbig = 'ollama:x'\n[profiles.a]\ndefault = 'big'",
        "[aliases]\nx = 'y'\n[profiles.a]\naliases = { x = 'ollama:z', w = 'x' }",
        "[[routes]]\nuse = 'x'\nwhen = { profile = '*' }",
        "[[routes]]\nuse = 'x'\nwhen = { tokens_over = 10, tokens_under = 12 }",
        f"{WORK}models = [{{ id = 'a', price = {{ input = 0, output = 0 }} }}]\nbudget.dollars_per_day = 5",
        f"{WORK}budget.tokens_per_day = 5",
        f"{WORK}[profiles.a]\nproviders = {{ work = true }}",
        "subagent = 'litellm:x'\n[providers.litellm]\nbase_url = 'https://x.example'",
        f"subagent = 'litellm:x'\n{WORK}models = ['litellm:x']",
        "subagent = 'litellm:x'\n[profiles.a.aliases]\n'litellm:x' = 'ollama:x'",
        "subagent = 'litellm:x[1m]'\n[aliases]\n'litellm:x' = 'ollama:x'",
        "subagent = ['azure/gpt-5.1', 'unheard-of:', '{model}']",
    ],
)
def test_what_is_right_is_not_told(text):
    read(text)


def test_all_mistakes_of_rules_and_profiles_are_told_at_once_in_the_order_of_their_lines():
    told = mistakes(
        "profile = 'x'\n[[routes]]\nname = 'a'\n[profiles.a]\ndefault = 'olama'\n[[profiles.a.routes]]\nname = 'b'\n"
    )
    assert [line.split(": ")[:2] for line in told] == [
        ["f:1", "profile"],
        ["f:2", "routes[0]"],
        ["f:5", "profiles.a.default"],
        ["f:6", "profiles.a.routes[0]"],
    ]
