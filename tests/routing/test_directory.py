from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import ApiError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Timeouts
from ccrouter.routing.config import Config, Server
from ccrouter.routing.directory import DEMO, build, preset_provider, stands_in
from ccrouter.routing.names import meaning


def resolve(name, directory, **how):
    """The targets of a name."""
    return meaning(name, directory, **how).targets


def configured(name, preset=None):
    return Provider(name=name, preset=PRESETS[preset or name], base_url="https://llm.example.com", configured=True)


def config(*providers, **more):
    return Config(providers={each.name: each for each in providers}, **more)


def found(there=None, *, logins=(), environ=(), running=(), before=()):
    return build(there or Config(), PRESETS, logins=logins, environ=environ, running=running, before=before)


def test_with_nothing_at_all_the_demo_answers():
    directory = found()
    assert list(directory.providers) == [DEMO]
    assert directory.default == DEMO


@pytest.mark.parametrize(
    ("there", "providers"),
    [
        ({"logins": {"client"}}, ["anthropic"]),
        ({"logins": {"codex"}}, ["codex"]),
        ({"logins": {"codex", "client"}, "running": {"ollama"}}, ["anthropic", "ollama", "codex"]),
        ({"environ": {"ANTHROPIC_API_KEY"}}, ["anthropic"]),
        ({"environ": {"OPENROUTER_API_KEY", "PATH"}}, ["openrouter"]),
        ({"environ": {"Z_AI_API_KEY"}}, ["zai"]),
        ({"running": {"ollama", "lmstudio"}}, ["ollama", "lmstudio"]),
        (
            {"logins": {"client"}, "running": {"ollama"}, "environ": {"DEEPSEEK_API_KEY"}},
            ["anthropic", "ollama", "deepseek"],
        ),
        ({"environ": {"VLLM_API_KEY", "ANTHROPIC_FOUNDRY_API_KEY", "LITELLM_API_KEY"}}, [DEMO]),
    ],
)
def test_what_the_user_has_is_found(there, providers):
    directory = found(**there)
    assert list(directory.providers) == providers
    assert directory.default == providers[0]
    assert not any(each.configured for each in directory.providers.values())


def test_what_is_found_never_takes_the_place_of_what_is_configured():
    own = configured("ollama")
    directory = found(config(own), logins={"client"}, running={"ollama"})
    assert directory.providers["ollama"] is directory.addressable["ollama"] is own
    assert list(directory.providers) == ["ollama", "anthropic"]


def test_the_demo_stands_in_where_nobody_set_it_up_and_nobody_else_is_there():
    assert stands_in(found())
    assert not stands_in(found(config(configured(DEMO))))
    assert not stands_in(found(running={"ollama"}))


def test_the_demo_never_answers_in_place_of_a_configured_provider():
    assert list(found(config(configured("ollama"))).providers) == ["ollama"]


@pytest.mark.parametrize(
    ("there", "logins", "default"),
    [
        (config(configured("ollama"), configured("work", "messages")), (), "ollama"),
        (config(configured("ollama"), configured("anthropic")), (), "anthropic"),
        (config(configured("ollama"), configured("foundry")), (), "foundry"),
        (config(configured("ollama")), {"client"}, "anthropic"),
        (config(configured("foundry")), {"client"}, "anthropic"),
        (config(configured("foundry"), default="foundry"), {"client"}, "foundry"),
        (config(configured("ollama"), default="ollama"), {"client"}, "ollama"),
        (config(default="openrouter"), (), "openrouter"),
        (config(configured("ollama")), {"codex"}, "ollama"),
    ],
)
def test_the_default_is_what_is_said_else_claude_else_the_first(there, logins, default):
    assert found(there, logins=logins).default == default


def test_presets_that_are_not_set_up_can_be_asked_for_by_name():
    directory = found(config(configured("work", "messages")))
    assert next(iter(directory.addressable)) == "work"
    assert set(directory.addressable) - {"work"} == {
        name for name, row in PRESETS.items() if row.base_url is not None
    }
    assert str(resolve("openrouter:x", directory)[0]) == "openrouter:x"


def test_a_preset_under_another_name_leaves_the_presets_own_name_free():
    directory = found(config(configured("work", "ollama")), running={"ollama"})
    assert list(directory.providers) == ["work", "ollama"]


