from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import ApiError
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.providers.quirks import Quirks
from ccrouter.translate.chat import request as chat_request
from ccrouter.translate.provenance import Origin, sign
from ccrouter.wire.messages import read_request
from tests.translate.dialogues import IMAGE, PDF, TOOLS, any_fields, dialogues, without_marks

PRESET = evolve(PRESETS["litellm"], chat_path="/v1/chat/completions")
HEADERS = [
    (b"user-agent", b"claude-cli/2.1.329"),
    (b"authorization", b"Bearer secret"),
    (b"x-api-key", b"secret"),
    (b"anthropic-beta", b"oauth-2025-04-20"),
    (b"x-app", b"cli"),
    (b"cookie", b"secret"),
]
#: Vendors of every kind, as far as a request goes.
VENDORS = [
    Quirks(),
    Quirks(
        ask="reasoning_effort",
        files=True,
        cache_key=True,
        strict_tools=True,
        later_system="developer",
        sampling=False,
    ),
    Quirks(ask="thinking", replay="reasoning_content", replay_always=True, tool_choices=frozenset({"auto"})),
    Quirks(
        ask="reasoning_effort",
        efforts=("none", "high"),
        replay="reasoning",
        images=False,
        response_format="none",
        stops=0,
    ),
    Quirks(ask="reasoning", replay="reasoning_details", result_images=True, later_system="system"),
    Quirks(replay="content", call_ids="nine", stream_options=False, response_format="json_object"),
    Quirks(ask="google", replay="google", schema="gemini", tool_choices=frozenset({"required", "none"})),
    Quirks(cache_marks="openai", files=True, later_system="developer", prefix=True),
    Quirks(cache_marks="anthropic", result_images=True, spaced_models=("",)),
    Quirks(cache_marks="anthropic", result_marks=False, files=True, file_links=True),
]
vendors = st.sampled_from(VENDORS + [row.quirks for row in PRESETS.values() if row.chat_path])

BASH: dict[str, Any] = {
    "name": "Bash",
    "description": "d",
    "input_schema": {"type": "object", "properties": {"c": {"type": "string"}}},
}
READ = {**BASH, "name": "Read"}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}


def target(quirks=None, **more):
    preset = evolve(PRESET, quirks=quirks or Quirks())
    return Target(Provider(name="there", preset=preset, base_url="https://there.example/api", **more), "m")


