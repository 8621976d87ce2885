"""Conversations to settle for a target, and what it gets of them."""

from __future__ import annotations

import copy

from hypothesis import strategies as st

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.translate.messages import history, makers
from ccrouter.translate.provenance import Origin, sign
from tests.translate.dialogues import IMAGE, PDF

GENUINE = "EqQBCkYIBBgCKkAz" * 8
MESSAGES = sorted(name for name, preset in PRESETS.items() if preset.messages_path)


def target(preset="anthropic", model="m", **facts):
    row = PRESETS[preset]
    known = (Model(model, **facts),) if facts else ()
    return Target(
        Provider(name=preset, preset=row, base_url=row.base_url or "https://x.example", models=known), model
    )


def settle(messages, preset="anthropic", model="m", *, thinks=True, **facts):
    return history.settle(messages, target(preset, model, **facts), thinks=thinks)


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def spoken(role, words="so"):
    """A message as a string."""
    return {"role": role, "content": words}


def text(words):
    return {"type": "text", "text": words}


def use(call_id, name="Bash", given=None):
    return {"type": "tool_use", "id": call_id, "name": name, "input": {} if given is None else given}


def result(call_id, content="done", **more):
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def thinking(signature, words="hm"):
    return {"type": "thinking", "thinking": words, "signature": signature}


def own(provider, model, **payload):
    return sign(Origin(provider, model, {"f": "messages", **payload}))


HI, SO = user(text("hi")), user(text("so?"))


def reply(*blocks, preset="anthropic", model="m", thinks=True, **facts):
    """What a target gets of one message of the assistant's, and what is said to have changed."""
    (_, *rest), changes = settle([HI, assistant(*blocks), SO], preset, model, thinks=thinks, **facts)
    return [block for message in rest[:-1] for block in message["content"]], changes


LINK = "https://x.example/a.png"
ODD = [
    {"type": "hologram", "text": "a"},
    {"type": "server_tool_use", "id": "srvtoolu_zai1", "name": "web_search_prime", "input": {"a": 1}},
    {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_zai1", "content": {"stdout": "42"}},
    {"type": "image", "source": {"type": "url", "url": LINK}},
    {**text("a"), "annotations": [], "odd": 1},
    {**use("a"), "provider_specific_fields": {}, "odd": 1},
]


def marked(block, provider, model="m", **payload):
    return {**block, makers.MAKER: own(provider, model, **payload)}


SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "news"}}


def hits(encrypted, call_id="srvtoolu_1"):
    page = {"type": "web_search_result", "url": "https://x.example", "title": "X", "encrypted_content": encrypted}
    return {"type": "web_search_tool_result", "tool_use_id": call_id, "content": [page]}


_signatures = st.sampled_from(
    [GENUINE, "", "gAAAAABo", "0" * 32, own("ollama", "m", s=""), own("vllm", "m"), own("x", "y", s=GENUINE)]
)
REASONING = {"type": "reasoning", "text": "a plan"}
#: What other servers say that is no part of Anthropic's format, on its way to the client or without a mark.
_odd = st.sampled_from(
    [
        REASONING,
        {"type": "output_text", "text": "a"},
        {**text("a"), "annotations": []},
        {"type": "mcp_tool_use", "id": "call.1", "name": "x", "server_name": "s", "input": {}},
        {"type": "web_fetch_tool_result", "tool_use_id": "call_1", "content": {}},
        *(marked(block, *by) for block in ODD for by in (("zai", "m"), ("anthropic", "x"), ("openrouter", "m"))),
    ]
)
_said = st.one_of(
    _odd,
    st.builds(text, st.sampled_from(["hi", "", " ", "é"])),
    st.sampled_from([IMAGE, PDF]),
    st.builds(thinking, _signatures),
    st.builds(lambda data: {"type": "redacted_thinking", "data": data}, _signatures),
    st.builds(
        use, st.sampled_from(["a.b", "a:b", "a_b", "call_0", "", "x" * 80]), st.sampled_from(["Bash", "a.b"])
    ),
    st.sampled_from([SEARCH, hits(""), hits("x"), {"type": "container_upload", "file_id": "f"}]),
)


_beginnings = st.sampled_from(
    [None, None, *map(spoken, ["system", "assistant", "developer"]), assistant(text("a"))]
)
_roles = st.sampled_from(["user", "user", "user", "tool", "developer"])


@st.composite
def switched(draw):
    """A conversation through many hands: odd ids and roles, results lost, moved and doubled, blocks of anybody's."""
    messages = [*filter(None, [draw(_beginnings)])]
    calls: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        kept = draw(st.lists(st.sampled_from(calls), max_size=4)) if calls else []
        answers = [result(call, draw(st.sampled_from(["x", "", [text("y"), IMAGE], [text("")]]))) for call in kept]
        shown = [
            each for each in draw(st.lists(_said, max_size=3)) if each["type"] in {"text", "image", "document"}
        ]
        messages += draw(
            st.lists(st.sampled_from([*map(spoken, ["user", "assistant"]), spoken("user", " ")]), max_size=1)
        )
        messages.append({**user(*draw(st.permutations([*answers, *shown]))), "role": draw(_roles)})
        if draw(st.booleans()):
            messages.append(spoken("system", draw(st.sampled_from(["note", [], [text("note")]]))))
        answer = [each for each in draw(st.lists(_said, max_size=5)) if each["type"] not in {"image", "document"}]
        messages.append(assistant(*answer))
        calls = [each["id"] for each in answer if each["type"] == "tool_use"]
    messages.append(user(*map(result, calls), text("and now?")))
    return copy.deepcopy(messages)
