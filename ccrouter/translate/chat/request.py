"""A Messages request as a Chat Completions request, by the quirks of the target's preset.

The backend is always asked for a stream, also when the client wants none: there is one reader of replies then, and
a long silence can be told from a dead connection.

Nothing is dropped in silence. What the backend has no word for stands in ``changes``; what the request is about
(a search that only Anthropic can run) is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ccrouter.errors import ApiError
from ccrouter.providers.provider import Target
from ccrouter.providers.quirks import Quirks
from ccrouter.translate import abilities, conversation, foreign, limits, schema, thinking
from ccrouter.translate.block_text import Note
from ccrouter.translate.changes import Changes
from ccrouter.translate.chat import messages as chat_messages
from ccrouter.translate.dialect import Endpoint, Outbound
from ccrouter.translate.foreign import compact
from ccrouter.translate.tools import Names
from ccrouter.translate.turns import Tool
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest

_NO_TOOL = "none"


def render(request: MessagesRequest, target: Target, headers: Headers, query: str, endpoint: Endpoint) -> Outbound:  # noqa: ARG001 - the query is the client's affair with Anthropic
    """The request as ``target`` gets it. Raises ApiError for what it can't take and must not lose."""
    preset = target.provider.preset
    if preset.chat_path is None or endpoint != "messages":
        raise ApiError(404, "not_found_error", f"{target.provider.name} has no such endpoint on its chat wire")
    abilities.refuse(request, target)
    body, changes = _body(request, target, headers)
    given = foreign.headers(headers, request.fields, preset)
    return foreign.outbound(target, preset.chat_path, given, body, changes)


def _body(request: MessagesRequest, target: Target, headers: Headers) -> tuple[dict[str, Any], list[str]]:
    fields, quirks = request.fields, target.quirks
    said = conversation.read(fields)
    changes = [] if request.model == target.model else [f"model: {request.model} -> {target.model}"]
    changes += said.changes
    changes += foreign.server_tools(said.server_tools, fields, target, others=bool(said.tools))
    changes += foreign.dropped(fields)
    names = Names(said)
    answer, also = _format(fields, quirks, changes)
    messages, told = chat_messages.render(said, target, names, also=also)
    if not messages:
        raise foreign.refused("messages: at least one message with content is required")
    changes += told
    body: dict[str, Any] = {"model": target.model, "messages": messages}
    body |= _tools(said.tools, fields, quirks, names, changes)
    wanted = thinking.asked(fields, said)
    thoughtless = target.known.thinking is False
    plain = thoughtless or target.model.startswith(quirks.plain_models)
    thought = 0 if plain else thinking.unstoppable(wanted, quirks.efforts, quirks.ask)
    body |= _limits(request, target, thought, changes)
    asked = {} if plain else thinking.words(wanted, quirks)
    if thoughtless:
        changes += thinking.unasked(wanted)
    elif not asked and (wanted.on is not None or wanted.effort):
        changes.append("thinking: left to the backend")
    elif asked.keys() == {"thinking"} and wanted.on and wanted.strength:  # a switch, without a measure
        changes.append("thinking: how much is left to the backend")
    body |= asked
    if quirks.reasoning_split:
        body["reasoning_split"] = True
    if also:
        changes.append("output_config.format: asked for in words")
    body |= answer
    if quirks.cache_key:
        body |= foreign.cache_key(fields, headers)
    body["stream"] = True
    if quirks.stream_options:
        body["stream_options"] = {"include_usage": True}
    return body, changes


# Tools