def outbound(fields, where=None, headers=HEADERS):
    fields = {"model": "there:m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **fields}
    request = read_request(json.dumps(fields).encode())
    return chat_request.render(request, where or target(), headers, "beta=true", "messages")


def sent(quirks=None, headers=HEADERS, **fields):
    return json.loads(outbound(fields, target(quirks), headers).body)


def messages(*said, quirks=None):
    return sent(quirks, messages=list(said))["messages"]


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def call(call_id, name="Bash", **given):
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def result(call_id, content=None, **more):
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def text(words):
    return {"type": "text", "text": words}


def thought(payload, words="hm", provider="there"):
    return {"type": "thinking", "thinking": words, "signature": sign(Origin(provider, "m", payload))}


# The request around the messages


def test_the_request_goes_to_the_chat_endpoint_with_nothing_of_the_clients_headers():
    found = outbound({})
    assert found.url == "https://there.example/api/v1/chat/completions"
    assert found.headers == [
        (b"content-type", b"application/json"),
        (b"accept", b"text/event-stream"),
        (b"accept-encoding", b"identity"),
        (b"user-agent", b"claude-cli/2.1.329"),
    ]
    assert found.changes == ("model: there:m -> m",)


def test_a_stream_is_asked_for_even_if_the_client_wants_none():
    body = sent(stream=False)
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert "stream_options" not in sent(Quirks(stream_options=False))


def test_what_the_preset_refuses_is_refused_by_name():
    with pytest.raises(ApiError, match="safeguards: Extra inputs are not permitted"):
        outbound({"safeguards": {}})


def test_a_provider_without_a_chat_wire_has_no_endpoint():
    where = Target(evolve(target().provider, preset=PRESETS["anthropic"]), "m")
    with pytest.raises(ApiError) as caught:
        outbound({}, where)
    assert caught.value.status == 404


def test_a_request_that_says_nothing_is_refused():
    with pytest.raises(ApiError, match="at least one message"):
        outbound({"messages": []})


@pytest.mark.parametrize(
    ("quirks", "asked", "said"),
    [
        (Quirks(), 32000, {"max_tokens": 32000}),
        (Quirks(max_tokens="max_completion_tokens"), 0, {"max_completion_tokens": 1}),
        (Quirks(), True, {}),
        (Quirks(), "many", {}),
    ],
)
def test_the_limit_of_output_has_its_right_name_and_size(quirks, asked, said):
    body = sent(quirks, max_tokens=asked)
    assert {key: value for key, value in body.items() if key.startswith("max_")} == said


def test_stop_sequences_as_many_as_are_taken():
    found = outbound({"stop_sequences": ["a", "", "b", 1, "c"]}, target(Quirks(stops=2)))
    assert json.loads(found.body)["stop"] == ["a", "b"]
    assert "stop_sequences: cut by the router" in found.changes
    assert "stop" not in sent(Quirks(stops=0), stop_sequences=["a"])


def test_sampling_goes_where_it_is_taken():
    assert sent(temperature=0.5, top_p=1)["temperature"] == 0.5
    found = outbound({"temperature": 0.5}, target(Quirks(sampling=False)))
    assert b"temperature" not in found.body
    assert "temperature: dropped" in found.changes


def test_members_that_a_chat_wire_has_no_word_for_are_named():
    assert "context_management: dropped" in outbound({"context_management": {"edits": []}}).changes


def test_effort_and_thinking_are_asked_for():
    fields = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}
    assert sent(Quirks(ask="reasoning_effort"), **fields)["reasoning_effort"] == "high"
    assert "thinking: left to the backend" in outbound(fields).changes
    assert "reasoning_effort" not in sent(Quirks(ask="reasoning_effort", plain_models=("m",)), **fields)


def test_a_model_is_asked_in_the_words_that_it_has():
    off, most = {"thinking": {"type": "disabled"}}, {"output_config": {"effort": "max"}}
    own = Quirks(ask="reasoning_effort", model_efforts=(("m", ("medium", "high")),))
    assert sent(own, **off)["reasoning_effort"] == "medium"
    assert sent(own, **most)["reasoning_effort"] == "high"
    plain = target(Quirks(ask="reasoning_effort", model_efforts=(("m", ()),)))
    for fields in (off, most):
        out = outbound(fields, plain)
        assert "reasoning_effort" not in json.loads(out.body)
        assert "thinking: left to the backend" in out.changes


def test_a_cache_key_is_the_same_for_one_agent_of_one_session():
    quirks = Quirks(cache_key=True)
    agent = [*HEADERS, (b"x-claude-code-agent-id", b"a1")]
    one, again = (sent(quirks, metadata={"user_id": "u"}, max_tokens=each)["prompt_cache_key"] for each in (1, 2))
    sub = sent(quirks, agent, metadata={"user_id": "u"})["prompt_cache_key"]
    other = sent(quirks, metadata={"user_id": "v"})["prompt_cache_key"]
    assert one == again
    assert len({one, sub, other}) == 3
    assert len(one) == 64
    assert "prompt_cache_key" not in sent(quirks)
    assert "prompt_cache_key" not in sent(metadata={"user_id": "u"})


TITLE: dict[str, Any] = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
    "additionalProperties": False,
}


