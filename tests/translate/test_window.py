"""Whether a request fits into a window, before it is sent."""

from __future__ import annotations

import json
import math
import re

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.providers.known import known
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.translate import most_tokens, tokens, window
from ccrouter.wire.claude_code import ATTRIBUTION
from ccrouter.wire.messages import MessagesRequest, read_request
from tests.e2e.tokenizers_check import TOLERANCE
from tests.translate.dialogues import any_fields
from tests.translate.test_media import image, png, source

SAID = re.compile(r"prompt is too long: (\d+) tokens > (\d+) maximum")


def request(words: str = "some words of a prompt " * 2_000) -> MessagesRequest:
    fields = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": words}]}
    return read_request(json.dumps(fields, ensure_ascii=False).encode())


LONG = request()
COUNT = tokens.estimate(LONG.fields)
MOST = most_tokens.of(LONG)


def target(preset: str = "ollama", **facts) -> Target:
    url = PRESETS[preset].base_url or "https://x.example"
    return Target(Provider(name="there", preset=PRESETS[preset], base_url=url), "m", Model("m", **facts))


def refused(preset: str = "ollama", asked: MessagesRequest = LONG, **facts) -> str | None:
    error = window.too_long(asked, target(preset, **facts))
    if error is None:
        return None
    assert (error.status, error.kind) == (400, "invalid_request_error")
    return error.message


def test_the_margin_is_the_one_that_is_measured():
    assert window.MARGIN == TOLERANCE


def test_where_prompts_are_cut_in_silence_one_must_fit_even_if_the_estimate_is_too_low():
    padded = math.ceil(MOST * (1 + most_tokens.MARGIN))
    assert refused(loaded=padded) is None
    assert refused(loaded=padded - 1) == f"prompt is too long: {padded} tokens > {padded - 1} maximum"
    assert refused(loaded=COUNT - 1) == f"prompt is too long: {COUNT} tokens > {COUNT - 1} maximum"


@pytest.mark.parametrize(
    "system", [f"{ATTRIBUTION} a=b; ", [{"type": "text", "text": "hi"}, {"type": "text", "text": ATTRIBUTION}]]
)
def test_what_begins_as_the_attribution_and_is_sent_takes_room(system):
    asked = json.loads(LONG.text)
    prompt = asked["messages"].pop()["content"]
    if isinstance(system, str):
        system += prompt
    else:
        system[1]["text"] += prompt
    asked["system"] = system
    assert refused(asked=read_request(json.dumps(asked).encode()), loaded=COUNT - 1) is not None


def test_numbers_of_which_each_digit_is_a_token_are_not_cut():
    asked = request(
        "\n".join(f"{number * 7_919 % 100_003},{number * 104_729 % 99_991}" for number in range(4_000))
    )
    digits = sum(map(str.isdigit, asked.text))
    assert tokens.of(asked) * 1.15 < digits  # by the ordinary estimate it would fit
    assert refused(asked=asked, loaded=digits) is not None
    assert window.wants_loading(request("1234567890" * 450), target())


@pytest.mark.parametrize("preset", ["lmstudio", "llamacpp"])
def test_where_prompts_fail_one_must_not_fit_even_if_the_estimate_is_too_high(preset):
    least = math.ceil(COUNT * 0.85)
    assert refused(preset, loaded=COUNT - 1) is None
    assert refused(preset, loaded=least) is None
    assert refused(preset, loaded=least - 1) == f"prompt is too long: {COUNT} tokens > {least - 1} maximum"


def test_who_says_it_itself_is_left_to_it():
    telling = [name for name, row in PRESETS.items() if row.overflow == "tells"]
    assert {"anthropic", "openai", "vllm", "openrouter"} <= set(telling)
    for preset in telling:
        assert refused(preset, window=10, loaded=10) is None


def configured(**facts) -> Target:
    """On Ollama's own wire, as the configuration says of the model."""
    row = PRESETS["ollama"]
    to = Provider(name="there", preset=row, base_url=row.base_url or "", models=(Model("m", **facts),))
    return Target(to, "m")


def test_a_window_that_requests_ask_for_holds_and_one_must_not_fit_even_if_the_estimate_is_too_high():
    least = math.ceil(COUNT * 0.85)
    assert window.too_long(LONG, configured(num_ctx=least)) is None
    told = window.too_long(LONG, configured(num_ctx=least - 1))
    assert told is not None
    assert told.message == f"prompt is too long: {COUNT} tokens > {least - 1} maximum"
    # What it happens to be loaded with is not what the next request loads it with.
    found = configured(num_ctx=COUNT)
    assert window.too_long(LONG, evolve(found, facts=Model("m", loaded=10, num_ctx=COUNT))) is None
    assert window.too_long(LONG, evolve(found, facts=Model("m", window=10, num_ctx=COUNT))) is not None


