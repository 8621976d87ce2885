from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from ccrouter.errors import ApiError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.providers.secret import Literal
from ccrouter.routing.config import Lent
from ccrouter.routing.directory import Directory
from ccrouter.routing.model_name import DISCOVERY_PREFIX, discovery_id
from ccrouter.routing.names import _MOST, is_plain, meaning


def resolve(name, directory, **how):
    """The targets of a name."""
    return meaning(name, directory, **how).targets


def provider(name, preset=None, models=()):
    row = PRESETS[preset or name]
    url = row.base_url or "https://llm.example.com"
    return Provider(name=name, preset=row, base_url=url, models=tuple(Model(each) for each in models))


ANTHROPIC = provider("anthropic")
OLLAMA = provider("ollama")
OLLAMA_BIG = provider("ollama-big", "ollama")
WORK = provider("work", "messages", ["glm-5", "shared"])
OPENROUTER = provider("openrouter")


def directory(*providers, default=None, addressable=(), aliases=None, listed=None, homeless=()):
    return Directory(
        homeless=frozenset(homeless),
        providers={each.name: each for each in providers},
        addressable={each.name: each for each in (*providers, *addressable)},
        aliases=aliases or {},
        default=default or providers[0].name,
        listed=listed or {},
    )


FULL = directory(
    ANTHROPIC,
    OLLAMA,
    OLLAMA_BIG,
    WORK,
    addressable=[OPENROUTER],
    aliases={"big": ("openrouter:openai/gpt-5.1", "glm-5"), "haiku": ("ollama:qwen3:8b",), "biggest": ("big",)},
    listed={"ollama": ("qwen3:8b", "shared"), "ollama-big": ("kimi-k2",)},
)


def spelled(targets):
    return [str(target) for target in targets]


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("ollama:qwen3:8b", ["ollama:qwen3:8b"]),
        ("ollama,qwen3:8b", ["ollama:qwen3:8b"]),
        ("ollama/qwen3:8b", ["ollama:qwen3:8b"]),
        ("ollama-big:x", ["ollama-big:x"]),
        ("openrouter:google/gemini-3-pro", ["openrouter:google/gemini-3-pro"]),
        ("openrouter:openai/gpt-5.1:free", ["openrouter:openai/gpt-5.1:free"]),
        ("big", ["openrouter:openai/gpt-5.1", "work:glm-5"]),
        ("big[1m]", ["openrouter:openai/gpt-5.1", "work:glm-5"]),
        ("biggest", ["openrouter:openai/gpt-5.1", "work:glm-5"]),
        ("haiku", ["ollama:qwen3:8b"]),
        ("claude-opus-5-5", ["anthropic:claude-opus-5-5"]),
        ("claude-opus-5-5[1m]", ["anthropic:claude-opus-5-5"]),
        ("anthropic:claude-sonnet-5-5[1m]", ["anthropic:claude-sonnet-5-5"]),
        ("opus", ["anthropic:opus"]),
        ("sonnet[1m]", ["anthropic:sonnet"]),
        ("glm-5", ["work:glm-5"]),
        ("glm-5[1m]", ["work:glm-5"]),
        ("kimi-k2", ["ollama-big:kimi-k2"]),
        ("shared", ["anthropic:shared"]),
        ("nobody-knows", ["anthropic:nobody-knows"]),
        ("ollama", ["anthropic:ollama"]),
        ("", ["anthropic:"]),
        ("anthropic-via-ollama:qwen3:8b", ["ollama:qwen3:8b"]),
        ("anthropic-via-big", ["anthropic:anthropic-via-big"]),
    ],
)
def test_the_rules_in_their_order(name, targets):
    assert spelled(resolve(name, FULL)) == targets


@pytest.mark.parametrize("name", ["ollama:", "ollama,", "anthropic-via-ollama:"])
def test_a_provider_without_a_model_is_told(name):
    with pytest.raises(ApiError, match="names a provider but no model") as caught:
        resolve(name, FULL)
    assert (caught.value.status, caught.value.kind) == (404, "not_found_error")


# Claude names without a provider for them


def test_a_claude_name_goes_to_the_first_model_of_a_default_that_does_not_know_it():
    assert spelled(resolve("claude-opus-5-5", directory(WORK))) == ["work:glm-5"]
    assert spelled(resolve("opus", directory(OLLAMA, listed={"ollama": ("a", "b")}))) == ["ollama:a"]
    assert spelled(resolve("opus", directory(OLLAMA))) == ["ollama:opus"]


