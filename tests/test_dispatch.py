"""From a request to its targets by what holds at this moment, and what is learned from how it went."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trio
from attrs import evolve

from ccrouter.attempt.inbound import Inbound
from ccrouter.dispatch import _DIRECTORIES, Chosen, placed
from ccrouter.errors import ApiError
from ccrouter.providers.provider import Budget, Model, Price, Target
from ccrouter.remembered.project import NAME, ProjectFiles
from ccrouter.routing.config import Config, Explain, Profile, Server
from ccrouter.routing.plan import Outcome, Try
from ccrouter.routing.profiles import Choice
from ccrouter.routing.rules import Rule, When
from tests.attempt.calls import inbound
from tests.rig import Rig, Script, provider, rig

TWO = [provider("anthropic"), provider("ollama")]
SESSION = b"x-claude-code-session-id"
CLASS = b"x-claude-code-request-class"


def asked(*headers: tuple[bytes, bytes], project: Path | str | None = None, **fields: Any) -> Inbound:
    said = [] if project is None else [(b"x-ccrouter-project", quote(str(project)).encode())]
    return evolve(inbound(**fields), headers=[*headers, *said])


async def targets(it: Rig, wanted: Inbound) -> list[str]:
    return [str(each) for each in (await it.dispatch.choose(wanted)).route.targets]


# What holds


async def test_the_configuration_of_the_moment_holds_for_the_whole_of_a_request() -> None:
    it = rig(Script(), providers=TWO, config=Config(server=Server(tries=1)))
    before = await it.dispatch.choose(asked())
    it.config = Config(default="ollama", server=Server(tries=7))
    after = await it.dispatch.choose(asked(model="free"))
    assert (before.in_force.config.server.tries, before.plan.patience.tries) == (1, 1)
    assert (after.in_force.config.server.tries, after.plan.patience.tries) == (7, 7)
    assert [str(each) for each in after.route.targets] == ["ollama:free"]


LOCAL = Config(profiles={"local": Profile(default="ollama"), "bare": Profile(off=frozenset({"ollama"}))})


async def test_a_profile_is_switched_by_the_file_of_choices_from_the_next_request_on(tmp_path: Path) -> None:
    it = rig(Script(), providers=TWO, config=LOCAL, state=tmp_path)
    file = it.dispatch._choice
    assert await targets(it, asked(model="free")) == ["anthropic:free"]
    file.write(Choice(profile="local"))
    assert await targets(it, asked(model="free")) == ["ollama:free"]
    file.write(Choice(projects=(("/work", "local"),)))
    assert await targets(it, asked(model="free", project="/work/deep")) == ["ollama:free"]
    assert await targets(it, asked(model="free", project="/worker")) == ["anthropic:free"]
    file.write(Choice())
    assert await targets(it, asked(model="free", project="/work")) == ["anthropic:free"]


async def test_what_rules_remember_lasts_as_long_as_nothing_changes(tmp_path: Path) -> None:
    rules = (Rule(name="r", when=When(classes=("main",)), use=("anthropic:q",)),)
    it = rig(Script(), providers=TWO, config=evolve(LOCAL, routes=rules), state=tmp_path)
    it.dispatch._choice.write(Choice(profile="local"))

    async def holds() -> Config:
        return (await it.dispatch.choose(asked(project="/work"))).in_force.config

    before = await holds()
    assert await holds() is before
    assert (await holds()).rulebook is before.rulebook
    it.dispatch._choice.write(Choice(profile="bare"))
    assert (await holds()).off == {"ollama"}
    it.config = evolve(it.config, routes=())
    assert (await holds()).routes == ()


async def test_of_so_many_directories_it_is_remembered_what_holds_there() -> None:
    it = rig(Script(), providers=TWO)
    for number in range(2 * _DIRECTORIES):
        await it.dispatch.choose(asked(project=f"/work/{number}"))
    assert len(it.dispatch._in_force) == _DIRECTORIES


async def test_a_profile_that_is_gone_is_told_and_no_request_fails_for_it(tmp_path: Path) -> None:
    it = rig(Script(), providers=TWO, config=LOCAL, state=tmp_path)
    it.dispatch._choice.write(Choice(profile="gone"))
    chosen = await it.dispatch.choose(asked())
    assert chosen.in_force.profile is None
    (problem,) = chosen.problems
    assert "there is no profile 'gone'" in problem
    assert it.dispatch.summary(await it.directory())["problems"] == [problem]


async def test_a_provider_that_a_profile_switches_off_is_not_there(tmp_path: Path) -> None:
    it = rig(Script(), providers=TWO, config=LOCAL, state=tmp_path)
    it.dispatch._choice.write(Choice(profile="bare"))
    chosen = await it.dispatch.choose(asked(model="ollama:q"))
    assert "the provider ollama is switched off" in str(chosen.plan.verdict().reply)


# A project's file


def in_project(tmp_path: Path, text: str, **more: Any) -> Rig:
    (tmp_path / NAME).write_text(text)
    return rig(Script(), providers=TWO, projects=ProjectFiles(), **more)


async def test_a_projects_file_holds_below_it_and_an_edit_from_the_next_request_on(tmp_path: Path) -> None:
    it = in_project(tmp_path, 'default = "ollama"')
    assert await targets(it, asked(model="free", project=tmp_path / "src")) == ["ollama:free"]
    assert await targets(it, asked(model="free", project=tmp_path.parent)) == ["anthropic:free"]
    assert await targets(it, asked(model="free")) == ["anthropic:free"]
    (tmp_path / NAME).write_text('default = "anthropic"')
    assert await targets(it, asked(model="free", project=tmp_path / "src")) == ["anthropic:free"]


TAKES_ALL = """
default = "ollama"
subagent = "ollama:sub"
[aliases]
claude-opus-5-5 = "ollama:q"
[[routes]]
when = { class = ["main", "auxiliary", "classifier", "title"] }
use = "ollama:taken"
"""


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ([(CLASS, b"auxiliary")], {}),
        ([], {"stop_sequences": ["</block>"], "stream": False}),
        ([], {"output_config": {"format": {"schema": {"properties": {"title": {}}}}}}),
    ],
)
async def test_a_projects_file_has_no_say_in_background_requests(
    tmp_path: Path, headers: list[tuple[bytes, bytes]], fields: dict[str, object]
) -> None:
    it = in_project(tmp_path, TAKES_ALL)
    assert await targets(it, asked(project=tmp_path)) == ["ollama:taken"]
    assert await targets(it, asked(*headers, project=tmp_path, **fields)) == ["anthropic:claude-opus-5-5"]


async def test_a_projects_file_with_a_mistake_is_told_with_the_request_and_counts_for_nothing(
    tmp_path: Path,
) -> None:
    it = in_project(tmp_path, 'default = "ollama"\n[providers.x]\nbase_url = "https://evil.example"')
    chosen = await it.dispatch.choose(asked(model="free", project=tmp_path))
    assert [str(each) for each in chosen.route.targets] == ["anthropic:free"]
    (problem,) = chosen.problems
    assert problem.startswith(f"{tmp_path / NAME}:2: ")
    it.dispatch.settle(asked(), chosen, Outcome(result="done"), None)
    assert it.dispatch.trails.last(1)[0].decision.problems == (problem,)
    await it.dispatch.choose(asked(model="free", project=tmp_path))
    assert it.lines == [f"warning: {problem}"[:1009]]


async def test_where_no_projects_are_read_their_files_have_no_say(tmp_path: Path) -> None:
    it = in_project(tmp_path, TAKES_ALL)
    other = rig(Script(), providers=TWO, projects=None)
    assert await targets(it, asked(project=tmp_path)) == ["ollama:taken"]
    assert await targets(other, asked(project=tmp_path)) == ["anthropic:claude-opus-5-5"]


@pytest.mark.parametrize("project", ["%00", "relative", "%ff%fe", "/" + "x/" * 4000, "%2e%2e/..", "C:%5C"])
async def test_no_directory_that_a_client_names_makes_its_request_fail(project: str) -> None:
    it = rig(Script(), providers=TWO, projects=ProjectFiles())
    wanted = evolve(inbound(), headers=[(b"x-ccrouter-project", project.encode())])
    assert await targets(it, wanted) == ["anthropic:claude-opus-5-5"]


# Who waits with whom, and what is sent on


async def test_whose_turn_it_is_goes_by_session_and_else_by_request() -> None:
    it = rig(Script())
    for headers, expected in (
        ([], "req_1"),
        ([(SESSION, b"s")], "s"),
        ([(SESSION, b"s"), (b"x-claude-code-agent-id", b"a")], "s"),
    ):
        wanted = asked(*headers)
        assert placed(wanted, await it.dispatch.choose(wanted)).session == expected


async def test_a_marker_in_a_subagents_definition_is_not_sent_on() -> None:
    it = rig(Script(), providers=TWO)
    wanted = asked(
        (CLASS, b"subagent"),
        system=[{"type": "text", "text": "<CCR-SUBAGENT-MODEL>ollama:q</CCR-SUBAGENT-MODEL>\nbe"}],
    )
    chosen = await it.dispatch.choose(wanted)
    sent = placed(wanted, chosen)
    assert [str(each) for each in chosen.route.targets] == ["ollama:q"]
    assert "CCR-SUBAGENT-MODEL" not in sent.request.text
    assert "CCR-SUBAGENT-MODEL" in wanted.request.text


async def test_a_long_prompt_is_counted_in_a_thread_where_a_rule_asks_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = []
    genuine = trio.to_thread.run_sync

    async def run_sync(*args: Any) -> Any:
        threads.append(args)
        return await genuine(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)
    monkeypatch.setattr("ccrouter.dispatch.LONG", 100)
    rule = Rule(name="long", when=When(tokens_over=10), use=("ollama:big",))
    it = rig(Script(), providers=TWO)
    words = [{"role": "user", "content": "word " * 100}]
    assert await targets(it, asked(messages=words)) == ["anthropic:claude-opus-5-5"]
    assert threads == []
    it.config = Config(routes=(rule,))
    assert await targets(it, asked(messages=words)) == ["ollama:big"]
    assert len(threads) == 1


# What is learned

BIG: Any = {"providers": TWO, "aliases": {"big": ("anthropic:claude-x", "ollama:q")}}
USAGE = {"input_tokens": 3, "output_tokens": 5}
ANTHROPIC, OLLAMA = Target(TWO[0], "claude-x"), Target(TWO[1], "q")


def ended_by(chosen: Chosen, target: Target | None, outcome: Outcome) -> Try | None:
    if target is None:
        return None
    chosen.plan.tries.append(Try(target=target, began=0.0, ended=1.0, outcome=outcome))
    return chosen.plan.tries[-1]


async def settled(it: Rig, wanted: Inbound, target: Target | None, outcome: Outcome) -> Chosen:
    chosen = await it.dispatch.choose(wanted)
    if target is not None:
        it.backends.budgets.spend(target, outcome.usage)
    it.dispatch.settle(wanted, chosen, outcome, ended_by(chosen, target, outcome))
    return chosen


@pytest.mark.parametrize(
    ("outcome", "stays"),
    [
        (Outcome(result="done"), True),
        (Outcome(result="broken", usage=USAGE), True),
        (Outcome(result="hung_up", usage=USAGE), True),
        (Outcome(result="hung_up"), False),
        (Outcome(result="broken"), False),
        (Outcome(result="failed", usage=USAGE), False),
        (Outcome(result="ended", usage=USAGE), False),
    ],
)
async def test_a_session_stays_with_who_answered_it(outcome: Outcome, stays: bool) -> None:
    it = rig(Script(), **BIG)
    await settled(it, asked((SESSION, b"s"), model="big"), OLLAMA, outcome)
    after = await it.dispatch.choose(asked((SESSION, b"s"), model="big"))
    assert str(after.route.targets[0]) == ("ollama:q" if stays else "anthropic:claude-x")
    assert (after.route.pinned == "ollama:q") is stays
    other = await it.dispatch.choose(asked((SESSION, b"t"), model="big"))
    assert other.route.pinned is None


async def test_without_a_session_nobody_is_remembered() -> None:
    it = rig(Script(), **BIG)
    await settled(it, asked(model="big"), OLLAMA, Outcome(result="done"))
    assert len(it.dispatch.notebook.pins) == 0


PRICED = provider(
    "anthropic",
    budget=Budget(dollars_per_day=1.0),
    models=(Model("claude-x", price=Price(input=2e5, output=1e5)),),
)


async def test_what_was_used_up_is_counted_for_who_has_a_budget() -> None:
    it = rig(Script(), providers=[PRICED, TWO[1]], now=lambda: datetime(2026, 11, 28, 12, tzinfo=UTC))
    await settled(
        it, asked(model="anthropic:claude-x"), Target(PRICED, "claude-x"), Outcome(result="done", usage=USAGE)
    )
    await settled(it, asked(model="ollama:q"), OLLAMA, Outcome(result="done", usage=USAGE))
    assert it.dispatch.notebook.ledger.dump() == {"anthropic": {"2026-11-28": [8, pytest.approx(1.1)]}}
    budgets = it.dispatch.summary(await it.directory())["budgets"]
    assert budgets == {
        "anthropic": {"tokens_today": 8, "tokens_this_month": 8, "dollars_today": 1.1, "dollars_this_month": 1.1}
    }


async def test_what_another_router_used_up_counts_before_this_one_writes_anything(tmp_path: Path) -> None:
    limited = evolve(PRICED, budget=Budget(tokens_per_day=8))
    idle, busy = (rig(Script(), providers=[limited], state=tmp_path) for _ in range(2))
    wanted, target = asked(model="anthropic:claude-x"), Target(limited, "claude-x")
    plan = (await idle.dispatch.choose(wanted)).plan
    assert plan.budget(target) is None
    await settled(busy, wanted, target, Outcome(result="done", usage=USAGE))
    await busy.dispatch.notebook.write(time.time())
    assert plan.budget(target) is not None
    assert idle.dispatch.summary(await idle.directory())["budgets"]["anthropic"]["tokens_today"] == 8


@pytest.mark.only_on("linux", "darwin")
@pytest.mark.parametrize(
    ("now", "hours"), [(datetime(2026, 10, 25, 0, 30), 24.5), (datetime(2027, 3, 28, 0, 30), 22.5)]
)
async def test_a_day_on_which_the_clock_is_changed_has_its_own_length(
    now: datetime, hours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = evolve(PRICED, budget=Budget(tokens_per_day=1))
    it = rig(Script(), providers=[limited], now=lambda: now)
    wanted, target = asked(model="anthropic:claude-x"), Target(limited, "claude-x")
    await settled(it, wanted, target, Outcome(result="done", usage=USAGE))
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        refusal = (await it.dispatch.choose(wanted)).plan.budget(target)
    time.tzset()
    assert refusal is not None
    assert dict(refusal.headers)["retry-after"] == str(round(hours * 3600))


async def test_what_a_reply_cost_is_told_by_the_model_that_gave_it() -> None:
    it = rig(Script(), providers=[PRICED])
    chosen = await it.dispatch.choose(asked(model="anthropic:claude-x"))
    tried = chosen.plan.next_target(0.0)
    assert tried is not None
    chosen.plan.record(Outcome(result="done"), 1.0)
    outcome = Outcome(result="done", usage=USAGE)
    it.dispatch.settle(asked(), chosen, outcome, ended_by(chosen, chosen.route.targets[0], outcome))
    assert it.dispatch.trails.last(1)[0].dollars == pytest.approx(1.1)


async def test_a_session_is_released_when_another_model_has_answered() -> None:
    it = rig(Script(), providers=TWO, aliases={"big": ("anthropic:claude-x", "ollama:q")})
    tools = [{"name": "Read", "input_schema": {"type": "object"}}]
    big, other = (asked((SESSION, b"s"), model=model, tools=tools) for model in ("big", "ollama:x"))
    await settled(it, big, Target(TWO[1], "q"), Outcome(result="done"))
    assert (await targets(it, big))[0] == "ollama:q"
    await settled(it, other, Target(TWO[1], "x"), Outcome(result="failed"))
    assert (await targets(it, big))[0] == "ollama:q"
    await settled(it, other, Target(TWO[1], "x"), Outcome(result="done"))
    assert (await targets(it, big))[0] == "anthropic:claude-x"


# What is remembered of it


async def test_no_more_is_remembered_than_the_configuration_says() -> None:
    it = rig(Script(), config=Config(explain=Explain(keep=3)))
    for _ in range(9):
        await settled(it, asked(), None, Outcome(result="done"))
    assert len(it.dispatch.trails) == 3
    it.config = Config(explain=Explain(keep=0))
    await settled(it, asked(), None, Outcome(result="done"))
    assert len(it.dispatch.trails) == 0


async def test_a_request_that_leads_nowhere_is_remembered_with_what_was_decided(tmp_path: Path) -> None:
    rules = (
        Rule(name="other", when=When(classes=("compaction",)), use=("anthropic:x",)),
        Rule(name="all", use=("ollama:q", "nowhere")),
    )
    it = rig(Script(), providers=TWO, default="ollama", config=evolve(LOCAL, routes=rules), state=tmp_path)
    it.dispatch._choice.write(Choice(profile="bare"))
    wanted = asked((SESSION, b"s"))
    chosen = await it.dispatch.choose(wanted)
    assert chosen.plan.next_target(0.0) is None
    refusal = chosen.plan.verdict().reply
    assert isinstance(refusal, ApiError)
    it.dispatch.settle(wanted, chosen, Outcome(result="failed", failure=refusal), None)
    (trail,) = it.dispatch.trails.last(1)
    decision = trail.decision
    assert (trail.result, decision.caller.session, decision.profile) == ("failed", "s", "bare")
    assert (decision.because, decision.names) == ("the rule all", ("ollama:q", "nowhere"))
    assert [each.rule for each in decision.considered] == ["other", "all"]
    assert trail.failure is not None
    assert "the provider ollama is switched off" in trail.failure
    assert "the provider ollama is switched off" in trail.changes[0]


@pytest.mark.parametrize(
    ("messages", "prompt"),
    [
        ([{"role": "user", "content": "hi"}], "hi"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "a"),
        ([{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}], "x y"),
        ([{"role": "user", "content": f"begin{'z' * 1000}end"}], f"{'z' * 397}end"),
        ([{"role": "user", "content": [{"type": "image"}, 5, {"text": 5}]}], ""),
        ([5, {"role": "assistant", "content": "b"}], None),
        ("text", None),
    ],
)
async def test_a_prompt_is_remembered_only_when_its_user_wants_that(messages: object, prompt: str | None) -> None:
    it = rig(Script())
    await settled(it, asked(messages=messages), None, Outcome(result="done"))
    it.config = Config(explain=Explain(prompts=True))
    await settled(it, asked(messages=messages), None, Outcome(result="done"))
    assert [each.prompt for each in it.dispatch.trails.last(2)] == [prompt, None]


@pytest.mark.parametrize(("slept", "on"), [(8 * 3600, True), (3600, False), (-8 * 3600, False), (1, False)])
async def test_a_plan_is_there_again_after_a_night_in_which_the_machine_slept(slept: int, on: bool) -> None:
    it = rig(Script(), providers=TWO, config=Config(aliases={"big": ("anthropic:a", "ollama:b")}))
    clock = [time.time()]
    it.dispatch._backends = evolve(it.backends, clock=lambda: clock[0])
    before = await it.dispatch.choose(asked(model="big"))
    limit = (("retry-after", "18000"), ("x-should-retry", "false"))
    it.dispatch.health.failed(
        before.route.targets[0], ApiError(429, "rate_limit_error", "no", limit), trio.current_time()
    )
    clock[0] += slept
    assert (it.dispatch.summary(await it.directory())["resting"] == {}) is on
    after = await it.dispatch.choose(asked(model="big"))
    assert (after.candidates[0].down is None) is on
    assert after.plan.next_target(trio.current_time()) == after.route.targets[0 if on else 1]


async def test_the_summary_tells_what_holds(tmp_path: Path) -> None:
    rule = Rule(name="night", when=When(), use=("ollama:q",))
    config = evolve(LOCAL, routes=(rule,), subagent=("ollama:s",), classifier=("anthropic:h",))
    it = rig(Script(), providers=[TWO[0], evolve(TWO[1], max_concurrent=2)], config=config, state=tmp_path)
    it.dispatch._choice.write(Choice(profile="local", projects=(("/w", "bare"),)))
    it.backends.quotas.hear(TWO[0], [(b"anthropic-ratelimit-unified-7d-utilization", b"0.9")], it.backends.clock())
    summary = it.dispatch.summary(await it.directory())
    assert summary == {
        "profile": "local",
        "projects": {"/w": "bare"},
        "subagent": ["ollama:s"],
        "classifier": ["anthropic:h"],
        "rules": ["night"],
        "problems": [],
        "resting": {},
        "plans": {"anthropic": [{"window": "7d", "percent": 90, "resets": None}]},
        "budgets": {},
        "lines": {"ollama": {"inside": 0, "waiting": 0}},
        "sessions": 0,
        "remembered": 0,
    }


async def test_rules_see_the_time_of_this_machine_and_how_full_a_plan_is() -> None:
    rules = (
        Rule(name="full", when=When(quota_over=(("anthropic", 80),)), use=("ollama:full",)),
        Rule(name="night", when=When(hours=(22 * 60, 6 * 60)), use=("ollama:night",)),
        Rule(name="sunday", when=When(days=("sun",)), use=("ollama:sunday",)),
    )
    clock = [datetime(2026, 11, 28, 23, 0, tzinfo=UTC)]  # a Saturday
    it = rig(Script(), providers=TWO, config=Config(routes=rules), now=lambda: clock[0])
    assert await targets(it, asked()) == ["ollama:night"]
    clock[0] = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
    assert await targets(it, asked()) == ["ollama:sunday"]
    it.backends.quotas.hear(
        TWO[0], [(b"anthropic-ratelimit-unified-5h-utilization", b"0.81")], it.backends.clock()
    )
    assert await targets(it, asked()) == ["ollama:full"]
