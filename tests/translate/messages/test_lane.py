from __future__ import annotations

import json
import random
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from ccrouter.errors import ApiError, TruncatedStream, WireError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.providers.secret import Literal
from ccrouter.translate.dialect import Endpoint
from ccrouter.translate.messages import lane
from ccrouter.translate.rewording import is_refusal, reword
from ccrouter.wire import envelope, events, spans
from ccrouter.wire import headers as http
from ccrouter.wire.claude_code import ATTRIBUTION
from ccrouter.wire.headers import CREDENTIALS
from ccrouter.wire.messages import read_request
from tests import golden
from tests.golden import Message
from tests.strategies import cuts, json_keys, json_objects, json_values, mutated, spelled, streams

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
    headers = lane.reply_headers(reply.headers, preset, decoded=False)
    if not is_refusal(status, reply.headers) and http.get(reply.headers, b"content-type") == b"text/event-stream":
        watch = lane.StreamWatch()
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


names = st.sampled_from(
    [
        *sorted(CREDENTIALS),
        b"connection",
        b"te",
        b"host",
        b"content-length",
        b"accept-encoding",
        b"anthropic-version",
        b"anthropic-beta",
        b"x-app",
        b"user-agent",
        b"x-new",
    ]
)


@given(
    st.lists(st.tuples(names, st.sampled_from([b"close", b"x-new", b"a,b", b"secret"]))),
    st.sampled_from(sorted(PRESETS)),
)
def test_no_credential_and_nothing_of_the_connection_is_copied(headers, preset):
    sent = render(b'{"model":"m"}', target(preset), headers).headers
    assert {name for name, _ in sent} <= {
        b"anthropic-version",
        b"anthropic-beta",
        b"x-app",
        b"user-agent",
        b"x-new",
        b"accept-encoding",
    }
    assert [value for name, value in sent if name == b"accept-encoding"] == [b"identity"]
    kept = [(name, value) for name, value in http.end_to_end(headers) if name in {b"anthropic-version", b"x-app"}]
    assert [(name, value) for name, value in sent if name in {b"anthropic-version", b"x-app"}] == kept


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"x-gateway-key", b"x-gateway", b"x-team"]), st.sampled_from([b"Bearer s", b"t"])
        )
    ),
    st.sampled_from(sorted(PRESETS)),
    st.sampled_from([{}, {"api_key": Literal("k")}, {"headers": (("x-gateway-key", Literal("k")),)}]),
)
def test_a_key_to_some_gateway_goes_where_the_login_goes_and_is_told_where_it_stays_behind(headers, preset, more):
    to = target(preset, **more)
    outbound = render(b'{"model":"m"}', to, headers)
    goes = preset == "anthropic" and "api_key" not in more
    keys = [(name, value) for name, value in headers if name == b"x-gateway-key" or value == b"Bearer s"]
    assert outbound.headers[:-1] == [each for each in headers if goes or each not in keys]
    told = {each.split(":")[0] for each in outbound.changes if each.startswith("header ")}
    missed = set() if goes else {name.decode() for name, _ in keys} - {name for name, _ in to.provider.headers}
    assert told == {f"header {name}" for name in missed}


OAUTH = lane.OAUTH_BETA.encode()


def betas_sent(to, *values):
    sent = render(b'{"model":"m"}', to, [(b"anthropic-beta", value) for value in values]).headers
    return [value for name, value in sent if name == b"anthropic-beta"]


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_logins_beta_goes_where_the_login_goes(preset):
    goes = PRESETS[preset].auth == "client"
    assert betas_sent(target(preset), b"a," + OAUTH + b",b") == [b"a," + OAUTH + b",b" if goes else b"a,b"]


@pytest.mark.parametrize(
    "more",
    [
        {"api_key": Literal("k")},
        {"headers": (("authorization", Literal("Bearer k")),)},
        {"headers": (("x-api-key", Literal("k")),)},
    ],
)
def test_the_logins_beta_stays_behind_where_the_user_gave_another_credential(more):
    assert betas_sent(target("anthropic", **more), OAUTH + b",a") == [b"a"]
    assert betas_sent(target("anthropic", headers=(("x-team", Literal("core")),)), OAUTH) == [OAUTH]


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (OAUTH, []),
        (OAUTH + b", a", [b"a"]),
        (b"a, " + OAUTH, [b"a"]),
        (b"a , " + OAUTH + b" , b", [b"a , b"]),
        (b" " + OAUTH + b" ", []),
        (OAUTH + b"-2", [OAUTH + b"-2"]),
        (b"a,  b", [b"a,  b"]),
    ],
)
def test_a_list_of_betas_without_the_logins_is_still_a_header(value, sent):
    assert betas_sent(target("ollama"), value) == sent


@pytest.mark.parametrize(
    ("headers", "added"),
    [
        ([], [(b"anthropic-beta", b"x,y")]),
        ([(b"a", b"1")], [(b"a", b"1"), (b"anthropic-beta", b"x,y")]),
        ([(b"anthropic-beta", b"a, x")], [(b"anthropic-beta", b"a, x,y")]),
        (
            [(b"anthropic-beta", b"a"), (b"anthropic-beta", b"y")],
            [(b"anthropic-beta", b"a,x"), (b"anthropic-beta", b"y")],
        ),
        ([(b"anthropic-beta", b"y,x")], [(b"anthropic-beta", b"y,x")]),
    ],
)
def test_betas_are_added_where_they_are_missing(headers, added):
    before = list(headers)
    assert lane.with_betas(headers, ("x", "y")) == added
    assert headers == before


