"""The most input tokens that a request has with the tokenizers of models that people run themselves.

For backends that cut a prompt in silence (see `ccrouter.translate.window`): what they are sent must fit for
certain. The ordinary estimate (`ccrouter.translate.tokens`) aims between two tokenizers of hosted models. Those of
local models differ most where it is cheapest: they make a token of each digit, and of scripts that they have no
words for a token of each byte. So columns of numbers were estimated at less than half of what they are.

**Promised:** none of the tokenizers of ``qwen3``, ``gemma3``, ``llama3``, ``llama2``, ``gpt-oss`` and
``deepseek-v3`` counts more than `window.MARGIN` above this, on code, listings, logs, numbers, encoded bytes and
prose in some 30 languages (``tests/translate/test_most_tokens.py`` holds it to recorded counts). Beyond the
promise is what looks like English or like code: prose of other languages in Latin script that have long words or
few accents (by the worst count, German and Polish have up to a third more, Finnish and Indonesian up to twice as
many), long runs of mixed marks or of mathematical signs, and rare Han.

The prices were fitted on 2026-11-28 by a linear programme over 190 texts of such kinds: the lowest sum of relative
sizes, code and English weighed ten times, where no text has more than 1.1 times its price with any of the first
four. A few were raised by hand: letters without an end, which none of the texts had, and marks of all kinds. On
source code that is 1.1 to 1.3 times what ``qwen3`` counts, on English 1.1, where the ordinary estimate is 1.0.
"""

from __future__ import annotations

import math

from ccrouter.translate import tokens
from ccrouter.wire.messages import MessagesRequest

#: As in `tokens`, with classes of their own for Armenian and for what is of three bytes from E1 on.
_CLASSES = bytearray(tokens.CLASSES)
for _lead, _name in ((0xD4, b"r"), (0xD5, b"r"), (0xE1, b"t")):
    _CLASSES[_lead] = _name[0]

#: Prices in tokens of patterns over the classes, letters of one case.
_COSTS: tuple[tuple[bytes, float], ...] = (
    (b" a", 1.08),
    (b"\na", 2.64),
    (b".a", 1.56),
    (b"0a", 2.22),
    (b"aaaaaaaa", 0.54),
    (b"0", 1.0),  # a digit
    (b" 0", 1.12),
    (b".0", 0.42),
    (b"\n0", 0.33),
    (b".", 0.47),
    (b" .", 0.28),
    (b". ", 0.16),
    (b"\n", 0.65),
    (b"\n ", 0.58),
    (b"\t", 0.72),
    (b"\ta", 1.35),
    (b"  ", 0.12),
)
#: The same, where the case of letters matters.
_CASE_COSTS: tuple[tuple[bytes, float], ...] = (
    (b"aA", 1.02),
    (b"AA", 0.42),
    (b"a" * 24, 11.3),  # no word, and made of pieces of two letters
    (b"A" * 24, 8.6),
)
#: Of bytes as they are: rules across a page, which are cheaper than other marks.
_RULES: tuple[tuple[bytes, float], ...] = ((b"-" * 8, -2.0), (b"=" * 8, -2.0))
#: The same, of scripts beyond ASCII: per character.
_SCRIPT_COSTS: tuple[tuple[bytes, float], ...] = (
    (b"l", 2.68),
    (b"g", 1.2),
    (b"c", 0.53),
    (b"r", 1.88),
    (b"s", 1.14),
    (b"i", 1.41),
    (b"t", 2.7),
    (b"y", 1.2),
    (b"j", 0.91),
    (b"h", 1.05),
    (b"k", 1.39),
    (b"e", 2.96),
)
#: Of these bytes at the beginning of a character, besides: Latin letters with two accents (Vietnamese).
_LETTERS: tuple[tuple[bytes, float], ...] = ((b"\xe1\xba", -2.2), (b"\xe1\xbb", -2.2))


def of(request: MessagesRequest) -> int:
    """The most for a request, found once."""
    if "most_tokens" not in request.computed:
        texts, beside = tokens.parts(request.fields)
        request.computed["most_tokens"] = of_text(" ".join(texts)) + beside
    count: int = request.computed["most_tokens"]
    return count


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