def test_a_preset_becomes_a_provider_where_it_knows_its_place():
    deadlines = Timeouts(idle=7)
    assert preset_provider(PRESETS["foundry"], deadlines) is None
    provider = preset_provider(PRESETS["vllm"], deadlines)
    assert provider is not None
    assert (provider.name, provider.base_url, provider.timeouts) == ("vllm", "http://127.0.0.1:8000", deadlines)


def test_what_is_found_has_the_deadlines_of_the_configuration():
    directory = found(Config(server=Server(timeouts=Timeouts(total=9))), running={"ollama"})
    assert directory.providers["ollama"].timeouts.total == 9


# What the profile in force switches off


def test_who_is_switched_off_is_not_there_even_if_it_is_configured_or_found():
    there = config(configured("ollama"), configured("work", "messages"), off=frozenset({"ollama", "anthropic"}))
    directory = found(there, logins={"client"}, running={"ollama", "vllm"})
    assert list(directory.providers) == ["work", "vllm"]
    assert {"ollama", "anthropic"}.isdisjoint(directory.addressable)
    assert directory.default == "work"


def test_the_name_of_who_is_switched_off_goes_nowhere_and_a_plain_name_to_the_default():
    there = config(configured("ollama"), off=frozenset({"anthropic"}))
    directory = found(there, logins={"client"})
    assert str(resolve("claude-opus-5-5", directory)[0]) == "ollama:claude-opus-5-5"
    assert str(resolve("claude-opus-5-5", directory, client_login=True)[0]) == "ollama:claude-opus-5-5"
    with pytest.raises(ApiError, match="the provider anthropic is switched off by the profile") as caught:
        resolve("anthropic:opus", directory)
    assert caught.value.status == 404


@pytest.mark.parametrize("name", sorted(name for name, row in PRESETS.items() if row.base_url is None))
@pytest.mark.parametrize("separator", ":,")
def test_the_name_of_a_preset_without_an_address_goes_nowhere_until_it_is_set_up(name, separator):
    model = f"{name}{separator}m"
    for there in (config(), config(configured("ollama"), default="ollama:q")):
        with pytest.raises(ApiError, match=f"the provider {name} is not set up") as caught:
            resolve(model, found(there))
        assert caught.value.status == 404
    assert str(resolve(model, found(config(configured(name))))[0]) == f"{name}:m"
    with pytest.raises(ApiError, match=f"the provider {name} is switched off"):
        resolve(model, found(config(off=frozenset({name}))))


def test_when_all_are_switched_off_the_demo_answers():
    directory = found(config(configured("ollama"), off=frozenset({"ollama"})))
    assert list(directory.providers) == [DEMO]


@pytest.mark.parametrize(
    ("there", "more", "providers"),
    [
        (config(), {}, ["ollama"]),
        (config(), {"running": {"lmstudio"}}, ["lmstudio"]),
        (config(), {"environ": {"DEEPSEEK_API_KEY"}}, ["deepseek"]),
        (config(configured("work", "messages")), {}, ["work"]),
        (config(off=frozenset({"ollama"})), {}, [DEMO]),
    ],
)
def test_the_demo_never_answers_in_place_of_what_was_found_and_is_gone(there, more, providers):
    directory = found(there, before={"ollama"}, **more)
    assert list(directory.providers) == providers
    assert directory.default == providers[0]


@given(
    st.sets(st.sampled_from(["client", "codex"])),
    st.sets(st.sampled_from([name for row in PRESETS.values() for name in row.key_env])),
    st.sets(st.sampled_from([name for name, row in PRESETS.items() if row.probe])),
    st.lists(st.sampled_from([name for name, row in PRESETS.items() if row.transport == "http"]), unique=True),
    st.sampled_from(["claude-opus-5-5", "haiku", "qwen3:8b", "ollama:x", "", "default"]),
)
def test_every_name_has_a_target_whatever_there_is(logins, environ, running, names, model):
    directory = found(config(*map(configured, names)), logins=logins, environ=environ, running=running)
    assert directory.providers
    assert directory.default in directory.providers
    assert list(directory.providers)[: len(names)] == names
    assert (DEMO in directory.providers) is (list(directory.providers) == [DEMO])
    assert resolve(model, directory, client_login="client" in logins)
