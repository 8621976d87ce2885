"""Which wire a backend is spoken to by."""

from __future__ import annotations

from attrs import evolve

from ccrouter.providers.provider import Target
from tests.rig import Script, provider, rig


def test_what_a_backend_fell_back_to_holds_for_it_alone() -> None:
    backends = rig(Script()).backends
    fell = provider("work", "responses")
    assert backends.wire(Target(fell, "m")) == "responses"
    backends.fall(fell, "chat")
    assert backends.wire(Target(fell, "m")) == "chat"
    assert backends.wire(Target(evolve(fell, base_url="https://elsewhere.example"), "m")) == "responses"
    assert backends.wire(Target(provider("play", "responses"), "m")) == "responses"


def test_who_can_count_a_messages_request_is_asked_in_that_form() -> None:
    backends = rig(Script()).backends
    llama = Target(provider("llamacpp", wire="chat"), "m")
    assert llama.provider.preset.count_path is not None
    assert (backends.wire(llama), backends.wire(llama, "count_tokens")) == ("chat", "messages")
    openai = Target(provider("openai"), "m")
    assert backends.wire(openai, "count_tokens") == openai.wire
