from __future__ import annotations

import json
import random
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from ccrouter.errors import ApiError, TruncatedStream
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.translate.dialect import Endpoint
from ccrouter.translate.headers import reply_headers
from ccrouter.translate.messages import lane
from ccrouter.translate.messages.watch import StreamWatch
from ccrouter.translate.rewording import is_refusal, reword
from ccrouter.wire import envelope, spans
from ccrouter.wire import headers as http
from ccrouter.wire.claude_code import ATTRIBUTION
from ccrouter.wire.messages import read_request
from tests import golden
from tests.golden import Message
from tests.strategies import json_keys, json_objects, json_values

CASES = sorted((Path(__file__).parent.parent.parent / "cases" / "lane").glob("*.case"))


# Golden cases


def target_of(text):
    said = dict(line.split(": ", 1) for line in text.splitlines())
    preset = PRESETS[said["preset"]]
    base_url = said.get("base_url") or preset.base_url
    assert base_url is not None
    return Target(Provider(name=preset.name, preset=preset, base_url=base_url), said["model"])


def send(target, request):
    """What the backend gets, and what changed; or how the client is refused."""
    method, address = request.first.split(" ")
    asked = urlsplit(address)
    endpoint: Endpoint = "count_tokens" if asked.path.endswith("count_tokens") else "messages"
    try:
        outbound = lane.render(read_request(request.body), target, request.headers, asked.query, endpoint)
    except ApiError as error:
        return None, None, refusal(error)
    sent = Message(f"{method} {outbound.url}", outbound.headers, outbound.body)
    return sent, "".join(f"{each}\n" for each in outbound.changes), None


def refusal(error):
    headers = [(name.encode(), value.encode()) for name, value in error.headers]
    return Message(f"HTTP {error.status}", headers, envelope.write(error, "req_1"))


def answer(request, target, reply, chunks):
    """What the client gets of a reply that comes in ``chunks``, and the verdict."""
    preset = target.provider.preset
    status = int(reply.first.removeprefix("HTTP "))
    headers = reply_headers(reply.headers, preset, decoded=False)
    if not is_refusal(status, reply.headers) and http.get(reply.headers, b"content-type") == b"text/event-stream":
        watch = StreamWatch()
        passed = b"".join([watch.feed(chunk) for chunk in chunks])
        try:
            passed += watch.close()
            verdict = "ended by the stream itself"
        except TruncatedStream as error:
            verdict = f"TruncatedStream: {error}"
        return Message(reply.first, headers, passed), f"{verdict}; first: {watch.first}\n"
    body = b"".join(chunks)
    if is_refusal(status, reply.headers):
        reworded = reword(request, target, status, reply.headers, body)
        if reworded is not None:
            return refusal(reworded), "reworded\n"
        return Message(reply.first, headers, body), "refused in the backend's own words\n"
    return Message(reply.first, headers, body), "whole\n"


def ways_to_cut(body, seed):
    """Whole, byte by byte, and at a few places that are the same in every run."""
    yield [body]
    yield [body[place : place + 1] for place in range(len(body))]
    chance = random.Random(seed)
    for _ in range(20):
        places = sorted(chance.randint(0, len(body)) for _ in range(chance.randint(1, 8)))
        yield [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]


def play(given, seed):
    """The whole case as it comes out. ``given`` has what the case says of target, request and reply."""
    target = target_of(given["target"])
    sections = {"target": given["target"], "request": given["request"]}
    sent, changes, refused = send(target, given["request"])
    if refused is not None:
        return sections | {"client": refused}
    sections |= {"sent": sent, "changes": changes}
    if "reply" not in given:
        return sections
    request = read_request(given["request"].body)
    outcomes = [
        answer(request, target, given["reply"], chunks) for chunks in ways_to_cut(given["reply"].body, seed)
    ]
    client, verdict = outcomes[0]
    for other in outcomes[1:]:
        assert other == (client, verdict)
    return sections | {"reply": given["reply"], "client": client, "verdict": verdict}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_golden_case_comes_out_as_it_is_written(path, update_cases):
    shows, expected = golden.read(path)
    out = golden.show(shows, play(expected, path.stem))
    if update_cases:
        path.write_bytes(out.encode())
    assert out == path.read_bytes().decode()
    assert golden.read(path)[1] == play(expected, path.stem)


def test_there_are_golden_cases():
    assert len(CASES) >= 30


# Requests


def target(preset="anthropic", model="m", **more):
    row = PRESETS[preset]
    provider = Provider(name=preset, preset=row, base_url=row.base_url or "https://gateway.example.com", **more)
    return Target(provider, model)


def render(body, to, headers=(), query="", endpoint="messages"):
    return lane.render(read_request(body), to, list(headers), query, endpoint)


