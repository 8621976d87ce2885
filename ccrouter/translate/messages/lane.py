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

A reply of Anthropic's own is passed on in its own bytes (`ccrouter.translate.messages.watch`); what other servers
send is put right on its way (`ccrouter.translate.messages.reply`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from ccrouter.providers.address import url
from ccrouter.providers.provider import Target
from ccrouter.translate import abilities, limits
from ccrouter.translate.changes import ATTRIBUTION_DROPPED
from ccrouter.translate.dialect import Endpoint, Outbound
from ccrouter.translate.headers import forwarded
from ccrouter.translate.messages import history, tools
from ccrouter.translate.thinking import UNASKED
from ccrouter.wire import spans
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import MessagesRequest, attribution

#: The smallest budget for thinking that Anthropic's format has (*Create a Message*, 2026-11).
_LEAST_BUDGET = 1_024

#: How the types of edits begin that clear thinking of earlier turns.
_CLEARING = "clear_thinking_"


def render(request: MessagesRequest, target: Target, headers: Headers, query: str, endpoint: Endpoint) -> Outbound:
    """The request as ``target`` gets it. Raises ApiError for what it can't take and must not lose."""
    preset = target.provider.preset
    abilities.refuse(request, target)
    body = _Body(request, target, endpoint)
    text = body.render()
    kept, left_out = forwarded(headers, target.provider)
    path = preset.messages_path if endpoint == "messages" else preset.count_path
    return Outbound(
        url=url(target.provider, path or "", query),
        headers=kept,
        body=text.encode(),
        changes=tuple(dict.fromkeys([*body.changes, *left_out])),
    )


class _Body:
    """The members of one request that are looked at: each has a method, and adds edits, each with its word."""

    def __init__(self, request: MessagesRequest, target: Target, endpoint: Endpoint) -> None:
        self._request = request
        self._target = target
        self._edits: list[spans.Edit] = []
        self._doomed: list[int] = []
        """The positions of members that go as a whole."""
        self.changes: list[str] = []
        """What is changed, in words for people."""
        foreign = endpoint == "messages" and not target.provider.preset.first_party
        most = limits.output(request, target) if foreign else None
        self._cut_to = None if most == request.fields.get("max_tokens") else most
        """What ``max_tokens`` is cut to, if it is."""
        self._unthought = _unthought(request, target, self._cut_to)

    def render(self) -> str:
        """The text that is sent."""
        request, dropped = self._request, self._target.provider.preset.drop_fields
        for position, item in enumerate(request.items):
            if item.key in dropped:
                self._drop(position, f"{item.key}: dropped")
            elif (member := _MEMBERS.get(str(item.key))) is not None:
                member(self, position, item)
        edits = self._edits + spans.remove(list(request.items), self._doomed)
        return spans.apply(request.text, edits) if edits else request.text

    def _drop(self, position: int, change: str) -> None:
        self._doomed.append(position)
        self.changes.append(change)

    def model(self, _position: int, item: spans.Item) -> None:
        if item.value != self._target.model:
            self._edits.append(spans.replace(item, json.dumps(self._target.model)))
            self.changes.append(f"model: {self._request.model} -> {self._target.model}")

    def system(self, position: int, item: spans.Item) -> None:
        if self._target.provider.preset.keep_attribution or attribution(item.value) is None:
            return
        if len(item.value) == 1:
            self._drop(position, ATTRIBUTION_DROPPED)
        else:
            self._edits += spans.remove(spans.elements(self._request.text, item.start), [0])
            self.changes.append(ATTRIBUTION_DROPPED)

    def messages(self, _position: int, item: spans.Item) -> None:
        thinks = self._unthought is None and _type_of(self._request.fields.get("thinking")) != "disabled"
        self._add(*history.edits(self._request.text, item, self._target, thinks=thinks))

    def tools(self, _position: int, item: spans.Item) -> None:
        self._add(*tools.edits(self._request, item, self._target))

    def max_tokens(self, _position: int, item: spans.Item) -> None:
        if self._cut_to is not None:
            asked = self._request.fields.get("max_tokens")
            self._edits.append(spans.replace(item, str(self._cut_to)))
            self.changes.append(f"max_tokens: {str(asked)[:24]} -> {self._cut_to}")

    def thinking(self, position: int, item: spans.Item) -> None:
        if self._unthought is not None and _type_of(item.value) != "disabled":
            self._drop(position, self._unthought)
        elif self._cut_to is not None:
            budget = _budget(self._request.text, item, self._cut_to)
            self._add(budget, [f"thinking: budget_tokens -> {each.text}" for each in budget])

    def output_config(self, position: int, item: spans.Item) -> None:
        if self._target.known.thinking is not False or not _has(item.value, "effort"):
            return
        edits, empty = _effortless(self._request.text, item)
        if empty:
            self._drop(position, UNASKED)
        else:
            self._add(edits, [UNASKED])

    def context_management(self, _position: int, item: spans.Item) -> None:
        if self._unthought is not None and _has(item.value, "edits"):
            self._add(*_uncleared(self._request.text, item))

    def _add(self, edits: Sequence[spans.Edit], changes: Sequence[str]) -> None:
        self._edits += edits
        self.changes += changes


#: What is done about the members of a request that are looked at. All others go on as they came.
_MEMBERS: Mapping[str, Callable[[_Body, int, spans.Item], None]] = {
    "model": _Body.model,
    "system": _Body.system,
    "messages": _Body.messages,
    "tools": _Body.tools,
    "max_tokens": _Body.max_tokens,
    "thinking": _Body.thinking,
    "output_config": _Body.output_config,
    "context_management": _Body.context_management,
}


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
