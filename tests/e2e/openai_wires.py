"""Scripted backends that speak OpenAI's wires: how each says something, and how its requests are read.

Four of them, so that each wire is seen by the book and with what its backends are strict about:

===============  ==========  ====================================================================================
``deepseek``     chat        wants its ``reasoning_content`` back, takes no images
``openrouter``   chat        wants its ``reasoning_details`` back, takes images and PDFs
``openai``       responses   searches the web by itself, wants its encrypted reasoning back
``codex``        responses   a ChatGPT login, a cache key for each conversation, refuses limits
===============  ==========  ====================================================================================

Written against the documents of OpenAI's wires and of these vendors, and with none of the router's code.
"""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from attrs import frozen

from tests.e2e import replies
from tests.e2e.replies import STREAM, Reply, Text, Thinking, Use
from tests.e2e.sandbox import Sandbox

MODEL = "work:some-model"
KEY = "sk-scripted-key"
ACCOUNT = "account-of-the-test"

CONFIG = """
default = "work"
[providers.work]
preset = "{preset}"
wire = "{wire}"
base_url = "UPSTREAM{prefix}"
models = ["some-model"]
{key}
"""

Json = dict[str, Any]
PAGE = {"type": "url", "url": "https://docs.example.com/wires"}


@frozen
class Search:
    """The backend's own search, with one page found."""

    query: str


Block = Text | Thinking | Use | Search


@frozen(kw_only=True)
class Wire(ABC):
    """One backend's side of its wire."""

    preset: str
    prefix: str = ""
    """What its base URL has behind the host."""
    path: str
    history_key: Literal["messages", "input"]

    @property
    def config(self) -> str:
        """The router's configuration, UPSTREAM where the address belongs."""
        wire = "chat" if self.history_key == "messages" else "responses"
        key = "" if self.preset == "codex" else f'api_key = "{KEY}"'
        return CONFIG.format(preset=self.preset, wire=wire, prefix=self.prefix, key=key)

    def history(self, body: Json) -> list[Json]:
        """The conversation in a request."""
        found = body[self.history_key]
        assert isinstance(found, list)
        return found

    def before(self, body: Json) -> Json:
        """What stands in front of the conversation, or is part of what a prompt cache compares."""
        return {key: body.get(key) for key in ("model", "instructions", "tools")}

    def latest(self, body: Json) -> list[Json]:
        """The part of the conversation that the model has not answered yet."""
        history = self.history(body)
        said = [at for at, entry in enumerate(history) if self._is_models(entry)]
        return history[said[-1] + 1 :] if said else history

    def tools(self, body: Json) -> list[str]:
        """The names of the tools that are offered."""
        return [(tool.get("function") or tool).get("name", tool["type"]) for tool in body.get("tools") or []]

    def stream(self, events: Sequence[Json | str]) -> Reply:
        """A stream of these events, one a write."""
        return Reply(headers=(STREAM,), steps=tuple(map(self._frame, events)))

    def say(self, *blocks: Block, number: int = 0) -> Reply:
        """A whole reply, always streamed. ``number``: which one it is in the conversation."""
        return self.stream(self.events(*blocks, number=number))

    def refuse(self, status: int, message: str, **more: Any) -> Reply:
        """A refusal in OpenAI's envelope."""
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}
        return Reply(status=status, steps=(json.dumps({"error": error}).encode(),))

    @abstractmethod
    def events(self, *blocks: Block, number: int = 0) -> list[Json | str]:
        """What `say` sends."""

    @abstractmethod
    def begun(self, text: str) -> list[Json | str]:
        """The beginning of a reply that says ``text`` and more."""

    @abstractmethod
    def failing(self, message: str) -> Json:
        """The event by which a reply fails in the middle."""

    @abstractmethod
    def overflow(self) -> Reply:
        """The refusal of a prompt that is too long."""

    @abstractmethod
    def results(self, body: Json) -> list[str]:
        """The texts of the results that the model has not seen yet, in their order."""

    @abstractmethod
    def reasoning(self, body: Json) -> list[str]:
        """What is given back of each reply's reasoning, in the form in which it is needed back."""

    @abstractmethod
    def attached(self, body: Json) -> list[tuple[str, bytes]]:
        """Media type and bytes of the images and files that the model has not seen yet."""

    @abstractmethod
    def given_back(self, thinking: Thinking) -> str:
        """What `reasoning` says of a reply that began with ``thinking``."""

    @abstractmethod
    def form(self, body: Json) -> Json | None:
        """The JSON Schema that the answer must fit."""

    @abstractmethod
    def _is_models(self, entry: Json) -> bool: ...

    @abstractmethod
    def _frame(self, event: Json | str) -> bytes: ...


