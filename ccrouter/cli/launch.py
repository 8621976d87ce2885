"""How a command is started behind the router: its arguments, its environment, its settings. Pure.

Claude Code keeps its login where it can; the rules, in order:

1. A client with a login or a key of its own keeps it, if it is new enough to be told its further models
   through its settings, or needs none (``--no-picker``). The router's token travels in a header beside it.
2. Any other client gets the router's token in ``ANTHROPIC_AUTH_TOKEN``. If it is too old for settings with
   models it asks the router for them (discovery).

A command that is not Claude Code may start one: with a login on this machine it gets the header, so that such
a client stays logged in. Programs that want a key in ``ANTHROPIC_AUTH_TOKEN`` are served by ``ccrouter env``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from ccrouter.cli import claude, environment, settings


@frozen(kw_only=True)
class Client:
    """What is known of the command before it starts.

    ``version`` is None for an unknown one. ``found`` are the settings that a Claude Code in this folder
    reads, ``own`` those of its command line.
    """

    argv: tuple[str, ...]
    is_claude: bool
    version: claude.Version | None = None
    environ: Mapping[str, str] = field(repr=False)
    found: settings.Found = field(factory=settings.Found)
    own: settings.Own | None = None

    @property
    def takes_settings(self) -> bool:
        """Whether ``--settings`` can be given to it."""
        readable = self.own is None or self.own.settings is not None
        return self.is_claude and readable and settings.takes_settings(self.argv[1:])


@frozen(kw_only=True)
class Mode:
    """How the client proves itself and learns of models. ``removed`` names variables that it must not see."""

    login_kept: bool
    picker: bool
    discovery: bool
    removed: tuple[str, ...]
    drop_key_helper: bool


@frozen(kw_only=True)
class Launch:
    """Everything that a start takes. ``secret``: the settings hold what a command line must not."""

    client: Client
    model: str | None
    environ: dict[str, str] = field(repr=False)
    settings: settings.Json | None = field(repr=False)
    secret: bool
    notes: tuple[str, ...]

    def argv(self, value: str | None) -> list[str]:
        """The command line, with ``value`` as what `settings` are given by."""
        program, *arguments = self.client.argv
        own = self.client.own
        if value is not None:
            arguments = settings.placed(arguments, own, value)
        if self.model is not None and self.client.takes_settings:
            # Behind our settings, before all of the user's: a --model of theirs comes later and wins.
            at = 2 if value is not None and own is None else 0
            arguments[at:at] = ["--model", self.model]
        return [program, *arguments]


def mode(client: Client, url: str, *, picker: bool, has_login: Callable[[Mapping[str, str]], bool]) -> Mode:
    """Choose. ``has_login`` looks for a login of Claude Code in an environment."""
    seen = {**client.environ, **client.found.env}  # the client's settings win over its environment
    removed = environment.strangers(seen, url)
    clean = _without(seen, removed)
    foreign = environment.keys_are_foreign(seen)
    login = bool(clean.get("ANTHROPIC_API_KEY")) or (client.found.key_helper and not foreign) or has_login(clean)
    modern = client.is_claude and claude.has_picker(client.version)
    login_kept = login and (modern or not picker or not client.is_claude)
    return Mode(
        login_kept=login_kept,
        picker=picker and modern and client.takes_settings,
        discovery=picker and not login_kept and not modern,
        removed=removed,
        drop_key_helper=client.found.key_helper and foreign,
    )


def launch(
    client: Client,
    chosen: Mode,
    url: str,
    token: str,
    *,
    model: str | None,
    picker: settings.Json | None,
    folder: str | None = None,
    slots: Mapping[str, str] | None = None,
    windows: bool = False,
) -> Launch:
    """Put together what `mode` chose. ``picker`` holds the rows for the client's list of models.

    ``slots`` are variables that give rows which it has anyway to other models; those that the user set stay.
    """
    seen = _without({**client.environ, **client.found.env}, chosen.removed)
    env = environment.variables(
        url,
        token,
        seen,
        login_kept=chosen.login_kept,
        discovery=chosen.discovery,
        folder=folder,
        windows=windows,
    )
    env |= {name: value for name, value in (slots or {}).items() if not seen.get(name)}
    if model is not None and not client.takes_settings:
        env["ANTHROPIC_MODEL"] = model
    said = client.found.env
    contradicted: dict[str, str] = {name: value for name, value in env.items() if said.get(name, value) != value}
    contradicted |= {name: "" for name in chosen.removed if said.get(name) and name not in env}
    ours: dict[str, Any] = {}
    if picker is not None and chosen.picker:
        ours["modelPicker"] = picker
    if contradicted:
        ours["env"] = contradicted
    if chosen.drop_key_helper:
        ours["apiKeyHelper"] = ""
    notes = []
    if inherited := [name for name in chosen.removed if client.environ.get(name)]:
        notes.append(f"ccrouter: not passed on, for it leads past the router: {', '.join(inherited)}")
    if contradicted and not client.takes_settings:
        notes.append(
            f"ccrouter: Claude Code's settings.json sets {', '.join(contradicted)}, which here leads past the "
            "router; take it out there"
        )
    own = client.own.settings if client.own is not None else None
    return Launch(
        client=client,
        model=model,
        environ=environment.child_environ(client.environ, env, chosen.removed),
        settings=settings.merged(own or {}, ours) if ours and client.takes_settings else None,
        # Of ours only the variables can be secret; of the user's, what they kept off the command line.
        secret=bool(contradicted) or (client.own is not None and client.own.file),
        notes=tuple(notes),
    )


def _without(environ: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in names}
