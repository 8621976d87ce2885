"""What a target is shown: what its wire writes of pictures, files and thinking, known before it is written."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target, Wire
from ccrouter.translate import sight
from ccrouter.translate.dialects import spoken
from ccrouter.translate.provenance import Origin, sign
from ccrouter.wire.messages import read_request

GENUINE = "EqQBCkYIBBgCKkAz" * 8
DATA = "iVBORw0KGgoDATA="
LINK = "https://x.example/thing"
PLACES = {
    "base64": {"type": "base64", "media_type": "image/png", "data": DATA},
    "url": {"type": "url", "url": LINK},
    "file": {"type": "file", "file_id": "file_1"},
}
#: How each wire signs reasoning that it can take back as words.
SIGNED: dict[Wire, dict[str, str]] = {
    "messages": {"f": "messages", "s": "QUFB"},
    "chat": {"f": "reasoning"},
    "responses": {"f": "responses"},
    "ollama": {"f": "messages"},
}
WIRES: tuple[Wire, ...] = ("messages", "chat", "responses", "ollama")
SPOKEN = [(name, wire) for name, row in PRESETS.items() for wire in WIRES if row.path(wire) is not None]


def target(preset: str, wire: Wire | None = None, *, model: str = "m", **facts: Any) -> Target:
    row = PRESETS[preset]
    provider = Provider(name=preset, preset=row, base_url=row.base_url or "https://x.example", wire=wire)
    return Target(provider, model, Model(model, **facts))


def sent(to: Target, wire: Wire, *blocks: object, role: str = "user") -> str:
    """The body of a request with these blocks in it, in the middle of a conversation."""
    messages = [
        {"role": "user", "content": "hi"},
        {"role": role, "content": blocks},
        {"role": "user", "content": "so?"},
    ]
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": messages}).encode()
    return spoken(wire, to).render(read_request(body), to, [], "", "messages").body.decode()


@pytest.mark.parametrize("vision", [None, True, False])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("preset", "wire"), SPOKEN)
def test_what_is_shown_of_pictures_and_files_is_what_is_sent(preset, wire, place, vision):
    to = target(preset, wire, vision=vision)
    seeing = sight.of(to)
    value = {"base64": DATA, "url": LINK, "file": "file_1"}[place]
    for kind, shows in (("image", seeing.shows_image), ("document", seeing.shows_file)):
        body = sent(to, wire, {"type": kind, "source": PLACES[place]})
        there = value in re.sub(r"\[\w+ omitted[^\]]*\]", "", body)
        assert shows(place) == there, kind


@pytest.mark.parametrize("preset_wire", SPOKEN)
@pytest.mark.parametrize("signature", ["own", "elsewhere", "broken", "", "b2s=", "gAAAAA", GENUINE])
def test_no_thinking_is_sent_that_is_not_shown(preset_wire, signature):
    preset, wire = preset_wire
    to = target(preset, wire)
    ours = {"own": preset, "elsewhere": "elsewhere", "broken": preset}
    if signature in ours:
        signature = sign(Origin(ours[signature], "m", SIGNED[wire]))[: -1 if signature == "broken" else None]
    thinking = {"type": "thinking", "thinking": "a thought", "signature": signature}
    body = sent(to, wire, thinking, {"type": "text", "text": "a"}, role="assistant")
    assert sight.of(to).shows_thinking(signature) or "a thought" not in body


@pytest.mark.parametrize(
    ("preset", "wire", "shown"),
    [
        ("anthropic", "messages", {"its own", "Claude's", "somebody's"}),
        ("ollama", "messages", {"its own", "somebody's", "nobody's"}),
        ("ollama", "chat", {"its own"}),
        ("ollama", "ollama", {"its own"}),
        ("openai", "responses", {"its own"}),
        ("lmstudio", "chat", set()),
    ],
)
def test_thinking_is_shown_to_who_may_have_made_it(preset, wire, shown):
    signatures = {
        "its own": sign(Origin(preset, "m")),
        "another's": sign(Origin("elsewhere", "m")),
        "Claude's": GENUINE,
        "somebody's": "b2s=",
        "nobody's": "",
    }
    seeing = sight.of(target(preset, wire))
    assert {whose for whose, each in signatures.items() if seeing.shows_thinking(each)} == shown


@pytest.mark.parametrize(("model", "shown"), [("openai/gpt-oss-20b", True), ("llama-3.3-70b", False)])
def test_a_model_that_takes_no_reasoning_is_shown_none_of_its_neighbours(model, shown):
    assert sight.of(target("groq", model=model)).shows_thinking(sign(Origin("groq", "m"))) is shown


def test_what_lies_in_a_place_without_a_name_is_not_shown():
    places: list[Any] = [None, [], {}, 5]
    for place in places:
        assert not sight.of(target("ollama")).shows_image(place)


def test_where_a_gateway_serves_claude_it_is_shown_what_claude_is():
    assert sight.of(target("openrouter", model="anthropic/claude-x")).files is None
    assert sight.of(target("openrouter", model="qwen/x")).files is not None
