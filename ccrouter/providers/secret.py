"""Where a secret comes from. A value here is a recipe; `upstream.secrets` follows it at request time."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class Literal:
    """Written in the configuration itself."""

    value: str = field(repr=False)


@frozen
class FromEnv:
    """An environment variable of the router's process."""

    name: str


@frozen
class FromFile:
    """The content of a file, without the white space around it. ``~`` is the home directory."""

    path: str


@frozen
class FromCommand:
    """What a program prints, without the white space around it; no shell is involved.

    Kept for ``ttl`` seconds; None keeps it until the router ends.
    """

    argv: tuple[str, ...]
    ttl: float | None = None


Secret = Literal | FromEnv | FromFile | FromCommand


def source(secret: Secret) -> str:
    """Names where the secret comes from, for messages; never the secret itself."""
    match secret:
        case Literal():
            return "the configuration"
        case FromEnv(name):
            return f"the environment variable {name}"
        case FromFile(path):
            return f"the file {path}"
        case FromCommand(argv):
            return f"the command {argv[0]}"