def test_a_client_with_a_login_of_its_own_reaches_anthropic_without_any_set_up():
    there = directory(WORK, addressable=[ANTHROPIC])
    assert spelled(resolve("claude-opus-5-5", there, client_login=True)) == ["anthropic:claude-opus-5-5"]
    assert spelled(resolve("claude-opus-5-5", there)) == ["work:glm-5"]
    assert spelled(resolve("glm-5", there, client_login=True)) == ["work:glm-5"]


# Several accounts for Claude models


SECOND = evolve(provider("second", "anthropic"), api_key=Literal("k"))
FOUNDRY = evolve(provider("foundry"), api_key=Literal("k"))
ACCOUNTS = {"mine": ("second:claude-opus-5-5", "ollama:x"), "cheap": ("ollama:x",)}


@pytest.mark.parametrize(
    ("providers", "default", "chosen"),
    [
        ((SECOND, ANTHROPIC), "anthropic", "anthropic"),
        ((SECOND, ANTHROPIC), "second", "second"),
        ((SECOND, ANTHROPIC), "second:claude-haiku-5-5", "second"),
        ((SECOND, ANTHROPIC, OLLAMA), "mine", "second"),
        ((SECOND, ANTHROPIC, OLLAMA), "cheap", "anthropic"),
        ((SECOND, ANTHROPIC, OLLAMA), "ollama", "anthropic"),
        ((FOUNDRY, SECOND, OLLAMA), "ollama", "foundry"),
        ((SECOND, FOUNDRY, OLLAMA), "ollama", "second"),
        ((SECOND, OLLAMA), "anthropic", "anthropic"),
        ((SECOND, OLLAMA), "ollama", "second"),
    ],
)
def test_of_several_accounts_for_claude_the_default_is_meant_else_the_login_else_the_first(
    providers, default, chosen
):
    there = directory(*providers, default=default, addressable=[ANTHROPIC], aliases=ACCOUNTS)
    for login in (False, True):
        for name in ("claude-opus-5-5", "sonnet"):
            assert spelled(resolve(name, there, client_login=login)) == [f"{chosen}:{name}"]


def test_a_repositorys_default_moves_claude_names_to_no_account_that_nobody_set_up():
    there = directory(SECOND, default="anthropic", addressable=[ANTHROPIC])
    assert spelled(resolve("opus", evolve(there, lent=Lent(default=True)))) == ["second:opus"]


# The default


@pytest.mark.parametrize(
    ("default", "targets"),
    [
        ("ollama", ["ollama:new"]),
        ("openrouter", ["openrouter:new"]),
        ("ollama:qwen3:8b", ["ollama:qwen3:8b"]),
        ("ollama:", ["ollama:new"]),
        ("anthropic:sonnet[1m]", ["anthropic:sonnet"]),
        ("big", ["openrouter:openai/gpt-5.1", "ollama:new"]),
        ("biggest", ["openrouter:openai/gpt-5.1", "ollama:new"]),
    ],
)
def test_the_default_is_a_provider_one_of_its_models_or_an_alias(default, targets):
    aliases = {"big": ("openrouter:openai/gpt-5.1", "ollama"), "biggest": ("big",)}
    there = directory(ANTHROPIC, OLLAMA, addressable=[OPENROUTER], default=default, aliases=aliases)
    assert spelled(resolve("new", there)) == targets


@pytest.mark.parametrize("default", ["foundry", "foundry:x"])
def test_a_default_that_is_not_set_up_is_told(default):
    with pytest.raises(ApiError, match=f"'new' goes to the default, '{default}', which is not set up") as caught:
        resolve("new", directory(OLLAMA, default=default))
    assert caught.value.status == 404


# Aliases


@pytest.mark.parametrize(
    ("aliases", "targets"),
    [
        ({"a": ("a",)}, ["ollama:a"]),
        ({"a": ("b",), "b": ("a",)}, ["ollama:a"]),
        ({"a": ("a", "x")}, ["ollama:a", "ollama:x"]),
        ({"a": ("a[1m]",)}, ["ollama:a"]),
        ({"a": ("b", "c"), "b": ("x",), "c": ("b", "y")}, ["ollama:x", "ollama:y"]),
        ({"a": ("x", "ollama:x", "x")}, ["ollama:x"]),
        ({"a": ()}, ["ollama:a"]),
        ({"a": ("b", "x"), "b": ()}, ["ollama:b", "ollama:x"]),
    ],
)
def test_aliases_end_at_the_name_that_closes_a_loop_and_name_each_target_once(aliases, targets):
    assert spelled(resolve("a", directory(OLLAMA, aliases=aliases))) == targets