@st.composite
def requests(draw):
    """A request as unusual as JSON allows, with a model somewhere in it."""
    written = draw(json_objects())
    before, after = written.text.split("{", 1)
    model = f'"model":{draw(st.sampled_from(["", " "]))}{json.dumps(draw(st.text(min_size=1, max_size=5)))}'
    text = f"{before}{{{model}{',' if written.keys else ''}{after}"
    assume(isinstance(json.loads(text)["model"], str) and json.loads(text)["model"])
    return text.encode()


@given(requests(), st.sampled_from(sorted(PRESETS)))
def test_a_request_whose_model_fits_goes_on_in_its_own_bytes(body, preset):
    # A "model" that is repeated with another value is the one change that is due.
    request = read_request(body)
    assume(all(item.value == request.model for item in request.items if item.key == "model"))
    outbound = render(body, target(preset, request.model))
    assert outbound.body == body
    assert outbound.changes == ()


@given(requests(), st.text(max_size=6), st.sampled_from(sorted(PRESETS)))
def test_only_the_models_name_is_changed_where_the_target_has_another(body, model, preset):
    request = read_request(body)
    assume(model != request.model)
    outbound = render(body, target(preset, model))
    changed = spans.document(outbound.body.decode())
    assert [item.key for item in changed] == [item.key for item in request.items]
    for old, new in zip(request.items, changed, strict=True):
        text = outbound.body.decode()[new.start : new.end]
        if old.key == "model":
            assert new.value == model
        else:
            assert text == request.text[old.start : old.end]
    assert outbound.changes == (f"model: {request.model} -> {model}",)


NOTE = {"type": "text", "text": f"{ATTRIBUTION} cc_version=2.1.329; cc_entrypoint=cli;"}
PROMPT = {"type": "text", "text": "You are…", "cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_attribution_block_goes_where_it_is_understood_and_nowhere_else(preset):
    body = json.dumps({"model": "m", "system": [NOTE, PROMPT]}).encode()
    outbound = render(body, target(preset))
    if PRESETS[preset].keep_attribution:
        assert outbound.body == body
    else:
        assert json.loads(outbound.body)["system"] == [PROMPT]
        assert outbound.changes == ("system: attribution block dropped",)


@pytest.mark.parametrize(
    "system",
    ["text", [], [PROMPT], [PROMPT, NOTE], [{"type": "image"}], [{"text": 5}], ["x"], None, {}, ATTRIBUTION],
)
def test_other_system_prompts_stay_as_they_are(system):
    body = json.dumps({"model": "m", "system": system}).encode()
    assert render(body, target("ollama")).body == body


@given(st.data(), json_keys, json_values)
def test_fields_that_a_preset_drops_are_taken_out_and_named(data, key, value):
    name = json.loads(key)
    assume(name != "model")
    preset = evolve(PRESETS["ollama"], drop_fields=(name,))
    to = Target(Provider(name="p", preset=preset, base_url="http://127.0.0.1:1"), "n")
    members = ['"model" : "m"', f"{key}:{value}", '"system":' + json.dumps([NOTE]), '"x": 1.0']
    order = data.draw(st.permutations(members))
    outbound = render(f"{{{', '.join(order)}}}".encode(), to)
    kept = {"model": "n"} if name == "x" else {"model": "n", "x": 1.0}
    assert json.loads(outbound.body) == kept
    assert f"{name}: dropped" in outbound.changes


def test_a_field_that_a_preset_refuses_is_named_in_the_words_that_the_client_knows():
    body = b'{"model":"m","safeguards":null}'
    with pytest.raises(ApiError) as caught:
        render(body, target("openrouter"))
    assert caught.value.status == 400
    assert caught.value.kind == "invalid_request_error"
    assert caught.value.message.startswith("safeguards: Extra inputs are not permitted")
    assert "openrouter" in caught.value.message
    assert render(body, target("anthropic")).body == body


def test_count_tokens_goes_to_its_own_path():
    assert (
        render(b'{"model":"m"}', target("vllm"), endpoint="count_tokens").url
        == "http://127.0.0.1:8000/v1/messages/count_tokens"
    )


def test_requests_and_headers_are_not_shown():
    outbound = render(b'{"model":"m","system":"secret"}', target(), [(b"x-a", b"secret")])
    assert "secret" not in repr(outbound)


# Limits, and places


def cut(fields, preset="vllm", endpoint="messages", **known):
    body = json.dumps({"model": "m", "messages": [], **fields}).encode()
    return body, render(body, target(preset, models=(Model("m", **known),)), endpoint=endpoint)


def test_more_than_a_model_can_say_is_not_asked_for_and_its_budget_fits():
    asked = {"thinking": {"type": "enabled", "budget_tokens": 31_999}, "max_tokens": 32_000}
    body, outbound = cut(asked, max_output=8_192)
    assert outbound.body == body.replace(b"31999", b"8191").replace(b"32000", b"8192")
    assert outbound.changes == ("thinking: budget_tokens -> 8191", "max_tokens: 32000 -> 8192")
    body, outbound = cut(
        {"thinking": {"type": "enabled", "budget_tokens": 2_048}, "max_tokens": 32_000}, window=9_000
    )
    assert outbound.changes == ("max_tokens: 32000 -> 9000",)
    assert json.loads(outbound.body)["thinking"]["budget_tokens"] == 2_048


@pytest.mark.parametrize(
    ("fields", "how"),
    [
        ({"max_tokens": 32_000}, {}),
        ({"max_tokens": 32_000}, {"max_output": 64_000, "window": 200_000}),
        ({"max_tokens": "many"}, {"max_output": 8_192}),
        ({"max_tokens": True}, {"max_output": 8_192}),
        ({}, {"max_output": 8_192}),
        ({"max_tokens": 32_000}, {"preset": "foundry", "max_output": 8_192}),
        ({"max_tokens": 32_000}, {"preset": "anthropic", "max_output": 8_192}),
        ({"max_tokens": 32_000}, {"endpoint": "count_tokens", "max_output": 8_192}),
    ],
)
def test_a_limit_that_fits_and_those_of_anthropics_own_models_stay(fields, how):
    body, outbound = cut(fields, **how)
    assert (outbound.body, outbound.changes) == (body, ())


def test_where_no_budget_fits_no_thinking_is_asked_for():
    asked = {"thinking": {"type": "enabled", "budget_tokens": 31_999}, "max_tokens": 32_000}
    for most in (1, 1_024):
        body, outbound = cut(asked, max_output=most)
        thinking = b', "thinking": {"type": "enabled", "budget_tokens": 31999}'
        assert outbound.body == body.replace(thinking, b"").replace(b"32000", b"%d" % most)
        assert outbound.changes == (
            f"thinking: not asked for, no budget fits into {most} tokens",
            f"max_tokens: 32000 -> {most}",
        )
    _, outbound = cut(asked, max_output=1_025)
    assert json.loads(outbound.body)["thinking"]["budget_tokens"] == 1_024
    _, outbound = cut({**asked, "thinking": {"type": "adaptive"}}, max_output=1_024)
    assert json.loads(outbound.body)["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize(
    ("preset", "endpoint"),
    [
        *((each, "messages") for each in ("ollama", "lmstudio", "zai", "openrouter", "messages", "anthropic")),
        *((each, "count_tokens") for each in ("vllm", "llamacpp", "anthropic")),
    ],
)
@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"thinking": {"type": "adaptive"}}, {}),
        ({"thinking": {"type": "enabled", "budget_tokens": 31_999}}, {}),
        ({"output_config": {"effort": "high"}}, {}),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high", "format": {"type": "x"}}},
            {"output_config": {"format": {"type": "x"}}},
        ),
    ],
)
def test_a_model_that_doesnt_think_is_not_asked_to(preset, endpoint, fields, left):
    _, outbound = cut(fields, preset, endpoint, thinking=False)
    assert json.loads(outbound.body) == {"model": "m", "messages": [], **left}
    assert outbound.changes == ("thinking: not asked for, the model can't",)
    for known in ({"thinking": True}, {}):
        body, outbound = cut(fields, preset, endpoint, **known)
        assert (outbound.body, outbound.changes) == (body, ())