@frozen(kw_only=True)
class Chat(Wire):
    """Chat Completions. ``field``: where reasoning stands in a delta, and in a message that gives it back."""

    field: Literal["reasoning_content", "reasoning_details"]
    history_key: Literal["messages", "input"] = "messages"

    def events(self, *blocks: Block, number: int = 0) -> list[Json | str]:
        del number
        events: list[Json | str] = [_chunk(role="assistant", content="")]
        uses = [block for block in blocks if isinstance(block, Use)]
        for block in blocks:
            match block:
                case Thinking():
                    events += [_chunk(**delta) for delta in self._reasoning(block)]
                case Text(text):
                    events += [_chunk(content=piece) for piece in _pieces(text)]
                case Search():
                    raise AssertionError("this wire has no search")
        # Side by side, as some servers send parallel calls.
        whole = [json.dumps(use.input) for use in uses]
        for at, use in enumerate(uses):
            function = {"name": use.name, "arguments": ""}
            events.append(_call(at, id=use.id, type="function", function=function))
        events += [_call(at, function={"arguments": text[:9]}) for at, text in enumerate(whole)]
        events += [_call(at, function={"arguments": text[9:]}) for at, text in enumerate(whole)]
        usage = {"prompt_tokens": 5000, "completion_tokens": 20, "total_tokens": 5020}
        details = {"prompt_tokens_details": {"cached_tokens": 1000}}
        finish = _chunk("tool_calls" if uses else "stop")
        return [*events, finish, {"choices": [], "usage": usage | details}, "[DONE]"]

    def begun(self, text: str) -> list[Json | str]:
        return [_chunk(role="assistant", content=""), *(_chunk(content=piece) for piece in _pieces(text))]

    def failing(self, message: str) -> Json:
        return {"error": {"message": message, "type": "server_error", "param": None, "code": 502}}

    def overflow(self) -> Reply:
        words = "This model's maximum context length is 200000 tokens. However, your messages resulted in 250001 tokens."
        return self.refuse(400, words, param="messages", code="context_length_exceeded")

    def results(self, body: Json) -> list[str]:
        return [_text_of(entry["content"]) for entry in self.latest(body) if entry["role"] == "tool"]

    def reasoning(self, body: Json) -> list[str]:
        found = [entry.get(self.field) for entry in self.history(body) if entry["role"] == "assistant"]
        # A blank stands where others' answers have none, and a vendor insists on the member.
        return [each if isinstance(each, str) else _sorted(each) for each in found if each and each != " "]

    def given_back(self, thinking: Thinking) -> str:
        return thinking.text if self.field == "reasoning_content" else _sorted([_detail(thinking)])

    def attached(self, body: Json) -> list[tuple[str, bytes]]:
        contents = [entry["content"] for entry in self.latest(body) if isinstance(entry["content"], list)]
        parts = [part for content in contents for part in content if part["type"] != "text"]
        urls = [part["image_url"]["url"] if "image_url" in part else part["file"]["file_data"] for part in parts]
        return [_data(url) for url in urls]

    def form(self, body: Json) -> Json | None:
        wanted: Json | None = body.get("response_format", {}).get("json_schema", {}).get("schema")
        return wanted

    def _reasoning(self, thinking: Thinking) -> Iterator[Json]:
        if self.field == "reasoning_content":
            yield from ({"reasoning_content": piece} for piece in _pieces(thinking.text))
        else:
            yield {"reasoning": thinking.text, "reasoning_details": [_detail(thinking)]}

    def _is_models(self, entry: Json) -> bool:
        return bool(entry["role"] == "assistant")

    def _frame(self, event: Json | str) -> bytes:
        return f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()