def test_a_long_chain_and_many_paths_of_aliases_cost_little():
    chain = {str(number): (str(number + 1),) for number in range(5000)}
    assert spelled(resolve("0", directory(OLLAMA, aliases=chain))) == ["ollama:5000"]
    crowd = tuple(f"n{number}" for number in range(30))
    everybody = dict.fromkeys(crowd, crowd)
    assert {target.model for target in resolve("n0", directory(OLLAMA, aliases=everybody))} <= set(crowd)


words = st.sampled_from(["a", "b", "c", "ollama", "work", "x"])
names = st.one_of(
    st.text(max_size=8),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", DISCOVERY_PREFIX, "claude-"]),
        words,
        st.sampled_from(["", ":", ",", "/", "[1m]"]),
        words | st.just(""),
    ),
)


@given(
    names,
    st.dictionaries(names, st.lists(names, max_size=3).map(tuple), max_size=4),
    st.sampled_from(["ollama", "work", "a", "b:x", "nobody", "work:m"]),
    st.booleans(),
)
def test_any_name_has_targets_or_is_refused(name, aliases, default, login):
    there = directory(OLLAMA, WORK, addressable=[OPENROUTER, ANTHROPIC], default=default, aliases=aliases)
    try:
        targets = resolve(name, there, client_login=login)
    except ApiError:
        return
    assert targets
    assert len(set(targets)) == len(targets)
    assert all(target.provider in there.addressable.values() for target in targets)


# Families

FAMILY = {"haiku": ("ollama:small",), "opus": ("ollama:large",), "claude-opus-4-8": ("ollama:old",)}


def test_a_family_goes_where_its_alias_leads():
    there = directory(ANTHROPIC, OLLAMA, aliases=FAMILY)
    assert spelled(resolve("claude-haiku-5-5", there)) == ["ollama:small"]
    assert spelled(resolve("claude-opus-4-8", there)) == ["ollama:old"]
    assert spelled(resolve("claude-sonnet-5-5", there)) == ["anthropic:claude-sonnet-5-5"]
    assert spelled(resolve("anthropic:claude-haiku-5-5", there)) == ["anthropic:claude-haiku-5-5"]


def test_an_alias_for_a_model_of_its_own_family_ends_there():
    there = directory(ANTHROPIC, aliases={"opus": ("claude-opus-4-8",)})
    for name in ("opus", "claude-opus-5-5", "claude-opus-4-8"):
        assert spelled(resolve(name, there)) == ["anthropic:claude-opus-4-8"]


# What depends on what there is just now


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("glm-5", True),
        ("nobody-knows", True),
        ("", True),
        ("ollama", True),
        ("work:glm-5", False),
        ("ollama,x", False),
        ("openrouter/x", False),
        ("big", False),
        ("big[1m]", False),
        ("haiku", False),
        ("claude-haiku-5-5", False),
        ("claude-opus-5-5", False),
        ("anthropic-via-ollama:x", False),
    ],
)
def test_a_name_that_nobody_explains_is_plain(name, plain):
    assert is_plain(name, FULL) is plain


def test_a_claude_name_is_plain_where_nobody_has_claude():
    assert is_plain("claude-opus-5-5", directory(WORK))
    assert not is_plain("claude-opus-5-5", directory(ANTHROPIC, WORK))


@given(names, st.dictionaries(names, st.lists(names, min_size=1, max_size=2).map(tuple), max_size=3))
def test_a_name_that_is_not_plain_means_the_same_whatever_servers_list(name, aliases):
    quiet = directory(OLLAMA, WORK, aliases=aliases)
    if is_plain(name, quiet):
        return
    ends = {each for some in aliases.values() for each in some}
    assume(not any(is_plain(each, quiet) and each not in aliases for each in ends))
    try:
        targets = resolve(name, quiet)
    except ApiError:
        return
    assert resolve(name, evolve(quiet, listed={"work": (name, *ends), "ollama": ("a", "b")})) == targets


# Names of providers that are parts of each other

provider_names = st.text("ab.-_", min_size=1, max_size=4)
models = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(":,/["), min_size=1, max_size=8)


@given(st.sets(provider_names, min_size=1, max_size=5), st.data(), models, st.sampled_from(":,/"))
def test_the_longest_name_of_a_provider_wins(known, data, model, separator):
    chosen = data.draw(st.sampled_from(sorted(known)))
    there = directory(*(provider(name, "ollama") for name in sorted(known)))
    assert resolve(f"{chosen}{separator}{model}", there) == (Target(there.addressable[chosen], model),)