# Replies

REPLY = [
    (b"content-type", b"application/json"),
    (b"content-length", b"10"),
    (b"transfer-encoding", b"chunked"),
    (b"connection", b"x-hop"),
    (b"x-hop", b"1"),
    (b"content-encoding", b"gzip"),
    (b"content-digest", b"sha-256=:x:"),
    (b"request-id", b"req_1"),
    (b"retry-after", b"5"),
    (b"anthropic-ratelimit-unified-status", b"allowed"),
    (b"set-cookie", b"a=b"),
]


def test_anthropics_reply_headers_are_passed_on_but_for_those_of_the_connection():
    kept = lane.reply_headers(REPLY, PRESETS["anthropic"], decoded=False)
    assert kept == [REPLY[0], *REPLY[5:]]


def test_headers_of_a_coding_go_with_it():
    kept = lane.reply_headers(REPLY, PRESETS["anthropic"], decoded=True)
    assert kept == [REPLY[0], *REPLY[7:]]


@pytest.mark.parametrize("preset", sorted(name for name, row in PRESETS.items() if not row.first_party))
def test_nobody_elses_limits_are_shown_as_the_users_plan(preset):
    kept = lane.reply_headers(REPLY, PRESETS[preset], decoded=True)
    assert kept == [REPLY[0], REPLY[7], REPLY[8]]


# Streams


def watch(chunks):
    """What was passed on while the stream ran and at its end, and the watch."""
    watching = lane.StreamWatch()
    running = b"".join([watching.feed(chunk) for chunk in chunks])
    return running, watching.close(), watching


@given(streams(), st.data())
def test_a_whole_stream_is_passed_on_byte_for_byte(stream, data):
    body = data.draw(spelled(stream))
    running, rest, watching = watch(data.draw(cuts(body)))
    assert running + rest == body
    assert watching.ended
    assert watching.first == next(event["type"] for event in stream if event["type"] != "ping")


@given(streams().flatmap(spelled), st.data())
def test_a_part_of_a_stream_is_never_taken_for_the_whole(body, data):
    # A frame whose lines end at CRLF is whole one byte before its end: at the CR of its blank line.
    part = body[: data.draw(st.integers(0, len(body) - 2))]
    watching = lane.StreamWatch()
    passed = b"".join([watching.feed(chunk) for chunk in data.draw(cuts(part))])
    with pytest.raises(TruncatedStream):
        passed += watching.close()
    assert part.startswith(passed)
    assert not watching.ended


@given(streams().flatmap(spelled), st.data())
def test_whatever_is_passed_on_ends_between_two_events(body, data):
    watching = lane.StreamWatch()
    for chunk in data.draw(cuts(body)):
        passed = watching.feed(chunk)
        assert passed == b"" or passed.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))


@given(streams().flatmap(spelled).flatmap(mutated), st.data())
def test_mutated_streams_raise_our_own_errors_only_and_lose_nothing(body, data):
    watching = lane.StreamWatch()
    passed = b""
    try:
        for chunk in data.draw(cuts(body)):
            passed += watching.feed(chunk)
        passed += watching.close()
    except WireError:
        assert body.startswith(passed)
    else:
        assert passed == body


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"null",
        b"5",
        b'{"type":5}',
        b'{"type":["error"]}',
        b"{",
        b"[" * 100_000,
        b"\xff",
        b"",
        b'{"type":"ping"}',
    ],
)
def test_a_frame_that_says_nothing_is_passed_on_and_not_counted(data):
    watching = lane.StreamWatch()
    body = b"data: " + data + b"\n\n"
    assert watching.feed(body) == body
    assert watching.first is None
    assert not watching.ended


def test_what_follows_the_last_event_is_passed_on_too():
    body = events.encode(events.message_stop())
    running, rest, watching = watch([body + b": bye\n\n: cut of"])
    assert (running, rest) == (body + b": bye\n\n", b": cut of")
    assert watching.ended


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (events.encode(events.error("overloaded_error", "too many")), 529, "too many"),
        (
            events.encode(events.ping()) + events.encode(events.error("rate_limit_error", "slow down")),
            429,
            "slow down",
        ),
        (events.encode(events.error("weather_error", "rain")), 500, "rain"),
        (
            b'event: error\ndata: {"error":"words"}\n\n',
            502,
            "the backend's stream began with an error that cannot be read",
        ),
        (b"event: error\ndata: {\n\n", 502, "cannot be read"),
        (b"event: error\n\n", 502, "cannot be read"),
    ],
)
def test_an_error_that_a_stream_begins_with_has_a_status(data, status, words):
    found, body = lane.error_in(data)
    assert found == status
    assert envelope.is_envelope(body)
    assert words in json.loads(body)["error"]["message"]


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


def test_of_a_stream_that_passes_the_usage_is_what_was_told_last():
    watch = lane.StreamWatch()
    watch.feed(events.encode(events.message_start("msg_1", "m", {"input_tokens": 3, "output_tokens": 1})))
    early = watch.usage
    watch.feed(b"event: message_delta\ndata: not json\n\nevent: message_delta\ndata: [1]\n\n")
    watch.feed(events.encode(events.message_delta("end_turn", {"output_tokens": 5})))
    assert early == {"input_tokens": 3, "output_tokens": 1}
    assert watch.usage == {"input_tokens": 3, "output_tokens": 5}


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
