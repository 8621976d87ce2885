"""The most input tokens that a request has with the tokenizers of models that people run themselves.

For backends that cut a prompt in silence (see `ccrouter.translate.window`): what they are sent must fit for
certain. The ordinary estimate (`ccrouter.translate.tokens`) aims between two tokenizers of hosted models. Those of
local models differ most where it is cheapest: they make a token of each digit, and of scripts that they have no
words for a token of each byte. So columns of numbers were estimated at less than half of what they are.

**Promised:** none of the tokenizers of ``qwen3``, ``gemma3``, ``llama3``, ``gpt-oss`` and ``deepseek-v3`` counts
more than `MARGIN` above this, on code, listings, logs, numbers, encoded bytes and prose in some 30 languages
(``tests/translate/test_most_tokens.py`` holds it to recorded counts). Beyond the promise is what looks like
English or like code: prose of other languages in Latin script that have long words or few accents (by the worst
count, German and Polish have up to a third more, Finnish and Indonesian up to 1.7 times as many), long runs of
mixed marks or of mathematical signs, and rare Han. Older tokenizers of 32,000 words (Llama 2's, which Phi-3 has
too) stay near it on code and English, and make up to four times as many of other scripts.

The prices were fitted on 2026-11-28 by a linear programme over the recorded texts: the lowest sum of relative
sizes, code and English weighed ten times, where no text has more than 1.03 times its price. A few stand by hand:
letters without an end and marks of all kinds. On source code that is 1.2 times what ``qwen3`` and 1.0 times what
``gemma3`` counts, on English 1.0; the ordinary estimate is 1.0 of ``qwen3`` on both.
"""

from __future__ import annotations

import math

from ccrouter.providers.provider import Target
from ccrouter.translate import tokens
from ccrouter.wire.messages import MessagesRequest

#: How far a tokenizer may be above it, at most.
MARGIN = 0.05

#: As in `tokens`, with classes of their own for Armenian, Hebrew, and what is of three bytes from E1 on.
_CLASSES = bytearray(tokens.CLASSES)
for _lead, _name in ((0xD4, b"r"), (0xD5, b"r"), (0xD6, b"w"), (0xD7, b"w"), (0xE1, b"t")):
    _CLASSES[_lead] = _name[0]

#: Prices in tokens of patterns over the classes, letters of one case.
_COSTS: tuple[tuple[bytes, float], ...] = (
    (b" a", 0.98),
    (b"\na", 2.13),
    (b".a", 1.31),
    (b"0a", 2.87),
    (b"aaaaaaaa", 0.42),
    (b"0", 1.0),  # a digit
    (b" 0", 1.39),
    (b".0", 0.48),
    (b"\n0", 0.43),
    (b".", 0.47),
    (b" .", 0.27),
    (b". ", 0.23),
    (b"\n", 0.91),
    (b"\n ", 0.82),
    (b"\t", 0.82),
    (b"\ta", 0.97),
    (b"  ", 0.17),
)
#: The same, where the case of letters matters.
_CASE_COSTS: tuple[tuple[bytes, float], ...] = (
    (b"aA", 0.73),
    (b"AA", 0.3),
    (b"a" * 24, 11.53),  # no word, and made of pieces of two letters
    (b"A" * 24, 9.21),
)
#: Of bytes as they are: rules across a page, which are cheaper than other marks.
_RULES: tuple[tuple[bytes, float], ...] = ((b"-" * 8, -2.8), (b"=" * 8, -2.8))
#: The same, of scripts beyond ASCII: per character.
_SCRIPT_COSTS: tuple[tuple[bytes, float], ...] = (
    (b"l", 2.97),
    (b"g", 0.99),
    (b"c", 0.56),
    (b"r", 2.01),
    (b"w", 1.17),
    (b"s", 0.72),
    (b"i", 1.5),
    (b"t", 2.88),
    (b"y", 0.71),
    (b"j", 0.66),
    (b"h", 0.92),
    (b"k", 0.84),
    (b"e", 3.23),
)
#: Of these bytes at the beginning of a character, besides: Latin letters with two accents (Vietnamese), and Thai.
_LETTERS: tuple[tuple[bytes, float], ...] = (
    (b"\xe1\xba", -3.0),
    (b"\xe1\xbb", -3.0),
    (b"\xe0\xb8", -0.99),
    (b"\xe0\xb9", -0.99),
)


def of(request: MessagesRequest, target: Target | None = None) -> int:
    """The most for a request, or for what ``target`` is shown of it, found once."""
    sizes = request.sizes
    if sizes.most_tokens is None:
        sizes.most_tokens = tokens.Count(request.fields, of_text)
    return sizes.most_tokens.of(target)


def of_text(text: str) -> int:
    """The most for ``text`` alone."""
    if not text:
        return 0
    encoded = b" " + text.encode("utf-8", "surrogatepass")
    cased = encoded.translate(_CLASSES)
    folded = cased.translate(tokens.FOLD)
    found = sum(cost * folded.count(pattern) for pattern, cost in _COSTS)
    found += sum(cost * cased.count(pattern) for pattern, cost in _CASE_COSTS)
    found += sum(cost * encoded.count(pattern) for pattern, cost in _RULES)
    if not text.isascii():
        found += sum(cost * cased.count(lead) for lead, cost in _SCRIPT_COSTS)
        found += sum(cost * encoded.count(start) for start, cost in _LETTERS)
    return max(1, math.ceil(found))
