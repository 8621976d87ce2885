"""What is remembered from one router to the next: sessions, budgets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from ccrouter.file_lock import locked
from ccrouter.service import Options, Running, serve
from tests.backend import Backend, Seen, backend
from tests.service.router import STATE, answering, anthropic, body, client, one_and_two, running


def answered(it: Backend) -> list[Seen]:
    """Of what a backend was asked, the messages."""
    return [seen for seen in it.seen if seen.target.endswith("/messages")]


async def test_a_session_stays_where_it_was_though_the_router_is_started_anew(tmp_path: Path) -> None:
    session = {"x-claude-code-session-id": "s1"}
    async with backend(answering) as upstream:
        async with running(tmp_path, one_and_two(upstream)) as it, client(it) as http:
            reply = await http.post("/v1/messages", json=body(model="big"), headers=session)
            assert reply.json()["content"][0]["text"] == "up"
        assert (tmp_path / STATE / "notebook.json").exists(), "written at the stop, whatever the time"
        async with running(tmp_path, one_and_two(upstream)) as it, client(it) as http:
            for headers, expected in ((session, ["up"]), ({"x-claude-code-session-id": "s2"}, ["down", "up"])):
                asked = len(upstream.seen)
                await http.post("/v1/messages", json=body(model="big"), headers=headers)
                assert [json.loads(each.body)["model"] for each in upstream.seen[asked:]] == expected
            (told,) = (await http.get("/explain?last=2")).json()["requests"][1:]
            assert told["pinned"] == "two:up"


async def test_a_budget_is_used_up_though_the_router_is_started_anew(tmp_path: Path) -> None:
    async with backend(answering) as upstream:
        config = anthropic(upstream) + "[providers.anthropic.budget]\ntokens_per_month = 10\n"
        statuses = []
        for _ in range(3):
            async with running(tmp_path, config) as it, client(it) as http:
                statuses.append((await http.post("/v1/messages", json=body())).status_code)
                budgets = (await http.get("/status")).json()["budgets"]
    assert statuses == [200, 200, 429]
    assert budgets["anthropic"]["tokens_this_month"] == 16
    assert len(answered(upstream)) == 2


async def test_two_routers_share_a_budget_after_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccrouter.remembered.notebook.EVERY", 0.01)
    async with backend(answering) as upstream:
        config = anthropic(upstream) + "[providers.anthropic.budget]\ntokens_per_month = 1000\n"
        async with running(tmp_path, config) as one, running(tmp_path, config) as two:
            async with client(one) as first, client(two) as second:
                with trio.fail_after(5):
                    while True:
                        for http in (first, second):
                            assert (await http.post("/v1/messages", json=body())).status_code == 200
                        spent = [
                            (await http.get("/status")).json()["budgets"]["anthropic"]["tokens_this_month"]
                            for http in (first, second)
                        ]
                        if min(spent) > 8 * len(answered(upstream)) / 2:
                            break
                total = 8 * len(answered(upstream))
        async with running(tmp_path, config) as it, client(it) as http:
            budgets = (await http.get("/status")).json()["budgets"]
    assert budgets["anthropic"]["tokens_this_month"] == total


async def test_a_router_that_has_nothing_to_remember_leaves_no_trace(tmp_path: Path) -> None:
    async with running(tmp_path, "[demo]\npace = 0") as it, client(it) as http:
        assert (await http.post("/v1/messages", json=body())).status_code == 200
        await http.get("/status")
        await http.get("/explain")
    assert [each.name for each in tmp_path.iterdir()] == ["config.toml"]


async def test_a_router_that_is_cancelled_writes_down_what_it_has(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    async with backend(answering) as upstream:
        file.write_text(anthropic(upstream) + "[providers.anthropic.budget]\ntokens_per_day = 1000\n")
        async with trio.open_nursery() as nursery:
            it: Running = await nursery.start(
                lambda task_status: serve(
                    Options(config=file, port=0), environ={"HOME": str(tmp_path)}, task_status=task_status
                )
            )
            async with client(it) as http:
                await http.post("/v1/messages", json=body())
                while not (await http.get("/explain")).json()["requests"]:
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    spent = json.loads((tmp_path / STATE / "notebook.json").read_text())["spent"]
    assert [tokens for tokens, _ in spent["anthropic"].values()] == [8]


@pytest.mark.parametrize("content", [b"{", b'{"spent": {"a": {"b": [Infinity, 1]}}}', b"[" * 100_000])
async def test_a_broken_notebook_or_choice_keeps_nobody_from_serving(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STATE).mkdir(parents=True)
    for name in ("notebook.json", "choice.json"):
        (tmp_path / STATE / name).write_bytes(content)
    async with backend(answering) as upstream:
        config = anthropic(upstream) + "[providers.anthropic.budget]\ntokens_per_day = 1000\n"
        async with running(tmp_path, config) as it, client(it) as http:
            assert (await http.post("/v1/messages", json=body())).status_code == 200
            status = (await http.get("/status")).json()
            assert status["budgets"]["anthropic"]["tokens_today"] == 8
            (problem,) = status["problems"]
            assert "notebook.json: is damaged" in problem


@pytest.mark.parametrize("budget", ["[providers.demo.budget]\ntokens_per_day = 1000\n", ""])
async def test_where_nothing_can_be_kept_a_budget_is_told_so_at_the_start(tmp_path: Path, budget: str) -> None:
    (tmp_path / "file").touch()
    lines: list[str] = []
    environ = {"CCROUTER_STATE": str(tmp_path / "file" / "state")}
    async with running(tmp_path, "[demo]\npace = 0\n" + budget, environ, lines) as it, client(it) as http:
        problems = (await http.get("/status")).json()["problems"]
        said = [line for line in lines if "notebook.json: cannot be kept" in line]
        assert said == [f"warning: {each}" for each in problems]
        assert len(said) == bool(budget)


async def test_notes_that_wait_for_their_lock_are_written_at_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccrouter.remembered.notebook.EVERY", 0.0)
    lock = tmp_path / STATE / "notebook.lock"
    lock.parent.mkdir(parents=True)
    async with backend(answering) as upstream:
        config = anthropic(upstream) + "[providers.anthropic.budget]\ntokens_per_day = 1000\n"
        async with running(tmp_path, config) as it:
            async with locked(lock, 1):
                async with client(it) as http:
                    await http.post("/v1/messages", json=body())
                await trio.sleep(0.1)  # they wait by now; if not, the test shows less
                it.end()
                await trio.sleep(0.1)
    spent = json.loads((tmp_path / STATE / "notebook.json").read_text())["spent"]
    assert [tokens for tokens, _ in spent["anthropic"].values()] == [8]