def test_structured_output_as_far_as_the_backend_has_it():
    fields = {"output_config": {"format": {"type": "json_schema", "schema": TITLE}}, "system": "You are"}
    named = {"name": "answer", "schema": TITLE, "strict": True}
    assert sent(**fields)["response_format"] == {"type": "json_schema", "json_schema": named}
    body = sent(Quirks(response_format="json_object"), **fields)
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["content"].startswith("You are\n\nAnswer with one JSON object")
    body = sent(Quirks(response_format="none"), **fields)
    assert "response_format" not in body
    assert '"title"' in body["messages"][0]["content"]


def test_a_schema_that_strict_mode_would_refuse_is_not_strict():
    loose = {**TITLE, "required": []}
    body = sent(output_config={"format": {"type": "json_schema", "schema": loose}})
    assert "strict" not in body["response_format"]["json_schema"]


def test_a_schema_at_which_all_would_be_refused_is_mended_and_said():
    odd = {"type": "object", "properties": {"a": {"type": "string", "pattern": r"\p{L}"}, "b": {"type": "array"}}}
    mended = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {}}}}
    fields = {
        "tools": [{"name": "Odd", "input_schema": odd}],
        "output_config": {"format": {"type": "json_schema", "schema": odd}},
    }
    body = sent(**fields)
    assert body["tools"][0]["function"]["parameters"] == mended
    assert body["response_format"]["json_schema"]["schema"] == mended
    changes = outbound(fields, target(None), HEADERS).changes
    for words in ("a pattern that the backend can't read left out", "items added to an array without"):
        assert {f"tools: {words}", f"output_config.format: {words}"} <= set(changes)


# Tools


def test_tools_are_sent_plainly():
    [one] = sent(tools=[{**BASH, "defer_loading": True, "cache_control": {"type": "ephemeral"}, "strict": True}])[
        "tools"
    ]
    function = {"name": "Bash", "description": "d", "parameters": BASH["input_schema"]}
    assert one == {"type": "function", "function": function}
    assert (
        "strict" not in sent(Quirks(strict_tools=True), tools=[{**BASH, "strict": True}])["tools"][0]["function"]
    )
    closed = {"name": "Title", "input_schema": TITLE, "strict": True}
    assert sent(Quirks(strict_tools=True), tools=[closed])["tools"][0]["function"]["strict"] is True
    assert "strict" not in sent(tools=[closed])["tools"][0]["function"]


def test_a_schema_is_put_into_geminis_terms_and_one_of_nothing_is_left_out():
    closed = {**BASH, "input_schema": {**BASH["input_schema"], "additionalProperties": False}}
    empty = {"name": "Now", "input_schema": {"type": "object"}}
    one, two = sent(Quirks(schema="gemini"), tools=[closed, empty])["tools"]
    assert one["function"]["parameters"] == BASH["input_schema"]
    assert two == {"type": "function", "function": {"name": "Now"}}
    [two] = sent(tools=[empty])["tools"]
    assert two["function"]["parameters"] == {"type": "object", "properties": {}}


ONLY_BASH = {"type": "function", "function": {"name": "Bash"}}


@pytest.mark.parametrize(
    ("choice", "taken", "said", "offered"),
    [
        ({"type": "auto"}, None, "auto", 2),
        ({"type": "any"}, None, "required", 2),
        ({"type": "none"}, None, "none", 2),
        ({"type": "tool", "name": "Bash"}, None, ONLY_BASH, 2),
        (None, None, None, 2),
        ({"type": "auto"}, {"none"}, None, 2),
        ({"type": "any"}, {"auto"}, "auto", 2),
        ({"type": "any"}, {"none"}, None, 2),
        ({"type": "none"}, {"auto"}, None, 0),
        ({"type": "tool", "name": "Bash"}, {"auto", "required"}, "required", 1),
        ({"type": "tool", "name": "Bash"}, {"auto"}, "auto", 1),
        ({"type": "odd"}, None, None, 2),
        ("odd", None, None, 2),
    ],
)
def test_tool_choice_in_every_form(choice, taken, said, offered):
    quirks = Quirks() if taken is None else Quirks(tool_choices=frozenset(taken))
    body = sent(quirks, tools=[BASH, READ], tool_choice=choice)
    assert body.get("tool_choice") == said
    assert len(body.get("tools", ())) == offered