def test_a_model_that_requests_load_is_never_loaded_for_a_question():
    assert window.wants_loading(LONG, target(local=True))
    for facts in ({"num_ctx": 8_192}, {"keep_alive": 60.0}):
        assert not window.wants_loading(LONG, evolve(configured(**facts), facts=Model("m", local=True)))


def test_a_window_that_nobody_has_told_refuses_nothing():
    assert refused() is None
    assert refused(window=10, sources={"window": "guess"}) is None


def test_a_model_that_could_have_more_is_told_how():
    said = refused(window=262_144, loaded=4_096)
    assert said is not None
    assert SAID.match(said)
    assert said.endswith(
        "(the model could have 262144: set its num_ctx in the configuration, or OLLAMA_CONTEXT_LENGTH where "
        "`ollama serve` runs)"
    )
    alone = refused(window=4_096, loaded=4_096)
    assert alone is not None
    assert SAID.fullmatch(alone)


def test_what_surely_fits_is_not_counted(monkeypatch):
    monkeypatch.setattr(tokens, "Count", lambda *_: pytest.fail("it was"))
    assert refused(asked=request("word " * 1_000), loaded=8_192) is None
    assert not window.wants_loading(request("hi"), target(local=True))


def test_what_is_shown_by_its_url_is_counted_however_short_that_is():
    image = {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}
    many = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [image] * 8}]}
    asked = read_request(json.dumps(many).encode())
    assert len(asked.text) < 8_192 < tokens.of(asked)
    assert refused("llamacpp", asked, loaded=8_192) is not None
    assert refused("ollama", asked, loaded=8_192) is None  # which takes no links: their addresses are told


SCREENSHOT = image(png(1_500, 1_000))
PDF = {"type": "document", "source": source(b"%PDF-1.4" + bytes(120_000))}
CLAUDES = {"type": "thinking", "thinking": "word " * 6_000, "signature": "EqQBCkYIBBgCKkAz" * 8}


@pytest.mark.parametrize("wire", ["messages", "chat", "ollama"])
@pytest.mark.parametrize(
    ("block", "count", "vision"), [(SCREENSHOT, 24, False), (PDF, 4, True), (PDF, 4, None), (CLAUDES, 5, None)]
)
def test_what_the_model_is_not_shown_takes_no_room(wire, block, count, vision):
    role = "assistant" if block is CLAUDES else "user"
    said = [{"role": role, "content": [block] * count}, {"role": "user", "content": "what now?"}]
    asked = read_request(json.dumps({"model": "m", "max_tokens": 1, "messages": said}).encode())
    to = target(loaded=8_192, vision=vision)
    to = evolve(to, provider=evolve(to.provider, wire=wire))
    assert tokens.of(asked) > 20_000
    assert tokens.of(asked, to) < 700
    assert window.too_long(asked, to) is None
    assert not window.wants_loading(asked, evolve(to, facts=evolve(to.known, loaded=None)))
    # What it is shown does, in whichever company.
    seen = evolve(to, facts=evolve(to.known, vision=True))
    both = read_request(json.dumps({**asked.fields, "system": "word " * 12_000}).encode())
    assert window.too_long(both, to) is not None
    assert (window.too_long(asked, seen) is None) == (block is not SCREENSHOT)


def test_only_what_might_be_cut_waits_for_its_model_to_be_loaded():
    assert window.wants_loading(LONG, target(local=True, window=262_144))
    # What it is loaded with may be another program's wish.
    assert window.wants_loading(LONG, target(local=True, loaded=262_144))
    assert window.wants_loading(LONG, target(local=True, loaded=4_096, window=262_144))
    assert window.wants_loading(request("short " * 900), target(local=True, loaded=512))
    assert not window.wants_loading(LONG, target(local=True, loaded=4_096, window=8_192))  # it can't fit at all
    assert not window.wants_loading(LONG, target(remote=True))  # its cloud's own
    assert not window.wants_loading(LONG, target("lmstudio", local=True))
    assert not window.wants_loading(request("short " * 900), target(local=True))


@pytest.mark.parametrize("url", ["http://127.0.0.1:11434", "http://192.168.1.50:11434", "http://ollama.lan:11434"])
def test_a_model_is_loaded_on_whichever_machine_it_is(url):
    there = Provider(name="there", preset=PRESETS["ollama"], base_url=url)
    for told, wanted in ((), True), ([Model("m", window=262_144)], True), ([Model("m", remote=True)], False):
        assert window.wants_loading(LONG, Target(there, "m", known(there, "m", told))) is wanted


@given(any_fields, st.integers(1, 3_000), st.sampled_from(["ollama", "lmstudio", "llamacpp"]))
def test_whoever_is_refused_is_told_more_than_the_most(fields, room, preset):
    asked = read_request(json.dumps({"model": "m", "max_tokens": 1, **fields}).encode())
    said = refused(preset, asked, loaded=room)
    if said is not None:
        numbers = SAID.match(said)
        assert numbers is not None
        assert int(numbers[1]) > int(numbers[2]) == room
