"""What requests that are translated have in common: headers, cache keys, sampling, the form of an answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ccrouter.errors import ApiError
from ccrouter.providers.address import url
from ccrouter.providers.provider import Preset, Target
from ccrouter.translate.dialect import Outbound
from ccrouter.translate.turns import ServerTool
from ccrouter.wire import headers as http
from ccrouter.wire.claude_code import AGENT_ID_HEADER, CAPABILITY_REJECTED, SESSION_HEADER
from ccrouter.wire.headers import Headers

#: Members that are rendered, or whose absence changes nothing for the client.
_SEEN = frozenset(
    {
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "max_tokens",
        "thinking",
        "output_config",
        "stop_sequences",
        "temperature",
        "top_p",
        "metadata",
        "stream",
    }
)


#: How the types of the client's searches of the web begin.
SEARCH = "web_search_"


def dropped(fields: Mapping[str, Any], *, seen: Collection[str] = ()) -> list[str]:
    """What of a request a wire has no place for, in words for people. ``seen``: what this one has besides."""
    return [f"{name[:64]}: dropped" for name in fields if name not in _SEEN and name not in seen]


def headers(
    given: Headers, fields: Mapping[str, Any], preset: Preset, *, accept: bytes = b"text/event-stream"
) -> Headers:
    """Nothing of the client's but who it is: the rest speaks to Anthropic."""
    found = [
        (b"content-type", b"application/json"),
        (b"accept", accept),
        (b"accept-encoding", b"identity"),
        (b"user-agent", http.get(given, b"user-agent") or b"ccrouter"),
    ]
    if key := _key(fields, given):
        # In the shape of a UUID, which is what backends that ask for this expect.
        conversation = "-".join((key[:8], key[8:12], key[12:16], key[16:20], key[20:32])).encode()
        found += [(name.encode(), conversation) for name in preset.quirks.session_headers]
    return found


def outbound(
    target: Target, path: str, headers: Headers, body: Mapping[str, Any], changes: Iterable[str]
) -> Outbound:
    """The request as it is sent, each change told once. ``path`` as `ccrouter.providers.address.url` takes it."""
    return Outbound(
        url=url(target.provider, path),
        headers=headers,
        body=written(body),
        changes=tuple(dict.fromkeys(changes)),
    )


def cache_key(fields: Mapping[str, Any], given: Headers) -> dict[str, Any]:
    """``prompt_cache_key``: the same for all requests of one agent in one session, and unlike any other's."""
    key = _key(fields, given)
    return {"prompt_cache_key": key} if key else {}


def _key(fields: Mapping[str, Any], given: Headers) -> str:
    metadata = fields.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    session = user if isinstance(user, str) else http.get_text(given, SESSION_HEADER) or ""
    agent = http.get_text(given, AGENT_ID_HEADER) or ""
    if not session and not agent:
        return ""
    return hashlib.sha256(f"{session}\0{agent}".encode("utf-8", "surrogatepass")).hexdigest()


def sampling(fields: Mapping[str, Any], changes: list[str], *, taken: bool) -> dict[str, Any]:
    """``temperature`` and ``top_p``, where the backend takes them; what is dropped goes into ``changes``."""
    found: dict[str, Any] = {}
    for name in ("temperature", "top_p"):
        value = fields.get(name)
        if type(value) in {int, float} and taken:
            found[name] = value
        elif value is not None:
            changes.append(f"{name}: dropped")
    return found


def server_tools(
    tools: Iterable[ServerTool], fields: Mapping[str, Any], target: Target, *, others: bool
) -> list[str]:
    """Names the tools that are left out, which the backend can't run. ``others``: there are some that it takes.

    Raises ApiError when there is nothing to do without them.
    """
    choice = fields.get("tool_choice")
    forced = choice.get("name") if isinstance(choice, Mapping) and choice.get("type") == "tool" else None
    unused = isinstance(choice, Mapping) and choice.get("type") == "none"
    preset = target.provider.preset
    searches = preset.quirks.web_search and preset.responses_path is not None
    left_out = []
    for tool in tools:
        if not unused and (not others or tool.name == forced):
            other = searches and tool.type.startswith(SEARCH)
            hint = ', or set wire = "responses", on which it searches' if other else ""
            raise cannot_run(target, tool, hint)
        left_out.append(f"tools: {tool.name} ({tool.type}) left out, the backend can't run it")
    return left_out


def cannot_run(target: Target, tool: ServerTool, hint: str = "") -> ApiError:
    """The refusal of a tool that the backend is to run itself, and can't."""
    return refused(
        f"{CAPABILITY_REJECTED}server_tools: {target.provider.name} can't run the tool "
        f"{tool.name} ({tool.type}); ask without it, or with a model of Anthropic's{hint}"
    )


def answer_schema(fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The JSON Schema that the answer is to fit (``output_config.format``), or None."""
    output = fields.get("output_config")
    wanted = output.get("format") if isinstance(output, Mapping) else None
    form = wanted.get("schema") if isinstance(wanted, Mapping) and wanted.get("type") == "json_schema" else None
    return form if isinstance(form, Mapping) else None


def refused(message: str) -> ApiError:
    """What can't be served and must not be dropped in silence."""
    return ApiError(400, "invalid_request_error", message)


def written(body: Mapping[str, Any]) -> bytes:
    """A body as UTF-8. Raises ApiError as `compact` does.

    JSON can say half a surrogate pair, UTF-8 can't: two that belong together, which came in two pieces, become the
    character that they are, and one that is alone becomes the sign for what can't be read.
    """
    text = compact(body)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def compact(value: Any) -> str:
    """JSON without spaces. Raises ApiError for what came as JSON and can't be said in it again."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:  # 1e999 is read as infinity
        words = "a number in the request is beyond what JSON can say"
    except RecursionError:
        words = "the request is nested too deeply"
    raise ApiError(400, "invalid_request_error", words)