def _tools(
    tools: tuple[Tool, ...], fields: Mapping[str, Any], quirks: Quirks, names: Names, changes: list[str]
) -> dict[str, Any]:
    given = fields.get("tool_choice")
    choice: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    kind = choice.get("type")
    said: Any = None
    match kind:
        case "auto":
            said = "auto" if "auto" in quirks.tool_choices else None
        case "none":
            if _NO_TOOL in quirks.tool_choices:
                said = _NO_TOOL
            elif tools:
                changes.append("tool_choice: none -> no tools")
                tools = ()
        case "any":
            said = "required" if "required" in quirks.tool_choices else None
        case "tool":
            forced = [tool for tool in tools if tool.name == choice.get("name")]
            if not forced:
                raise foreign.refused(
                    f"tool_choice: there is no tool {str(choice.get('name'))[:64]!r} among the tools"
                )
            if "function" in quirks.tool_choices:
                said = {"type": "function", "function": {"name": names.there(forced[0].name)}}
            else:
                changes.append("tool_choice: only the forced tool is offered")
                tools = tuple(forced)
                said = "required" if "required" in quirks.tool_choices else None
        case _:
            if given is not None:
                changes.append("tool_choice: left out, of no known type")
    if kind in ("any", "tool") and said is None:
        changes.append(f"tool_choice: {kind} -> auto, the backend forces no calls")
        said = "auto" if "auto" in quirks.tool_choices else None
    if not tools:
        return {}
    changes += names.of_tools(tools)
    noted = Changes()
    found: dict[str, Any] = {"tools": [_tool(tool, quirks, names, noted.note) for tool in tools]}
    changes += noted.listed()
    if said is not None:
        found["tool_choice"] = said
    if choice.get("disable_parallel_tool_use") is True:
        if quirks.parallel_tool_calls:
            found["parallel_tool_calls"] = False
        else:
            changes.append("tool_choice: disable_parallel_tool_use dropped")
    return found


def _tool(tool: Tool, quirks: Quirks, names: Names, note: Note) -> dict[str, Any]:
    function: dict[str, Any] = {"name": names.there(tool.name)}
    if tool.description:
        function["description"] = tool.description
    parameters = schema.taken(schema.of_object(tool.schema), quirks.schema, "tools", note)
    if quirks.schema == "gemini" and not parameters.get("properties"):
        parameters = {}  # it wants none rather than an object of nothing
    if parameters:
        function["parameters"] = parameters
    if tool.strict and quirks.strict_tools and schema.is_strict(parameters):
        function["strict"] = True
    return {"type": "function", "function": function}


# Everything else


def _limits(request: MessagesRequest, target: Target, thought: int, changes: list[str]) -> dict[str, Any]:
    fields, quirks = request.fields, target.provider.preset.quirks
    found: dict[str, Any] = {}
    most = limits.output(request, target, thought=thought)
    if most is not None:
        taken = found[quirks.max_tokens] = max(most, 1)
        if taken != fields["max_tokens"]:
            changes.append(f"max_tokens: {str(fields['max_tokens'])[:24]} -> {taken}")
    given = fields.get("stop_sequences")
    stops = [each for each in given if isinstance(each, str) and each] if isinstance(given, list) else []
    if stops[: quirks.stops]:
        found["stop"] = stops[: quirks.stops]
    if stops[quirks.stops :]:
        changes.append("stop_sequences: cut by the router")
    return found | foreign.sampling(fields, changes, taken=quirks.sampling)


def _format(fields: Mapping[str, Any], quirks: Quirks, changes: list[str]) -> tuple[dict[str, Any], str | None]:
    """How an answer of a given form is asked for: a member of the request, or words for the system prompt."""
    form = foreign.answer_schema(fields)
    if form is None:
        return {}, None
    if quirks.response_format == "json_schema":
        noted = Changes()
        named: dict[str, Any] = {"name": "answer"}
        named["schema"] = schema.taken(form, quirks.schema, "output_config.format", noted.note)
        changes += noted.listed()
        if quirks.schema != "gemini" and schema.is_strict(named["schema"]):
            named["strict"] = True
        return {"response_format": {"type": "json_schema", "json_schema": named}}, None
    also = "Answer with one JSON object and nothing else. It must fit this JSON schema:\n" + compact(form)
    return ({"response_format": {"type": "json_object"}} if quirks.response_format == "json_object" else {}), also
