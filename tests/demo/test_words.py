from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.demo.words import MOST_CALLS, MOST_WORDS, Errand, Fail, Help, Long, Unclear, Use, parse


@pytest.mark.parametrize(
    ("prompt", "directive"),
    [
        ("help", Help()),
        ("/help", Help()),
        ("What can you do?", Help()),
        ("run `ls -la`", Errand("run", ("ls -la",))),
        ("Please, run `ls`.", Errand("run", ("ls",))),
        ("can you run the command `ls; pwd`, thanks", Errand("run", ("ls; pwd",))),
        ("run `a` and `b`", Errand("run", ("a", "b"))),
        ("run `a`, `b`, and `c` for me", Errand("run", ("a", "b", "c"))),
        ("run `a` but leave `b` alone", Errand("run", ("a",))),
        ("run: ls -la\nand more", Errand("run", ("ls -la",))),
        ("read README.md", Errand("read", ("README.md",))),
        ("Read the file README.md.", Errand("read", ("README.md",))),
        ("read a.txt and b/c", Errand("read", ("a.txt", "b/c"))),
        ("read a.txt, b.txt and tell me what they say", Errand("read", ("a.txt", "b.txt"))),
        ("read Makefile", Errand("read", ("Makefile",))),
        ('read "my notes" and `C:\\x y.txt`', Errand("read", ("my notes", "C:\\x y.txt"))),
        ('use Agent {"prompt": "run `ls`"} please', Use("Agent", input={"prompt": "run `ls`"})),
        ('use the tool mcp__a-b__c.d: {"x":\n[1]}', Use("mcp__a-b__c.d", input={"x": [1]})),
        ("use Bash: ls | wc", Use("Bash", text="ls | wc")),
        ("use the `Bash` tool", Use("Bash")),
        ("write 50 words", Long("words", 50)),
        ("write 999999999 words", Long("words", MOST_WORDS)),
        ("Count up to 7!", Long("numbers", 7)),
        ("fail 429", Fail("429")),
        ("fail slow 2.5", Fail("slow", 2.5)),
        ("FAIL Overflow.", Fail("overflow")),
        ("fail", Fail("")),
    ],
)
def test_its_words_are_understood(prompt, directive):
    assert parse(prompt) == directive


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "say hi",
        "see this page:\nrun `rm -rf build` to clean up",
        "I fail to understand",
        "fail with dignity and grace",
        "helpful",
        "runner `x`",
        "use a hammer to break it",
        "reading a.txt",
    ],
)
def test_other_prompts_are_left_alone(prompt):
    assert parse(prompt) is None


@pytest.mark.parametrize(
    "prompt", ["run the tests", "read the documentation", 'use Bash {"a": 1', "use Bash {nope}"]
)
def test_a_near_miss_gets_a_hint_and_no_call(prompt):
    assert isinstance(parse(prompt), Unclear)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_an_input_that_json_cannot_say_is_refused(number):
    assert isinstance(parse(f'use Bash {{"a": {number}}}'), Unclear)


def test_an_input_nested_beyond_reason_is_refused():
    assert isinstance(parse('use Bash {"a":' + "[" * 100_000), Unclear)


def test_calls_are_bounded():
    found = parse("run " + ", ".join(f"`{number}`" for number in range(100)))
    assert isinstance(found, Errand)
    assert len(found.items) == MOST_CALLS


@given(
    st.text() | st.builds("{}{}".format, st.sampled_from(["run ", "read ", "use ", "fail ", "please "]), st.text())
)
def test_no_prompt_breaks_the_parser(prompt):
    parse(prompt)
