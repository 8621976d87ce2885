"""A Messages request as an ``/api/chat`` request, by the quirks of the target's preset.

What only this wire can carry, and why it exists here: ``options.num_ctx``, the window that the model is loaded
with (one that a request doesn't name is loaded anew with the server's own), ``keep_alive``, and ``truncate:
false``, by which a prompt that is too long is refused instead of cut in silence. ``shift: false`` ends an answer
where the window is full, where it would otherwise go on without the beginning of its prompt.

The backend is always asked for a stream, also when the client wants none. Nothing is dropped in silence: what the
backend has no word for stands in ``changes``. Calls can't be forced on this wire. The tools stay those of the rest
of the conversation then: fewer would be another prompt, and the server's cache of it gone.

Source: ollama's api/types.go and server/routes.go, 0.14 to fb30760 (2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ccrouter.errors import ApiError
from ccrouter.providers.provider import Target
from ccrouter.translate import abilities, conversation, foreign, limits, plain_schemas, schema, stops, thinking
from ccrouter.translate.changes import Changes
from ccrouter.translate.dialect import Endpoint, Outbound
from ccrouter.translate.ollama import messages as ollama_messages
from ccrouter.translate.thinking import Asked
from ccrouter.translate.tools import Names
from ccrouter.translate.turns import Tool
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest

#: How replies are called that are streams.
MEDIA_TYPE = b"application/x-ndjson"


def render(request: MessagesRequest, target: Target, headers: Headers, query: str, endpoint: Endpoint) -> Outbound:  # noqa: ARG001 - the query is the client's affair with Anthropic
    """The request as ``target`` gets it. Raises ApiError for what it can't take and must not lose."""
    preset = target.provider.preset
    if preset.ollama_path is None or endpoint != "messages":
        raise ApiError(404, "not_found_error", f"{target.provider.name} has no such endpoint on Ollama's own wire")
    abilities.refuse(request, target)
    body, changes = _body(request, target)
    given = foreign.headers(headers, request.fields, preset, accept=MEDIA_TYPE)
    return foreign.outbound(target, preset.ollama_path, given, body, changes)


def _body(request: MessagesRequest, target: Target) -> tuple[dict[str, Any], list[str]]:
    fields, model = request.fields, target.known
    said = conversation.read(fields)
    changes = [] if request.model == target.model else [f"model: {request.model} -> {target.model}"]
    changes += said.changes
    changes += foreign.server_tools(said.server_tools, fields, target, others=bool(said.tools))
    changes += foreign.dropped(fields, seen={"top_k"})
    names = Names(said)
    messages, told = ollama_messages.render(said, target, names)
    if not messages:
        raise foreign.refused("messages: at least one message with content is required")
    changes += told
    body: dict[str, Any] = {"model": target.model, "messages": messages}
    body |= _tools(said.tools, fields, names, changes)
    if (form := foreign.answer_schema(fields)) is not None:
        noted = Changes()
        body["format"] = plain_schemas.plain(form, "output_config.format", noted.note)
        changes += noted.listed()
    body |= _think(thinking.asked(fields, said), target, changes)
    if options := _options(request, target, changes):
        body["options"] = options
    if model.keep_alive is not None:
        body["keep_alive"] = _seconds(model.keep_alive)
    return body | {"truncate": False, "shift": False, "stream": True}, changes


def _tools(tools: tuple[Tool, ...], fields: Mapping[str, Any], names: Names, changes: list[str]) -> dict[str, Any]:
    given = fields.get("tool_choice")
    choice: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    match choice.get("type"):
        case "none":
            if tools:
                changes.append("tool_choice: none -> no tools")
            return {}
        case "tool" if all(tool.name != choice.get("name") for tool in tools):
            name = str(choice.get("name"))[:64]
            raise foreign.refused(f"tool_choice: there is no tool {name!r} among the tools")
        case "any" | "tool" as kind:
            changes.append(f"tool_choice: {kind} -> auto, the backend forces no calls")
        case "auto":
            pass
        case _ if given is not None:
            changes.append("tool_choice: left out, of no known type")
    if not tools:
        return {}
    if choice.get("disable_parallel_tool_use") is True:
        changes.append("tool_choice: disable_parallel_tool_use dropped")
    changes += names.of_tools(tools)
    return {"tools": [_tool(tool, names) for tool in tools]}


def _tool(tool: Tool, names: Names) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    parameters = schema.ollama(schema.of_object(tool.schema))
    return {
        "type": "function",
        "function": {"name": names.there(tool.name), **described, "parameters": parameters},
    }


def _think(wanted: Asked, target: Target, changes: list[str]) -> dict[str, Any]:
    """``think``, which is a switch; a word for effort is an error of all models but a few.

    To switch it on is an error of a model that doesn't think, so it is left alone where nobody knows: unless it is
    switched off, a model that can think does.
    """
    quirks, thinks = target.provider.preset.quirks, target.known.thinking
    if thinks is False:
        changes += thinking.unasked(wanted)
        return {}
    word = thinking.nearest(wanted.strength, quirks.efforts)
    levelled = target.model.startswith(quirks.levelled_models)
    if wanted.on is False:
        return {"think": quirks.efforts[0] if levelled else False}
    if levelled and word is not None:
        return {"think": word}
    if wanted.on and (thinks or levelled):
        if word is not None:
            changes.append("thinking: how much is left to the backend")
        return {"think": True}
    if wanted.on or word is not None:
        changes.append("thinking: left to the backend")
    return {}


def _options(request: MessagesRequest, target: Target, changes: list[str]) -> dict[str, Any]:
    fields = request.fields
    found: dict[str, Any] = {}
    if target.known.num_ctx is not None:
        found["num_ctx"] = target.known.num_ctx
    if (most := limits.output(request, target)) is not None:
        taken = found["num_predict"] = max(most, 1)
        if taken != fields["max_tokens"]:
            changes.append(f"max_tokens: {str(fields['max_tokens'])[:24]} -> {taken}")
    if sequences := stops.stop_sequences(fields):
        found["stop"] = list(sequences)
    found |= foreign.sampling(fields, changes, taken=True)
    top_k = fields.get("top_k")
    if type(top_k) is int:
        found["top_k"] = top_k
    elif top_k is not None:
        changes.append("top_k: dropped")
    return found


def _seconds(keep_alive: float) -> float:
    """A number of seconds; for ever is any that is below zero."""
    if keep_alive == float("inf"):
        return -1
    return int(keep_alive) if keep_alive.is_integer() else keep_alive
