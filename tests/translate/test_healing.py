"""What of a conversation a backend refuses, told so that the client goes on without it.

The clients match these words (found in 2.1.197 and 2.1.329): after the first, thinking is left out; after the others
one picture or PDF.
"""

from __future__ import annotations

import json
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseError

from ccrouter.translate.healing import words as advice
from ccrouter.wire.messages import read_request

THINKING, IMAGE, PDF = (
    "Invalid `signature` in `thinking` block",
    "Could not process image",
    "Could not process PDF",
)

PARTS = {
    THINKING: {"type": "thinking", "thinking": "", "signature": "s"},
    IMAGE: {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
    PDF: {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}},
}

#: How each of the clients finds a place in its own messages in an error.
_IN_MESSAGES = re.compile(r"messages[.\[](\d+)[\].]+content[.\[](\d+)")


def holding(*words, nested=False):
    """A request with those parts; ``nested``: in a tool's result."""
    parts = [PARTS[each] for each in words]
    content = [{"type": "tool_result", "tool_use_id": "t", "content": parts}] if nested else parts
    messages = [{"role": "user", "content": "hi"}, {"role": "user", "content": content}]
    return read_request(json.dumps({"model": "m", "messages": messages}).encode())


EVERYTHING = holding(*PARTS)

#: what is refused, status, code, the backend's words
REFUSALS = [
    (THINKING, 400, "invalid_encrypted_content", "The encrypted content gAAA...dQ== could not be verified."),
    # A gateway in front of it has a code of its own.
    (
        THINKING,
        400,
        "bad_request",
        "The encrypted content for item rs_0a could not be verified. Reason: Encrypted content could not be parsed.",
    ),
    (
        THINKING,
        400,
        "invalid-argument",
        "Could not decrypt the provided encrypted_content. Ensure it is unmodified",
    ),
    (
        THINKING,
        400,
        "",
        "Could not decode the compaction blob. Ensure it is unmodified from the compact response.",
    ),
    (THINKING, 400, "INVALID_ARGUMENT", "Unable to submit request because Thought signature is not valid.."),
    (THINKING, 400, "INVALID_ARGUMENT", "Corrupted thought signature."),
    (THINKING, 400, "INVALID_ARGUMENT", "Invalid thought signature."),
    # A model without eyes
    (IMAGE, 400, "", "this model does not support image input (ref: b8bd630e)"),
    (IMAGE, 500, "", "this model is missing data required for image input"),
    (IMAGE, 500, "server_error", "image input is not supported - hint: you may need to provide the mmproj"),
    (IMAGE, 404, "404", "No endpoints found that support image input"),
    (IMAGE, 400, "", 'model "claude-opus-4.6" not supported for vision'),
    (IMAGE, 400, "", "qwen3-coder is not a multimodal model"),
    (IMAGE, 400, "BadRequestError", "At most 0 image(s) may be provided in one prompt."),
    (IMAGE, 400, "", "Unsupported content part type for text-only server: image_url"),
    (IMAGE, 422, "", "Failed to deserialize: messages[1]: unknown variant `image_url`, expected `text` at line 1"),
    (IMAGE, 400, "", "Invalid content type. image_url is only supported by certain models."),
    (IMAGE, 400, "", "Model does not support images. Please use a model that does."),
    (IMAGE, 400, "3051", "Image input is not enabled for this model"),
    # A picture that is none
    (IMAGE, 400, "", "The image data you provided does not represent a valid image. Please check your input"),
    (IMAGE, 400, "", "You uploaded an unsupported image. Please make sure your image is valid."),
    (IMAGE, 400, "invalid_value", "Invalid 'input[3].content[1].image_url'. Expected a base64-encoded data URL"),
    (IMAGE, 400, "INVALID_ARGUMENT", "Unable to process input image. Please retry or report"),
    (IMAGE, 400, "INVALID_ARGUMENT", "Provided image is not valid."),
    (IMAGE, 400, "BadRequestError", "cannot identify image file <_io.BytesIO object at 0x7f>"),
    (IMAGE, 400, "", "Failed to load image or audio file"),
    (IMAGE, 500, "", "image: unknown format"),
    *(
        (IMAGE, 400, code, "no")
        for code in get_args(ResponseError.model_fields["code"].annotation)
        if "image" in code
    ),
    (PDF, 400, "INVALID_ARGUMENT", "The document has no pages."),
    (PDF, 400, "invalid_value", "Invalid file data: 'input[1].content[0].file_data'. Expected a base64-encoded"),
    (PDF, 400, "", "Failed to parse report of June.pdf"),
    (PDF, 400, "", "This model does not support file content types"),
    (PDF, 422, "", "messages[2]: unknown variant `file`, expected `text`"),
]


@pytest.mark.parametrize(("words", "status", "code", "message"), REFUSALS)
def test_what_is_refused_is_told_where_the_request_has_it(words, status, code, message):
    named = frozenset({code.lower()})
    for request in (EVERYTHING, holding(words), holding(words, nested=True)):
        assert advice(request, status, named, message, "p") == f"{words} (p: {message})"
    others = holding(*(each for each in PARTS if each != words))
    assert advice(others, status, named, message, "p") is None


@pytest.mark.parametrize("status", [401, 402, 403, 413, 429, 503, 529])
@pytest.mark.parametrize("message", ["Limit 10 images per minute", "image input is not supported"])
def test_another_status_says_more_than_any_words(status, message):
    assert advice(EVERYTHING, status, frozenset({"image_limit"}), message, "p") is None


@pytest.mark.parametrize(
    "message",
    [
        "Invalid schema for function 'draw': In context=('properties', 'image_url'), array schema missing items.",
        "This model does not support tools",
        "messages: at least one message is required",
        "Unsupported value: 'temperature' does not support 0.2 with this model.",
        "messages.3.content.1.image.source.base64.data: Image does not match the provided media type image/png",
        "Function call is missing a thought_signature in functionCall parts.",
    ],
)
def test_other_refusals_are_left_as_they_are(message):
    assert advice(EVERYTHING, 400, frozenset({"invalid_request_error"}), message, "p") is None


@pytest.mark.parametrize("message", [f"litellm.BadRequestError: {words}" for words in PARTS])
def test_words_that_the_client_acts_on_already_are_said_once(message):
    assert advice(EVERYTHING, 500, frozenset(), message, "p") == f"p: {message}"


def test_no_place_in_the_backends_messages_is_taken_for_one_in_the_clients():
    said = advice(EVERYTHING, 400, frozenset(), "Invalid 'messages[3].content[1].image_url.url'.", "p")
    assert said is not None
    assert "[3].content[1].image_url.url" in said
    assert not _IN_MESSAGES.search(said)


@given(
    st.recursive(
        st.none() | st.text(max_size=4),
        lambda each: st.lists(each) | st.dictionaries(st.sampled_from(["type", "content", "role"]), each),
    )
)
def test_any_messages_can_be_looked_through(messages):
    request = read_request(json.dumps({"model": "m", "messages": messages}).encode())
    assert advice(request, 400, frozenset({"invalid_image"}), "no", "p") is None
