from __future__ import annotations

import re
import time
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccrouter.translate.regex import compiles

#: Of Claude Code's Artifact tool, 2.1.263 and later.
NAME = r'^(?!__.*__$)[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}"\\./[\]]{1,200}$'


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        (r"^[a-z]+$", True),
        (r"^\d{4}-\d\d$", True),
        (r"^https?:\/\/", True),
        (r"^[\u4e00-\u9fff]+$", True),
        (r"^[^[\]]+$", True),
        (r"[[a-z]&&b||c~~d--e]", True),
        (NAME, False),
        (r"^\p{L}+$", False),
        (r"(?<name>.)", False),
        (r"[\w-.]", False),
        ("[^]", False),
        ("[z-a]", False),
        (r"(?<=a*)b", False),
        ("(", False),
        ("(" * 5000, False),
        ("a{99999999999}", False),
    ],
)
def test_what_python_takes(pattern, taken):
    assert compiles(pattern) is taken


def python_takes(pattern):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError):
            return False
    return True


pieces = st.sampled_from(
    ["[", "[^", "]", "-", "&", "~", "|", "\\", "a", "z", "!", "é", "\\u0100", "\\uffff", "\\x41", "("]
)


@given(st.lists(pieces | st.characters(codec="utf-8"), max_size=12).map("".join))
@example("[--!]")
@example("[!--/]")
@example("[]-a]")
@example("[^]-]")
@example("[\\u0100-\\uffff-a]")
@example("[\\uffff-\\u0100]")
def test_it_is_what_re_says_and_nothing_is_warned_of(pattern):
    assert compiles(pattern) is python_takes(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "[" + "".join(f"{chr(0x100 + n)}-{chr(0xFFFF - n)}" for n in range(5000)) + "]",
        "(?i)[" + "\\u0100-\\uffff" * 2000 + "]",
        "[" * 20_000,
        "(a|b)" * 4000,
        "[a-" * 7000,
        "\\" * 20_001,
    ],
)
def test_a_long_pattern_is_judged_in_no_time(pattern):
    began = time.process_time()
    compiles(pattern)
    assert time.process_time() - began < 0.5
