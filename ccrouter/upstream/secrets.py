"""Follows the recipes of `providers.secret` when a request needs their values.

Variables and files are read anew each time, so that a rotated key is used with the next request. A command
is run once for all requests that wait for it, and what it printed is kept for its ``ttl``. Whatever goes
wrong is a SecretError that names the source; neither a value nor a program's output is ever part of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import trio

from ccrouter.errors import SecretError
from ccrouter.files import expand_home, read_regular
from ccrouter.providers.secret import FromCommand, FromEnv, FromFile, Literal, Secret, source
from ccrouter.upstream.program import run_program
from ccrouter.upstream.single_flight import SingleFlight

#: The longest secret in bytes. Keys have a hundred; a signed token with many claims has a few thousand.
LIMIT = 64 * 1024

#: How long a command may take, in seconds: long enough for a person to touch a key or answer a dialog.
COMMAND_DEADLINE = 30.0

#: A command whose output was refused is not run anew for the same output before it is so old, in seconds.
DOUBT_AGAIN = 60.0

#: Control characters would end the header that a value goes into and begin another; lone surrogates stand for
#: bytes of the environment that are no text.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Secrets:
    """Secrets by their recipes. ``clock`` is in seconds and only tells how old a command's output is."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        clock: Callable[[], float] = trio.current_time,
        command_deadline: float = COMMAND_DEADLINE,
    ) -> None:
        self._environ = environ
        self._clock = clock
        self._command_deadline = command_deadline
        self._kept: dict[FromCommand, tuple[str, float]] = {}
        self._doubted: dict[FromCommand, tuple[str, float]] = {}
        self._running: SingleFlight[FromCommand, str] = SingleFlight(share=(SecretError,))

    async def get(self, secret: Secret) -> str:
        """The value, without white space around it. Raises SecretError."""
        match secret:
            case Literal(value):
                return _fit(value, secret)
            case FromEnv(name):
                value = self._environ.get(name, "")
                if not value:
                    raise SecretError(f"{source(secret)} is not set: set it where ccrouter is started")
                return _fit(value, secret)
            case FromFile(path):
                return _fit(self._read(path, secret), secret)
            case FromCommand():
                kept = self._kept.get(secret)
                if kept is not None and (secret.ttl is None or self._clock() < kept[1] + secret.ttl):
                    return kept[0]
                return await self._running.join(secret, lambda: self._run(secret))

    def doubt(self, secret: Secret, value: str) -> None:
        """Say that ``value`` was refused: a command that printed it last is run anew by the next `get`.

        Everything else is read anew anyway. A command that printed the same again is left alone for a while: it
        may ask its user something each time.
        """
        if not isinstance(secret, FromCommand) or self._kept.get(secret, ("",))[0] != value:
            return
        before = self._doubted.get(secret)
        if before is not None and before[0] == value and self._clock() < before[1] + DOUBT_AGAIN:
            return
        self._doubted[secret] = value, self._clock()
        del self._kept[secret]

    def _read(self, path: str, secret: FromFile) -> str:
        try:
            content = read_regular(expand_home(path, self._environ), LIMIT)
        except OSError as error:
            raise SecretError(
                f"{source(secret)} cannot be read: {error.strerror}. It must be a readable file"
                " that holds the secret and nothing else"
            ) from None
        return _text(content, secret)

    async def _run(self, secret: FromCommand) -> str:
        name = source(secret)
        try:
            with trio.fail_after(self._command_deadline):
                finished = await run_program(secret.argv, self._environ, LIMIT)
        except trio.TooSlowError:
            raise SecretError(
                f"{name} took longer than {self._command_deadline:g} s and was ended: run it in a terminal"
                " to see what it waits for"
            ) from None
        except OSError as error:
            raise SecretError(
                f"{name} cannot be started: {error.strerror}. Install it, or write its full path"
            ) from None
        if len(finished.output) > LIMIT:
            raise SecretError(f"{name} printed more than {LIMIT // 1024} KiB: it must print the secret alone")
        if finished.code != 0:
            how = (
                f"failed with exit code {finished.code}"
                if finished.code > 0
                else f"died of signal {-finished.code}"
            )
            raise SecretError(f"{name} {how}: run it in a terminal to see why")
        value = _fit(_text(finished.output, secret), secret)
        self._kept[secret] = value, self._clock()
        return value


def _text(content: bytes, secret: Secret) -> str:
    try:
        return content.decode("utf-8-sig")  # Windows' editors put a byte order mark in front
    except UnicodeDecodeError:
        raise SecretError(f"{source(secret)} gives something that is not text in UTF-8") from None


def _fit(value: str, secret: Secret) -> str:
    """``value`` as it can stand in a header, or SecretError."""
    value = value.strip()
    if not value:
        raise SecretError(f"{source(secret)} gives an empty secret")
    if _UNFIT.search(value):
        raise SecretError(
            f"{source(secret)} gives a secret with line breaks or control characters inside:"
            " it must be one line and nothing else"
        )
    return value
