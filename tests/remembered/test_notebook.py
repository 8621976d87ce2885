"""What routers remember together: nothing is lost between them, and no file hurts anybody."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from ccrouter.file_lock import locked
from ccrouter.providers.provider import Target
from ccrouter.remembered import json_file
from ccrouter.remembered import notebook as module
from ccrouter.remembered.notebook import EVERY, NAME, Notebook
from ccrouter.routing.budget import Amount
from tests.rig import provider

NOW = 1_800_000_000.0
DAY = "2027-01-15"
TARGET = Target(provider("ollama"), "q")
OTHER = Target(provider("lmstudio"), "q")


def opened(folder: Path, now: float = NOW, *, budgets: bool = False, lines: list[str] | None = None) -> Notebook:
    book = Notebook(folder) if lines is None else Notebook(folder, lines.append)
    book.open(now, budgets=budgets)
    return book


def pin(book: Notebook, session: str, target: Target = TARGET, now: float = NOW) -> None:
    book.pins.hold(session, "intent", target, now)
    book.pinned()


def tokens(book: Notebook, name: str = "ollama") -> int:
    return book.ledger.of_day(name, DAY).tokens


async def test_what_is_written_is_there_for_the_next_router(tmp_path: Path) -> None:
    book = opened(tmp_path / "state")
    book.spend("ollama", DAY, Amount(5, 0.25))
    pin(book, "s")
    await book.write(NOW)
    after = opened(tmp_path / "state")
    assert after.ledger.of_day("ollama", DAY) == Amount(5, 0.25)
    assert after.pins.of("s", "intent") == "ollama:q"


async def test_nothing_is_written_when_there_is_nothing_to_remember(tmp_path: Path) -> None:
    book = opened(tmp_path / "state")
    await book.write(NOW)
    book.pinned()
    await book.write(NOW)
    assert not (tmp_path / "state").exists()
    pin(book, "s")
    await book.write(NOW)
    path = tmp_path / "state" / NAME
    before = path.stat().st_ino
    pin(book, "s")  # again the same: nothing new
    await book.write(NOW)
    assert path.stat().st_ino == before


@pytest.mark.only_on("linux", "darwin")
async def test_only_its_owner_can_open_what_is_written(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        book = opened(tmp_path / "state")
        pin(book, "s")
        await book.write(NOW)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "state").iterdir()}
    assert modes == {NAME: 0o600, "notebook.lock": 0o600}


STEPS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["spend", "pin", "write"]), st.integers(1, 9)), max_size=25
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_two_routers_in_one_folder_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
) -> None:
    async def main() -> None:
        folder = tmp_path_factory.mktemp("state")
        books = {name: opened(folder) for name in "ab"}
        spent = 0
        latest: dict[str, str] = {}
        now = NOW
        for name, what, number in steps:
            now += 3601  # one that is used again within the hour is not written down again
            book = books[name]
            if what == "spend":
                book.spend("ollama", DAY, Amount(number, 0.0))
                spent += number
            elif what == "pin":
                session, target = f"s{number % 3}", Target(provider("ollama"), f"{name}{number}")
                pin(book, session, target, now)
                latest[session] = str(target)
            else:
                await book.write(now)
        for name in "aba":  # each takes over what the other one wrote
            books[name].spend("ollama", DAY, Amount(0, 0.0))
            await books[name].write(now)
        for book in (*books.values(), opened(folder, now)):
            assert tokens(book) == spent
            assert {session: book.pins.of(session, "intent") for session in latest} == latest

    trio.run(main)


async def test_many_routers_that_write_at_the_same_moment_lose_nothing(tmp_path: Path) -> None:
    books = [opened(tmp_path) for _ in range(6)]
    for number, book in enumerate(books):
        book.spend("ollama", DAY, Amount(10**number, 0.0))
        pin(book, f"s{number}")
    async with trio.open_nursery() as nursery:
        for book in books:
            nursery.start_soon(book.write, NOW)
    after = opened(tmp_path)
    assert tokens(after) == 111_111
    assert len(after.pins) == 6


@pytest.mark.parametrize("when", ["before", "between"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b"\xff\xff",
        b'{"spent": 5, "sessions": []}',
        b'{"spent": {"ollama": {"%s": [Infinity, 1]}}}' % DAY.encode(),
        b'{"spent": {"ollama": {"%s": [1e999, 1]}}}' % DAY.encode(),
        b'{"spent": {"ollama": {"%s": [1, 1%s]}}}' % (DAY.encode(), b"0" * 400),
        b'{"spent": {"ollama": {"%s": [-4, 1], "x": ["a"], "y": [1, 2, 3]}}}' % DAY.encode(),
        b'{"sessions": {"s": ["intent"], "t": [1, 2, 3], "u": ["intent", "x:y", 1e300]}}',
        b'{"sessions": {"s": ["intent", "x:y", NaN]}}',
        b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"a": ' + b"[" * 100_000,
        b'{"a": "' + b"x" * (8 * 1024 * 1024) + b'"}',
    ],
    ids=lambda content: repr(content)[:40],
)
async def test_whatever_stands_in_the_file_nobody_fails(tmp_path: Path, content: bytes, when: str) -> None:
    (tmp_path / NAME).write_bytes(content if when == "before" else b"{}")
    book = opened(tmp_path)
    book.spend("ollama", DAY, Amount(5, 0.0))
    pin(book, "session")
    (tmp_path / NAME).write_bytes(content)
    await book.write(NOW)
    assert tokens(book) == 5
    assert book.pins.of("session", "intent") == "ollama:q"


DAMAGES = [
    b"",
    b"{",
    b"[1]",
    b"\xff",
    b'{"spent": {"ollama": {"%s": [5, 0.0]}}, "sess' % DAY.encode(),
    b"[" * 100_000,
]


@pytest.mark.parametrize("damage", [*DAMAGES, None], ids=lambda content: repr(content)[:20])
async def test_a_damaged_or_lost_file_gives_no_budget_back(tmp_path: Path, damage: bytes | None) -> None:
    lines: list[str] = []
    book, other = opened(tmp_path, lines=lines), opened(tmp_path)
    other.spend("ollama", DAY, Amount(100, 1.0))
    await other.write(NOW)
    book.spend("ollama", DAY, Amount(1000, 10.0))
    pin(book, "s")
    await book.write(NOW)
    path = tmp_path / NAME
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    book.look(NOW)
    assert book.ledger.of_day("ollama", DAY) == Amount(1100, 11.0)
    for number in (1, 2):
        book.spend("ollama", DAY, Amount(1, 0.25))
        await book.write(NOW)
        after = opened(tmp_path)
        assert after.ledger.of_day("ollama", DAY) == book.ledger.of_day("ollama", DAY)
        assert tokens(book) == 1100 + number
        assert after.pins.of("s", "intent") == "ollama:q"
        assert after.problems == ()
    aside = tmp_path / "notebook.json.damaged"
    if damage is None:
        assert (lines, book.problems, aside.exists()) == ([], (), False)
    else:
        (problem,) = book.problems
        assert lines == [f"warning: {problem}"]
        assert problem.startswith(f"{path}: is damaged: it was put aside as {aside.name}")
        assert aside.read_bytes() == damage


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda content: repr(content)[:20])
async def test_a_file_that_is_damaged_at_the_start_is_told_and_kept(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / NAME).write_bytes(damage)
    lines: list[str] = []
    book = opened(tmp_path, lines=lines)
    book.spend("ollama", DAY, Amount(5, 0.0))
    await book.write(NOW)
    (problem,) = book.problems
    assert "what budgets had used up is not known any more" in problem
    assert lines == [f"warning: {problem}"]
    assert (tmp_path / "notebook.json.damaged").read_bytes() == damage
    assert tokens(opened(tmp_path)) == 5


async def test_who_writes_nothing_sees_what_others_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    idle, other = opened(tmp_path), opened(tmp_path)
    other.spend("ollama", DAY, Amount(5, 0.0))
    pin(other, "s")
    await other.write(NOW)
    idle.look(NOW)
    assert tokens(idle) == 5
    assert idle.pins.of("s", "intent") == "ollama:q"
    idle.spend("ollama", DAY, Amount(2, 0.0))
    other.spend("ollama", DAY, Amount(10, 0.0))
    await other.write(NOW)
    idle.look(NOW)
    assert tokens(idle) == 17, "what it has not written down yet is counted too"
    await idle.write(NOW)
    assert tokens(idle) == tokens(opened(tmp_path)) == 17

    def load(path: Path) -> dict[str, Any]:
        raise AssertionError(path)

    monkeypatch.setattr(json_file, "load", load)
    idle.look(NOW)  # a look is a `stat` where nobody wrote


async def test_what_is_on_its_way_to_the_file_is_counted_once(tmp_path: Path) -> None:
    book, other = opened(tmp_path), opened(tmp_path)
    book.spend("ollama", DAY, Amount(5, 0.0))
    async with trio.open_nursery() as nursery:
        async with locked(tmp_path / "notebook.lock", 1):
            nursery.start_soon(book.write, NOW)
            await trio.testing.wait_all_tasks_blocked()
            json_file.write(tmp_path / NAME, {"spent": {"ollama": {DAY: [7, 0.0]}}})
            book.look(NOW)
            assert tokens(book) == 5
    book.look(NOW)
    assert tokens(book) == 12
    other.look(NOW)
    assert tokens(other) == 12


def a_file_in_the_way(folder: Path) -> None:
    folder.write_text("")


def folders_in_place_of_files(folder: Path) -> None:
    (folder / NAME).mkdir(parents=True)
    (folder / NAME / "full").touch()


def a_folder_in_place_of_the_lock(folder: Path) -> None:
    (folder / "notebook.lock").mkdir(parents=True)


def a_pipe(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / NAME)


@pytest.mark.parametrize("way", [a_file_in_the_way, folders_in_place_of_files, a_folder_in_place_of_the_lock])
async def test_where_nothing_can_be_written_memory_is_all_there_is(tmp_path: Path, way) -> None:
    way(tmp_path / "state")
    book = opened(tmp_path / "state")
    for _ in range(2):
        book.spend("ollama", DAY, Amount(5, 0.0))
        pin(book, "s")
        await book.write(NOW)
    assert tokens(book) == 10
    assert book.pins.of("s", "intent") == "ollama:q"


@pytest.mark.parametrize("way", [a_file_in_the_way, a_folder_in_place_of_the_lock])
async def test_where_budgets_can_not_be_kept_that_is_told_once(tmp_path: Path, way) -> None:
    folder = tmp_path / "state"
    way(folder)
    for budgets in (False, True):
        lines: list[str] = []
        book = opened(folder, budgets=budgets, lines=lines)
        at_the_start = list(lines)
        pin(book, "s")
        await book.write(NOW)
        assert lines == at_the_start, "which model a session stays with is no budget"
        for _ in range(2):
            book.spend("ollama", DAY, Amount(5, 0.0))
            await book.write(NOW)
        (problem,) = book.problems
        assert lines == [f"warning: {problem}"]
        assert problem.startswith(f"{folder / NAME}: cannot be kept: ")
        # That there can be no lock shows when it is wanted.
        assert at_the_start == (lines if budgets and way is a_file_in_the_way else [])
    if way is a_file_in_the_way:
        folder.unlink()
    else:
        (folder / "notebook.lock").rmdir()
    await book.write(NOW)
    assert book.problems == ()
    assert tokens(opened(folder)) == 10


@pytest.mark.only_on("linux", "darwin")
async def test_a_pipe_in_its_place_holds_nobody_up(tmp_path: Path) -> None:
    a_pipe(tmp_path / "state")
    book = opened(tmp_path / "state")
    pin(book, "s")
    await book.write(NOW)
    assert opened(tmp_path / "state").pins.of("s", "intent") == "ollama:q"


@pytest.mark.only_on("linux", "darwin")
async def test_a_folder_that_may_not_be_written_to_is_borne_until_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = opened(tmp_path)
    book.spend("ollama", DAY, Amount(5, 0.0))
    pin(book, "s")

    def refuse(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:  # root may write to any folder
        patch.setattr(json_file, "write", refuse)
        await book.write(NOW)
    assert not (tmp_path / NAME).exists()
    assert tokens(book) == 5
    await book.write(NOW)
    after = opened(tmp_path)
    assert tokens(after) == 5
    assert after.pins.of("s", "intent") == "ollama:q"


HOLD = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another_process(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process


@pytest.mark.only_on("linux", "darwin")
async def test_a_lock_that_another_process_holds_only_delays(tmp_path: Path, autojump_clock: MockClock) -> None:
    book = opened(tmp_path)
    with held_by_another_process(tmp_path / "notebook.lock") as process:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(book.keep, lambda: NOW)
            book.spend("ollama", DAY, Amount(5, 0.0))
            await trio.sleep(10 * EVERY)
            assert not (tmp_path / NAME).exists()
            assert tokens(book) == 5
            nursery.cancel_scope.cancel()
        process.communicate()
    await book.write(NOW)
    assert tokens(opened(tmp_path)) == 5


async def test_a_lock_that_was_held_is_tried_again_without_anything_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY", 0.01)
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    book = opened(tmp_path)
    tried = trio.Event()
    genuine = book.write

    async def write(now: float) -> None:
        await genuine(now)
        tried.set()

    monkeypatch.setattr(book, "write", write)
    with trio.fail_after(60):  # by the true clock: what is waited for is done by a thread
        async with trio.open_nursery() as nursery:
            nursery.start_soon(book.keep, lambda: NOW)
            async with locked(tmp_path / "notebook.lock", 1):
                book.spend("ollama", DAY, Amount(5, 0.0))
                await tried.wait()
                assert not (tmp_path / NAME).exists()
            while not (tmp_path / NAME).exists():
                await trio.sleep(0.005)
            nursery.cancel_scope.cancel()
    assert tokens(opened(tmp_path)) == 5


async def test_a_burst_is_written_down_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    genuine = json_file.write
    monkeypatch.setattr(module, "EVERY", 0.01)

    def write(path: Path, value: dict[str, Any]) -> None:
        written.append(1)
        genuine(path, value)

    monkeypatch.setattr(json_file, "write", write)
    book = opened(tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(book.keep, lambda: NOW)
        for _ in range(100):
            book.spend("ollama", DAY, Amount(1, 0.0))
        with trio.fail_after(5):
            while not written:
                await trio.sleep(0.005)
        nursery.cancel_scope.cancel()
    assert written == [1]
    assert tokens(opened(tmp_path)) == 100


async def test_cancelled_before_it_writes_it_loses_nothing(tmp_path: Path) -> None:
    book = opened(tmp_path)
    book.spend("ollama", DAY, Amount(5, 0.0))
    pin(book, "s")
    with trio.CancelScope() as scope:
        scope.cancel()
        await book.write(NOW)
    assert scope.cancelled_caught
    assert not (tmp_path / NAME).exists()
    await book.write(NOW)
    after = opened(tmp_path)
    assert tokens(after) == tokens(book) == 5
    assert after.pins.of("s", "intent") == "ollama:q"


async def test_cancelled_in_the_line_for_the_lock_it_loses_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    book = opened(tmp_path)
    book.spend("ollama", DAY, Amount(5, 0.0))
    pin(book, "s")
    async with locked(tmp_path / "notebook.lock", 1):
        with trio.move_on_after(0.5) as scope:
            await book.write(NOW)
        assert scope.cancelled_caught
    await book.write(NOW)
    after = opened(tmp_path)
    assert tokens(after) == 5
    assert after.pins.of("s", "intent") == "ollama:q"


async def test_what_a_newer_version_wrote_beside_it_stays(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"future": {"a": [1]}}')
    book = opened(tmp_path)
    pin(book, "s")
    await book.write(NOW)
    assert json.loads((tmp_path / NAME).read_text())["future"] == {"a": [1]}


async def test_what_comes_while_it_is_written_is_counted_once(tmp_path: Path) -> None:
    book = opened(tmp_path)
    book.spend("ollama", DAY, Amount(5, 0.0))
    async with locked(tmp_path / "notebook.lock", 1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(book.write, NOW)
            await trio.testing.wait_all_tasks_blocked()
            book.spend("ollama", DAY, Amount(7, 0.0))
            pin(book, "late")
            nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(book.write, NOW)
        nursery.start_soon(book.write, NOW)
        await trio.sleep(0)
        book.spend("ollama", DAY, Amount(1, 0.0))
    assert tokens(book) == 13
    await book.write(NOW)
    assert tokens(opened(tmp_path)) == 13