@pytest.mark.parametrize("known", [("a", "a:b", "a:b:c"), ("a:b:c", "a:b", "a")])
def test_the_longest_name_wins_even_if_names_could_hold_separators(known):
    there = directory(*(provider(name, "ollama") for name in known))
    assert spelled(resolve("a:b:x", there)) == ["a:b:x"]
    assert resolve("a:b:x", there)[0].provider.name == "a:b"


@given(st.sets(provider_names, min_size=1, max_size=5), st.data(), models)
def test_a_discovery_id_leads_back_to_what_it_was_made_from(known, data, model):
    chosen = data.draw(st.sampled_from(sorted(known)))
    there = directory(*(provider(name, "ollama") for name in sorted(known)))
    encoded = discovery_id(chosen, model)
    assert encoded.startswith("anthropic")
    assert not encoded.startswith("claude-")
    assert resolve(encoded, there) == (Target(there.addressable[chosen], model),)


@given(models)
def test_a_discovery_id_means_what_the_plain_name_means(model):
    for name in FULL.addressable:
        plain = f"{name}:{model}"
        assume(plain not in FULL.aliases)
        assert resolve(discovery_id(name, model), FULL) == resolve(plain, FULL)


def test_a_directory_remembers_so_many_names_and_nothing_long():
    there = directory(ANTHROPIC, OLLAMA)
    for number in range(2 * _MOST):
        first, again = (resolve(f"ollama:m{number}", there) for _ in range(2))
        assert first is again
        assert len(there.resolved) <= _MOST
    before = dict(there.resolved)
    assert resolve("ollama:" + "m" * 1_000, there) == (Target(OLLAMA, "m" * 1_000),)
    assert there.resolved == before


def test_a_login_of_the_client_is_no_part_of_what_others_are_remembered_to_get():
    there = directory(OLLAMA, addressable=[ANTHROPIC])
    for _ in range(2):
        assert resolve("claude-x", there, client_login=True) == (Target(ANTHROPIC, "claude-x"),)
        assert resolve("claude-x", there) == (Target(OLLAMA, "claude-x"),)


# Whose word a name is


def refusal(name, there, **how):
    with pytest.raises(ApiError) as caught:
        resolve(name, there, **how)
    assert caught.value.status == 404
    return caught.value.message


@pytest.mark.parametrize("separator", ":,/")
def test_a_name_of_a_provider_that_is_off_is_nobody_elses(separator):
    there = evolve(directory(OLLAMA), off=frozenset({"open", "open-wide"}))
    assert "the provider open is switched off" in refusal(f"open{separator}foo", there)
    assert "the provider open-wide is switched off" in refusal(f"open-wide{separator}foo", there)
    assert resolve(f"opener{separator}foo", there) == (Target(OLLAMA, f"opener{separator}foo"),)


@pytest.mark.parametrize("name", ["azure:x", "azure,x", f"{DISCOVERY_PREFIX}azure:x", "azure:"])
def test_a_name_of_a_preset_that_has_no_address_is_nobody_elses(name):
    there = directory(OLLAMA, default="ollama:q", homeless=["azure"], aliases={"mine": (name, "ollama:r")})
    assert "the provider azure is not set up: give it a base_url in [providers.azure]" in refusal(name, there)
    assert "the provider azure is not set up" in refusal(name, there, lent=True)
    assert spelled(resolve("mine", there)) == ["ollama:r"]
    assert spelled(resolve(name.removeprefix("a"), there)) == ["ollama:q"]


@pytest.mark.parametrize(
    ("there", "target"),
    [
        ({"listed": {"ollama": ("chat:7b",)}}, "ollama:chat:7b"),
        ({"listed": {"ollama": ("chat:7b",), "work": ("chat:7b",)}}, "ollama:q"),
        ({"aliases": {"chat:7b": ("work:m",)}}, "work:m"),
    ],
)
def test_whose_model_is_known_needs_no_preset_that_is_called_so(there, target):
    known = directory(OLLAMA, WORK, default="ollama:q", homeless=["chat"], **there)
    assert spelled(resolve("chat:7b", known)) == [target]
    assert spelled(resolve("chat/7b", known)) == ["ollama:q"], "a gateway's model may be called so"


@pytest.mark.parametrize("name", ["open:foo", "gone:foo"])
def test_a_discovery_id_of_a_provider_that_is_off_or_was_taken_out_is_nobody_elses(name):
    there = evolve(directory(OLLAMA), off=frozenset({"open"}))
    provider = name.partition(":")[0]
    assert f"the provider {provider} is " in refusal(DISCOVERY_PREFIX + name, there)


