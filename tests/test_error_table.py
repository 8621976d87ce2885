"""What the client hears of every error that is known of backends, through the whole router.

Each row is an error as its server spells it. It comes by each wire, as an HTTP status, and, where that makes sense,
inside a stream of status 200: as its first word or after something was said.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, get_args

import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from ccrouter.errors import CcrouterError, ConnectFailed, UpstreamBroken, UpstreamTimeout
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Wire
from ccrouter.providers.secret import Literal as Key
from ccrouter.wire.envelope import is_error
from ccrouter.wire.headers import Headers
from tests.rig import JSON, NDJSON, SSE, Rig, Script, Sleep, message, provider, request, rig, talk
from tests.translate import dialogues
from tests.upstream.test_redaction import SPELLINGS

WIRES: tuple[Wire, ...] = get_args(Wire)
KEY = "sk-granted/0123456789"
SERVER_DATE = (b"date", b"Fri, 20 Nov 2026 10:00:00 GMT")
PAGE: Headers = [(b"content-type", b"text/html")]

ProviderKey = Literal["first", "later"]
#: Where in a stream an error stands, and the status that the client sees then of a 400.
PLACES: tuple[tuple[ProviderKey, int], ...] = (("first", 400), ("later", 200))


@frozen
class Heard:
    """What the client got: of a whole reply or of the ``error`` event that ended a stream."""

    status: int
    kind: str
    message: str
    again: str | None
    after: str | None
    request_id: str
    log: str


def router(wire: Wire, script: Script, preset: str = "", *models: Model) -> Rig:
    """One that has a single backend, ``p``. The dial is asked for nothing else."""
    changes: dict[str, Any] = {"api_key": Key(KEY), "models": models}
    if not preset:
        changes["wire"] = wire  # on ``responses`` a 404 would be taken for a missing endpoint
    return rig(script, providers=[provider("p", preset or wire, **changes)])


async def hear(it: Rig, *, stream: bool = True, **fields: Any) -> Heard:
    async with talk(it) as client:
        await client.send(request(model="p:m", stream=stream, **fields))
        body = await client.reply()
    assert it.dial.opened == it.dial.closed
    headers = client.headers
    if client.status == 200:
        assert headers["content-type"].startswith("text/event-stream")
        told = json.loads(body.rsplit(b"data: ", 1)[1])
        assert b"event: message_stop" not in body
    else:
        assert headers["content-type"] == "application/json"
        told = json.loads(body)
    assert told["type"] == "error"
    return Heard(
        client.status,
        told["error"]["type"],
        told["error"]["message"],
        headers.get("x-should-retry"),
        headers.get("retry-after"),
        headers["request-id"],
        it.lines[-1],
    )


def whole(status: int, body: Any, *headers: tuple[bytes, bytes]) -> Script:
    return Script(status=status, headers=[*JSON, SERVER_DATE, *headers], body=[written(body)])


def written(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


SAID: dict[Wire, bytes] = {
    "messages": b"".join(message()[:3]),
    "chat": b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"hello"}}]}\n\n',
    "ollama": b'{"message":{"role":"assistant","content":"hello"},"done":false}\n',
    "responses": (
        b'data: {"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"i"}}\n\n'
        b'data: {"type":"response.output_text.delta","output_index":0,"item_id":"i","content_index":0,"delta":"hi"}\n\n'
    ),
}


def framed(wire: Wire) -> Headers:
    """How a stream of that wire calls itself."""
    return NDJSON if wire == "ollama" else SSE


def inside(wire: Wire, place: ProviderKey, body: Any) -> Script:
    """The error as an event of a stream."""
    body = body[0] if isinstance(body, list) else body
    if wire == "ollama":
        return Script(
            headers=framed(wire), body=[SAID[wire] if place == "later" else b"\n", written(body) + b"\n"]
        )
    if wire == "responses":
        failed = {"type": "response.failed", "response": {"status": "failed", "error": body.get("error", body)}}
        event = b"event: response.failed\ndata: " + written(failed)
    else:
        event = b"data: " + written(body)
    said = SAID[wire] if place == "later" else b": comment\n\n"
    return Script(headers=SSE, body=[said, event + b"\n\n"])


# An input that is too long

M, N = 4096, 5003
TOO_LONG = f"prompt is too long: {N} tokens > {M} maximum"
ENVELOPE = {"type": "error"}

#: server -> its status and envelope
OVERFLOWS: dict[str, tuple[int, Any]] = {
    "OpenAI Chat": (
        400,
        {
            "error": {
                "message": f"This model's maximum context length is {M} tokens. However, your messages resulted in "
                f"{N} tokens. Please reduce the length of the messages.",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
        },
    ),
    "OpenAI Chat with its output": (
        400,
        {
            "error": {
                "message": f"This model's maximum context length is {M} tokens. However, you requested {N + 100} tokens "
                f"({N} in the messages, 100 in the completion). Please reduce the length of either.",
                "code": "context_length_exceeded",
            }
        },
    ),
    "vLLM": (
        400,
        {
            "error": {
                "message": f"This model's maximum context length is {M} tokens. However, your prompt contains at least "
                f"{N} input tokens, which is too long.",
                "type": "BadRequestError",
                "param": "input_tokens",
                "code": 400,
            }
        },
    ),
    "vLLM with its output": (
        400,
        {
            "error": {
                "message": f"This model's maximum context length is {M} tokens. However, you requested 10 output tokens "
                f"and your prompt contains {N} input tokens, for a total of {N + 10} tokens.",
                "type": "BadRequestError",
                "code": 400,
            }
        },
    ),
    "vLLM in the client's envelope": (
        400,
        {
            "type": "error",
            "error": {
                "type": "BadRequestError",
                "message": f"This model's maximum context length is {M} tokens. However, you requested 10 output tokens "
                f"and your prompt contains {N} input tokens.",
            },
        },
    ),
    "llama.cpp": (
        400,
        {
            "error": {
                "code": 400,
                "message": f"request ({N} tokens) exceeds the available context size ({M} tokens), try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": N,
                "n_ctx": M,
            }
        },
    ),
    "LM Studio": (
        400,
        {
            "error": f"Trying to keep the first {N} tokens when context the overflows. However, the model is loaded with "
            f"context length of only {M} tokens, which is not enough."
        },
    ),
    "LM Studio, as a fault of its own": (
        500,
        {
            "error": "The number of tokens to keep from the initial prompt is greater than the context length "
            f"(n_keep: {N}>= n_ctx: {M})."
        },
    ),
    "LiteLLM": (
        400,
        {
            "error": {
                "message": "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: "
                f"This model's maximum context length is {M} tokens. However, your messages resulted in {N} tokens.",
                "type": None,
                "param": None,
                "code": "400",
            }
        },
    ),
    "Bedrock": (400, {"message": f"prompt tokens ({N}) exceed model maximum ({M})"}),
    "Gemini": (
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": f"The input token count ({N}) exceeds the maximum number of tokens allowed ({M}).",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
    ),
    "Cerebras": (
        400,
        {
            "message": f"Please reduce the length of the messages. Current length is {N} while limit is {M}",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        },
    ),
    "Copilot": (
        400,
        {
            "error": {
                "message": f"prompt token count of {N} exceeds the limit of {M}",
                "code": "model_max_prompt_tokens_exceeded",
            }
        },
    ),
    "Mistral": (
        400,
        {
            "object": "error",
            "message": f"Prompt contains {N} tokens and 0 draft tokens, too large for model with {M} maximum context length",
            "type": "invalid_request_prompt",
            "param": None,
            "code": None,
        },
    ),
    "a gateway, as too large": (413, {"error": {"message": f"{TOO_LONG}, says the gateway"}}),
}

#: Those that give no numbers: the model's window is known, and what the prompt has is counted.
WITHOUT_NUMBERS: dict[str, tuple[int, Any]] = {
    "OpenAI Responses": (
        400,
        {
            "error": {
                "message": "Your input exceeds the context window of this model. Please adjust your input and try again.",
                "type": "invalid_request_error",
                "param": "input",
                "code": "context_length_exceeded",
            }
        },
    ),
    "LM Studio": (
        500,
        {"error": "The number of tokens to keep from the initial prompt is greater than the context length."},
    ),
    "LiteLLM": (400, {"error": {"message": "litellm.ContextWindowExceededError: too long", "code": "400"}}),
    "Ollama with truncate: false": (400, {"error": "the input length exceeds the context length"}),
    "Ollama, as too large": (413, {"error": "the input length exceeds the context length"}),
    "Ollama Cloud": (400, {"error": "prompt too long; exceeded max context length by 907 tokens"}),
    "Bedrock": (400, {"message": "Input is too long for requested model."}),
}


@pytest.mark.parametrize("server", OVERFLOWS)
@pytest.mark.parametrize("wire", WIRES)
async def test_a_prompt_that_is_too_long_is_told_in_the_clients_words(wire: Wire, server: str) -> None:
    status, body = OVERFLOWS[server]
    for stream in (True, False):
        heard = await hear(router(wire, whole(status, body)), stream=stream)
        assert (heard.status, heard.kind, heard.message) == (400, "invalid_request_error", TOO_LONG)
        assert json.dumps(body)[:60] in heard.log  # the backend's own words are kept for people


@pytest.mark.parametrize("server", OVERFLOWS)
@pytest.mark.parametrize("wire", WIRES)
async def test_so_is_one_that_a_stream_tells(wire: Wire, server: str) -> None:
    body = OVERFLOWS[server][1]
    if isinstance(body, dict) and not body.keys() & {"error", "object"}:
        body = {"error": body}  # how else would a stream tell that it is one
    for place, status in PLACES:
        heard = await hear(router(wire, inside(wire, place, body)))
        assert (heard.status, heard.kind, heard.message) == (status, "invalid_request_error", TOO_LONG)


@pytest.mark.parametrize("server", WITHOUT_NUMBERS)
@pytest.mark.parametrize("wire", WIRES)
async def test_numbers_that_the_backend_does_not_give_are_the_routers(wire: Wire, server: str) -> None:
    script = whole(*WITHOUT_NUMBERS[server])
    assert (await hear(router(wire, script))).message == "prompt is too long"
    known = await hear(router(wire, script, "", Model("m", window=1)))
    assert known.status == 400
    prompt, rest = known.message.removeprefix("prompt is too long: ").split(" ", 1)
    assert int(prompt) > 1
    assert rest == "tokens > 1 maximum"


@pytest.mark.parametrize("status", [413, 429])
@pytest.mark.parametrize("wire", WIRES)
async def test_a_prompt_that_no_minute_has_room_for_is_too_long(wire: Wire, status: int) -> None:
    body = {
        "error": {
            "message": "Request too large for gpt-5.4 in organization org-x on tokens per min (TPM): Limit 2, Requested "
            "30. The input or output tokens must be reduced in order to run successfully.",
            "type": "tokens",
            "param": None,
            "code": "rate_limit_exceeded",
        }
    }
    for script in (whole(status, body), inside(wire, "first", body)):
        heard = await hear(router(wire, script))
        assert (heard.status, heard.kind) == (400, "invalid_request_error")
        assert re.fullmatch(r"prompt is too long: \d+ tokens > 2 maximum", heard.message)


# An output that is too long

TOO_MUCH: dict[str, Any] = {
    "vLLM": {
        "error": {
            "message": "This model's maximum context length is 4096 tokens. However, you requested 4000 output tokens "
            "and your prompt contains 200 input tokens, for a total of 4200 tokens.",
            "type": "BadRequestError",
            "code": 400,
        }
    },
    "OpenAI": {
        "error": {
            "message": "This model's maximum context length is 4096 tokens. However, you requested 4200 tokens "
            "(200 in the messages, 4000 in the completion).",
            "code": "context_length_exceeded",
        }
    },
    "Claude behind a gateway": {
        "error": {
            "message": "input length and `max_tokens` exceed context limit: 200 + 4000 > 4096, decrease something"
        }
    },
}
LESS = (
    "input length and `max_tokens` exceed context limit: 200 + 4000 > 4096, "
    "decrease input length or `max_tokens` and try again"
)


@pytest.mark.parametrize("server", TOO_MUCH)
@pytest.mark.parametrize("wire", WIRES)
async def test_an_output_that_is_too_long_is_told_apart(wire: Wire, server: str) -> None:
    heard = await hear(router(wire, whole(400, TOO_MUCH[server])))
    assert (heard.status, heard.kind, heard.message) == (400, "invalid_request_error", LESS)
    for place, _ in PLACES:
        told = await hear(router(wire, inside(wire, place, TOO_MUCH[server])))
        assert (told.kind, told.message) == ("invalid_request_error", LESS)


@pytest.mark.parametrize("wire", WIRES)
async def test_an_output_beyond_the_window_is_told_with_what_is_known(wire: Wire) -> None:
    body = {"error": {"message": "max_tokens=40000 cannot be greater than max_model_len=32768", "code": 400}}
    heard = await hear(router(wire, whole(400, body)))
    assert heard.status == 400
    assert heard.message.startswith("input length and `max_tokens` exceed context limit: ")
    assert " + 40000 > 32768, " in heard.message


# What the client can go on without

SIGNATURE, PICTURE, FILE = (
    "Invalid `signature` in `thinking` block",
    "Could not process image",
    "Could not process PDF",
)

HELD: list[Any] = [
    {"role": "user", "content": [{"type": "text", "text": "hi"}, dialogues.IMAGE, dialogues.PDF]},
    {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "", "signature": "s"}, {"type": "text", "text": "hello"}],
    },
    {"role": "user", "content": "and now?"},
]

#: what is refused -> status and envelope
PARTS: dict[str, tuple[int, Any]] = {
    SIGNATURE: (
        400,
        {
            "error": {
                "message": "The encrypted content gAAA...dQ== could not be verified. Reason: Encrypted content "
                "organization_id did not match the target organization.",
                "type": "invalid_request_error",
                "param": None,
                "code": "invalid_encrypted_content",
            }
        },
    ),
    PICTURE: (
        500,
        {
            "error": {
                "code": 500,
                "message": "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
                "type": "server_error",
            }
        },
    ),
    FILE: (
        400,
        [{"error": {"code": 400, "message": "The document has no pages.", "status": "INVALID_ARGUMENT"}}],
    ),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("wire", WIRES)
async def test_a_part_of_the_conversation_that_is_refused_is_told_so_that_the_client_leaves_it_out(
    wire: Wire, part: str
) -> None:
    status, body = PARTS[part]
    said = (body[0] if isinstance(body, list) else body)["error"]["message"]
    told = (400, FORM, f"{part} (p: {said})")
    for stream in (True, False):
        heard = await hear(router(wire, whole(status, body)), stream=stream, messages=HELD)
        assert (heard.status, heard.kind, heard.message) == told
    heard = await hear(router(wire, inside(wire, "first", body)), messages=HELD)
    assert (heard.status, heard.kind, heard.message) == told
    without = await hear(router(wire, whole(status, body)))
    assert without.message == f"p: {said}"


# Everything else


@frozen
class Row:
    """An error, and what becomes of it."""

    status: int
    body: Any
    becomes: int
    kind: str
    message: str | None = None
    """None: the backend's words behind the provider's name."""
    again: str | None = None
    after: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    inside: bool = True
    """The body alone tells which error it is, and a stream can bring it."""


def row(status: int, body: Any, becomes: int, kind: str, message: str | None = None, **more: Any) -> Row:
    return Row(status, body, becomes, kind, message, **more)


def own(words: str, **fields: Any) -> dict[str, Any]:
    """OpenAI's envelope."""
    return {"error": {"message": words, **fields}}


