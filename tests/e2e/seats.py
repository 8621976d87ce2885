"""Backends that take part in one conversation, each in its own seat and as strict as the real one.

All seats play the same turn: they think and call two tools side by side, one of which reads an image; then they
think again and say a sentence. What each thought was is to come back to it, and to nobody else. Everything that
was said and shown before, by whomever, must have reached it.

==============  =============================================================================================
`Anthropic`     refuses what the real one refuses, and thinking that is bound to another conversation
`Loose`         speaks Messages by halves: signatures of no meaning, ids that repeat or have odd characters, and
                members of its own
`OpenAiWire`    one of `tests.e2e.openai_wires`, judged by `tests.e2e.openai_strictness`
`OllamaWire`    Ollama's own API, for a model that the configuration gives a window of its own
==============  =============================================================================================

A seat knows nothing of the router's code.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from attrs import Factory, define, field

from tests.e2e import openai_strictness, replies, strictness, upstream
from tests.e2e.images import png
from tests.e2e.openai_wires import KEY, Json, Wire
from tests.e2e.replies import Block, Reply, Text, Thinking, Use
from tests.e2e.upstream import Received
from tests.translate.ollama import go_types

DEMO = "demo:demo"
Kind = Literal["messages", "chat", "responses", "ollama"]
UNSEEN = "[image omitted: current model is text-only]"


@define
class Told:
    """What the conversation has had so far, whoever took part."""

    folder: Path
    sentences: list[str] = Factory(list)
    images: int = 0
    """How many were shown."""
    thoughts: list[Thinking] = Factory(list)

    def lay_out(self) -> tuple[Path, Path]:
        """An image and a text that are to be read now, unlike all others: nobody shows the same file twice."""
        self.images += 1
        image, notes = self.folder / f"dot{self.images}.png", self.folder / f"notes{self.images}.txt"
        image.write_bytes(png(4, 4, (self.images * 8 % 256, 90, 200)))
        notes.write_text(f"note {self.images}\n")
        return image, notes


@define(eq=False)
class Seat(ABC):
    """One backend. ``model`` is what its provider calls the model."""

    told: Told
    name: str
    model: str
    key: str = KEY
    made: list[Thinking] = Factory(list)
    """Its own thoughts, in their order."""
    asked: list[Received] = Factory(list)
    """The requests of the conversation itself."""

    @property
    def target(self) -> str:
        """How the client asks for it."""
        return f"{self.name}:{self.model}"

    @property
    @abstractmethod
    def kind(self) -> tuple[str, Kind, str]:
        """Its preset, the wire that is spoken to it, and what its base URL has behind the host."""

    def provider(self, url: str) -> str:
        """Its table in the router's configuration."""
        preset, wire, prefix = self.kind
        rows = {"preset": preset, "wire": wire, "base_url": url + prefix, "api_key": self.key}
        return "\n".join([f"[providers.{self.name}]", *(f'{key} = "{value}"' for key, value in rows.items()), ""])

    def answer(self, received: Received) -> Reply:
        """What it says."""
        if (aside := self._aside(received)) is not None:
            return aside
        self.asked.append(received)
        number = len(self.asked)
        thought = Thinking(f"({self.name} thinks, {number})", self._signature(received, number))
        self.made.append(thought)
        self.told.thoughts.append(thought)
        if self._results(received):
            return self._say(received, thought, Text(self.sentence(number)))
        image, notes = self.told.lay_out()
        first, second = self._ids(number)
        return self._say(
            received,
            thought,
            Text("Looking."),
            Use(first, "Read", {"file_path": str(image)}),
            Use(second, "Bash", {"command": f"cat {notes}", "description": "Look"}),
        )

    def sentence(self, number: int) -> str:
        """What it says in the end, when it was asked for the so-manieth time."""
        return f"{self.name} says this, {number}."

    def judge(self, received: Received) -> Iterator[str]:
        """The complaints about a request; none for a good one."""
        where = f"{self.name}, request {received.number}"
        if received.method != "POST":
            return
        yield from (f"{where}: {words}" for words in strictness.about_headers(received.headers))
        yield from (f"{where}: {words}" for words in self._strict(received))
        if self._aside(received) is None:
            yield from (f"{where}: {words}" for words in self._about_history(received))

    def _about_history(self, received: Received) -> Iterator[str]:
        said = json.dumps(received.json)
        yield from (f"{each!r} is missing" for each in self.told.sentences if json.dumps(each)[1:-1] not in said)
        if (seen := self._images(received.json)) != self.told.images:
            yield f"{seen} images of {self.told.images}"
        for thought in self.told.thoughts:
            if thought not in self.made and any(each in said for each in (thought.text, thought.signature)):
                yield f"somebody else's thought: {thought.text}"
        if "ccr1." in said:
            yield "a signature of the router's own"
        own = [self._back(thought) for thought in self.made]
        if (came := self._given_back(received.json)) != own:
            yield f"its own reasoning {[each[:30] for each in own]} came back as {[each[:30] for each in came]}"

    @abstractmethod
    def _aside(self, received: Received) -> Reply | None:
        """The answer to what is no part of the conversation, such as the question whether there is such a model."""

    @abstractmethod
    def _strict(self, received: Received) -> Iterator[str]: ...

    @abstractmethod
    def _say(self, received: Received, *blocks: Block) -> Reply: ...

    @abstractmethod
    def _results(self, received: Received) -> list[Any]:
        """The results that it hasn't seen yet."""

    @abstractmethod
    def _given_back(self, body: Json) -> list[str]: ...

    @abstractmethod
    def _images(self, body: Json) -> int: ...

    def _back(self, thought: Thinking) -> str:
        return thought.signature

    def _signature(self, received: Received, number: int) -> str:
        del received
        return hashlib.md5(f"{self.name} {number}".encode(), usedforsecurity=False).hexdigest()

    def _ids(self, number: int) -> tuple[str, str]:
        del number
        return "call_0", "call_1"  # as many servers number them: anew in each reply


