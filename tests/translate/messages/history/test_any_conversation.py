"""What holds for any conversation."""

from __future__ import annotations

import copy
import itertools
import json

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Provider, Target
from ccrouter.translate.messages import history, lane
from ccrouter.wire import spans
from ccrouter.wire.messages import read_request
from tests.e2e.strictness import about_messages
from tests.strategies import json_objects
from tests.translate.dialogues import any_fields, dialogues, without_marks
from tests.translate.messages.settling import (
    HI,
    MESSAGES,
    assistant,
    own,
    result,
    settle,
    switched,
    target,
    text,
    thinking,
    use,
    user,
)

_BROKEN_OFF = "thinking is the last of its message"


def wrong(messages):
    """What Anthropic would find wrong; a turn of its own that broke off while it thought is left as it came."""
    found = {*about_messages(settle(messages)[0])}
    return found - {_BROKEN_OFF} if _BROKEN_OFF in about_messages(messages) else found


@given(switched())
def test_anthropic_finds_nothing_wrong_with_what_it_gets(messages):
    assert not wrong(messages)


@given(dialogues())
def test_nor_with_a_dialogue_of_odd_ids_and_foreign_thinking(dialogue):
    for messages in dialogue.requests:
        assert not wrong(messages)


@given(switched())
def test_settling_twice_is_settling_once_and_changes_nothing_that_was_given(messages):
    before = copy.deepcopy(messages)
    found, changes = settle(messages)
    assert messages == before
    assert settle(found)[0] is found
    assert settle(found)[1] == []
    assert bool(changes) == (found is not messages)
    assert (found, changes) == settle(copy.deepcopy(messages))


@given(switched(), st.sampled_from(MESSAGES))
def test_a_longer_conversation_begins_with_what_a_shorter_one_was(messages, preset):
    whole, _ = settle(messages, preset)
    for place, message in enumerate(messages):
        if message["role"] == "assistant" and place and messages[place - 1]["role"] != "assistant":
            shorter, _ = settle(messages[:place], preset)
            assert whole[: len(shorter)] == shorter


@given(dialogues(), st.sampled_from(MESSAGES))
def test_nor_do_cache_marks_change_what_is_said(dialogue, preset):
    found = [without_marks(settle(messages, preset)[0]) for messages in dialogue.requests]
    listed = [[{**each, "content": history_of(each["content"])} for each in messages] for messages in found]
    for shorter, longer in itertools.pairwise(listed):
        assert longer[: len(shorter)] == shorter


def history_of(content):
    return [text(content)] if isinstance(content, str) else content


@given(any_fields, st.sampled_from(MESSAGES), st.booleans())
def test_nothing_that_json_can_say_is_too_odd(fields, preset, sees):
    body = json.dumps({"model": "m", "messages": fields["messages"]})
    items = read_request(body.encode()).items
    to = target(preset, vision=sees)
    edits, changes = history.edits(body, items[1], to)
    found = json.loads(spans.apply(body, edits))["messages"]
    assert json.dumps(found) == json.dumps(history.settle(json.loads(body)["messages"], to)[0])
    assert bool(edits) == bool(changes)


@given(json_objects(), st.sampled_from(MESSAGES))
def test_what_needs_nothing_stays_in_its_own_bytes(written, preset):
    """In the middle of a conversation of which something else is changed."""
    call = f'{{"type":"tool_use","id":"a","name":"Bash","input":{written.text}}}'
    kept = f'{{"role":"assistant", "content":[{call}]}}'
    foreign = json.dumps(thinking(own("x", "m")))
    body = f'[{{"role":"user","content":"hi"}},{kept},{json.dumps(user(result("a")))},{{"role":"assistant","content":[{foreign},{call}]}}]'
    text = f'{{"model":"m","messages":{body}}}'
    to = target(preset)
    edits, changes = history.edits(text, read_request(text.encode()).items[1], to, thinks=False)
    assert changes
    assert kept in spans.apply(text, edits)
    assert spans.apply(text, edits).count(written.text.strip()) >= 2


# In a request


@given(switched(), st.sampled_from(MESSAGES))
def test_each_change_is_named_among_those_of_the_request(messages, preset):
    body = json.dumps({"model": "m", "messages": messages}).encode()
    outbound = lane.render(read_request(body), target(preset), [], "", "messages")
    assert list(outbound.changes) == settle(messages, preset)[1]
    assert json.loads(outbound.body)["messages"] == settle(messages, preset)[0]
    assert (outbound.body == body) == (not outbound.changes)


def test_a_gateways_own_name_for_its_models_says_whether_they_are_strict():
    preset = evolve(PRESETS["litellm"], relays=("claude",))
    for model, strict in (("claude-opus-5-5", True), ("gpt-6", False)):
        to = Target(Provider(name="p", preset=preset, base_url="http://127.0.0.1:1"), model)
        assert bool(history.settle([HI, assistant(use("a.b")), user(result("a.b"))], to)[1]) == strict
