"""The most tokens of a text, against what tokenizers of local models counted (``recorded_counts.json``).

Their packages are too large to be installed by a test; ``tests/e2e/tokenizers/record_local.mjs`` counts anew.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate import most_tokens, tokens
from ccrouter.translate.most_tokens import MARGIN
from ccrouter.wire.messages import read_request
from tests.translate.dialogues import any_fields

RECORDED = json.loads(Path(__file__).with_name("recorded_counts.json").read_text("utf-8"))["texts"]

#: Texts that may have more than is promised, and how much more: their characters look like those of English or of
#: code. Whoever finds a price that tells them apart takes them out of here.
BEYOND = {
    "prose: german": 1.35,
    "prose: polish": 1.35,
    "prose: finnish": 1.7,
    "prose: indonesian": 2.1,
    "math": 1.4,
    "any marks": 1.7,
    "rare han": 3.0,
}

#: What a coding agent reads and writes all day.
CODE = ("python", "javascript", "shell", "powershell", "git diff", "grep", "numbered", "traceback")


#: Of 32,000 words; none of the models that have it is promised anything.
OLD = "llama2"


def most(name: str) -> int:
    counts: dict[str, int] = RECORDED[name]["counts"]
    return max(count for tokenizer, count in counts.items() if tokenizer != OLD)


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_no_local_tokenizer_makes_more_of_a_text_than_the_margin_allows(name: str) -> None:
    allowed = BEYOND.get(name, 1 + MARGIN)
    assert most(name) <= allowed * most_tokens.of_text(RECORDED[name]["text"])


def test_what_is_beyond_the_promise_is_beyond_it() -> None:
    for name in BEYOND:
        assert most(name) > (1 + MARGIN) * most_tokens.of_text(RECORDED[name]["text"]), name


def test_the_ordinary_estimate_would_not_do() -> None:
    """The kinds of text for which this is there, and by how much the ordinary estimate is too low."""
    short = {name: most(name) / tokens.estimate_text(RECORDED[name]["text"]) for name in RECORDED}
    for name in (
        "json with numbers",
        "csv, decimals",
        "log with timestamps",
        "base64",
        "git log --stat",
        "prose: hebrew",
    ):
        assert short[name] > 1 + MARGIN, name


def test_code_and_english_are_not_made_out_to_be_much_longer_than_they_are() -> None:
    """Or the client compacts its conversations too early. Against the highest count, and that of qwen3."""
    code = [name for name in RECORDED if name.startswith(CODE)]
    assert len(code) > 15
    text = [name for name in RECORDED if name.startswith(("markdown", "prose: english"))]
    for names, to_most, to_qwen3 in ((code, 1.1, 1.25), (text, 1.1, 1.25), (["prose: english"], 1.1, 1.15)):
        found = sum(most_tokens.of_text(RECORDED[name]["text"]) for name in names)
        assert found <= to_most * sum(map(most, names)), names
        assert found <= to_qwen3 * sum(RECORDED[name]["counts"]["qwen3"] for name in names), names


def test_older_tokenizers_are_not_far_beyond_it_on_code_and_english() -> None:
    names = [name for name in RECORDED if name.startswith((*CODE, "markdown", "prose: english"))]
    for name in names:
        assert RECORDED[name]["counts"][OLD] <= 1.15 * most_tokens.of_text(RECORDED[name]["text"]), name


def test_other_scripts_are_not_made_out_to_be_much_longer_than_they_are() -> None:
    for name in (
        "thai",
        "arabic",
        "korean",
        "chinese",
        "japanese",
        "russian",
        "hindi",
        "greek",
        "turkish",
        "hebrew",
    ):
        text = RECORDED[f"prose: {name}"]["text"]
        assert most_tokens.of_text(text) * (1 + MARGIN) <= 1.7 * most(f"prose: {name}"), name


def test_each_digit_is_a_token() -> None:
    assert most_tokens.of_text("7" * 1_000) in range(1_000, 1_010)


def test_nothing_has_no_tokens_and_anything_has_one() -> None:
    assert most_tokens.of_text("") == 0
    assert most_tokens.of_text("-" * 8) >= 1
    assert most_tokens.of_text("\ud800") >= 1


@given(st.text(max_size=60), st.integers(2, 9))
def test_it_grows_with_the_text_and_in_proportion(text: str, times: int) -> None:
    once, many = most_tokens.of_text(f"{text} a\n"), most_tokens.of_text(f"{text} a\n" * times)
    assert once <= many
    assert abs(many - times * once) <= 5 * times  # but for the seams and the rounding


@given(any_fields)
def test_a_request_has_the_marks_and_the_media_of_the_ordinary_estimate(fields) -> None:
    asked = read_request(json.dumps({"model": "m", **fields}).encode())
    text = " ".join(tokens.texts_of(asked.fields))
    beside = tokens.of(asked) - tokens.estimate_text(text)
    assert most_tokens.of(asked) == most_tokens.of_text(text) + beside == most_tokens.of(asked)
