from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.marker import marked
from ccrouter.wire import spans
from ccrouter.wire.messages import read_request
from tests.routing.samples import request
from tests.strategies import json_objects

OURS = "<ccrouter-model>ollama:qwen3:8b</ccrouter-model>"
THEIRS = "<CCR-SUBAGENT-MODEL>ollama,qwen3:8b</CCR-SUBAGENT-MODEL>"
BILLING = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.329.5c8; cc_is_subagent=true;"}
OPENING = {"type": "text", "text": "You are a Claude agent, built on Anthropic's Claude Agent SDK."}


def prompt(text):
    """The system prompt of a subagent as the client sends it."""
    return [BILLING, OPENING, {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]


def left(text):
    """The model that a prompt names, and what is left of it."""
    found = marked(request(system=prompt(text)))
    if found is None:
        return None
    blocks = found.request.fields["system"]
    assert blocks[:2] == [BILLING, OPENING]
    return found.model, blocks[2]["text"] if len(blocks) == 3 else None


# Where it may stand


@pytest.mark.parametrize(
    ("text", "model", "rest"),
    [
        (f"{OURS}\nYou are BEGIN.\n\nNotes:", "ollama:qwen3:8b", "You are BEGIN.\n\nNotes:"),
        (f"{THEIRS}\nYou are BEGIN.\n\nNotes:", "ollama,qwen3:8b", "You are BEGIN.\n\nNotes:"),
        (f"You are END.\n{THEIRS}\n\nNotes:", "ollama,qwen3:8b", "You are END.\n\nNotes:"),
        (f"You are LAST.\n{OURS}", "ollama:qwen3:8b", "You are LAST.\n"),
        (f"a\n \t{OURS} \t\nb", "ollama:qwen3:8b", "a\nb"),
        (f"a\r\n{OURS}\r\nb", "ollama:qwen3:8b", "a\r\nb"),
        ("a\n<ccrouter-model> big one\t</ccrouter-model>\nb", "big one", "a\nb"),
        (f"{OURS}\n{THEIRS}\nb", "ollama:qwen3:8b", "b"),
        (f"a\n{'<ccrouter-model>' + 'm' * 256}</ccrouter-model>", "m" * 256, "a\n"),
        ("<ccrouter-model>m</ccrouter-model>\nb", "m", "b"),
    ],
)
def test_a_marker_is_found_on_a_line_of_its_own_and_taken_out(text, model, rest):
    assert left(text) == (model, rest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"See {OURS}",
        f"{OURS} is how",
        "<ccrouter-model>ollama:qwen3:8b</CCR-SUBAGENT-MODEL>",
        "<ccrouter-model></ccrouter-model>",
        "<ccrouter-model>  </ccrouter-model>",
        "<ccrouter-model>a\nb</ccrouter-model>",
        "<ccrouter-model>a<b</ccrouter-model>",
        "<CCROUTER-MODEL>m</CCROUTER-MODEL>",
        "<ccrouter-model>m",
        f"<ccrouter-model>{'m' * 257}</ccrouter-model>",
        f"`{OURS}`",
    ],
)
def test_what_only_looks_like_a_marker_is_none(text):
    assert left(text) is None


def test_a_prompt_that_is_a_plain_text_may_have_one_too():
    found = marked(request(system=f"a\n{OURS}\nb"))
    assert found is not None
    assert found.request.fields["system"] == "a\nb"


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "user", "content": f"{OURS}\nhi"}]},
        {"messages": [{"role": "system", "content": [{"type": "text", "text": OURS}]}]},
        {"tools": [{"name": "t", "description": f"{OURS}\n", "input_schema": {}}]},
        {"metadata": {"system": OURS}},
        {"system": [{"type": "text", "text": "a", "title": OURS}]},
        {"system": {"text": OURS}},
        {"system": [[OURS], OURS, None, {"text": [OURS]}]},
    ],
)
def test_what_was_said_or_read_chooses_no_model(fields):
    assert marked(request(**fields)) is None


# A block that was nothing else


def test_a_block_that_is_only_the_marker_goes_with_it():
    assert left(f"\n {OURS}\n\n") == ("ollama:qwen3:8b", None)


@pytest.mark.parametrize("system", [OURS, [{"type": "text", "text": OURS}]])
def test_a_prompt_that_is_only_the_marker_goes_with_it(system):
    found = marked(request(system=system))
    assert found is not None
    assert "system" not in found.request.fields
    assert found.request.fields["messages"]


def test_the_request_itself_stays_as_it_was():
    before = request(system=prompt(f"{OURS}\nb"))
    text = before.text
    marked(before)
    assert before.text is text
    assert before.fields["system"][2]["text"] == f"{OURS}\nb"