LIMIT = "The usage limit has been reached"
FORM = "invalid_request_error"
_JINJA = "Error: Jinja Exception: System message must be at the beginning."
MENDED = "p: bad key (the credential comes from the configuration)"

ROWS: dict[str, Row] = {
    "400": row(400, own("no", type="invalid_request_error", param="x", code=None), 400, FORM),
    "400 of content": row(400, own("filtered", code="content_filter", innererror={"code": "x"}), 400, FORM),
    "400 of Google": row(400, [own("no", code=400, status="INVALID_ARGUMENT")], 400, FORM),
    "422": row(422, {"detail": "Unprocessable"}, 400, FORM, inside=False),
    "405": row(405, own("no", code=405), 405, FORM),
    "409": row(409, own("no", code=409), 409, "conflict_error"),
    "413": row(413, own("the body exceeds 32 MB", code=413), 413, "request_too_large"),
    "413 of a proxy": row(
        413, b"<h1>413 Request Entity Too Large</h1>nginx", 413, "request_too_large", inside=False
    ),
    "401": row(401, own("bad key", code="invalid_api_key"), 401, "authentication_error", MENDED, again="false"),
    "401 of FastAPI": row(
        401, {"detail": "bad key"}, 401, "authentication_error", MENDED, again="false", inside=False
    ),
    "401 that is a 400": row(
        400,
        [own("bad key", code=400, status="INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}])],
        401,
        "authentication_error",
        MENDED,
        again="false",
        inside=False,
    ),
    "402": row(402, own("Insufficient credits", code=402), 429, "rate_limit_error", again="false"),
    "402 of DeepSeek": row(
        402,
        own("Insufficient Balance", type="unknown_error", code="invalid"),
        429,
        "rate_limit_error",
        again="false",
    ),
    "429 without a balance": row(
        429,
        own("Insufficient balance or no resource package. Please recharge.", code="1113"),
        429,
        "rate_limit_error",
        again="false",
    ),
    "insufficient_quota": row(
        429,
        own("You exceeded your current quota", type="insufficient_quota", code="insufficient_quota"),
        429,
        "rate_limit_error",
        again="false",
    ),
    "usage_limit_reached, in seconds": row(
        429,
        own(LIMIT, type="usage_limit_reached", plan_type="plus", resets_in_seconds=4000),
        429,
        "rate_limit_error",
        f"p: {LIMIT} (it resets in 67 min)",
        again="false",
        after="4000",
    ),
    "usage_limit_reached, at a time": row(
        429,
        own(LIMIT, type="usage_limit_reached", resets_at=1795172400),
        429,
        "rate_limit_error",
        f"p: {LIMIT} (it resets in 60 min)",
        again="false",
        after="3600",
        inside=False,  # an event has no date to count from
    ),
    "usage_not_included": row(
        403, own("Upgrade", type="usage_not_included"), 429, "rate_limit_error", again="false"
    ),
    "403": row(403, own("not for you", code=403), 403, "permission_error"),
    "404": row(404, own("nothing here", code=404), 404, "not_found_error"),
    "404 of a model": row(
        404,
        own("The model `m` does not exist", code="model_not_found"),
        404,
        "not_found_error",
        "p: The model `m` does not exist (there are: m-1, m-2)",
    ),
    "404 of a model that is a 400": row(
        400,
        own("Model Not Exist", type="invalid_request_error", code="invalid_request_error"),
        404,
        "not_found_error",
        "p: Model Not Exist (there are: m-1, m-2)",
    ),
    "404 of a model that is a 500": row(
        500,
        {"error": "model 'm' not found"},
        404,
        "not_found_error",
        "p: model 'm' not found (there are: m-1, m-2)",
    ),
    "404 of a model that is not loaded": row(
        500,
        {"error": "Model is not loaded"},
        404,
        "not_found_error",
        "p: Model is not loaded (there are: m-1, m-2)",
    ),
    "404 of no model at all": row(
        500,
        {"error": {"message": "No models loaded. Please load a model in the developer page.", "code": None}},
        404,
        "not_found_error",
        "p: No models loaded. Please load a model in the developer page. (there are: m-1, m-2)",
    ),
    "400 that is a 500": row(
        500, own("tools param requires --jinja flag", code=500, type="server_error"), 400, FORM
    ),
    "400 that is a 500, by its code": row(500, own("no", type="invalid_request_error", code=400), 400, FORM),
    "400 that is a 500, as a string": row(500, {"error": "m does not support tools"}, 400, FORM),
    **{
        f"400 of a chat template, from {server}": row(500, body, 400, FORM)
        for server, body in {
            "llama.cpp": own(f"While executing CallExpression\n{_JINJA}", code=500, type="server_error"),
            "LM Studio": {
                "type": "error",
                "error": {
                    "type": "api_error",
                    "message": f"Engine protocol predict request returned 400: {json.dumps(own(_JINJA, code=400))}",
                },
            },
            "Ollama": {
                "type": "error",
                "error": {"type": "api_error", "message": "system message must be at the beginning"},
            },
            "Jan": own("Conversation roles must alternate at row 19:\n{{ raise_exception(...) }}", code=500),
        }.items()
    },
    "500 of who was turned away itself": row(500, own("the upstream returned 429", code=500), 502, "api_error"),
    "408": row(408, own("too slow", code=408), 504, "timeout_error"),
    "504": row(504, own("too slow", code=504), 504, "timeout_error"),
    "504 of Google": row(504, [own("too slow", code=504, status="DEADLINE_EXCEEDED")], 504, "timeout_error"),
    "429": row(429, own("slower", code=429), 429, "rate_limit_error"),
    "429 with seconds": row(
        429,
        own("slower", code=429),
        429,
        "rate_limit_error",
        after="7",
        headers=((b"retry-after", b"6.2"),),
        inside=False,
    ),
    "429 with a date": row(
        429,
        own("slower", code="rate_limit_exceeded"),
        429,
        "rate_limit_error",
        after="90",
        headers=((b"retry-after", b"Fri, 20 Nov 2026 10:01:30 GMT"),),
        inside=False,
    ),
    "429 in words": row(
        429,
        own("Rate limit reached on tokens per min. Please try again in 1.2s.", code="rate_limit_exceeded"),
        429,
        "rate_limit_error",
        after="2",
    ),
    "429 of Google": row(
        429,
        [own("quota", code=429, status="RESOURCE_EXHAUSTED", details=[{"retryDelay": "17s"}])],
        429,
        "rate_limit_error",
        after="17",
    ),
    "server_is_overloaded": row(503, own("busy", code="server_is_overloaded"), 529, "overloaded_error"),
    "slow_down": row(503, own("busy", code="slow_down"), 529, "overloaded_error"),
    "at capacity": row(
        500, own("The selected model is at capacity", code="server_error"), 529, "overloaded_error"
    ),
    "loading": row(503, own("Loading model", type="unavailable_error", code=503), 529, "overloaded_error"),
    "overloaded, of Google": row(
        503, [own("The model is overloaded.", code=503, status="UNAVAILABLE")], 529, "overloaded_error"
    ),
    "529": row(529, own("too many", code=529), 529, "overloaded_error"),
    "500": row(500, own("oops", type="server_error", code=500), 502, "api_error"),
    "500 without a code": row(500, own("oops", type="server_error", code=None), 502, "api_error"),
    "500 as a string": row(500, {"error": "oops"}, 502, "api_error"),
    "502": row(502, own("Provider returned error", code=502, metadata={}), 502, "api_error"),
    "503": row(503, own("later", code=503), 502, "api_error"),
    "503 of FastAPI": row(503, {"detail": "later"}, 502, "api_error", inside=False),
    "a string as JSON": row(500, b'"oops"', 502, "api_error", "p: oops", inside=False),
    "plain text": row(500, b"Internal  Server\nError", 502, "api_error", "p: Internal Server Error", inside=False),
    "nothing": row(502, b"", 502, "api_error", "p: HTTP status 502 without a word", inside=False),
    "nothing of a 401": row(
        401,
        b"",
        401,
        "authentication_error",
        "p: HTTP status 401 without a word (the credential comes from the configuration)",
        again="false",
        inside=False,
    ),
}

MODELS = (Model("m-1"), Model("m-2"))


def words_of(row: Row) -> str:
    if row.message is not None:
        return row.message
    body = row.body[0] if isinstance(row.body, list) else row.body
    if isinstance(body, bytes):
        return "p: 413 Request Entity Too Large nginx"
    error = body.get("error", body)
    return f"p: {error if isinstance(error, str) else error.get('message') or error.get('detail')}"


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("wire", WIRES)
async def test_each_error_becomes_what_the_client_acts_on(
    wire: Wire, name: str, autojump_clock: MockClock
) -> None:
    row = ROWS[name]
    heard = await hear(router(wire, whole(row.status, row.body, *row.headers), "", *MODELS))
    assert (heard.status, heard.kind) == (row.becomes, row.kind)
    assert heard.message == words_of(row)
    assert (heard.again, heard.after) == (row.again, row.after)


INSIDE = {name: row for name, row in ROWS.items() if row.inside}


@pytest.mark.parametrize("wire", WIRES)
async def test_an_error_that_a_stream_begins_with_is_told_as_if_it_had_a_status(
    wire: Wire, autojump_clock: MockClock
) -> None:
    for name, row in INSIDE.items():
        heard = await hear(router(wire, inside(wire, "first", row.body), "", *MODELS))
        assert (heard.status, heard.kind) == (row.becomes, row.kind), name
        assert heard.message == words_of(row)
        assert (heard.again, heard.after) == (row.again, row.after), name


@pytest.mark.parametrize("wire", WIRES)
async def test_an_error_in_mid_stream_is_an_error_event(wire: Wire) -> None:
    for name, row in INSIDE.items():
        heard = await hear(router(wire, inside(wire, "later", row.body), "", *MODELS))
        assert (heard.status, heard.kind, heard.message) == (200, row.kind, words_of(row)), name
        assert " broken [" in heard.log


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_that_calls_itself_a_success_is_one(
    wire: Wire, stream: bool, autojump_clock: MockClock
) -> None:
    for name, row in INSIDE.items():
        body = row.body[0] if isinstance(row.body, list) else row.body
        heard = await hear(router(wire, whole(200, body), "", *MODELS), stream=stream)
        assert (heard.status, heard.kind, heard.message) == (row.becomes, row.kind, words_of(row)), name


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("status", "becomes", "kind"),
    [
        (200, 502, "api_error"),
        (500, 502, "api_error"),
        (502, 502, "api_error"),
        (521, 502, "api_error"),
        (503, 502, "api_error"),
        (504, 504, "timeout_error"),
        (403, 403, "permission_error"),  # what a 4xx says stays true: another try would help nobody
        (404, 404, "not_found_error"),
    ],
)
async def test_a_web_page_is_told_by_its_first_words(wire: Wire, status: int, becomes: int, kind: str) -> None:
    page = b"<html><head><title>x</title></head><body><h1>Bad Gateway</h1><p>nginx &amp; co" + b" more" * 500
    heard = await hear(router(wire, Script(status=status, headers=PAGE, body=[page])))
    assert (heard.status, heard.kind) == (becomes, kind)
    assert "Bad Gateway nginx & co more" in heard.message
    assert len(heard.message) < 400


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (ConnectFailed("http://127.0.0.1:1 refuses connections: is it running?"), 502, "api_error"),
        (UpstreamBroken("the connection ended", before_reply=True), 502, "api_error"),
        (UpstreamTimeout("nothing came for 600 s", "first_byte"), 504, "timeout_error"),
    ],
)
async def test_a_backend_that_cannot_be_had_is_named_with_the_cause(
    wire: Wire, failure: CcrouterError, status: int, kind: str, autojump_clock: MockClock
) -> None:
    heard = await hear(router(wire, Script(before=[failure])))
    assert (heard.status, heard.kind, heard.message) == (status, kind, f"p: {failure}")