@frozen(kw_only=True)
class Responses(Wire):
    """OpenAI's Responses. ``repeats``: the last event has all items once more; ChatGPT's has none."""

    repeats: bool
    history_key: Literal["messages", "input"] = "input"

    def events(self, *blocks: Block, number: int = 0) -> list[Json | str]:
        response: Json = {"id": f"resp_{number}", "object": "response", "status": "in_progress", "output": []}
        events: list[Json | str] = [{"type": "response.created", "response": response}]
        items: list[Json] = []
        for at, block in enumerate(blocks):
            item, deltas = _item(block, f"{number}_{at}")
            place = {"output_index": at, "item_id": item["id"]}
            events.append({"type": "response.output_item.added", "output_index": at, "item": _opened(item)})
            events += [{**place, **delta} for delta in deltas]
            events.append({"type": "response.output_item.done", "output_index": at, "item": item})
            items.append(item)
        usage = {"input_tokens": 5000, "output_tokens": 20, "input_tokens_details": {"cached_tokens": 1000}}
        ended = {**response, "status": "completed", "output": items if self.repeats else [], "usage": usage}
        return [*events, {"type": "response.completed", "response": ended}]

    def begun(self, text: str) -> list[Json | str]:
        whole = self.events(Text(text))
        return [
            event
            for event in whole
            if isinstance(event, dict) and not event["type"].endswith(("done", "completed"))
        ]

    def failing(self, message: str) -> Json:
        error = {"code": "server_error", "message": message}
        return {"type": "response.failed", "response": {"id": "resp_x", "status": "failed", "error": error}}

    def overflow(self) -> Reply:
        words = "Your input exceeds the context window of this model. Please adjust your input and try again."
        if self.preset == "codex":
            error = {"code": "context_length_exceeded", "message": words}
            failed = {"type": "response.failed", "response": {"id": "r", "status": "failed", "error": error}}
            return self.stream([*self.events()[:1], failed])
        return self.refuse(400, words, param="input", code="context_length_exceeded")

    def results(self, body: Json) -> list[str]:
        outputs = [entry for entry in self.latest(body) if entry["type"] == "function_call_output"]
        return [_text_of(entry["output"]) for entry in outputs]

    def reasoning(self, body: Json) -> list[str]:
        return [entry["encrypted_content"] for entry in self.history(body) if entry["type"] == "reasoning"]

    def given_back(self, thinking: Thinking) -> str:
        return thinking.signature

    def attached(self, body: Json) -> list[tuple[str, bytes]]:
        contents = [entry.get("output", entry.get("content")) for entry in self.latest(body)]
        parts = [part for content in contents if isinstance(content, list) for part in content]
        urls = [part.get("image_url") or part.get("file_data") for part in parts]
        return [_data(url) for url in urls if url]

    def form(self, body: Json) -> Json | None:
        wanted: Json | None = body.get("text", {}).get("format", {}).get("schema")
        return wanted

    def _is_models(self, entry: Json) -> bool:
        return entry["type"] in {"reasoning", "function_call"} or entry.get("role") == "assistant"

    def _frame(self, event: Json | str) -> bytes:
        assert isinstance(event, dict)
        return replies.frame(event)


DEEPSEEK = Chat(preset="deepseek", path="/chat/completions", field="reasoning_content")
OPENROUTER = Chat(preset="openrouter", path="/v1/chat/completions", field="reasoning_details")
OPENAI = Responses(preset="openai", prefix="/v1", path="/v1/responses", repeats=True)
CODEX = Responses(preset="codex", prefix="/backend-api/codex", path="/backend-api/codex/responses", repeats=False)


def log_in_to_codex(sandbox: Sandbox) -> str:
    """Pretends that the user is logged in to ChatGPT; gives the token that requests must show."""

    def part(value: Json) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    token = f"{part({'alg': 'none'})}.{part({'exp': 4102444800})}.c2lnbmF0dXJl"  # good until 2100
    folder = sandbox.home / ".codex"
    folder.mkdir(mode=0o700)
    path = folder / "auth.json"
    tokens = {"id_token": token, "access_token": token, "refresh_token": "rt-pretended", "account_id": ACCOUNT}
    path.write_text(json.dumps({"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens}))
    path.chmod(0o600)
    return token


# Pieces of replies


def _pieces(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)]


def _chunk(finish: str | None = None, **delta: Any) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}


def _call(index: int, **fields: Any) -> Json:
    return _chunk(tool_calls=[{"index": index, **fields}])


def _detail(thinking: Thinking) -> Json:
    return {
        "type": "reasoning.text",
        "text": thinking.text,
        "signature": thinking.signature,
        "format": "unknown",
        "index": 0,
    }


def _item(block: Block, name: str) -> tuple[Json, list[Json]]:
    """An item of a reply, and the fragments in which it is told."""
    match block:
        case Thinking(text, signature):
            summary = [{"type": "summary_text", "text": text}]
            item = {"type": "reasoning", "id": f"rs_{name}", "summary": summary, "encrypted_content": signature}
            kind, more = "response.reasoning_summary_text.delta", {"summary_index": 0}
        case Text(text):
            content = [{"type": "output_text", "text": text, "annotations": []}]
            item = {"type": "message", "id": f"msg_{name}", "role": "assistant", "content": content}
            kind, more = "response.output_text.delta", {"content_index": 0}
        case Use(id_, tool, input_):
            text = json.dumps(input_)
            item = {"type": "function_call", "id": f"fc_{name}", "call_id": id_, "name": tool, "arguments": text}
            kind, more = "response.function_call_arguments.delta", {}
        case Search(query):
            action = {"type": "search", "query": query, "sources": [PAGE]}
            return {"type": "web_search_call", "id": f"ws_{name}", "status": "completed", "action": action}, []
    return item, [{"type": kind, **more, "delta": piece} for piece in _pieces(text)]


def _opened(item: Json) -> Json:
    empty = {"content": [], "summary": [], "arguments": "", "encrypted_content": "not whole yet"}
    return {key: empty.get(key, value) for key, value in item.items()}


# Pieces of requests


def _sorted(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _text_of(content: str | list[Json]) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _data(url: str) -> tuple[str, bytes]:
    head, _, data = url.partition(",")
    assert head.startswith("data:"), url[:80]
    return head.removeprefix("data:").removesuffix(";base64"), base64.b64decode(data, validate=True)
