"""What a model is known not to be able to do, where the request is about just that. Pure.

Pictures for a model without eyes and thinking for one that doesn't think are left out on the way
(`ccrouter.translate.shown`, the requests of each wire). Tools are not: an agent without tools would go on talking
of files that it never read. So a request with tools is refused, in words that tell what to do.
"""

from __future__ import annotations

from ccrouter.errors import ApiError, CapabilityRefused
from ccrouter.providers.provider import Target
from ccrouter.wire.messages import MessagesRequest


def check(request: MessagesRequest, target: Target) -> None:
    """Raises ApiError for a request with tools to a model that can't call any."""
    choice = request.fields.get("tool_choice")
    unused = isinstance(choice, dict) and choice.get("type") == "none"
    if target.known.tools is not False or not request.fields.get("tools") or unused:
        return
    says = {"configuration": "the configuration", "table": "ccrouter"}.get(
        target.known.sources.get("tools", ""), target.provider.name
    )
    raise CapabilityRefused(
        400,
        "invalid_request_error",
        f"{target} can't call tools, as {says} says; choose another model, or say "
        f'`{{ id = "{target.model}", tools = true }}` among its `models` in the configuration',
    )


def refuse(request: MessagesRequest, target: Target) -> None:
    """Raises ApiError when the request has a field that the target can't take and that must not get lost."""
    for name in target.provider.preset.refuse_fields:
        if name in request.fields:
            raise ApiError(
                400,
                "invalid_request_error",
                f"{name}: Extra inputs are not permitted ({target.provider.name} does not support {name})",
            )
