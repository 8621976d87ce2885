"""What a target of the Messages lane gets of a conversation that other models took part in.

A pure function of the messages and the target; each message depends only on itself and on those before it, but
for the results that answer its calls, and for what the system says beside it. So a longer conversation begins with
the same messages, and one that its target can take is the same object again: nothing of it is written anew.

**Who is strict.** Anthropic, and models that a gateway passes on to it (``Preset.relays``). For them a history is
mended as far as they would refuse it: see also `ccrouter.translate.messages.history_calls`. Everybody else gets
the blocks that are known to be taken (``Preset.blocks``), and the rest in words; what the system says later, the
user says there (`ccrouter.translate.messages.history_system`). An endpoint of which nothing is known gets both: a
history that Anthropic would take, in which the user speaks for the system to models that aren't called Claude.

**Thinking** goes back to who made it. What a Messages backend that is not Anthropic signed travels in our
signature with the payload ``{"f": "messages", "s": S}`` and becomes ``S`` again; without ``s`` there was no
signature. What another provider made is left out: words about it would be words that the model takes for its own.
Nobody can tell a genuine signature from a good forgery by its looks, so only what certainly isn't one is kept
from Anthropic; of the rest its own error makes the client recover.

**Blocks of a server's own kind**, or with members of its own, go back to it as it made them, and to others as
plain ones or in words: they are marked with their maker (`ccrouter.translate.messages.makers`).

**Citations** of Claude's own stay as they are, at whichever of its gateways the conversation goes on: they are
part of the text that it wrote, and the prefix that is cached holds them. (Bedrock refused them as an unknown
member when they were new, 2025-02; it has citations itself since.) Only what quotes a search without its proof is
left out.

**Bound thinking.** The newest models bind their thinking to all that precedes it. Nothing of theirs is removed to
keep that bond, since no rewrite here breaks it: what is changed for a strict target is what that target refuses,
so when it made the thinking it had been shown the same rewrite before it. Where that doesn't hold (the
conversation was led through something else), it says so, and the client asks again without its thinking.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from ccrouter.providers.provider import Target
from ccrouter.translate import block_text, provenance, sight
from ccrouter.translate.changes import ANOTHERS_THINKING, Changes
from ccrouter.translate.messages import history_calls, history_system, makers
from ccrouter.translate.shown import NO_SUCH_FILE
from ccrouter.translate.turns import Document, Image, Shown
from ccrouter.wire import spans

Block = dict[str, Any]

_ROLES = ("user", "assistant", "system")


def edits(
    text: str, messages: spans.Item, target: Target, *, thinks: bool = True
) -> tuple[list[spans.Edit], list[str]]:
    """The edits that give ``target`` the messages as it can take them, and what they change."""
    found, changes = settle(messages.value, target, thinks=thinks)
    if found is messages.value:
        return [], []
    return [spans.rewrite(text, messages, found)], changes


def settle(messages: Any, target: Target, *, thinks: bool = True) -> tuple[Any, list[str]]:
    """The messages as ``target`` can take them, and what that changed; the very same where nothing did.

    ``thinks``: unless the request switches thinking off. Never raises for what JSON can hold; linear in its size.
    """
    if not isinstance(messages, list):
        return messages, []
    settling = _Settling(target, thinks)
    found = settling.messages(messages)
    if not sight.hears_system(target):
        found = history_system.joined(found, settling.note, words_only=settling.strict)
    if settling.strict:
        found = history_calls.answered(_begun(found, settling.note), settling.note)
    if target.provider.preset.results_last:
        found = history_calls.apart(found, settling.note)
    return found, list(settling.changes.listed())


@frozen
class _Own:
    """What the target made itself, with its ``signature``; None where it made none."""

    signature: str | None


class _Settling:
    """One conversation on its way to one target. Whatever is not changed is the same object."""

    def __init__(self, target: Target, thinks: bool) -> None:
        preset = target.provider.preset
        self.strict = sight.is_strict(target)
        self.changes = Changes()
        self.note = self.changes.note
        self._target = target
        self._maker = (target.provider.name, target.model)
        self._blocks = preset.blocks
        self._shows_image = sight.of(target, "messages").shows_image
        self._sees = self._shows_image("base64")
        self._thinks_at_calls = preset.thinks_at_calls and thinks
        self._told: frozenset[object] = frozenset()
        """Calls of backends' own tools in the message at hand that are told in words, with their results."""

    def messages(self, messages: list[Any]) -> list[Any]:
        found: list[Any] | None = None
        for place, message in enumerate(messages):
            settled = self._message(message) if isinstance(message, dict) else message
            if settled is not message and found is None:
                found = messages[:place]
            if found is not None and settled is not None:
                found.append(settled)
        return messages if found is None else found

    def _message(self, message: Block) -> Block | None:
        """None for one of which nothing is left, where the target joins those around it itself."""
        role, content = message.get("role"), message.get("content")
        if self.strict and role not in _ROLES:
            self.note("messages: an unknown role taken for the user's")
            role, message = "user", {**message, "role": "user"}
        if isinstance(content, str):
            if content.strip() or not self.strict or role == "system":
                return message
            kept: list[Any] = []
            self.note("content: blank text left out")
        elif isinstance(content, list):
            self._told = self._calls_in_words(content) if role == "assistant" else frozenset()
            kept = self._content(content, role)
            if role == "assistant" and self._thinks_at_calls:
                kept = self._with_thinking(kept)
            if kept is content and (content or not self.strict or role == "system"):
                return message
        else:
            return message
        if self.strict and role == "assistant" and kept and _is_thinking(kept[-1]):
            kept = [*kept, _text(block_text.NOTHING)]  # thinking must not be the last of it
        if not kept and role == "assistant" and self.strict:
            self.note("content: a message left out of which nothing can be shown")
            return None
        if not kept and not content:
            self.note("content: an empty message given words")
        return {**message, "content": kept if kept or role == "system" else [_text(block_text.NOTHING)]}

    def _content(self, content: list[Any], role: object) -> list[Any]:
        found: list[Any] | None = None
        for place, block in enumerate(content):
            instead = self._block(block, role) if isinstance(block, dict) else None
            if instead is not None and found is None:
                found = content[:place]
            if found is not None:
                found += [block] if instead is None else instead
        return content if found is None else found

    def _block(self, block: Block, role: object) -> list[Block] | None:
        """What stands in place of a block; None: itself."""
        if makers.is_marked(block):
            return self._marked(block, role)
        if self.strict and makers.is_foreign(block):
            return self._in_words(block, role)
        kind = block.get("type")
        match kind:
            case "tool_use" if self.strict and role == "assistant":
                return self._cleaned(block)
            case "text":
                return self._said(block) if self.strict and role != "system" else None
            case "thinking":
                return self._thinking(block)
            case "redacted_thinking":
                return self._redacted(block)
            case "tool_result":
                return self._result(block)
            case "image" if not self._shows_image(_source(block)):
                return self._in_words(block, role)
            case "document" if not self.strict and _source(block) == "file":
                return self._in_words(block, role)
            case "server_tool_use" if _id(block, "id") in self._told:
                return self._in_words(block, role)
            case "web_search_tool_result" if _id(block, "tool_use_id") in self._told:
                return self._in_words(block, role)
            case str() if self._blocks is not None and kind not in self._blocks:
                return self._in_words(block, role)
        return None

    # Whose it is

    def _marked(self, block: Block, role: object) -> list[Block]:
        """A block that another server made in a way of its own: to itself as it made it, to others plain."""
        kind = str(block.get("type"))[:64]
        if makers.made_by(block, self._target, strict=self.strict):
            self.note(f"{kind}: the target's own, as the target made it")
            kept, instead = makers.unmarked(block), None
            if kind == "text" and self.strict and role != "system":
                instead = self._said(kept, own=True)
        elif (plain := makers.plain(block)) is not None:
            self.note(f"{kind}: members that only their maker can use left out")
            kept, instead = plain, self._block(plain, role)
        else:
            return self._in_words(makers.unmarked(block), role)
        return [kept] if instead is None else instead

    def _cleaned(self, block: Block) -> list[Block] | None:
        kept = makers.cleaned(block)
        if kept is block:
            return None
        self.note(f"{block['type']}: members that only their maker can use left out")
        return [kept]

    # What is said and thought

    def _said(self, block: Block, *, own: bool = False) -> list[Block] | None:
        """``own``: by the target itself, whose members stay. It may refuse the rest all the same."""
        text, citations = block.get("text"), block.get("citations")
        if isinstance(text, str) and not text.strip():
            self.note("content: blank text left out")
            return []
        if isinstance(citations, list) and any(map(_is_forged_citation, citations)):
            self.note("text: citations of another provider left out")
            block = {key: value for key, value in block.items() if key != "citations"}
            return (None if own else self._cleaned(block)) or [block]
        return None if own else self._cleaned(block)

    def _thinking(self, block: Block) -> list[Block] | None:
        signature = block.get("signature")
        if not provenance.is_ours(signature):
            if not self._is_foreign(signature) and isinstance(block.get("thinking"), str):
                return None
        elif (own := self._own(signature)) is not None:
            self.note("thinking: the target's own, its signature as the target made it")
            bare = {key: value for key, value in block.items() if key != "signature"}
            return [bare if own.signature is None else {**bare, "signature": own.signature}]
        self.note(ANOTHERS_THINKING)
        return []

    def _redacted(self, block: Block) -> list[Block] | None:
        data = block.get("data")
        taken = self._blocks is None or "redacted_thinking" in self._blocks
        if taken and not provenance.is_ours(data) and not self._is_foreign(data):
            return None
        if (own := self._own(data)) is not None and own.signature is not None:
            self.note("redacted_thinking: the target's own, as the target made it")
            return [{**block, "data": own.signature}]
        self.note("redacted_thinking: of another model, left out")
        return []

    def _own(self, signature: object) -> _Own | None:
        """What the target itself put where our signature is; None where that is another's."""
        origin = provenance.read(signature)
        if origin is None or origin.provider != self._maker[0]:
            return None
        match origin.payload:
            case {"f": "messages", **rest}:
                signed = rest.get("s")
                if origin.model == self._maker[1] or not self._is_foreign(signed):
                    return _Own(signed if isinstance(signed, str) else None)
        return None

    def _is_foreign(self, signature: object) -> bool:
        return sight.is_anothers(signature, strict=self.strict)

    def _with_thinking(self, content: list[Any]) -> list[Any]:
        kinds = {each["type"] for each in content if isinstance(each, dict) and isinstance(each.get("type"), str)}
        if "tool_use" not in kinds or "thinking" in kinds:
            return content
        self.note("thinking: a blank one in front of another model's calls")
        return [{"type": "thinking", "thinking": block_text.NO_REASONING, "signature": ""}, *content]

    # What is shown

    def _result(self, block: Block) -> list[Block] | None:
        content = block.get("content")
        if not isinstance(content, list):
            return None
        kept = self._content(content, "tool")
        return None if kept is content else [{**block, "content": kept}]

    def _calls_in_words(self, content: list[Any]) -> frozenset[object]:
        if self.strict:
            return _forged_searches(content)
        return frozenset() if self._blocks is None else _untaken_calls(content, self._blocks)

    def _in_words(self, block: Block, role: object) -> list[Block]:
        """A block that the target doesn't take, as far as anybody can be shown it."""
        kind = str(block.get("type"))[:64]
        if kind == "image" and not self._sees:
            found = [_text(block_text.UNSEEN)]
            self.note("image: left out, the model takes only text")
        else:
            heard: list[str] = []
            parts = block_text.shown(block, heard.append)
            found = [self._as_block(part) for part in parts]
            if self.strict and role == "assistant":  # Claude shows no images, and may show none
                found = [each if each["type"] == "text" else _text(block_text.omitted("image")) for each in found]
            if kind == "document" and any(isinstance(part, Document) and part.text is None for part in parts):
                heard = [NO_SUCH_FILE]
            elif found == [_text(block_text.omitted(kind))]:
                heard = [f"{kind}: left out, only its maker can use it"]
            lost = (what for what in heard if what.startswith(f"{kind}: left out"))
            self.note(next(lost, f"{kind}: told as text"))
        if found and "cache_control" in block:
            found[-1] = {**found[-1], "cache_control": block["cache_control"]}
        return found

    def _as_block(self, part: Shown) -> Block:
        match part:
            case Image(url=str(url)) if self._sees:
                if self._shows_image("url"):
                    return {"type": "image", "source": {"type": "url", "url": url}}
                return _text(block_text.without_image(url))
            case Image() if self._sees:
                source = {"type": "base64", "media_type": part.media_type, "data": part.data}
                return {"type": "image", "source": source}
            case Image():
                return _text(block_text.UNSEEN)
            case Document(text=str(text)):
                return _text(f"[document: {part.name}]\n{text}")
            case Document():
                return _text(block_text.without_file(part))
        return _text(part.text)


