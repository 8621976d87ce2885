"""The token estimate on requests of Claude Code's shapes, counted by two real tokenizers.

The requests are made here, from this project's own tree: its sources as what tools read, its functions as
tools with schemas. ``CCROUTER_TEST_REQUESTS`` may name a folder of captured request bodies (``**/*.json``);
these then must pass as well.
"""

import ast
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.tokenizers_check import TOLERANCE, Unavailable, check_requests, install, skipped_or_failed

pytestmark = pytest.mark.e2e

PACKAGE = Path(__file__).parents[2] / "ccrouter"

INSTRUCTIONS = """You are a coding agent in a person's terminal. Work in small steps: look before you change, change
only what was asked for, and say plainly what you did and what you left alone.

# Working on the task
- Read a file before you edit it. Keep to the style around you: names, comments, the order of imports.
- Prefer the dedicated tools over shell commands: `Read` instead of `cat`, `Edit` instead of `sed -i`. Several
  independent calls belong in one message, so that they can run at the same time.
- NEVER commit, push or delete what you did not create unless the person asks for it. If a step cannot be undone,
  ask first (e.g. `git reset --hard`, `rm -rf`, a migration of a database).
- When a test fails, find the cause. Don't weaken the test; don't add a retry to hide a race.

# Tone
Be brief. One or two sentences usually do. No preamble such as "Here is what I'll do next"; no summary unless it was
asked for. Use GitHub-flavoured markdown, refer to code as `path/to/file.py:42`, and leave out emoji.

# Environment
Working directory: /home/dev/projects/router
Platform: linux (6.8.0-45-generic), shell: bash, Python 3.12.4
Today's date: 2026-11-20
Git: branch main, 2 files modified, last commit 3f2a91c "Close the upstream when the client hangs up"
"""

DESCRIPTION = """Runs `{name}` and returns what it printed.

Usage notes:
 - The path must be absolute. Reading a folder is an error; list it with a shell command.
 - At most 2000 lines are returned; use `offset` and `limit` for more. Lines longer than 2000 characters are cut.
 - It is fine to call this for a file that may not exist: the error says so, and costs nothing.
 - Results come with line numbers, starting at 1, in the form `number<tab>text`.

{purpose}"""

REMINDER = """<system-reminder>
As you answer, you can use the following context:
# project rules
Codebase and person's instructions are below. They take precedence over the defaults.

Contents of /home/dev/projects/router/CLAUDE.md (checked into the code base):

- Modules stay under 400 lines. Each opens with a docstring that says what it is and what it promises.
- `make test` runs everything; `make lint` must be clean before you are done.
IMPORTANT: this context may or may not be relevant to the task.
</system-reminder>"""

CHINESE = "请先阅读路由模块，再说明超时是怎样计算的。然后修复测试里的错误，不要改动公开的接口。"  # noqa: RUF001 - Chinese punctuation is meant


