"""A Messages request as a Responses request, by the quirks of the target's preset.

The backend keeps nothing (``store: false``) and is always asked for a stream, also when the client wants none.

Nothing is dropped in silence. What the backend has no word for stands in ``changes``; what the request is about is
refused. Who is asked for a count gets the same request, without what only an answer needs.

**Summaries of reasoning** are not given to everybody: `refuses_summary` knows the refusal, after which the same is
asked without (`Target.summarized`). OpenAI has two of status 400 and ``param: reasoning.summary``: that the
organization must be verified first (``unsupported_value``; openai/openai-cookbook#2271, 2025-12, and
continuedev/continue#12047, 2026-04), and that the model gives none (``unsupported_parameter``; openai/codex#23497,
2026-05).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from ccrouter.errors import ApiError
from ccrouter.providers.provider import Target
from ccrouter.providers.quirks import Quirks
from ccrouter.translate import abilities, conversation, foreign, limits, schema, stops, thinking
from ccrouter.translate.block_text import Note
from ccrouter.translate.changes import Changes
from ccrouter.translate.dialect import Endpoint, Outbound
from ccrouter.translate.responses import count
from ccrouter.translate.responses import input as responses_input
from ccrouter.translate.tools import Names
from ccrouter.translate.turns import Conversation, ServerTool, Tool
from ccrouter.wire.claude_code import NO_STRUCTURED_OUTPUTS
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest

#: What is told where a summary would be asked for, had the backend not refused one.
UNSUMMARIZED = "thinking: not shown, the backend refused to sum it up (asked again after a restart)"

#: The member of an error that names it, be it inside of a string.
_NO_SUMMARY = re.compile(rb"""param[\\"':\s]{1,12}reasoning\.summary\b""")

#: The least ``max_output_tokens`` that OpenAI takes.
_LEAST_OUTPUT = 16


def render(request: MessagesRequest, target: Target, headers: Headers, query: str, endpoint: Endpoint) -> Outbound:  # noqa: ARG001 - the query is the client's affair with Anthropic
    """The request as ``target`` gets it. Raises ApiError for what it can't take and must not lose."""
    if endpoint == "messages":
        return _whole(request, target, headers)
    where = count.address(target)
    return count.question(_whole(request, target, headers), where)


def refuses_summary(status: int, body: bytes) -> bool:
    """Whether a refusal is of a summary of the reasoning; a gateway may have it in words of its own."""
    return status == 400 and _NO_SUMMARY.search(body) is not None


def _whole(request: MessagesRequest, target: Target, headers: Headers) -> Outbound:
    preset = target.provider.preset
    if preset.responses_path is None:
        raise ApiError(
            404, "not_found_error", f"{target.provider.name} has no such endpoint on its responses wire"
        )
    abilities.refuse(request, target)
    body, changes = _body(request, target, headers)
    given = foreign.headers(headers, request.fields, preset)
    return foreign.outbound(target, preset.responses_path, given, body, changes)


def _body(request: MessagesRequest, target: Target, headers: Headers) -> tuple[dict[str, Any], list[str]]:
    fields, quirks = request.fields, target.quirks
    said = conversation.read(fields)
    changes = [] if request.model == target.model else [f"model: {request.model} -> {target.model}"]
    changes += said.changes
    changes += foreign.dropped(fields)
    names = Names(said)
    instructions, items, told = responses_input.render(said, target, names)
    if not items:
        raise foreign.refused("messages: at least one message with content is required")
    changes += told
    body: dict[str, Any] = {
        "model": target.model,
        **({} if instructions is None else {"instructions": instructions}),
        "input": items,
        "store": False,
        "stream": True,
    }
    if quirks.obfuscation:
        body["stream_options"] = {"include_obfuscation": False}
    searches = _searches(said, fields, target, changes)
    if searches:
        quirks = evolve(
            quirks, efforts=tuple(each for each in quirks.efforts if each not in quirks.search_refuses)
        )
    include = []
    wanted, thought = thinking.asked(fields, said), 0
    if target.known.thinking is False:
        changes += thinking.unasked(wanted)
    elif not target.model.startswith(quirks.plain_models):
        include.append("reasoning.encrypted_content")
        body |= _reasoning(fields, wanted, quirks, changes, summarized=target.summarized)
        thought = thinking.unstoppable(wanted, quirks.efforts)
    if searches and quirks.search_sources:
        include.append("web_search_call.action.sources")
    if include:
        body["include"] = include
    body |= _tools(said, searches, fields, quirks, names, changes)
    body |= _limits(request, target, thought, changes)
    body |= _format(fields, target, changes)
    if quirks.cache_key:
        body |= foreign.cache_key(fields, headers)
    return body, changes


def _reasoning(
    fields: Mapping[str, Any],
    wanted: thinking.Asked,
    quirks: Quirks,
    changes: list[str],
    *,
    summarized: bool,
) -> dict[str, Any]:
    if wanted.on is None and wanted.effort is None:
        return {}
    if not quirks.efforts:
        changes.append("thinking: left to the backend")
        return {}
    if wanted.on is False:
        return {"reasoning": {"effort": "none" if "none" in quirks.efforts else quirks.efforts[0]}}
    found: dict[str, Any] = {}
    word = thinking.nearest(wanted.strength, quirks.efforts)
    if word is not None:
        found["effort"] = word
    given = fields.get("thinking")
    if isinstance(given, Mapping) and given.get("display") != "omitted":
        if summarized:
            found["summary"] = "auto"
        else:
            changes.append(UNSUMMARIZED)
    return {"reasoning": found} if found else {}


# Tools


