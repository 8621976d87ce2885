"""What a client asked for, and which wire a backend is spoken to by."""

from __future__ import annotations

import pytest
from attrs import evolve

from ccrouter.providers.provider import Target
from tests.attempt.calls import inbound
from tests.rig import Script, provider, rig


@pytest.mark.parametrize("stream", [True, False])
def test_who_asks_for_a_count_waits_for_no_stream(stream: bool) -> None:
    asked = inbound(stream=stream)
    assert asked.streamed is stream
    assert not evolve(asked, endpoint="count_tokens").streamed


def test_no_header_and_no_credential_is_in_a_repr() -> None:
    assert "secret" not in repr(evolve(inbound(), headers=[(b"x-a", b"secret")]))


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