class _Messages(Seat):
    """A backend with the client's own wire."""

    def _aside(self, received: Received) -> Reply | None:
        if (reply := upstream.usual(received)) is not None:
            return reply
        return None if received.json.get("tools") else received.say(Text("Yes."))

    def _say(self, received: Received, *blocks: Block) -> Reply:
        return received.say(*blocks)

    def _results(self, received: Received) -> list[Any]:
        return received.results

    def _given_back(self, body: Json) -> list[str]:
        return [block.get("signature", "(none)") for block in blocks(body) if block["type"] == "thinking"]

    def _images(self, body: Json) -> int:
        return sum(block["type"] == "image" for block in blocks(body))


@define(eq=False)
class Anthropic(_Messages):
    """As strict as the real one, with a model that binds its thinking to what precedes it."""

    name: str = "anthropic"
    model: str = "claude-opus-5-5"

    @property
    def target(self) -> str:
        return self.model  # Claude's names need no provider

    @property
    def kind(self) -> tuple[str, Kind, str]:
        return "anthropic", "messages", ""

    def _strict(self, received: Received) -> Iterator[str]:
        yield from strictness.judge(received.method, received.path, received.headers, received.body)
        if received.kind == "main":
            yield from strictness.about_bonds(received.json["messages"])

    def _signature(self, received: Received, number: int) -> str:
        del number
        return strictness.bond(received.json["messages"])

    def _ids(self, number: int) -> tuple[str, str]:
        return f"toolu_{self.name}_{number}", f"toolu_{self.name}_{number}b"


@define(eq=False)
class Loose(_Messages):
    """vLLM's Messages, with more of its relatives' ways: ids with odd characters, and the same ones in each turn.

    Its blocks have members that are no part of the format; nobody else may get them.
    """

    name: str = "loose"
    model: str = "some-model"

    @property
    def kind(self) -> tuple[str, Kind, str]:
        return "vllm", "messages", ""

    def _strict(self, received: Received) -> Iterator[str]:
        """Its types of blocks, and that they follow each other as chat templates demand."""
        known = {"text", "image", "tool_use", "tool_result", "thinking", "tool_reference", "redacted_thinking"}
        strange = {block["type"] for block in blocks(received.json)} - known
        yield from (f"messages.content: unknown type {kind}" for kind in sorted(strange))
        calls = [block["id"] for block in blocks(received.json) if block["type"] == "tool_use"]
        results = [block["tool_use_id"] for block in blocks(received.json) if block["type"] == "tool_result"]
        if sorted(calls) != sorted(results):
            yield f"the results {results} do not answer the calls {calls}"

    def _say(self, received: Received, *blocks: Block) -> Reply:
        if not received.json.get("stream"):
            return received.say(*blocks)
        frames = received.message(*blocks).events()
        frames[0] = frames[0].replace(b"msg_scripted_%d" % received.number, b"msg_the_same_each_time")
        for kind, member in (
            (b"text", b'"annotations": []'),
            (b"tool_use", b'"provider_specific_fields": {"a": 1}'),
        ):
            begun = b'"content_block": {"type": "%b", ' % kind
            frames = [frame.replace(begun, begun + member + b", ") for frame in frames]
        return Reply(headers=(replies.STREAM,), steps=tuple(frames))

    def _ids(self, number: int) -> tuple[str, str]:
        del number
        return "functions.Read:0", "functions.Bash:1"