@cache
def sources() -> list[tuple[str, str]]:
    """Path and text of the project's larger modules, in a fixed order."""
    read = [
        (path.relative_to(PACKAGE.parent).as_posix(), path.read_text("utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]
    return [(path, text) for path, text in read if len(text) > 1000]


def functions() -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    for path, text in sources():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.args.args:
                yield node, path


def tools(wanted: int) -> list[dict[str, Any]]:
    """Functions of the project as tools, their parameters as JSON schemas."""
    made: list[dict[str, Any]] = []
    for node, path in functions():
        properties = {
            argument.arg: {
                "type": "string",
                "description": f"The {argument.arg.replace('_', ' ')}"
                + (f", as {ast.unparse(argument.annotation)}" if argument.annotation else ""),
            }
            for argument in node.args.args
        }
        purpose = (ast.get_docstring(node) or "") + f"\n\nDefined in {path}, line {node.lineno}."
        made.append(
            {
                "name": "".join(part.title() for part in node.name.split("_")) or "Call",
                "description": DESCRIPTION.format(name=node.name, purpose=purpose),
                "input_schema": {
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "type": "object",
                    "properties": {
                        **properties,
                        "timeout": {"type": "number", "description": "Milliseconds to wait (at most 600000)"},
                        "background": {
                            "type": "boolean",
                            "description": "Run in the background",
                            "default": False,
                        },
                    },
                    "required": list(properties),
                    "additionalProperties": False,
                },
            }
        )
        if len(made) == wanted:
            break
    return made


def first_turn(
    prompt: str = "Fix the timeout in the dialler and run the tests.", count: int = 12
) -> dict[str, Any]:
    return {
        "model": "demo:demo",
        "max_tokens": 32000,
        "stream": True,
        "metadata": {"user_id": "user_0123456789abcdef_session_3e0e7f0e-5b0c-4c0e-8f44-0f8d1c1f7f55"},
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.329; cc_entrypoint=cli;"},
            {"type": "text", "text": INSTRUCTIONS, "cache_control": {"type": "ephemeral"}},
        ],
        "tools": tools(count),
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": REMINDER}, {"type": "text", "text": prompt}],
            }
        ],
    }


def call(number: int, name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number:024x}", "name": name, "input": fields}


def result(number: int, content: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": f"toolu_{number:024x}", "content": content}


def numbered(text: str) -> str:
    return "\n".join(f"{number}\t{line}" for number, line in enumerate(text.splitlines(), start=1))


def listing() -> str:
    return "total 148\n" + "\n".join(
        f"-rw-r--r-- 1 dev dev {len(text):>6} Nov 20 16:{index % 60:02d} {path}"
        for index, (path, text) in enumerate(sources())
    )


def matches(word: str) -> str:
    return "\n".join(
        f"{path}:{number}:{line}"
        for path, text in sources()
        for number, line in enumerate(text.splitlines(), start=1)
        if word in line
    )


def diff(path: str, text: str) -> str:
    lines = text.splitlines()[20:50]
    changed = "\n".join(
        f"-{line}\n+{line}  # checked" if not index % 5 else f" {line}" for index, line in enumerate(lines)
    )
    return f"diff --git a/{path} b/{path}\nindex 3f2a91c..9be01d4 100644\n--- a/{path}\n+++ b/{path}\n@@ -21,30 +21,36 @@\n{changed}"


def tool_loop(turns: int) -> dict[str, Any]:
    request = first_turn()
    messages = request["messages"]
    for number in range(turns):
        path, text = sources()[number % len(sources())]
        absolute = f"/home/dev/projects/router/{path}"
        step = number % 5
        said: list[dict[str, Any]] = []
        if step == 0:
            thought = (
                f"The promise of {path} stands in its docstring. I'll read it whole before I touch the caller."
            )
            said = [{"type": "thinking", "thinking": thought, "signature": "c2ln" * 100}]
            called, content = call(number, "Read", file_path=absolute), numbered(text)
        elif step == 1:
            called = call(number, "Bash", command="ls -la ccrouter | head -100", description="List the modules")
            content = listing()
        elif step == 2:
            said = [{"type": "text", "text": "The name is used elsewhere too; let me see where."}]
            called, content = (
                call(number, "Grep", pattern="return", path="ccrouter"),
                matches("return")[:6000],
            )
        elif step == 3:
            old, new = text[200:700], text[200:600] + "\n# Reasons first.\n"
            called = call(number, "Edit", file_path=absolute, old_string=old, new_string=new)
            content = f"The file {absolute} has been updated."
        else:
            called, content = call(number, "Bash", command=f"git diff -- {path}"), diff(path, text)
        messages.append({"role": "assistant", "content": [*said, called]})
        shape = content if number % 2 else [{"type": "text", "text": content}]
        messages.append({"role": "user", "content": [result(number, shape)]})
    return request


def subagent() -> dict[str, Any]:
    request = first_turn("Find where deadlines are set. Report file and line, in under 200 words.", count=6)
    request["system"][1]["text"] = INSTRUCTIONS[: len(INSTRUCTIONS) // 2]
    return request


def title() -> dict[str, Any]:
    return {
        "model": "demo:demo",
        "system": [{"type": "text", "text": "Name this session in three to seven words. " + INSTRUCTIONS[:900]}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "the dialler times out too late"}]}],
        "tools": [],
        "output_config": {
            "format": {
                "type": "json_schema",
                "schema": {
                    "type": "object",
                    "properties": {"title": {"type": "string"}},
                    "required": ["title"],
                    "additionalProperties": False,
                },
            }
        },
    }