@pytest.mark.parametrize("wire", WIRES)
async def test_a_stream_that_ends_before_its_first_event_is_a_bad_gateway(wire: Wire) -> None:
    heard = await hear(router(wire, Script(headers=framed(wire), body=[b""])))
    assert (heard.status, heard.kind) == (502, "api_error")
    assert heard.message.startswith("p: the backend ended the stream before ")


@pytest.mark.parametrize("wire", WIRES)
async def test_after_a_long_wait_the_error_is_an_event(wire: Wire, autojump_clock: MockClock) -> None:
    del autojump_clock
    heard = await hear(router(wire, evolve(whole(429, own("slower", code=429)), before=[Sleep(20)])))
    assert (heard.status, heard.kind, heard.message) == (200, "rate_limit_error", "p: slower")


@pytest.mark.parametrize("wire", WIRES)
async def test_the_backends_request_id_is_kept_and_ours_stands_in(wire: Wire) -> None:
    theirs = await hear(router(wire, whole(500, own("oops"), (b"request-id", b"req_theirs"))))
    assert theirs.request_id == "req_theirs"
    ours = await hear(router(wire, whole(500, own("oops"))))
    assert ours.request_id.startswith("req_")


# Envelopes

ENVELOPES: dict[str, Any] = {
    "an object": {"error": {"message": "WORDS", "type": "t"}},
    "an object with a number": {"error": {"message": "WORDS", "code": 1234}},
    "an object with a string": {"error": {"message": "WORDS", "code": "1234"}},
    "an object with null": {"error": {"message": "WORDS", "code": None, "type": None}},
    "a string": {"error": "WORDS"},
    "an array": [{"error": {"code": 400, "message": "WORDS", "status": "INVALID_ARGUMENT"}}],
    "detail": {"detail": "WORDS"},
    "detail as an object": {"detail": {"error": "WORDS"}},
    "object": {"object": "error", "message": "WORDS", "type": "t", "param": None, "code": 40001},
    "message": {"message": "WORDS"},
    "base_resp": {"base_resp": {"status_code": 2013, "status_msg": "WORDS"}},
    "one in another": {"error": {"message": {"error": {"message": "WORDS"}}}},
    "text": b"WORDS",
    "a page": b"<html><p>WORDS",
    "the client's": {"type": "error", "error": {"type": "invalid_request_error", "message": "WORDS"}},
}


