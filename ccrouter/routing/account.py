"""Whose plan and limits a target is held to: another login at the same provider has others. Pure.

Who has used up a plan and logs in to another account, or puts another key into the configuration, is not to be
kept from the provider for hours by what was heard of the first. So what is known of rests and plans
(`routing.health`, `routing.quota`) is known of an account. The client says in each request which account its
login is of; its token would not do, since that is renewed every few hours. An API key is never renewed, and is
told by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from ccrouter.providers.provider import Provider, Target
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.routing.directory import takes_login
from ccrouter.translate.members import as_object
from ccrouter.wire import json_text
from ccrouter.wire.claude_code import ACCOUNT

#: What says it is no longer, in characters: three ids.
_LONGEST = 1_000


def login_of(fields: Mapping[str, Any], credentials: ClientCredentials) -> int:
    """Tells a client's login from others; 0 where it has none, or does not say whose."""
    said = as_object(fields.get("metadata")).get("user_id")
    if isinstance(said, str) and len(said) <= _LONGEST and said.startswith("{"):
        account = as_object(json_text.loads_or_none(said, nan="null")).get(ACCOUNT)
        if isinstance(account, str) and account:
            return hash(account)
    return 0 if credentials.api_key is None else hash(credentials.api_key)


def account_at(provider: Provider, login: int) -> int:
    """Tells the account that a client with this login has at a provider; 0 where nothing tells it from others."""
    return provider.credential ^ (login if login and takes_login(provider) else 0)


def held_to(target: Target, login: int) -> Target:
    """The target, with the account that a client with this login has there."""
    return evolve(target, login=login) if login and takes_login(target.provider) else target