def counted_alone() -> list[dict[str, Any]]:
    """What ``/context`` asks for: one message or one tool at a time."""
    made: list[dict[str, Any]] = [
        {"model": "demo:demo", "messages": [{"role": "user", "content": "foo"}], "tools": [tool]}
        for tool in tools(8)
    ]
    # Three modules at a time: one alone can be a table on which the two tokenizers do not agree themselves.
    read = ["\n".join(text for _, text in sources()[first : first + 3]) for first in range(0, 24, 3)]
    made += [
        {"model": "demo:demo", "messages": [{"role": "user", "content": numbered(text)}], "tools": []}
        for text in read
    ]
    made.append({"model": "demo:demo", "messages": [{"role": "user", "content": "foo"}], "tools": []})
    made.append({"model": "demo:demo", "messages": [{"role": "user", "content": INSTRUCTIONS}], "tools": []})
    return made


def made_requests() -> dict[str, list[dict[str, Any]]]:
    return {
        "first turn": [first_turn()],
        "first turn, many tools": [first_turn(count=40)],
        "first turn in Chinese": [first_turn(CHINESE * 3)],
        "tool loop": [tool_loop(turns) for turns in (1, 5, 20, 80)],
        "subagent": [subagent()],
        "title": [title()],
        "counted alone": counted_alone(),
    }


def captured_requests() -> dict[str, list[dict[str, Any]]]:
    """The bodies in the folder that ``CCROUTER_TEST_REQUESTS`` names; one shape per file."""
    folder = os.environ.get("CCROUTER_TEST_REQUESTS")
    if not folder:
        return {}
    paths = sorted(Path(folder).rglob("*.json"))
    if not paths:
        raise FileNotFoundError(f"{folder} (CCROUTER_TEST_REQUESTS) has no request bodies (**/*.json)")
    return {str(path.relative_to(folder)): [json.loads(path.read_bytes())] for path in paths}


SHAPES = made_requests() | captured_requests()


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict[str, Any]]]:
    """The figures of each request, by shape; counted in one go, as the tokenizers take a second to load."""
    try:
        install()
    except Unavailable as error:
        skipped_or_failed(error)
    flat = [(shape, request) for shape, requests in SHAPES.items() for request in requests]
    found: dict[str, list[dict[str, Any]]] = {}
    for (shape, _), row in zip(flat, check_requests([request for _, request in flat])["rows"], strict=True):
        found.setdefault(shape, []).append(row)
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_the_estimate_is_within_15_percent_of_both_tokenizers(
    rows: dict[str, list[dict[str, Any]]], shape: str
) -> None:
    for row in rows[shape]:
        assert max(abs(error) for error in row["errors"].values()) <= TOLERANCE, row


def test_the_shapes_are_as_large_as_the_clients(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Small requests would prove nothing: the client's first turn has about 11 000 tokens, its loops grow far beyond."""
    assert rows["first turn, many tools"][0]["o200k_base"] > 9_000
    assert rows["tool loop"][-1]["o200k_base"] > 40_000


@pytest.mark.usefixtures("rows")
def test_a_wrong_estimate_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccrouter.translate.tokens.estimate_text", lambda text: len(text) // 3)
    assert check_requests([first_turn()])["worst"] > TOLERANCE
