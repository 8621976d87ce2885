"""Tools: calls and results, what may be called, names and ids, tools of the backend's own."""

from __future__ import annotations

import re
from typing import Any

from tests.matrix.backends import PAGE, Part, Say, Search, Use
from tests.matrix.content import assistant, result, text, use, user
from tests.matrix.lab import Exchange, Lab
from tests.matrix.outcomes import AS_TEXT, FREE, LEFT_OUT, NO_TOOLS, ONE_TOOL, SUPPORTED, UNSAID, right, wrong
from tests.matrix.said import tools

LS = {"command": "ls"}
PWD = {"command": "pwd"}
LONG = "mcp__server__" + "very_long_" * 6 + "name"
_PLAIN_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def tool(name: str, **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
    return {"name": name, "description": "does something", "input_schema": schema, **more}


BASH, READ = tool("Bash"), tool("Read")
WEB_SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
CODE_EXECUTION = {"type": "code_execution_20250825", "name": "code_execution"}


async def _loop(lab: Lab, prompt: str, *calls: Use, offered: list[dict[str, Any]]) -> tuple[Exchange, Exchange]:
    """Calls of the model's, and the next request with their results, given in the reverse order."""
    asked = user(text(lab.words(prompt)))
    first = await lab.ask(*calls, messages=[asked], tools=offered)
    results = [result(call["id"], text(f"result of {call['input']}")) for call in reversed(first.calls)]
    messages = [asked, assistant(*first.content), user(*results)]
    return first, await lab.ask(Say("done"), messages=messages, tools=offered)


def _fit(first: Exchange, then: Exchange, name: str, *given: dict[str, str]) -> str:
    """Whether calls reached the client as they were meant, and results found their way back to them."""
    if [call["input"] for call in first.calls] != list(given) or first.message["stop_reason"] != "tool_use":
        return wrong(first.message)
    if {call["name"] for call in first.calls} != {name}:
        return wrong(f"the client heard of {first.calls}")
    called = [each.value for each in then.said if each.kind == "call"]
    answered = [each.value for each in then.said if each.kind == "result"]
    if len({*called}) != len(given) or sorted(called) != sorted(answered):
        return wrong(f"calls {called}, results {answered}")
    for call, said in zip(called, given, strict=True):
        after = [each.value for each in then.said][[*_marks(then)].index(call) + 1]
        if str(said) not in after:
            return wrong(f"the result of {said} is {after!r}")
    # Messages' own format takes results in any order.
    return right(called == answered or then.is_messages, f"calls {called}, results in the order {answered}")


def _marks(exchange: Exchange) -> list[str]:
    return [each.value if each.kind == "result" else "" for each in exchange.said]


async def tool_loop(lab: Lab) -> str:
    first, then = await _loop(lab, "use Bash: ls", Use("call_1", "Bash", LS), offered=[BASH])
    return _fit(first, then, "Bash", LS)


async def parallel_calls(lab: Lab) -> str:
    calls = Use("call_1", "Bash", LS), Use("call_2", "Bash", PWD)
    first, then = await _loop(lab, "run `ls` and `pwd`", *calls, offered=[BASH])
    return _fit(first, then, "Bash", LS, PWD)


async def disable_parallel_tool_use(lab: Lab) -> str:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    found = await lab.ask(tools=[BASH], tool_choice=choice)
    if found.asked.get("parallel_tool_calls") is False or found.asked.get("tool_choice") == choice:
        return SUPPORTED
    return LEFT_OUT if found.noted("disable_parallel_tool_use") else UNSAID


async def _choice(lab: Lab, offered: list[dict[str, Any]], **choice: str) -> tuple[Exchange, object]:
    found = await lab.ask(Use("call_1", "Bash", LS), tools=offered, tool_choice=choice)
    return found, found.asked.get("tool_choice")


def _free(exchange: Exchange, chosen: object) -> str:
    return FREE if chosen in ("auto", None) and exchange.noted("tool_choice") else wrong(chosen)


async def tool_choice_any(lab: Lab) -> str:
    found, chosen = await _choice(lab, [BASH, READ], type="any")
    return SUPPORTED if chosen in ("required", {"type": "any"}) else _free(found, chosen)


async def tool_choice_tool(lab: Lab) -> str:
    found, chosen = await _choice(lab, [BASH, READ], type="tool", name="Bash")
    if isinstance(chosen, dict):
        return right(chosen.get("function", chosen).get("name") == "Bash", chosen)
    return ONE_TOOL if tools(found.asked) == ["Bash"] and found.noted("tool_choice") else _free(found, chosen)


async def tool_choice_none(lab: Lab) -> str:
    found = await lab.ask(tools=[BASH], tool_choice={"type": "none"})
    if found.asked.get("tool_choice") in ("none", {"type": "none"}):
        return SUPPORTED
    return NO_TOOLS if not tools(found.asked) and found.noted("tool_choice") else wrong(found.asked)


async def tool_name_of_77_letters(lab: Lab) -> str:
    offered = [tool(LONG)]
    (there,) = tools((await lab.ask(tools=offered)).asked)
    first, then = await _loop(lab, f"use {LONG}: ls", Use("call_1", there, LS), offered=offered)
    if len(there) > 64 and not then.is_messages:
        return wrong(f"the backend hears of {there}")
    again = {each.name for each in then.said if each.kind == "call"}
    return _fit(first, then, LONG, LS) if again == {there} else wrong(again)


async def odd_tool_ids(lab: Lab) -> str:
    """The client's own ids come from other backends; another's come back as the client can carry them."""
    odd = "functions.Bash:0#" + "x" * 100
    messages = [user(text("hi")), assistant(use(odd, **LS)), user(result(odd, text("a.txt")))]
    found = await lab.ask(messages=messages, tools=[BASH])
    ids = [each.value for each in found.said if each.kind in {"call", "result"}]
    if len(ids) != 2 or len({*ids}) != 1:
        return wrong(ids)
    if not lab.speaks_messages:
        first, then = await _loop(lab, "", Use(odd, "Bash", LS), offered=[BASH])
        ids += [call["id"] for call in first.calls]
        if (how := _fit(first, then, "Bash", LS)) != SUPPORTED:
            return how
    return right((found.is_messages and not lab.preset.first_party) or all(map(_PLAIN_ID.fullmatch, ids)), ids)


async def failed_tool_result(lab: Lab) -> str:
    messages = [user(text("hi")), assistant(use("call_1")), user(result("call_1", text("no file"), is_error=True))]
    found = await lab.ask(messages=messages, tools=[BASH])
    if '"is_error": true' in found.wording:
        return SUPPORTED
    told = "".join(each.value for each in found.said if each.role == "tool" and each.kind == "text")
    return AS_TEXT if "error" in told and "no file" in told else wrong(told)


async def deferred_tools_and_references(lab: Lab) -> str:
    placeholder = tool("DeferredToolPlaceholder", defer_loading=True)
    offered = [tool("ToolSearch"), tool("Bash", defer_loading=True), placeholder]
    reference = {"type": "tool_reference", "tool_name": "Bash"}
    messages = [user(text("hi")), assistant(use("call_1", "ToolSearch")), user(result("call_1", reference))]
    found = await lab.ask(messages=messages, tools=offered)
    if lab.speaks_messages:
        # Who takes every tool for one of the client's isn't offered what only stands in for some.
        kept = offered if lab.preset.server_tools is None else offered[:-1]
        return right(found.asked["tools"] == kept, found.asked["tools"])
    told = [each.value for each in found.said if each.role == "tool" and each.kind == "text"]
    fits = tools(found.asked) == ["ToolSearch", "Bash"] and any("Bash" in each for each in told)
    return AS_TEXT if fits else wrong(found.asked)


async def _search(lab: Lab, *own: dict[str, Any]) -> str:
    parts: list[Part] = [Say("found it")]
    if lab.wire not in {"chat", "ollama"}:
        parts.insert(0, Search("what is new"))
    found = await lab.ask(*parts, tools=[*own, WEB_SEARCH])
    if not any("web_search" in each for each in tools(found.asked)):
        return LEFT_OUT if found.noted("web_search") else UNSAID
    blocks = [block for block in found.content if "tool" in block["type"]]
    match blocks:
        case [{"type": "server_tool_use", "id": one}, {"type": "web_search_tool_result", "tool_use_id": other}]:
            return right(one == other and blocks[1]["content"][0]["url"] == PAGE, blocks)
        case _:
            return UNSAID if lab.wire == "demo" else wrong(blocks)


async def web_search_alone(lab: Lab) -> str:
    return await _search(lab)


async def web_search_beside_tools(lab: Lab) -> str:
    return await _search(lab, BASH)


async def code_execution_alone(lab: Lab) -> str:
    found = await lab.ask(tools=[CODE_EXECUTION])
    if lab.wire == "demo":
        return UNSAID
    return right(CODE_EXECUTION in found.asked.get("tools", []), found.asked)