@define(eq=False)
class OpenAiWire(Seat):
    """One of OpenAI's wires."""

    wire: Wire = field(kw_only=True)
    sees: bool = field(default=True, kw_only=True)

    @property
    def kind(self) -> tuple[str, Kind, str]:
        chats = self.wire.history_key == "messages"
        return self.wire.preset, "chat" if chats else "responses", self.wire.prefix

    def _aside(self, received: Received) -> Reply | None:
        if received.path != self.wire.path:
            return replies.error(404, "not_found_error", "nothing here")
        if self.wire.form(received.json) is not None:
            return self.wire.say(Text('{"title": "A scripted title"}'))
        return None if received.json.get("tools") else self.wire.say(Text("Yes."))

    def _strict(self, received: Received) -> Iterator[str]:
        if received.path != self.wire.path:
            yield f"{received.method} {received.path}"
        else:
            yield from openai_strictness.judge(self.wire, received.json)

    def _say(self, received: Received, *blocks: Block) -> Reply:
        return self.wire.say(*blocks, number=received.number)

    def _results(self, received: Received) -> list[Any]:
        return self.wire.results(received.json)

    def _given_back(self, body: Json) -> list[str]:
        return self.wire.reasoning(body)

    def _images(self, body: Json) -> int:
        words = json.dumps(self.wire.history(body))
        return words.count("data:image/png;base64,") if self.sees else words.count(UNSEEN)

    def _back(self, thought: Thinking) -> str:
        return self.wire.given_back(thought)

    def _signature(self, received: Received, number: int) -> str:
        del received
        return f"gAAAA-{self.name}-{number}"


@define(eq=False)
class OllamaWire(Seat):
    """Ollama's own API: lines of JSON. It decodes requests into its types, and calls have no ids in old versions."""

    name: str = "ollama"
    model: str = "some-model:8b"

    @property
    def kind(self) -> tuple[str, Kind, str]:
        return "ollama", "ollama", ""

    def provider(self, url: str) -> str:
        model = f'{{ id = "{self.model}", num_ctx = 65536, keep_alive = "30m" }}'
        return f'[providers.{self.name}]\nbase_url = "{url}"\napi_key = "{self.key}"\nmodels = [{model}]\n'

    def _aside(self, received: Received) -> Reply | None:
        if received.path == "/api/show":
            able = ["completion", "tools", "vision", "thinking"]
            told = {"capabilities": able, "model_info": {"some.context_length": 131_072}}
            return Reply(steps=(json.dumps(told).encode(),))
        if received.path == "/api/ps":
            # What somebody else loaded it with is no reason to refuse what our own request loads it with.
            return Reply(steps=(json.dumps({"models": [{"name": self.model, "context_length": 4096}]}).encode(),))
        if received.path != "/api/chat":
            return Reply(status=404, steps=(b'{"error":"not found"}',))
        if received.json.get("format") is not None:
            return self._say(received, Text('{"title": "A scripted title"}'))
        return None if received.json.get("tools") else self._say(received, Text("Yes."))

    def _strict(self, received: Received) -> Iterator[str]:
        if received.path == "/api/show":
            return
        if received.path != "/api/chat":
            yield f"{received.method} {received.path}"
            return
        try:
            go_types.check(received.json)
        except AssertionError as error:
            yield f"its decoder would not take this: {error}"
        waiting: list[tuple[str, str]] = []
        for message in received.json["messages"]:
            if message["role"] == "tool":
                answered = (message["tool_name"], message["tool_call_id"])
                if not waiting or waiting.pop(0) != answered:
                    yield f"a result of {answered} that is none of the call before it"
            elif waiting:
                yield f"the calls {waiting} are followed by {message['role']}"
            waiting = waiting or [(each["function"]["name"], each["id"]) for each in message.get("tool_calls", ())]

    def _say(self, received: Received, *blocks: Block) -> Reply:
        del received
        pieces: list[dict[str, Any]] = []
        for block in blocks:
            match block:
                case Thinking(text):
                    pieces += [{"content": "", "thinking": half} for half in (text[:5], text[5:])]
                case Text(text):
                    pieces += [{"content": half} for half in (text[:5], text[5:])]
                case Use(_, name, given):
                    pieces.append(
                        {"content": "", "tool_calls": [{"function": {"name": name, "arguments": given}}]}
                    )
        end = {"done": True, "done_reason": "stop", "prompt_eval_count": 2000, "eval_count": 20}
        lines = [{"message": {"role": "assistant", **piece}, "done": False} for piece in pieces]
        lines.append({"message": {"role": "assistant", "content": ""}, **end})
        written = tuple(json.dumps({"model": self.model, **line}).encode() + b"\n" for line in lines)
        return Reply(headers=(("content-type", "application/x-ndjson"),), steps=written)

    def _results(self, received: Received) -> list[Any]:
        messages = received.json["messages"]
        said = [place for place, each in enumerate(messages) if each["role"] == "assistant"]
        return [each for each in messages[said[-1] + 1 if said else 0 :] if each["role"] == "tool"]

    def _given_back(self, body: Json) -> list[str]:
        return [each["thinking"] for each in body["messages"] if each.get("thinking")]

    def _images(self, body: Json) -> int:
        return sum(len(each.get("images", ())) for each in body["messages"])

    def _back(self, thought: Thinking) -> str:
        return thought.text


def blocks(body: Json) -> Iterator[dict[str, Any]]:
    """All blocks of the messages, those in results too."""
    for message in body.get("messages", ()):
        for block in message["content"] if isinstance(message["content"], list) else ():
            yield block
            yield from block["content"] if isinstance(block.get("content"), list) else ()
