"""The client's own spellings stand in one place."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from ccrouter.wire import claude_code

PACKAGE = Path(claude_code.__file__).parents[1]
HERE = Path(claude_code.__file__)
ELSEWHERE = sorted(path for path in PACKAGE.rglob("*.py") if path != HERE)


def words_of(value):
    """The words in one of the module's values. Those of a pattern, nobody else would spell the same way."""
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        yield value.strip()
    elif isinstance(value, tuple | frozenset):
        for each in value:
            yield from words_of(each)


def is_its_own(words):
    """Whether nobody else has such words: names as short as ``title`` mean other things elsewhere."""
    return len(words) >= 12 or re.fullmatch(r"[\w-]+", words) is None


SPELLINGS = sorted(
    {
        words
        for name, value in vars(claude_code).items()
        if name.isupper()
        for words in words_of(value)
        if is_its_own(words)
    }
)


def spelled_in(path):
    """Those of `SPELLINGS` that stand in the texts of a module; docstrings may tell of them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [
        node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in told
    ]
    return [words for words in SPELLINGS if any(words in text for text in texts)]


def test_no_other_module_spells_them():
    found = {path.relative_to(PACKAGE).as_posix(): spelled_in(path) for path in ELSEWHERE}
    assert {name: words for name, words in found.items() if words} == {}


def test_each_would_be_found():
    assert spelled_in(HERE) == SPELLINGS
    assert {"x-claude-code-session-id", "[1m]", "<env>", "DeferredToolPlaceholder"} < {*SPELLINGS}