@pytest.mark.parametrize("name", ENVELOPES)
@pytest.mark.parametrize("wire", WIRES)
async def test_the_words_are_found_in_every_envelope(wire: Wire, name: str) -> None:
    heard = await hear(router(wire, whole(400, ENVELOPES[name])))
    assert (heard.status, heard.kind) == (400, "invalid_request_error")
    assert heard.message == ("WORDS" if name == "the client's" else "p: WORDS")


@pytest.mark.parametrize("name", ENVELOPES)
@pytest.mark.parametrize("wire", WIRES)
async def test_words_are_cut_at_two_kilobytes(wire: Wire, name: str) -> None:
    body = written(ENVELOPES[name]).replace(b"WORDS", b"w" * 3000)
    heard = await hear(router(wire, whole(400, body)))
    assert heard.message == "p: " + "w" * 2045
    assert heard.log.count("w") < 250


# What passes


@pytest.mark.parametrize("preset", ["anthropic", "foundry"])
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 413, 429, 500, 503, 529])
async def test_an_error_of_anthropic_passes_byte_for_byte(preset: str, status: int) -> None:
    body = (
        b' {"type":"error", "error":{"type":"x_error","message":"\\u00e9 context window exceeded","details":1}} '
    )
    it = router("messages", whole(status, body, (b"x-should-retry", b"true"), (b"retry-after", b"5.5")), preset)
    async with talk(it) as client:
        await client.send(request(model="p:m"))
        assert await client.reply() == body
    assert client.status == status
    assert client.headers["x-should-retry"] == "true"
    assert client.headers["retry-after"] == "5.5"


