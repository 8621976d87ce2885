from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate.conversation import read
from ccrouter.translate.tools import Ids, Names, client_id

odd = st.text(max_size=90) | st.text("ab._:-", max_size=90) | st.sampled_from(["a" * 64, "a" * 65, "\ud800", ""])


def names(*tools):
    return Names(read({"tools": [{"name": each, "input_schema": {}} for each in tools]}))


@given(odd)
def test_a_tool_has_a_name_there_that_every_vendor_takes(name):
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", names().there(name))


@given(st.lists(odd.filter(bool), unique=True))
def test_names_come_back_and_never_meet(tools):
    known = names(*tools)
    there = [known.there(each) for each in tools]
    assert len(set(there)) == len(tools)
    assert [known.back(each) for each in there] == tools


@given(odd, st.lists(odd))
def test_a_name_is_the_same_whatever_else_there_is(name, others):
    assert names(name).there(name) == names(*others, name).there(name)


def test_a_name_that_needs_nothing_stays_and_an_unknown_one_comes_back_unchanged():
    known = names("Bash", "mcp__" + "x" * 80)
    assert known.there("Bash") == known.back("Bash") == "Bash"
    assert known.there("mcp__" + "x" * 80).startswith("mcp__xxx")
    assert known.back("nobody.knows") == "nobody.knows"


def test_a_name_that_only_the_history_knows_comes_back_too():
    message = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "old.tool", "input": {}}]}
    known = Names(read({"messages": [message]}))
    assert known.back(known.there("old.tool")) == "old.tool"


@given(st.lists(odd, unique=True))
def test_ids_of_calls_never_meet(ids):
    for known, form in ((Ids("any"), r"[a-zA-Z0-9_-]{1,64}"), (Ids("nine"), r"[a-zA-Z0-9]{9}")):
        there = [known.there(each) for each in ids]
        assert len(set(there)) == len(ids)
        assert all(re.fullmatch(form, each) for each in there)
        assert [known.there(each) for each in ids] == there


def test_an_id_that_needs_nothing_stays():
    assert Ids("any").there("toolu_01-A") == "toolu_01-A"
    assert Ids("nine").there("Abc123xyz") == "Abc123xyz"


@given(
    st.lists(
        st.tuples(odd | st.none(), st.sampled_from(["m1", "m2", "m10"]), st.integers(0, 12)),
        unique_by=lambda each: each[1:],
    )
)
def test_the_client_gets_ids_that_it_takes_and_that_never_come_again(calls):
    given_ids = [client_id(*each) for each in calls]
    assert len(set(given_ids)) == len(calls)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", each) for each in given_ids)
    assert [Ids("any").there(each) for each in given_ids] == given_ids


def test_a_backends_own_id_can_be_seen_in_the_clients():
    assert client_id("functions.Bash:0", "msg_1", 0).startswith("functions_Bash_0_")
    assert client_id(None, "msg_1", 0).startswith("call_")