def test_a_choice_that_is_less_than_was_asked_for_is_named():
    where = target(Quirks(tool_choices=frozenset({"auto"})))
    found = outbound({"tools": [BASH], "tool_choice": {"type": "any"}}, where)
    assert "tool_choice: any -> auto, the backend forces no calls" in found.changes


def test_a_choice_without_tools_is_no_choice_and_an_unknown_one_is_refused():
    assert "tool_choice" not in sent(tool_choice={"type": "auto"}, tools=[])
    with pytest.raises(ApiError, match="there is no tool 'Write'"):
        sent(tools=[BASH], tool_choice={"type": "tool", "name": "Write"})


def test_calls_one_at_a_time_where_the_backend_can():
    one = {"type": "auto", "disable_parallel_tool_use": True}
    assert sent(tools=[BASH], tool_choice=one)["parallel_tool_calls"] is False
    found = outbound({"tools": [BASH], "tool_choice": one}, target(Quirks(parallel_tool_calls=False)))
    assert b"parallel_tool_calls" not in found.body
    assert "tool_choice: disable_parallel_tool_use dropped" in found.changes


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [SEARCH], "tool_choice": {"type": "auto"}},
        {"tools": [SEARCH]},
        {"tools": [BASH, SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}},
    ],
)
def test_a_search_that_is_the_point_of_a_request_is_refused(fields):
    with pytest.raises(ApiError, match=r"capability_rejected: .*web_search \(web_search_20250305\)") as caught:
        outbound(fields)
    assert (caught.value.status, caught.value.kind) == (400, "invalid_request_error")


def test_who_searches_on_another_wire_is_told_so():
    where = target(Quirks(web_search=True))
    with pytest.raises(ApiError, match='set wire = "responses"'):
        outbound({"tools": [SEARCH]}, where)
    with pytest.raises(ApiError, match=r"of Anthropic's$"):
        outbound({"tools": [SEARCH]})


def test_a_search_among_other_tools_is_left_out_and_named():
    found = outbound({"tools": [BASH, SEARCH]})
    assert len(json.loads(found.body)["tools"]) == 1
    assert any("web_search" in change for change in found.changes)


# Messages


def test_the_system_prompt_is_one_message():
    system = [text("x-anthropic-billing-header: x"), text("You are"), text("more")]
    said = {"role": "system", "content": "You are\n\nmore"}
    assert sent(system=system)["messages"][0] == said
    assert sent(Quirks(system_role="developer"), system="You are")["messages"][0]["role"] == "developer"


def test_a_later_system_message_is_a_reminder_of_the_users_or_has_its_own_role():
    said = [user(text("a")), {"role": "system", "content": "note"}, user(text("b"))]
    assert messages(*said) == [
        {"role": "user", "content": "a\n\n<system-reminder>\nnote\n</system-reminder>\n\nb"}
    ]
    assert [each["role"] for each in messages(*said, quirks=Quirks(later_system="developer"))] == [
        "user",
        "developer",
        "user",
    ]


def test_pictures_and_files_of_the_users():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    place = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    by_url = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
    assert messages(user(text("a"), IMAGE, by_url)) == [{"role": "user", "content": [text("a"), picture, place]}]
    data = "data:application/pdf;base64,JVBERi0="
    file = {"type": "file", "file": {"filename": "document.pdf", "file_data": data}}
    assert messages(user(PDF), quirks=Quirks(files=True)) == [{"role": "user", "content": [file]}]
    assert "omitted" in messages(user(PDF))[0]["content"]