@pytest.mark.parametrize("place", ["first", "later"])
async def test_an_error_event_of_anthropic_passes_byte_for_byte(place: ProviderKey) -> None:
    event = b'event: error\ndata: {"type":"error", "error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    sent = (SAID["messages"] if place == "later" else b"") + event
    it = router("messages", Script(body=[sent]), "anthropic")
    async with talk(it) as client:
        await client.send(request(model="p:m"))
        assert await client.reply() == sent
    assert client.status == 200


async def test_an_error_event_that_the_client_understands_passes_from_any_backend() -> None:
    event = b'event: error\ndata: {"type":"error", "error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    sent = SAID["messages"] + event
    it = router("messages", Script(body=[sent]))
    async with talk(it) as client:
        await client.send(request(model="p:m"))
        reply = await client.reply()
    assert reply.endswith(event)
    assert b"api_error" not in reply


# Codes of vendors


@pytest.mark.parametrize(
    ("preset", "code", "becomes", "kind", "again"),
    [
        ("minimax", 1002, 429, "rate_limit_error", None),
        ("minimax", 1039, 429, "rate_limit_error", None),
        ("minimax", 1008, 429, "rate_limit_error", "false"),
        ("minimax", 2056, 429, "rate_limit_error", "false"),
        ("minimax", 1004, 401, "authentication_error", "false"),
        ("minimax", 2049, 401, "authentication_error", "false"),
        ("minimax", 1026, 400, "invalid_request_error", None),
        ("minimax", 2013, 400, "invalid_request_error", None),
        ("minimax", 1001, 504, "timeout_error", None),
        ("minimax", 1000, 502, "api_error", None),
        ("zai", 1002, 401, "authentication_error", "false"),
        ("zai", 1113, 429, "rate_limit_error", "false"),
        ("zai", 1308, 429, "rate_limit_error", "false"),
        ("zai", 1302, 429, "rate_limit_error", None),
        ("zai", 1303, 429, "rate_limit_error", None),
        ("zai", 1305, 429, "rate_limit_error", None),
        ("zai", 1312, 529, "overloaded_error", None),
        ("zai", 1211, 404, "not_found_error", None),
        ("zai", 1210, 400, "invalid_request_error", None),
        ("zai", 1261, 400, "invalid_request_error", None),
        ("zai", 1234567, 502, "api_error", None),
    ],
)
async def test_a_vendors_own_codes_are_understood(
    preset: str, code: int, becomes: int, kind: str, again: str | None
) -> None:
    bodies: list[tuple[int, Any]] = [
        (200, {"base_resp": {"status_code": code, "status_msg": "said"}}),
        (500, {"error": {"code": str(code), "message": "said"}}),
        (500, {"error": {"code": code, "message": "said"}}),
        (500, {"type": "error", "error": {"type": str(code), "message": "said"}}),
        (500, {"type": "error", "error": {"type": "api_error", "message": f"said ({code})"}}),
        (500, {"type": "error", "error": {"type": "api_error", "message": f"[{code}][said]"}}),
    ]
    for status, body in bodies:
        heard = await hear(router("messages", whole(status, body), preset))
        if becomes >= 500 and body.get("type") == "error":
            assert heard.status == 500  # as good as ours, and passes
            continue
        assert (heard.status, heard.kind, heard.again) == (becomes, kind, again), body
        assert heard.message.startswith("prompt is too long" if code == 1261 else "p: ")