@pytest.mark.parametrize("default", ["azure", "azure:x"])
def test_a_projects_default_that_has_no_address_is_told_or_the_next_is_asked(default):
    there = directory(OLLAMA, default=default, homeless=["azure"], aliases={"mine": (default, "ollama:q")})
    assert "give it a base_url in [providers.azure]" in refusal("free", there)
    assert spelled(resolve("free", evolve(there, default="mine"))) == ["ollama:q"]


@pytest.mark.parametrize("name", ["lmstudio:x", "lmstudio,x", "lmstudio/x", f"{DISCOVERY_PREFIX}lmstudio:x"])
def test_a_repositorys_name_reaches_no_server_that_nobody_set_up(name):
    lmstudio = provider("lmstudio")
    there = directory(OLLAMA, addressable=[lmstudio])
    assert resolve(name, there) == (Target(lmstudio, "x"),)
    assert "[providers.lmstudio]" in refusal(name, there, lent=True)
    assert resolve(name, directory(OLLAMA, lmstudio), lent=True) == (Target(lmstudio, "x"),)


def test_a_projects_alias_and_default_reach_no_server_that_nobody_set_up():
    lmstudio = provider("lmstudio")
    there = directory(OLLAMA, addressable=[lmstudio], aliases={"big": ("lmstudio:x",), "own": ("lmstudio:y",)})
    assert resolve("big", there) == (Target(lmstudio, "x"),)
    lent = evolve(there, lent=Lent(aliases=frozenset({"big"})))
    assert "can't choose the provider lmstudio" in refusal("big", lent)
    assert "can't choose the provider lmstudio" in refusal("free", evolve(lent, default="big"))
    for default in ("lmstudio", "lmstudio:x"):
        by_default = evolve(there, default=default, lent=Lent(default=True))
        assert "can't choose the provider lmstudio" in refusal("free", by_default)
        assert resolve("free", evolve(there, default=default))[0].provider == lmstudio


def test_the_users_own_word_stays_the_users_wherever_a_repository_uses_it():
    lmstudio = provider("lmstudio")
    aliases = {"own": ("lmstudio:y",), "theirs": ("own", "lmstudio:y"), "same": ("lmstudio:y",)}
    lent = Lent(aliases=frozenset({"theirs"}))
    there = evolve(directory(OLLAMA, addressable=[lmstudio], aliases=aliases), lent=lent)
    meant = (Target(lmstudio, "y"),)
    assert resolve("lmstudio:y", there) == meant
    assert resolve("same", there) == meant
    assert resolve("own", there, lent=True) == meant
    assert resolve("theirs", there) == meant
    assert resolve("free", evolve(there, default="own", lent=Lent(default=True))) == meant


def test_of_a_list_the_names_that_a_repository_may_not_choose_are_left_out():
    lmstudio = provider("lmstudio")
    there = directory(OLLAMA, addressable=[lmstudio], aliases={"big": ("lmstudio:x", "ollama:q")})
    assert resolve("big", evolve(there, lent=Lent(aliases=frozenset({"big"})))) == (Target(OLLAMA, "q"),)


def test_the_built_in_model_is_no_server():
    there = directory(OLLAMA, addressable=[provider("demo")])
    assert [str(each) for each in resolve("demo:x", there, lent=True)] == ["demo:x"]


def test_without_claude_the_names_of_families_move_what_nobody_reads_too():
    aliases = {"opus": ("ollama:big",), "haiku": ("sonnet",), "sonnet": ("ollama:q",)}
    there = directory(OLLAMA, addressable=[ANTHROPIC], aliases=aliases)
    assert resolve("claude-opus-5", there, background=True) == (Target(OLLAMA, "big"),)
    own_login = resolve("claude-opus-5", there, background=True, client_login=True)
    assert own_login == (Target(ANTHROPIC, "claude-opus-5"),)
    for known in (there, directory(ANTHROPIC, OLLAMA, aliases=aliases)):
        assert resolve("claude-haiku-5-5", known, background=True) == (Target(OLLAMA, "q"),)


def test_of_the_names_of_families_only_the_smallest_moves_what_nobody_reads():
    aliases = dict.fromkeys(("opus", "sonnet", "haiku", "claude-opus-9"), ("ollama:q",))
    there = directory(ANTHROPIC, OLLAMA, aliases=aliases)
    moved = (Target(OLLAMA, "q"),)
    for model, in_background in (
        ("claude-sonnet-5", (Target(ANTHROPIC, "claude-sonnet-5"),)),
        ("claude-opus-5-5", (Target(ANTHROPIC, "claude-opus-5-5"),)),
        ("claude-haiku-5-5", moved),
        ("claude-opus-9", moved),
    ):
        assert resolve(model, there) == moved
        assert resolve(model, there, background=True) == in_background