def test_a_pdf_that_lies_elsewhere_is_linked_or_leaves_its_address():
    linked = {"type": "document", "title": "A.PDF", "source": {"type": "url", "url": "https://x/a.pdf"}}
    [told] = messages(user(linked), quirks=Quirks(files=True, file_links=True))
    assert told["content"] == [{"type": "file", "file": {"filename": "A.PDF", "file_data": "https://x/a.pdf"}}]
    found = outbound({"messages": [user(linked)]}, target(Quirks(files=True)))
    words = "[document omitted: A.PDF at https://x/a.pdf can't be read by the current model]"
    assert json.loads(found.body)["messages"][0]["content"] == words
    assert "document: left out, the backend takes no such file" in found.changes


def test_a_model_that_is_known_to_be_blind_gets_words():
    where = target(models=(Model("m", vision=False),))
    found = outbound({"messages": [user(IMAGE)]}, where)
    assert json.loads(found.body)["messages"][0]["content"] == "[image omitted: current model is text-only]"
    assert "image: left out, the model takes only text" in found.changes


@pytest.mark.parametrize("ask", ["reasoning_effort", "thinking", "none"])
def test_a_model_that_is_known_not_to_think_is_not_asked_to(ask):
    where = target(Quirks(ask=ask), models=(Model("m", thinking=False),))
    plain = json.loads(outbound({}, where).body)
    wanted = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
    found = outbound(wanted, where)
    assert json.loads(found.body) == plain
    assert "thinking: not asked for, the model can't" in found.changes
    off = outbound({"thinking": {"type": "disabled"}}, where)
    assert json.loads(off.body) == plain
    assert not any("thinking" in each for each in off.changes)


def test_results_follow_their_calls_and_pictures_follow_the_results():
    _, *found = messages(
        user(text("go")),
        assistant(text("A"), call("a", x=1), call("b")),
        user(text("T"), result("b", [text("B"), IMAGE]), result("a", is_error=True)),
    )
    assert [each["role"] for each in found] == ["assistant", "tool", "tool", "user"]
    assert found[0]["content"] == "A"
    assert found[0]["tool_calls"][0] == {
        "id": "a",
        "type": "function",
        "function": {"name": "Bash", "arguments": '{"x":1}'},
    }
    assert found[1] == {"role": "tool", "tool_call_id": "a", "content": "[error] (no output)"}
    assert found[2]["content"] == "B\n\n(see the attachment in the next message)"
    assert [each["type"] for each in found[3]["content"]] == ["text", "image_url", "text"]
    assert found[3]["content"][2] == text("T")


def test_a_word_stands_between_results_and_the_users_where_it_must():
    said = [user(text("go")), assistant(call("a"), call("b")), user(result("a"), result("b"), text("more"))]
    assert [each["role"] for each in messages(*said)][-2:] == ["tool", "user"]
    spaced = Quirks(spaced_models=("m",))
    found = messages(*said, quirks=spaced)
    assert [each["role"] for each in found] == ["user", "assistant", "tool", "tool", "assistant", "user"]
    assert found[-2:] == [{"role": "assistant", "content": "OK."}, {"role": "user", "content": "more"}]
    assert messages(*said, assistant(text("A")), quirks=spaced)[:-1] == found
    assert [each["role"] for each in messages(*said[:2], user(result("a"), result("b")), quirks=spaced)][
        -1
    ] == "tool"
    out = outbound({"messages": said}, target(spaced))
    assert "messages: a word of the assistant's put between results and the user's words" in out.changes
    elsewhere = Quirks(spaced_models=("mistralai/",))
    assert messages(*said, quirks=elsewhere) == messages(*said)


def test_pictures_stay_in_the_result_where_they_may():
    quirks = Quirks(result_images=True)
    found = messages(user(text("go")), assistant(call("a")), user(result("a", [IMAGE])), quirks=quirks)
    assert [each["role"] for each in found] == ["user", "assistant", "tool"]
    assert found[2]["content"][0]["type"] == "image_url"


