"""The Messages lane: requests to backends that speak the client's own format, and their replies.

The body goes on as the bytes that came. What is changed, and why:

* the model's name, where the target knows the model by another one;
* the attribution block, the first of Claude Code's system blocks: Anthropic strips it, to everybody else it is a
  text about billing that changes from release to release and spoils prompt caches;
* top-level fields that the preset lists as unknown there;
* what of the messages the target can't take, or another model made (see `ccrouter.translate.messages.history`);
* what of the tools it can't take (see `ccrouter.translate.messages.tools`);
* ``max_tokens`` beyond what is known of a model that is not Anthropic's own (see `ccrouter.translate.limits`), and
  the budget for thinking that no longer fits into it;
* the wish for thinking and for effort, where the model is known not to think.

Of the headers, those of the connection, of the router and every credential stay behind; the target's own
credential is added by the caller. A header in which the key to some gateway may stand goes where the client's
login goes, and nowhere else. ``accept-encoding`` becomes ``identity``, since the router must be able to look into
a reply and to add a ping or an error to a stream.

A reply of Anthropic's own is passed on frame by frame, in its own bytes. `StreamWatch` holds an unfinished frame
back, so that whatever the router has to add stands between frames, and knows whether the stream came to its end.
What other servers send is put right on its way (see `ccrouter.translate.messages.reply`).
"""

from __future__ import annotations

import json

from ccrouter.errors import ApiError, TruncatedStream
from ccrouter.providers.address import url
from ccrouter.providers.provider import Preset, Provider, Target
from ccrouter.translate import abilities, limits
from ccrouter.translate.dialect import Endpoint, Outbound
from ccrouter.translate.messages import history, tools
from ccrouter.translate.thinking import UNASKED
from ccrouter.wire import envelope, events, json_text, spans
from ccrouter.wire import headers as http
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest, attribution
from ccrouter.wire.sse import Decoder, Frame

#: The beta that comes with a Claude login; it goes where the login goes and nowhere else. Without it Anthropic
#: refuses the login's bearer.
OAUTH_BETA = "oauth-2025-04-20"

#: Headers of the client that are never copied: they speak of its connection to the router, or open doors.
_KEPT_BACK = (
    frozenset({b"host", b"content-length", b"expect", b"accept-encoding", http.PROJECT}) | http.CREDENTIALS
)

#: Why a header of the client's stays behind, for the log.
_NOT_YOURS = "left out, it may be a key of another's; if it is for this one, set it in `headers` of [providers.{}]"

#: The smallest budget for thinking that Anthropic's format has (*Create a Message*, 2026-11).
_LEAST_BUDGET = 1_024

#: How the types of edits begin that clear thinking of earlier turns.
_CLEARING = "clear_thinking_"

#: Headers of a reply that speak of the user's plan at Anthropic; anybody else's would be shown as that.
_PLAN = b"anthropic-ratelimit-"


def render(request: MessagesRequest, target: Target, headers: Headers, query: str, endpoint: Endpoint) -> Outbound:
    """The request as ``target`` gets it. Raises ApiError for what it can't take and must not lose."""
    preset = target.provider.preset
    abilities.refuse(request, target)
    edits: list[spans.Edit] = []
    changes: list[str] = []
    doomed: list[int] = []
    most = limits.output(request, target) if endpoint == "messages" and not preset.first_party else None
    asked = request.fields.get("max_tokens")
    unthought = _unthought(request, target, None if most == asked else most)
    for position, item in enumerate(request.items):
        if item.key == "model" and item.value != target.model:
            edits.append(spans.replace(item, json.dumps(target.model)))
            changes.append(f"model: {request.model} -> {target.model}")
        elif item.key == "system" and not preset.keep_attribution and attribution(item.value) is not None:
            changes.append("system: attribution block dropped")
            if len(item.value) == 1:
                doomed.append(position)
            else:
                edits += spans.remove(spans.elements(request.text, item.start), [0])
        elif item.key in {"messages", "tools"} and item.key not in preset.drop_fields:
            thinks = unthought is None and _type_of(request.fields.get("thinking")) != "disabled"
            found, told = _settled(request, item, target, thinks=thinks)
            edits += found
            changes += told
        elif item.key in preset.drop_fields:
            changes.append(f"{item.key}: dropped")
            doomed.append(position)
        elif item.key == "max_tokens" and most not in (None, asked):
            edits.append(spans.replace(item, str(most)))
            changes.append(f"max_tokens: {str(asked)[:24]} -> {most}")
        elif item.key == "thinking" and unthought is not None and _type_of(item.value) != "disabled":
            changes.append(unthought)
            doomed.append(position)
        elif item.key == "output_config" and target.known.thinking is False and _has(item.value, "effort"):
            changes.append(UNASKED)
            found, empty = _effortless(request.text, item)
            edits += found
            doomed += [position] * empty
        elif item.key == "context_management" and unthought is not None and _has(item.value, "edits"):
            found, told = _uncleared(request.text, item)
            edits += found
            changes += told
        elif item.key == "thinking" and most is not None and most != asked:
            budget = _budget(request.text, item, most)
            edits += budget
            changes += [f"thinking: budget_tokens -> {each.text}" for each in budget]
    edits += spans.remove(list(request.items), doomed)
    text = spans.apply(request.text, edits) if edits else request.text
    kept, told = _headers(headers, target.provider)
    path = preset.messages_path if endpoint == "messages" else preset.count_path
    return Outbound(
        url=url(target.provider, path or "", query),
        headers=kept,
        body=text.encode(),
        changes=tuple(dict.fromkeys([*changes, *told])),
    )


