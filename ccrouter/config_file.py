"""The configuration file on disk: where it is, and its newest version that is right.

`ConfigFile.current` looks at the file each time it is asked, so that an edit holds from the next request on
and nothing needs to watch. What it promises about edits:

- A version with a mistake, an unreadable file or a missing one changes nothing: the last good configuration
  stays in force and ``problem`` says what is wrong until it is mended.
- Editors save by renaming a new file over the old one, or by emptying the file and then writing it. A file
  that was just emptied is therefore taken for a save in progress. When it is still empty a second later, it
  is taken for what the user wants: the empty configuration.
- A file is compared by its `ccrouter.files.Stamp`. Clocks of file systems are coarse, so a version
  younger than two seconds is read again at the next look, and compared by its text.

These are blocking calls, of some microseconds on a local disk: `stat`, and a read when something changed.
"""

from __future__ import annotations

import os
import shlex
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import field, frozen

from ccrouter.errors import ConfigError
from ccrouter.files import Stamp, expand_home, home
from ccrouter.providers.provider import Preset
from ccrouter.routing.config import Config
from ccrouter.routing.load import parse
from ccrouter.routing.remarks import literal_secrets, warnings

#: A file that is larger is something else, given by mistake.
_LARGEST = 1024 * 1024

#: How long an emptied file may be a save in progress, in seconds.
_SAVING = 1.0

#: The coarsest clock of a file system in use (FAT), in seconds.
_TICK = 2.0


def find(environ: Mapping[str, str], platform: str) -> Path:
    """Where the configuration is, or would be; ``platform`` is ``sys.platform``."""
    if named := environ.get("CCROUTER_CONFIG"):
        return expand_home(named, environ, platform)
    below = Path("ccrouter", "config.toml")
    user = home(environ, platform)
    if platform == "win32":
        roaming = environ.get("APPDATA")
        return (Path(roaming) if roaming else user / "AppData" / "Roaming") / below
    # The XDG specification: a path that is not absolute is to be ignored.
    if (xdg := environ.get("XDG_CONFIG_HOME", "")).startswith("/"):
        return Path(xdg) / below
    usual = user / ".config" / below
    if platform == "darwin" and not usual.exists():
        native = user / "Library" / "Application Support" / below
        if native.exists():
            return native
    return usual


def choose(flag: Path | None, environ: Mapping[str, str], platform: str) -> tuple[Path, bool]:
    """The file to read, ``flag`` first, and whether the user named it: then it must be there."""
    if flag is not None:
        return expand_home(str(flag), environ, platform), True
    return find(environ, platform), bool(environ.get("CCROUTER_CONFIG"))


@frozen
class Version:
    """What a file held at one look."""

    text: str = field(repr=False)
    stamp: Stamp | None
    """None for a pipe or a device: those can be read but once."""
    mode: int


def read(path: Path) -> Version:
    """The file as it is now. Raises ConfigError where it cannot be read as a text."""
    try:
        with path.open("rb") as file:
            seen = os.fstat(file.fileno())
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(content) > _LARGEST:
        raise ConfigError(f"{path}: is larger than a configuration can be (1 MiB); is it the right file?")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text; save it as UTF-8") from None
    return Version(text, _stamp(seen), seen.st_mode)


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path}: cannot be read: {error.strerror or error}")


def _stamp(seen: os.stat_result) -> Stamp | None:
    return Stamp.of(seen) if stat.S_ISREG(seen.st_mode) else None


def remarks(path: Path, config: Config, mode: int, presets: Mapping[str, Preset]) -> list[str]:
    """What is allowed in a file and still deserves a word; ``mode`` is its mode on disk."""
    found = [f"{path}: {words}" for words in warnings(config, presets)]
    secrets = literal_secrets(config)
    if secrets and os.name == "posix" and mode & 0o077:
        found.append(
            f"{path}: other users of this machine may read it, and it holds {', '.join(secrets)};"
            f" run: chmod 600 {shlex.quote(str(path))}"
        )
    return found


class ConfigFile:
    """One configuration file, and its last good version.

    ``required``: the user named the file, so it must be there. Otherwise a missing file is the empty
    configuration. ``now`` gives seconds since 1970. Raises ConfigError when the first look finds mistakes,
    or a file that cannot be read: there is no last good version then.
    """

    def __init__(
        self,
        path: Path,
        *,
        required: bool,
        presets: Mapping[str, Preset],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.problem: str | None = None
        """What is wrong with the file as it is now; None while `current` is what the file says."""
        self.generation = 1
        """Counts the versions that were accepted."""
        self._required = required
        self._presets = presets
        self._now = now
        self._config = Config()
        self._accepted = ""  # the text of _config
        self._refused: tuple[str, str] | None = None  # the last text with mistakes, and those
        self._emptied: float | None = None  # since when the file is empty that was not
        self._stamp: Stamp | None = None  # of the last version that could be read
        self._mode = 0
        self._rereadable = True
        if required or os.path.lexists(path):
            version = read(path)
            self._config = parse(version.text, where=str(path), presets=presets)
            self._accepted, self._stamp, self._mode = version.text, version.stamp, version.mode
            self._rereadable = version.stamp is not None

    def current(self) -> Config:
        """The newest version of the file that was right. Never raises."""
        try:
            if self._rereadable and self._changed():
                self._judge(read(self.path))
        except ConfigError as error:
            self._stamp = None
            self.problem = str(error)
        return self._config

    def warnings(self) -> list[str]:
        """What is allowed in the current version and still deserves a word."""
        return remarks(self.path, self._config, self._mode, self._presets)

    def _changed(self) -> bool:
        """Whether the file has to be read again."""
        try:
            seen = self.path.stat()
        except FileNotFoundError:
            if self._required or self._accepted.strip():
                raise ConfigError(f"{self.path}: is gone; what was read from it before stays in force") from None
            self.problem = self._stamp = None
            return False
        except OSError as error:
            raise _unreadable(self.path, error) from None
        self._mode = seen.st_mode
        stamp = _stamp(seen)
        if stamp is None:  # to open a pipe could block for ever
            raise ConfigError(f"{self.path}: is not a file any more")
        young = self._now() - stamp.changed / 1e9 < _TICK
        return young or stamp != self._stamp or self._emptied is not None

    def _judge(self, version: Version) -> None:
        """Accepts a version that is right; says what is wrong with another."""
        self._stamp = version.stamp
        if self._is_save_in_progress(version.text):
            return
        if version.text != self._accepted:
            if self._refused is None or self._refused[0] != version.text:
                try:
                    self._config = parse(version.text, where=str(self.path), presets=self._presets)
                except ConfigError as error:
                    self._refused = (version.text, str(error))
                else:
                    self._refused = None
                    self._accepted = version.text
                    self.generation += 1
            if self._refused is not None:
                self.problem = self._refused[1]
                return
        self.problem = None

    def _is_save_in_progress(self, text: str) -> bool:
        if text.strip() or not self._accepted.strip():
            self._emptied = None
            return False
        if self._emptied is None:
            self._emptied = self._now()
        return self._now() - self._emptied < _SAVING