def test_calls_without_words_have_null_for_content_and_an_empty_answer_has_some():
    found = messages(user(text("go")), assistant(call("a")), user(result("a", "x")), assistant(), user(text("on")))
    assert found[1]["content"] is None
    assert found[3] == {"role": "assistant", "content": "(no text)"}


def test_ids_of_nine_for_calls_and_results_alike():
    found = messages(
        user(text("go")), assistant(call("toolu_1")), user(result("toolu_1")), quirks=Quirks(call_ids="nine")
    )
    call_id = found[1]["tool_calls"][0]["id"]
    assert len(call_id) == 9
    assert found[2]["tool_call_id"] == call_id


# Reasoning goes back


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_goes_back_in_the_member_that_it_came_in(name):
    blocks = [thought({"f": name}, "one"), text("A"), thought({"f": name}, "two")]
    found = messages(user(text("go")), assistant(*blocks), quirks=Quirks(replay=name))
    assert found[1] == {"role": "assistant", "content": "A", name: "onetwo"}


def test_a_model_that_refuses_reasoning_gets_none_of_its_neighbours():
    said = user(text("go")), assistant(thought({"f": "reasoning"}, "one"), text("A")), user(text("on"))
    for names, more in ((("x", "m"), {}), (("x",), {"reasoning": "one"})):
        found = messages(*said, quirks=Quirks(replay="reasoning", forgetful_models=names))
        assert found[1] == {"role": "assistant", "content": "A", **more}


def test_reasoning_of_others_stays_out():
    foreign = {"type": "thinking", "thinking": "claude's", "signature": "EqQBCkYI"}
    elsewhere = thought({"f": "reasoning_content"}, provider="elsewhere")
    for quirks in VENDORS:
        found = messages(
            user(text("go")), assistant(foreign, elsewhere, text("A")), user(text("on")), quirks=quirks
        )
        insisted: list[str] = [quirks.replay] if quirks.replay_always else []
        assert found[-2] == {"role": "assistant", "content": "A", **dict.fromkeys(insisted, " ")}
    ours = thought({"f": "reasoning_content"})
    assert messages(user(text("go")), assistant(ours, text("A")))[-1] == {"role": "assistant", "content": "A"}


@pytest.mark.parametrize("kind", [["reasoning"], {}, 5, None])
def test_a_payload_that_is_none_of_ours_stays_out(kind):
    odd = thought({"f": kind, "d": ["x"]})
    for quirks in VENDORS:
        assert messages(user(text("go")), assistant(odd, text("A")), quirks=quirks)[1]["content"] == "A"


@pytest.mark.parametrize("preset", ["deepseek", "moonshot"])
def test_a_vendor_that_insists_gets_the_member_with_every_answer(preset):
    quirks = PRESETS[preset].quirks
    ours = thought({"f": "reasoning_content"})
    found = messages(
        user(text("go")), assistant(ours, call("a")), user(result("a")), assistant(text("A")), quirks=quirks
    )
    assert [each.get("reasoning_content") for each in found] == [None, "hm", None, " "]


def test_an_answer_that_the_client_began_says_so_where_it_must():
    begun = [user(text("go")), assistant(text("{"))]
    assert messages(*begun, quirks=Quirks(prefix=True))[1] == {"role": "assistant", "content": "{", "prefix": True}
    assert "prefix" not in messages(*begun)[1]
    assert not any("prefix" in each for each in messages(*begun, user(text("on")), quirks=Quirks(prefix=True)))


def test_details_go_back_as_they_came():
    details = [{"type": "reasoning.encrypted", "data": "x", "id": "r", "format": "f", "index": 0}]
    blocks = [thought({"f": "reasoning_details", "d": details}), text("A")]
    found = messages(user(text("go")), assistant(*blocks), quirks=Quirks(replay="reasoning_details"))
    assert found[1]["reasoning_details"] == details


