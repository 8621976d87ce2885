"""What a Responses backend says inside its stream when it fails, as the error event that the client must hear.

The failure stands in ``response.failed``, in a bare ``error`` event or in one that wraps the envelope of an HTTP
error (ChatGPT's backend), with the code of one of two or three vocabularies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ccrouter.providers.provider import Target
from ccrouter.translate import tokens
from ccrouter.translate.overflow import codes, facts, input_overflow, output_overflow
from ccrouter.wire import envelope, events
from ccrouter.wire.events import Event

#: Code or type of the backend's -> type of the client's. The first that is named decides.
_KINDS = {
    # Before what they come with: their type is that of any other limit.
    "insufficient_quota": "rate_limit_error",
    "usage_limit_reached": "rate_limit_error",
    "usage_not_included": "rate_limit_error",
    "server_is_overloaded": "overloaded_error",
    "slow_down": "overloaded_error",
    "overloaded_error": "overloaded_error",
    "rate_limit_exceeded": "rate_limit_error",
    "rate_limit_error": "rate_limit_error",
    "invalid_api_key": "authentication_error",
    "token_expired": "authentication_error",
    "authentication_error": "authentication_error",
    "model_not_found": "not_found_error",
    "not_found_error": "not_found_error",
    "permission_error": "permission_error",
    # Policies: the same request will not be answered another time.
    "cyber_policy": "invalid_request_error",
    "bio_policy": "invalid_request_error",
    "misalignment_policy_violation": "invalid_request_error",
    "content_policy_violation": "invalid_request_error",
    "invalid_prompt": "invalid_request_error",
    "data_residency_mismatch": "invalid_request_error",
    "empty_image_file": "invalid_request_error",
    "failed_to_download_image": "invalid_request_error",
    "unsupported_image_media_type": "invalid_request_error",
    "invalid_request_error": "invalid_request_error",
    "server_error": "api_error",
    "vector_store_timeout": "api_error",
}


def failure(event: Mapping[str, Any], target: Target, asked: Mapping[str, Any]) -> Event:
    """The error event for ``event``. ``asked``: the members of the request, whose tokens an overflow has to tell."""
    words = _words(event)
    if input_overflow(words, event) or output_overflow(words, event):
        window = next((model.window for model in target.provider.models if model.id == target.model), None)
        count = tokens.estimate(asked)
        told = input_overflow(words, event, count=count, window=window)
        told = told or output_overflow(words, event, count=count, window=window)
        if told:
            return events.error("invalid_request_error", told)
    return events.error(_kind(event, words), f"{target.provider.name}: {words}"[: envelope.MAX_MESSAGE])


def _words(event: Mapping[str, Any]) -> str:
    for each in facts(event):
        for name in ("message", "detail", "error"):
            words = each.get(name)
            if isinstance(words, str) and words.strip():
                return words.strip()
    named = sorted(codes(event) - {"error", "response.failed", "failed"})
    return f"the backend failed without a word ({', '.join(named)})" if named else "the backend failed without a word"


def _kind(event: Mapping[str, Any], words: str) -> str:
    named = codes(event)
    for code, kind in _KINDS.items():
        if code in named:
            return kind
    if any("image" in each for each in named):  # invalid_image_format, image_too_large, …
        return "invalid_request_error"
    if "at capacity" in words.lower():
        return "overloaded_error"
    for each in facts(event):
        for name in ("status", "status_code", "code"):
            status = each.get(name)
            if isinstance(status, int) and 400 <= status < 600:
                return envelope.kind_of(status)
    return "api_error"