def _begun(messages: list[Any], note: block_text.Note) -> list[Any]:
    """``messages`` with one of the user's in front: nobody else may begin."""
    first = messages[0] if messages else None
    if not isinstance(first, dict) or first.get("role") == "user":
        return messages
    note("messages: a conversation that the user did not begin given a beginning")
    return [{"role": "user", "content": [_text(block_text.NOTHING)]}, *messages]


def _source(block: Block) -> object:
    """Where an image or a document is: ``base64``, ``url``, ``file``, …"""
    source = block.get("source")
    return source.get("type") if isinstance(source, Mapping) else None


def _id(block: Block, key: str) -> str | None:
    found = block.get(key)
    return found if isinstance(found, str) else None


def _is_thinking(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") in ("thinking", "redacted_thinking")


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _forged_searches(content: list[Any]) -> frozenset[object]:
    """Ids of searches that weren't Anthropic's: theirs have encrypted results."""
    return frozenset(
        block["tool_use_id"]
        for block in content
        if isinstance(block, dict)
        and block.get("type") == "web_search_tool_result"
        and isinstance(block.get("tool_use_id"), str)
        and isinstance(block.get("content"), list)
        and any(isinstance(page, dict) and not page.get("encrypted_content") for page in block["content"])
    )


def _untaken_calls(content: list[Any], taken: frozenset[str]) -> frozenset[object]:
    """Ids of calls of a backend's own tools whose results are not among the types of blocks that are ``taken``.

    A search may still wait for its result; nobody but Anthropic has other tools of that kind (2026-11).
    """
    blocks = [block for block in content if isinstance(block, dict) and isinstance(block.get("type"), str)]
    answered = {
        block["tool_use_id"]: block["type"] in taken
        for block in blocks
        if block["type"].endswith("_tool_result") and isinstance(block.get("tool_use_id"), str)
    }
    return frozenset(
        block["id"]
        for block in blocks
        if block["type"] == "server_tool_use"
        and isinstance(block.get("id"), str)
        and not answered.get(block["id"], block.get("name") == "web_search")
    )


def _is_forged_citation(citation: object) -> bool:
    return (
        isinstance(citation, dict)
        and citation.get("type") == "web_search_result_location"
        and not citation.get("encrypted_index")
    )
