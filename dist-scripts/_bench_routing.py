"""What routing a request costs: the part of ``dist-scripts/bench`` that needs no router and no backend.

The rules are of all kinds, and only the last one fits. What is measured is all that the dispatcher does for a
request: `choose`, `placed` and `settle`, with a look for the user's choice and for a project's file. Requests are
read anew for each round, outside of what is measured, so that nothing found out about one is kept.

It prints one JSON object: for each row ``us``, the median in microseconds of processor time, and ``choose_us``,
the part of it before the request is sent. In the rows with ``asked`` a rule wants to know whether there are more
tokens than the request has bytes; in those with ``counted`` they must be counted, which costs more than all the
rest and is done once for a request, whoever wants to know.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio

from ccrouter.attempt.backends import Backends
from ccrouter.attempt.inbound import Inbound
from ccrouter.dispatch import Dispatcher, placed
from ccrouter.providers.presets import PRESETS
from ccrouter.remembered.budgets import Budgets
from ccrouter.remembered.choice import ChoiceFile
from ccrouter.remembered.notebook import Notebook
from ccrouter.remembered.project import ProjectFiles
from ccrouter.routing.config import Config
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.routing.directory import build
from ccrouter.routing.load import parse
from ccrouter.routing.plan import Outcome
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.facts import Facts
from ccrouter.upstream.models import ModelLists
from ccrouter.upstream.secrets import Secrets
from ccrouter.wire.messages import read_request

RULES = 50
ROUNDS = 300
#: Of requests whose tokens are counted: that takes longer than all the rest.
FEW_ROUNDS = 20

#: One condition of each kind, none of which holds for the requests below; several are there with one that holds.
WHENS = (
    'class = "compaction"',
    'class = ["workflow", "side_reply"]',
    'class = "subagent", agent = ["Explore", "Plan"]',
    'class = "main", model = "claude-haiku-*"',
    'model = ["*sonnet*", "gpt-*", "ollama:*"]',
    'project = ["~/other/**", "/srv/*/checkout"]',
    'headers = { x-claude-code-agent-type = "teammate" }',
    'headers = { anthropic-beta = "*never-seen*" }',
    'days = ["sat"], hours = "03:00-03:01"',
    "quota_over = { anthropic = 80 }",
    'server_tool = "web_search*"',
    'effort = "max"',
    'has = "images"',
    'has = ["tools", "documents"]',
    'profile = "local"',
    'model = "claude-opus-*", has = ["thinking", "images"]',
)
ASKING = ("tokens_over = 2000000", 'class = "main", tokens_over = 5000000')
COUNTING = ('class = ["main", "subagent"], tokens_under = 500',)


REST = """
[[routes]]
name = "the last"
when = { class = ["main", "subagent"] }
use = ["work:{model}", "anthropic:{model}"]

[providers.anthropic]
api_key = "k"

[providers.work]
preset = "messages"
base_url = "https://x.example"
api_key = "k"