def _settled(
    request: MessagesRequest, item: spans.Item, target: Target, *, thinks: bool
) -> tuple[list[spans.Edit], list[str]]:
    if item.key == "tools":
        return tools.edits(request, item, target)
    return history.edits(request.text, item, target, thinks=thinks)


def _type_of(value: object) -> object:
    return value.get("type") if isinstance(value, dict) else None


def _has(value: object, key: str) -> bool:
    return isinstance(value, dict) and key in value


def _unthought(request: MessagesRequest, target: Target, most: int | None) -> str | None:
    """Why no thinking is asked for, in words for the log; None where it is, or the client doesn't.

    ``most`` is what ``max_tokens`` is cut to, if it is: a budget is less than that, and there is a least one.
    """
    thinking = request.fields.get("thinking")
    if target.known.thinking is False:
        return UNASKED
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if most is not None and most <= _LEAST_BUDGET and type(budget) is int and budget >= most:
        return f"thinking: not asked for, no budget fits into {most} tokens"
    return None


def _effortless(text: str, output_config: spans.Item) -> tuple[list[spans.Edit], bool]:
    """The edits that take the effort out; whether nothing else is in there, and all of it is to go instead."""
    inside = spans.members(text, output_config.start)
    efforts = [at for at, each in enumerate(inside) if each.key == "effort"]
    return ([], True) if len(efforts) == len(inside) else (spans.remove(inside, efforts), False)


def _uncleared(text: str, management: spans.Item) -> tuple[list[spans.Edit], list[str]]:
    """Without the edits that clear thinking, which Anthropic refuses where none is asked for (2026-11)."""
    edits: list[spans.Edit] = []
    for item in spans.members(text, management.start):
        if item.key == "edits" and isinstance(item.value, list):
            inside = spans.elements(text, item.start)
            kinds = [_type_of(each.value) for each in inside]
            gone = [at for at, kind in enumerate(kinds) if isinstance(kind, str) and kind.startswith(_CLEARING)]
            edits += spans.remove(inside, gone)
    return edits, ["context_management: clearing of thinking left out"] if edits else []


def _budget(text: str, thinking: spans.Item, most: int) -> list[spans.Edit]:
    """The edits that keep a budget for thinking below ``most``, as Anthropic's format has it."""
    if not isinstance(thinking.value, dict):
        return []
    return [
        spans.replace(item, str(most - 1))
        for item in spans.members(text, thinking.start)
        if item.key == "budget_tokens" and type(item.value) is int and item.value >= most
    ]


def _headers(headers: Headers, provider: Provider) -> tuple[Headers, list[str]]:
    """What of the client's headers goes on, and in words what was expected to and does not."""
    # The client's login doesn't go where the user gave another credential for the provider.
    keeps_login = provider.preset.auth == "client" and not provider.has_own_key
    own = {name.lower() for name, _ in provider.headers}
    kept: Headers = []
    changes: list[str] = []
    for name, value in http.end_to_end(headers):
        if name in _KEPT_BACK:
            continue
        spelled = name.decode("latin-1")
        if not keeps_login and http.is_credential(spelled, value.decode("latin-1")):
            if spelled not in own:
                changes.append(f"header {spelled[:64]}: {_NOT_YOURS.format(provider.name)}")
            continue
        if name == b"anthropic-beta" and not keeps_login:
            remaining = _without_beta(value, OAUTH_BETA)
            if not remaining:
                continue
            kept.append((name, remaining))
        else:
            kept.append((name, value))
    kept.append((b"accept-encoding", b"identity"))
    return kept, changes


def _without_beta(value: bytes, beta: str) -> bytes:
    if beta.encode() not in value:
        return value
    return b",".join(each for each in value.split(b",") if each.strip() != beta.encode()).strip()