def _searches(
    said: Conversation, fields: Mapping[str, Any], target: Target, changes: list[str]
) -> list[dict[str, Any]]:
    """The backend's own search, where it is asked for; names the tools of the backend's that are left out.

    Raises ApiError when there is nothing to do without them.
    """
    found = []
    for tool in said.server_tools:
        if tool.type.startswith(foreign.SEARCH) and target.provider.preset.quirks.web_search:
            found.append(_search(tool, target, changes))
        elif not said.tools or _forced(fields) == tool.name:
            raise foreign.cannot_run(target, tool)
        else:
            changes.append(f"tools: {tool.name} ({tool.type}) left out, the backend can't run it")
    return found


def _search(tool: ServerTool, target: Target, changes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "web_search"}
    if tool.fields.get("blocked_domains"):
        raise foreign.refused(
            f"tools: {target.provider.name} searches with allowed_domains only, not with blocked_domains; "
            "search without them"
        )
    allowed = tool.fields.get("allowed_domains")
    if isinstance(allowed, list) and allowed:
        found["filters"] = {"allowed_domains": [str(each) for each in allowed]}
    place = tool.fields.get("user_location")
    if isinstance(place, Mapping):
        known = ("city", "region", "country", "timezone")
        told = {key: place[key] for key in known if isinstance(place.get(key), str)}
        found["user_location"] = {"type": "approximate", **told}
    if tool.fields.get("max_uses") is not None:
        changes.append("tools: max_uses of the search dropped")
    return found


def _tools(
    said: Conversation,
    searches: list[dict[str, Any]],
    fields: Mapping[str, Any],
    quirks: Quirks,
    names: Names,
    changes: list[str],
) -> dict[str, Any]:
    tools = said.tools
    given = fields.get("tool_choice")
    choice: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    kind = choice.get("type")
    taken = quirks.tool_choices
    wanted: Any = "auto"
    match kind:
        case "none" if "none" in taken:
            wanted = "none"
        case "none":
            changes.append("tool_choice: none -> no tools")
            tools, searches = (), []
        case "any":
            wanted = "required"
        case "tool":
            forced = [tool for tool in tools if tool.name == choice.get("name")]
            if forced and "function" in taken:
                wanted = {"type": "function", "name": names.there(forced[0].name)}
            elif forced:
                changes.append("tool_choice: only the forced tool is offered")
                tools, searches, wanted = tuple(forced), [], "required"
            elif searches and any(tool.name == choice.get("name") for tool in said.server_tools):
                changes.append("tool_choice: only the search is offered")
                tools, wanted = (), "required"
            else:
                raise foreign.refused(
                    f"tool_choice: there is no tool {str(choice.get('name'))[:64]!r} among the tools"
                )
        case _:
            pass
    if wanted == "required" and "required" not in taken:
        changes.append(f"tool_choice: {kind} -> auto, the backend forces no calls")
        wanted = "auto"
    changes += names.of_tools(tools)
    noted = Changes()
    found: dict[str, Any] = {"tools": [*(_tool(tool, quirks, names, noted.note) for tool in tools), *searches]}
    changes += noted.listed()
    if not found["tools"] and not quirks.tools_always:
        return found
    found["tool_choice"] = wanted
    if quirks.parallel_tool_calls:
        found["parallel_tool_calls"] = choice.get("disable_parallel_tool_use") is not True
    elif choice.get("disable_parallel_tool_use") is True:
        changes.append("tool_choice: disable_parallel_tool_use dropped")
    return found


def _tool(tool: Tool, quirks: Quirks, names: Names, note: Note) -> dict[str, Any]:
    parameters = schema.taken(schema.of_object(tool.schema), quirks.schema, "tools", note)
    return {
        "type": "function",
        "name": names.there(tool.name),
        "description": tool.description,
        "parameters": parameters,
        # Said always: left out, it means true, and then most schemas are refused.
        "strict": tool.strict and quirks.strict_tools and schema.is_strict(parameters),
    }


def _forced(fields: Mapping[str, Any]) -> object:
    choice = fields.get("tool_choice")
    return choice.get("name") if isinstance(choice, Mapping) and choice.get("type") == "tool" else None


# Everything else


def _limits(request: MessagesRequest, target: Target, thought: int, changes: list[str]) -> dict[str, Any]:
    fields, quirks = request.fields, target.provider.preset.quirks
    found: dict[str, Any] = {}
    asked = fields.get("max_tokens")
    most = limits.output(request, target, thought=thought) if quirks.max_output_tokens else None
    if most is not None:
        taken = found["max_output_tokens"] = max(most, _LEAST_OUTPUT)
        if taken != asked:
            changes.append(f"max_tokens: {str(asked)[:24]} -> {taken}")
    elif asked is not None:
        changes.append("max_tokens: dropped, the backend sets its own limit")
    if stops.stop_sequences(fields):
        changes.append("stop_sequences: cut by the router")
    return found | foreign.sampling(fields, changes, taken=quirks.sampling)


def _format(fields: Mapping[str, Any], target: Target, changes: list[str]) -> dict[str, Any]:
    form = foreign.answer_schema(fields)
    if form is None:
        return {}
    if target.provider.preset.quirks.response_format != "json_schema":
        raise foreign.refused(f"{NO_STRUCTURED_OUTPUTS} ({target.provider.name} answers in no given form)")
    noted = Changes()
    form = schema.taken(form, target.provider.preset.quirks.schema, "output_config.format", noted.note)
    changes += noted.listed()
    named = {"type": "json_schema", "name": "answer", "schema": form, "strict": schema.is_strict(form)}
    return {"text": {"format": named}}