def test_mistrals_chunks_stand_in_front_of_the_content():
    chunks = [{"type": "thinking", "thinking": [text("t")]}]
    quirks = Quirks(replay="content")
    found = messages(user(text("go")), assistant(thought({"f": "content", "d": chunks}), text("A")), quirks=quirks)
    assert found[1]["content"] == [*chunks, text("A")]


def test_googles_signatures_stand_at_their_calls_and_foreign_history_says_so():
    ours = thought({"f": "google", "c": {"a.1": "SIG"}})
    found = messages(
        user(text("go")),
        assistant(ours, call("a.1"), call("a.2")),
        user(result("a.1"), result("a.2")),
        assistant(call("b.1"), call("b.2")),
        user(result("b.1"), result("b.2")),
        quirks=Quirks(replay="google"),
    )
    said = [
        [
            each.get("extra_content", {}).get("google", {}).get("thought_signature")
            for each in message["tool_calls"]
        ]
        for message in found
        if "tool_calls" in message
    ]
    assert said == [["SIG", None], ["skip_thought_signature_validator", None]]


@pytest.mark.parametrize(
    ("payload", "own", "theirs"),
    [
        ({"f": "google", "c": {"a": "SIG"}, "t": "OWN"}, "OWN", "SIG"),
        ({"f": "google", "t": "OWN"}, "OWN", "skip_thought_signature_validator"),
        ({"f": "google", "t": 5, "c": {"a": 5}}, None, "skip_thought_signature_validator"),
        ({"f": "google", "c": "odd"}, None, "skip_thought_signature_validator"),
    ],
)
def test_googles_signature_of_the_text_stands_at_the_message(payload, own, theirs):
    said = [user(text("go")), assistant(thought(payload), text("A"), call("a")), user(result("a"))]
    message = messages(*said, quirks=Quirks(replay="google"))[1]
    assert message.get("extra_content") == (own and {"google": {"thought_signature": own}})
    assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": theirs}}
    assert "extra_content" not in messages(*said)[1]


# Cache marks

CACHED = {"cache_control": {"type": "ephemeral"}}
LONGER = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
BREAK = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def marked(quirks, role="user"):
    """A conversation with a mark wherever Claude Code sets one, as it is rendered."""
    body = sent(
        quirks,
        system=[{**text("You are"), **LONGER}, text("more")],
        messages=[
            user(text("go")),
            assistant(text("A"), call("a")),
            user(result("a", [text("B"), text("C")], **CACHED), IMAGE | CACHED),
            {"role": "system", "content": [{**text("note"), **CACHED}]},
        ],
    )
    return [each["content"] for each in body["messages"] if each["role"] == role]


def test_marks_go_on_as_breakpoints_where_openai_takes_them():
    quirks = Quirks(cache_marks="openai", marked_models=("m",), later_system="developer")
    assert marked(quirks, "system") == [[{**text("You are"), **BREAK}, text("more")]]
    assert marked(quirks, "tool") == [[text("B"), {**text("C"), **BREAK}]]
    assert marked(quirks, "developer") == [[{**text("note"), **BREAK}]]
    [_, [picture]] = marked(quirks)
    assert picture == {**picture, "type": "image_url", **BREAK}
    assert b"prompt_cache_options" not in outbound({}, target(quirks)).body


def test_marks_go_on_as_they_came_where_they_are_known():
    quirks = Quirks(cache_marks="anthropic")
    assert marked(quirks, "system") == [[{**text("You are"), **LONGER}, text("more")]]
    assert marked(quirks, "tool") == [[text("B"), {**text("C"), **CACHED}]]
    [first, [picture, note]] = marked(quirks)
    assert first == [text("go")]  # the same as if it had the mark
    assert set(picture) == {"type", "image_url"}
    assert note == {**text("<system-reminder>\nnote\n</system-reminder>"), **CACHED}
    assert marked(quirks, "assistant") == ["A"]


