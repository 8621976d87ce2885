"""Names that may not be followed, though it is plain which provider they mean. Pure.

Such a name goes nowhere rather than to somebody else, prompt and all: to another vendor, on another bill, under
other rules for data. Of a list the next name is asked.
"""

from __future__ import annotations

from ccrouter.errors import ApiError
from ccrouter.routing.model_name import discovered


class Barred(ApiError):
    """A name leads to a provider that it may not lead to now; the message says how to change that."""

    def __init__(self, message: str) -> None:
        super().__init__(404, "not_found_error", message)


def not_lent(name: str, provider: str) -> Barred:
    """A repository's word leads to a provider that nobody set up."""
    return Barred(
        f"{name!r}: a project's file or an agent's definition can't choose the provider {provider}, which is not"
        f" set up here; to allow it, add [providers.{provider}] to the configuration"
    )


def switched_off(name: str, provider: str) -> Barred:
    """The profile in force switches the provider off."""
    return Barred(
        f"{name!r}: the provider {provider} is switched off by the profile in force (`ccrouter use` shows it)"
    )


def not_set_up(name: str, provider: str) -> Barred:
    """Nobody said where the provider is."""
    others = "" if discovered(name) else f" (another provider's of this name is PROVIDER:{name})"
    return Barred(
        f"{name!r}: the provider {provider} is not set up: give it a base_url in [providers.{provider}] of the"
        f" configuration, or choose another model{others}"
    )


def default_not_set_up(name: str, default: str, provider: str) -> Barred:
    """A name goes to the default, and nobody said where that is."""
    return Barred(
        f"{name!r} goes to the default, {default!r}, which is not set up: "
        f"give it a base_url in [providers.{provider}], or change `default` in the configuration"
    )