def with_betas(headers: Headers, betas: tuple[str, ...]) -> Headers:
    """``headers`` with each of ``betas`` in ``anthropic-beta``, added where it isn't yet."""
    present = {each.strip() for name, value in headers if name == b"anthropic-beta" for each in value.split(b",")}
    missing = [beta.encode() for beta in betas if beta.encode() not in present]
    if not missing:
        return headers
    result = list(headers)
    for position, (name, value) in enumerate(result):
        if name == b"anthropic-beta":
            result[position] = (name, b",".join([value, *missing]))
            return result
    return [*result, (b"anthropic-beta", b",".join(missing))]


def reply_headers(headers: Headers, preset: Preset, *, decoded: bool) -> Headers:
    """What the client gets of a reply's headers: the end-to-end ones.

    ``decoded``: the content coding was undone, and the headers that speak of it go with it.
    """
    kept = http.without(http.end_to_end(headers), (b"content-length",))
    if decoded:
        kept = http.without(kept, (b"content-encoding", b"content-md5", b"digest", b"content-digest"))
    if not preset.first_party:
        kept = [(name, value) for name, value in kept if not name.startswith(_PLAN) and name != b"set-cookie"]
    return kept


class StreamWatch:
    """Watches a stream that is passed on. `feed` what came; pass on what it returns; `close` at the end.

    Whatever is returned ends at a frame's end. ``first`` is the type of the first event that says anything
    (not a ping), ``ended`` whether the last one was seen, ``failure`` what the backend said went wrong.
    """

    def __init__(self) -> None:
        self._decoder = Decoder()
        self.first: str | None = None
        self.ended = False
        self.failure: ApiError | None = None
        self.notes: tuple[str, ...] = ()
        self.usage: events.Usage = {}

    def feed(self, chunk: bytes) -> bytes:
        """The bytes of all frames that are whole now. Raises FrameError for what can't be a stream."""
        frames = self._decoder.feed(chunk)
        return self._pass(frames[0]) if len(frames) == 1 else b"".join(map(self._pass, frames))

    def close(self) -> bytes:
        """The bytes that are left at the end.

        Raises TruncatedStream unless the stream said itself that it is whole (or failed): the end of the
        connection proves nothing.
        """
        try:
            frames = self._decoder.close()
        except TruncatedStream:
            if self.ended:
                return self._decoder.rest
            raise TruncatedStream("the backend ended the stream in the middle of an event") from None
        rest = b"".join(map(self._pass, frames))
        if not self.ended:
            raise TruncatedStream("the backend ended the stream before the message was whole")
        return rest

    def _pass(self, frame: Frame) -> bytes:
        kind = frame.event or _type_in(frame)
        if kind is None or kind == "ping":
            return frame.raw
        if self.first is None:
            self.first = kind
        if kind == "error" and not self.ended:
            self.failure = _error_told(frame.data or b"")
        if kind in {"message_stop", "error"}:
            self.ended = True
        elif kind in {"message_start", "message_delta"}:
            self.usage = self.usage | _usage_in(frame)  # who has the last one keeps it
        return frame.raw


def error_in(data: bytes) -> tuple[int, bytes]:
    """The error that a stream consists of: its status and envelope, as if it had come before the stream."""
    for frame in Decoder().feed(data):
        payload = frame.data or b""
        if envelope.is_envelope(payload):
            return envelope.status_of(json_text.loads(payload, nan="refuse")["error"]["type"]), payload
    error = ApiError(502, "api_error", "the backend's stream began with an error that cannot be read")
    return error.status, envelope.write(error, "")


def _error_told(payload: bytes) -> ApiError:
    """What an ``error`` event says, for whoever keeps count of failures; the client gets the event itself."""
    if envelope.is_envelope(payload):
        error = json_text.loads(payload, nan="refuse")["error"]
        words = error["message"][: envelope.MAX_MESSAGE]
        return ApiError(envelope.status_of(error["type"]), error["type"], words)
    words = envelope.message_in(payload)[: envelope.MAX_MESSAGE]
    return ApiError(502, "api_error", words or "the backend's stream ended in an error without words")


def _usage_in(frame: Frame) -> events.Usage:
    value = json_text.loads_or_none(frame.data or b"", nan="null")
    return events.usage_of(value) if isinstance(value, dict) and isinstance(value.get("type"), str) else {}


def _type_in(frame: Frame) -> str | None:
    """The type in the payload of a frame that has no ``event:`` line; an error need not say that it is one."""
    data = frame.data
    if not data:
        return None
    value = json_text.loads_or_none(data, nan="null")
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and value.get("object") != "error":
        return kind
    return "error" if envelope.is_error(value) else None