def test_marks_stay_out_of_results_and_of_models_that_do_not_take_them():
    assert marked(Quirks(cache_marks="anthropic", result_marks=False), "tool") == ["B\n\nC"]
    for quirks in (Quirks(), Quirks(cache_marks="openai", marked_models=("gpt-",))):
        assert marked(quirks, "system") == ["You are\n\nmore"]
        assert without_marks(marked(quirks)) == marked(quirks)


# Limits


def test_more_than_a_model_can_say_is_not_asked_for():
    where = target(models=(Model("m", max_output=8192),))
    found = outbound({"max_tokens": 32000}, where)
    assert json.loads(found.body)["max_tokens"] == 8192
    assert "max_tokens: 32000 -> 8192" in found.changes
    where = target(models=(Model("m", window=20_000),))
    assert 15_000 < json.loads(outbound({"max_tokens": 32000}, where).body)["max_tokens"] < 20_000


def test_minimax_is_asked_to_tell_reasoning_apart():
    assert sent(Quirks(reasoning_split=True))["reasoning_split"] is True
    assert "reasoning_split" not in sent()


# Properties


def check(body, quirks):
    """What holds for every chat request: calls and their results agree, nothing is empty, nothing else is said."""
    roles = [message["role"] for message in body["messages"]]
    assert not quirks.spaced_models or ("tool", "user") not in pairwise(roles)
    seen: set[str] = set()
    waiting: list[str] = []
    for message in body["messages"]:
        role, content = message["role"], message["content"]
        if role == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
        else:
            assert not waiting
        assert role in {"system", "developer", "user", "assistant", "tool"}
        assert content or (content is None and message.get("tool_calls"))
        for chunk in content if isinstance(content, list) else []:
            assert chunk["type"] != "text" or chunk["text"].strip()
        waiting = waiting or [each["id"] for each in message.get("tool_calls", ())]
        if role == "assistant":
            assert len(set(waiting)) == len(waiting)
            assert not seen & set(waiting)
            seen |= set(waiting)
            assert all(
                isinstance(json.loads(each["function"]["arguments"]), dict)
                for each in message.get("tool_calls", ())
            )
    assert not waiting
    for tool in body.get("tools", ()):
        assert 0 < len(tool["function"]["name"]) <= 64


@given(dialogues(), vendors)
def test_a_longer_conversation_begins_with_the_same_messages(dialogue, quirks):
    rendered = [sent(quirks, messages=each, tools=TOOLS, system="You are") for each in dialogue.requests]
    for body in rendered:
        check(body, quirks)
    for shorter, longer in pairwise(rendered):
        before, now = (json.dumps(without_marks(each["messages"])) for each in (shorter, longer))
        assert now.startswith(before[:-1])
        assert longer["tools"] == shorter["tools"]


@given(any_fields, vendors)
def test_any_json_is_rendered_or_refused(fields, quirks):
    try:
        body = sent(quirks, **fields)
    except ApiError as error:
        assert error.status == 400
        return
    check(body, quirks)


@pytest.mark.parametrize(
    ("written", "words"),
    [('{"n": 1e999}', "beyond what JSON can say"), ('{"s": "\\ud800"}', None)],
)
def test_what_json_can_say_once_only_is_refused_or_mended(written, words):
    block = '{"type": "tool_use", "id": "a", "name": "Bash", "input": ' + written + "}"
    body = '{"model": "m", "messages": [{"role": "assistant", "content": [' + block + "]}]}"
    request = read_request(body.encode())
    if words is not None:
        with pytest.raises(ApiError, match=words):
            chat_request.render(request, target(), [], "", "messages")
        return
    found = json.loads(chat_request.render(request, target(), [], "", "messages").body)
    assert json.loads(found["messages"][0]["tool_calls"][0]["function"]["arguments"]) == {"s": "\ufffd"}