@pytest.mark.parametrize(
    "fields", [{}, {"thinking": {"type": "disabled"}}, {"output_config": {"format": {}}}, {"output_config": 5}]
)
def test_who_asks_for_no_thinking_is_left_alone(fields):
    body, outbound = cut(fields, thinking=False)
    assert (outbound.body, outbound.changes) == (body, ())


def test_where_no_thinking_is_asked_for_none_is_to_be_cleared():
    clearing, other = {"type": "clear_thinking_20251015", "keep": "all"}, {"type": "clear_tool_uses_20250919"}
    fields = {"thinking": {"type": "adaptive"}, "context_management": {"edits": [clearing, other]}}
    _, outbound = cut(fields, "anthropic", thinking=False)
    assert json.loads(outbound.body)["context_management"] == {"edits": [other]}
    assert outbound.changes[-1] == "context_management: clearing of thinking left out"
    for odd in (5, {"edits": 5}, {"edits": [5, {"type": 5}]}):
        _, outbound = cut({**fields, "context_management": odd}, "anthropic", thinking=False)
        assert json.loads(outbound.body)["context_management"] == odd


@pytest.mark.parametrize("preset", ["anthropic", "ollama", "messages"])
@pytest.mark.parametrize("endpoint", ["messages", "count_tokens"])
def test_where_the_client_was_started_is_told_to_nobody(preset, endpoint):
    row = PRESETS[preset]
    to = Target(Provider(name=preset, preset=row, base_url=row.base_url or "https://x.example"), "m")
    request = read_request(b'{"model":"m","messages":[]}')
    headers = [(http.PROJECT, b"/home/user/secret-project"), (b"x-team", b"core")]
    sent = lane.render(request, to, headers, "", endpoint).headers
    assert (b"x-team", b"core") in sent
    assert all(b"secret-project" not in value for _, value in sent)