async def test_a_limit_that_says_when_it_ends_is_told_with_it() -> None:
    said = "usage limit exceeded, 5-hour usage limit reached, resets at 2026-11-20T11:00:00Z (2056)"
    body = {"type": "error", "error": {"type": "rate_limit_error", "message": said}}
    heard = await hear(router("messages", whole(429, body), "minimax"))
    assert (heard.status, heard.again, heard.after) == (429, "false", "3600")
    assert heard.message == f"p: {said} (it resets in 60 min)"


def test_no_code_of_a_vendor_means_two_things() -> None:
    for preset in PRESETS.values():
        codes = [code for code, _ in preset.codes]
        assert len(codes) == len(set(codes)), preset.name
        assert all(400 <= status < 600 for _, status in preset.codes)


# Credentials

_SHAPES: list[Any] = [*ENVELOPES.values(), {"error": {"message": "m", "type": "WORDS", "code": "WORDS"}}]


@st.composite
def echoes(draw: st.DrawFn) -> tuple[int, bytes]:
    """A body with the key in it, spelled somehow, at any place; often across a cut."""
    status = draw(st.sampled_from([200, 400, 401, 404, 429, 500, 503]))
    # Of a success the body must say that it is none: an answer may hold a key that the user speaks of.
    shapes = [each for each in _SHAPES if status != 200 or is_error(each)]
    shape = written(draw(st.sampled_from(shapes)))
    spelling = SPELLINGS[draw(st.sampled_from(sorted(SPELLINGS)))]
    near = draw(st.sampled_from([0, 195, 295, 2046, 4094]))
    padding = "x" * max(0, near - draw(st.integers(0, len(KEY))))
    said = f"{padding} {spelling(KEY)} {draw(st.sampled_from(['', 'and more', 'y' * 3000]))}"
    text = said if not shape.startswith((b"{", b"[")) else json.dumps(said)[1:-1]
    return status, shape.replace(b"WORDS", text.encode())