# Every other byte


words = st.text(st.characters(exclude_characters="<", exclude_categories=["Cs"]), max_size=12)
spellings = st.sampled_from([OURS, THEIRS])


def spelled(text, way):
    """A JSON string in one of its spellings: as it is, all escaped, or every second character."""
    parts = []
    for place, char in enumerate(text):
        units = char.encode("utf-16-be").hex()
        escaped = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
        plain = json.dumps(char, ensure_ascii=False)[1:-1]
        parts.append(escaped if way == "escaped" or (way == "mixed" and place % 2) else plain)
    return "".join(parts)


ways = st.sampled_from(["plain", "escaped", "mixed"])


@given(words, words, spellings, ways, json_objects())
def test_no_other_byte_of_the_request_changes(before, after, marker, way, around):
    first, last = spelled(f"{before}\n" if before else "", way), spelled(f"x{after}", way)
    middle = f"{marker}\\n"
    head = f'{{"model" : "m", "other":{around.text} ,"system":[ {json.dumps(BILLING)}, {{"text":"'
    tail = f'", "type" :"text"}}] ,\t"messages":[1.0, 1e3, {around.text}] }}\n'
    whole = f"{head}{first}{middle}{last}{tail}"
    found = marked(read_request(whole.encode()))
    assert found is not None
    assert found.request.text == f"{head}{first}{last}{tail}"


@given(words, spellings)
def test_only_the_marked_text_is_touched_as_its_place_shows(text, marker):
    before = request(system=prompt(f"{marker}\nx{text}"), tools=[{"name": "é"}])
    found = marked(before)
    assert found is not None
    for old, new in zip(before.items, found.request.items, strict=True):
        assert old.key == new.key
        old_text, new_text = before.text[old.start : old.end], found.request.text[new.start : new.end]
        assert (old_text == new_text) is (old.key != "system")
    kept = spans.elements(found.request.text, next(i.start for i in found.request.items if i.key == "system"))
    assert kept[2].value["text"] == f"x{text}"


@pytest.mark.parametrize("text", ["😀", "\ud800", "\\n", '"', "a\u2028", "wörk dir", "\x00"])
def test_escapes_and_characters_beyond_the_first_plane_survive(text):
    found = marked(request(system=f"{text}\n{OURS}\n{text}"))
    assert found is not None
    assert found.request.fields["system"] == f"{text}\n{text}"
    whole = json.dumps({"model": "m", "system": f"😀{text}\n{OURS}\n{text}"}, ensure_ascii=False)
    found = marked(read_request(whole.encode("utf-8", "backslashreplace")))
    assert found is not None
    assert found.request.text == whole.encode("utf-8", "backslashreplace").decode().replace(f"{OURS}\\n", "")


@given(json_objects())
def test_a_request_without_a_marker_has_none_whatever_it_is(written):
    whole = f'{{"model":"m","system":{written.text},"x":{json.dumps(OURS)}}}'
    assert marked(read_request(whole.encode())) is None


@pytest.mark.parametrize(
    "text",
    [
        "<ccrouter-model>" + " " * 5000,
        "<ccrouter-model>m" + " " * 5000 + "x",
        "<ccrouter-model>" + " m" * 5000,
        " " * 5000,
        "\n" * 5000,
        "<ccrouter-model>" * 5000,
        ("<ccrouter-model>" + " " * 300 + "\n") * 50,
    ],
    ids=range(7),
)
def test_no_text_takes_long(text):
    """It would be minutes if white space could be shared out in several ways: then this never ends."""
    assert left(f"{text}\n<ccrouter-model>") is None


@pytest.mark.parametrize(
    "system",
    [
        "<ccrouter-model>a:b</ccrouter-model>\n<CCR-SUBAGENT-MODEL>c,d</CCR-SUBAGENT-MODEL>\nYou are x.",
        "<CCR-SUBAGENT-MODEL>a:b</CCR-SUBAGENT-MODEL>\nYou are x.\n<ccrouter-model>c:d</ccrouter-model>\n",
        [
            {"type": "text", "text": "<ccrouter-model>a:b</ccrouter-model>\nYou are x."},
            {"type": "text", "text": "<ccrouter-model>e:f</ccrouter-model>"},
        ],
    ],
)
def test_of_several_markers_the_first_counts_and_all_are_taken_out(system):
    found = marked(request(system=system))
    assert found is not None
    assert found.model == "a:b"
    assert "<" not in found.request.text
    assert "You are x." in found.request.text


def test_only_so_many_are_looked_for():
    found = marked(request(system="<ccrouter-model>a:b</ccrouter-model>\n" * 100))
    assert found is not None
    assert found.request.text.count("<ccrouter-model>") == 92