[profiles.local]
default = "work"
"""


def rules(whens: tuple[str, ...]) -> str:
    """The configuration."""
    found = [
        f'[[routes]]\nname = "rule {number}"\nwhen = {{ {whens[number % len(whens)]} }}\nuse = "work:other"\n'
        for number in range(RULES - 1 if whens else 0)
    ]
    return "\n".join([*found, REST])


def requests(size: int, folder: Path) -> bytes:
    """A request in the shape of the client's, of about so many bytes."""
    text = 'some words of a conversation about "code", quoted and not\n ' * 50
    surroundings = (
        "# Environment\nYou have been invoked in the following environment: \n"
        f" - Primary working directory: {folder}\n"
    )
    tools = [
        {"name": f"T{n}", "description": "word " * 200, "input_schema": {"type": "object"}} for n in range(12)
    ]
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": "hello"}]},
        {"role": "system", "content": [{"type": "text", "text": surroundings}]},
    ]
    body = {
        "model": "claude-opus-5-5",
        "max_tokens": 128000,
        "stream": True,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "medium"},
        "system": [
            {"type": "text", "text": each} for each in ("x-anthropic-billing-header: x;", "You.", text * 6)
        ],
        "tools": tools,
        "messages": messages,
    }
    rest = size - len(json.dumps(body))
    for number in range(rest // 3400):
        use = {"type": "tool_use", "id": f"toolu_{number}", "name": "T1", "input": {"path": "a"}}
        result = {
            "type": "tool_result",
            "tool_use_id": f"toolu_{number}",
            "content": [{"type": "text", "text": text}],
        }
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    return json.dumps(body).encode()


ANSWERED = Outcome(result="done", usage={"input_tokens": 12_000, "output_tokens": 200})

MAIN = {
    "host": "127.0.0.1:11436",
    "accept": "application/json",
    "anthropic-beta": "claude-code-20250219,context-management-2025-06-27,interleaved-thinking-2025-05-14",
    "anthropic-version": "2023-06-01",
    "content-type": "application/json",
    "user-agent": "claude-cli/2.1.329 (external, sdk-cli)",
    "x-app": "cli",
    "x-claude-code-prompt-id": "6f1c2a8e-0000-4000-8000-000000000001",
    "x-claude-code-request-class": "main",
    "x-claude-code-session-id": "6f1c2a8e-0000-4000-8000-000000000000",
    "x-stainless-lang": "js",
    "x-stainless-os": "Linux",
    "x-stainless-retry-count": "0",
}


SUBAGENT = MAIN | {"x-claude-code-request-class": "subagent", "x-claude-code-agent-id": "a0123456789abcdef"}


def dispatcher(config: Config, folder: Path) -> Dispatcher:
    """A router's policy with all that it looks at, and no way to a backend."""
    credentials = Credentials(Secrets({}), {}, "linux")
    facts = Facts(ModelLists({}, credentials))
    there = build(config, PRESETS, logins=(), environ=(), running=())
    notebook = Notebook(folder)
    budgets = Budgets(notebook, clock=time.time)
    return Dispatcher(
        config=lambda: config,
        build=lambda _: there,
        backends=Backends(dials={}, credentials=credentials, facts=facts, budgets=budgets),
        notebook=notebook,
        choice=ChoiceFile(folder),
        projects=ProjectFiles(),
        home=str(folder),
    )


async def measured(
    text: str, folder: Path, size: int, rounds: int = ROUNDS, headers: Mapping[str, str] = MAIN
) -> dict[str, float]:
    """Microseconds for a request."""
    policy = dispatcher(parse(text, where="", presets=PRESETS), folder)
    body = requests(size, folder)
    decided, times = [], []
    for number in range(rounds + 5):
        inbound = Inbound(
            request=read_request(body),
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            query="beta=true",
            endpoint="messages",
            credentials=ClientCredentials(),
            request_id=f"req_{number}",
        )
        before = time.process_time()
        chosen = await policy.choose(inbound)
        decided.append(time.process_time() - before)
        placed(inbound, chosen)
        took = time.process_time() - before
        chosen.plan.next_target(chosen.plan.began)  # what the relay does in between
        chosen.plan.record(ANSWERED, chosen.plan.began)
        before = time.process_time()
        policy.settle(inbound, chosen, ANSWERED, chosen.plan.tries[-1])
        times.append(took + time.process_time() - before)
        assert chosen.route.because == "the rule the last"
        del chosen, inbound  # to let go of a request is no part of it
    named = {"us": times, "choose_us": decided}
    return {name: round(statistics.median(each[5:]) * 1e6, 1) for name, each in named.items()}


async def rows(folder: Path) -> dict[str, dict[str, float]]:
    """All of them."""
    found = {"routing_50kb_no_rules": await measured(rules(()), folder, 50_000)}
    for name, size in (("50kb", 50_000), ("1mb", 1_000_000)):
        found |= {
            f"routing_{name}": await measured(rules(WHENS), folder, size),
            f"routing_{name}_subagent": await measured(rules(WHENS), folder, size, headers=SUBAGENT),
            f"routing_{name}_tokens_asked": await measured(rules((*WHENS, *ASKING)), folder, size),
            f"routing_{name}_tokens_counted": await measured(rules((*WHENS, *COUNTING)), folder, size, FEW_ROUNDS),
        }
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        place = Path(home, "a", "project")
        place.mkdir(parents=True)
        print(json.dumps(trio.run(rows, place)))