def partial_key(said: str) -> bool:
    """Whether enough of the key is in it to be worth something, spelled in any way that our own writing keeps."""
    return any(KEY[start : start + 8] in said for start in range(3, len(KEY) - 8))


@pytest.mark.parametrize("wire", WIRES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(echo=echoes())
async def test_a_credential_that_a_backend_repeats_reaches_neither_client_nor_log(
    wire: Wire, echo: tuple[int, bytes]
) -> None:
    status, body = echo
    scripts = [Script(status=status, headers=headers, body=[body]) for headers in (JSON, PAGE)]
    if status == 200:
        line = b" ".join(body.split(b"\n"))
        scripts += [Script(headers=SSE, body=[said, b"data: " + line + b"\n\n"]) for said in (b"", SAID[wire])]
        scripts += [Script(headers=SSE, body=[b"event: error\ndata: " + line + b"\n\n"])]
        scripts += [Script(headers=NDJSON, body=[said, line + b"\n"]) for said in (b"", SAID[wire])]
    for script in scripts:
        it = router(wire, script)
        async with talk(it) as client:
            await client.send(request(model="p:m"))
            said = (await client.reply()).decode()
        for told in (said, json.dumps(client.headers), *it.lines):
            assert not partial_key(told), told
            for spell in SPELLINGS.values():
                assert spell(KEY) not in told
