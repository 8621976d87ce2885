"""What of a conversation a backend refuses, in words at which the client goes on without it.

Reasoning that the backend can't read again (another account, a key of its own that was changed), a picture that it
can't decode or its model can't see, a document that it can't read: they stay in the conversation, so all of its
later turns would be refused with them. Claude Code leaves them out and asks again where it hears Anthropic's own
words for it, 2.1.197 as well as 2.1.329; the class names behind ``capability_rejected:`` only the later one knows.

Such words are told only where the request has a part of that kind, since to any other they would be a riddle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from attrs import frozen

from ccrouter.wire import claude_code
from ccrouter.wire.messages import MessagesRequest

#: The statuses of a refusal that can be about a part of the request; 500 is llama.cpp's, 404 OpenRouter's.
_OF_REQUEST = frozenset({400, 404, 415, 422, 500})

#: How much of a message is searched, in characters.
_SEARCHED = 4096

#: A place in the backend's messages, ``messages[3].content[1]``: the client would look for it in its own.
_PLACE = re.compile(r"\bmessages(?=\[\d+\]\.content\[)")


@frozen
class _Part:
    """Content of a kind, the types of its ``blocks``, and what is ``told`` of one that is refused.

    Refusals have one of the ``codes``, or of the ``words``.
    """

    blocks: frozenset[str]
    told: str
    codes: re.Pattern[str]
    words: re.Pattern[str]


def _any(*wordings: str) -> re.Pattern[str]:
    return re.compile("|".join(wordings), re.IGNORECASE | re.DOTALL)


#: In front of what a backend doesn't know.
_NO = r"(?:(?:not|n't) (?:support|accept|allow)|unsupported|no endpoints found that support)"
_FAILED = r"(?:unable|failed) to (?:process|parse|load|decode|download|read|open)"


@cache
def _parts() -> tuple[_Part, ...]:
    """Compiled when a refusal comes that may need them, and not at every start."""
    return (
        _Part(
            frozenset({"thinking", "redacted_thinking"}),
            claude_code.SIGNATURE_REFUSED,
            _any("encrypted_content", "thought_signature", "thinking_signature"),
            _any(
                r"encrypted[ _]content.{0,300}?could not be (?:verified|decrypted)",
                # xAI
                r"could not (?:decrypt|decode|verify) .{0,40}?(?:encrypted[ _]content|compaction blob)",
                # Gemini
                r"(?:invalid|corrupted) (?:thought|thinking)[ _]?signature",
                r"(?:thought|thinking)[ _]?signature is (?:not valid|invalid|corrupted)",
            ),
        ),
        _Part(
            frozenset({"image"}),
            claude_code.IMAGE_REFUSED,
            _any("image"),  # OpenAI has a dozen, such as `invalid_image_format`
            _any(
                # A model without eyes. Ollama, LM Studio, OpenRouter
                rf"{_NO}.{{0,60}}?\b(?:images?|image_url|vision|multi-?modal)\b",
                r"\bmissing data required for image input\b",
                # llama.cpp, Mistral
                r"\bimages?(?: inputs?| urls?)? (?:is|are) not (?:supported|enabled|allowed)",
                # Copilot; vLLM
                r"\bnot supported for vision\b",
                r"\bis not a multi-?modal model\b",
                r"\bat most \d{1,6} image\(s\)",
                # OpenAI; DeepSeek
                r"\bimage_url is only supported\b",
                r"\bunknown variant `image_url`",
                # A picture that is none. OpenAI; Gemini; llama.cpp, vLLM; Pillow; Go
                r"\b(?:represent a valid|invalid(?: base64)?) image\b",
                r"\[\d{1,6}\]\.image(?:_url)?\b|\bimage mime type\b",
                r"\bimage is not valid\b",
                rf"{_FAILED}(?: the)?(?: input)? image\b",
                r"\bcannot identify image file\b",
                r"\bimage: unknown format\b",
            ),
        ),
        _Part(
            frozenset({"document"}),
            claude_code.DOCUMENT_REFUSED,
            _any("pdf", "invalid_file", "unsupported_file"),
            _any(
                r"\bdocument has no pages\b",  # Gemini
                r"\bfile_data\b",  # OpenAI
                r"\bunknown variant `(?:input_)?file`",
                rf"{_NO}.{{0,60}}?\b(?:pdfs?|documents?|files?|input_file)\b",
                r"\b(?:pdfs?|files?|documents?)(?: inputs?)? (?:is|are) not supported\b",
                rf"{_FAILED}(?: the| input)* (?:.{{0,80}}?\.)?(?:pdf|document|file)\b",
                r"\b(?:invalid|corrupt(?:ed)?|encrypted|password.protected) pdf\b",
            ),
        ),
    )


def words(request: MessagesRequest, status: int, named: frozenset[str], message: str, name: str) -> str | None:
    """What makes the client leave out a part of ``request``; None where a refusal is not about one.

    ``status`` is the refusal's, ``named`` are its codes, ``message`` its words, ``name`` is the provider's.
    """
    if status not in _OF_REQUEST:
        return None
    text = message[:_SEARCHED]
    if claude_code.PART_REFUSED.search(text):  # already, from gateways in front of Claude
        return f"{name}: {message}"
    about = [part for part in _parts() if any(map(part.codes.search, named)) or part.words.search(text)]
    if not about:
        return None
    held = set(_kinds(request.fields.get("messages")))
    words = next((part.told for part in about if part.blocks & held), None)
    return None if words is None else f"{words} ({name}: {_PLACE.sub('message', message)})"


def _kinds(content: Any, depth: int = 0) -> Iterator[str]:
    """The types of all blocks in messages, those in results of tools among them."""
    for each in content if isinstance(content, list) and depth < 3 else ():
        if isinstance(each, dict):
            if isinstance(each.get("type"), str):
                yield each["type"]
            yield from _kinds(each.get("content"), depth + 1)
