import os
import threading
from pathlib import Path

import pytest

from ccrouter.config_file import ConfigFile, choose, find, read
from ccrouter.errors import ConfigError
from ccrouter.providers.provider import Preset
from ccrouter.routing.config import Config

PRESETS = {
    "ollama": Preset(name="ollama", title="O", base_url="http://127.0.0.1:11434", auth="bearer"),
    "messages": Preset(name="messages", title="M", auth="both"),
}
HOUR = 3600
WRITTEN = 1_000_000_000  # when the files of these tests were saved, in seconds since 1970

posix = pytest.mark.skipif(os.name != "posix", reason="modes and pipes of POSIX")


class Clock:
    def __init__(self) -> None:
        self.now = float(WRITTEN + HOUR)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config.toml"


def save(path, text, at=WRITTEN):
    """Writes in place; ``at`` is the time of the change as the file system tells it."""
    path.write_text(text, encoding="utf-8")
    os.utime(path, (at, at))


def save_by_rename(path, text, at=WRITTEN):
    new = path.with_suffix(".new")
    save(new, text, at)
    new.replace(path)


def open_file(path, clock, *, required=True):
    return ConfigFile(path, required=required, presets=PRESETS, now=clock)


def port(file):
    return file.current().server.port


def server(port):
    return f"[server]\nport = {port}\n"


# ------------------------------------------------------------------------------------------------ where it is


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({"HOME": "/h"}, "linux", "/h/.config/ccrouter/config.toml"),
        ({"HOME": "/h"}, "darwin", "/h/.config/ccrouter/config.toml"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "linux", "/x/ccrouter/config.toml"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "darwin", "/x/ccrouter/config.toml"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "relative"}, "linux", "/h/.config/ccrouter/config.toml"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": ""}, "linux", "/h/.config/ccrouter/config.toml"),
        ({"APPDATA": "/r", "USERPROFILE": "/u"}, "win32", "/r/ccrouter/config.toml"),
        ({"USERPROFILE": "/u", "HOME": "/c/u"}, "win32", "/u/AppData/Roaming/ccrouter/config.toml"),
        ({"HOME": "/h", "CCROUTER_CONFIG": "/c.toml", "XDG_CONFIG_HOME": "/x"}, "linux", "/c.toml"),
        ({"HOME": "/h", "CCROUTER_CONFIG": "~/c.toml"}, "linux", "/h/c.toml"),
        ({"HOME": "/h", "CCROUTER_CONFIG": ""}, "linux", "/h/.config/ccrouter/config.toml"),
    ],
)
def test_the_file_is_looked_for_at_the_platforms_place(environ, platform, expected):
    assert find(environ, platform) == Path(expected)


def test_who_has_no_home_has_no_file_there(monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    assert find({}, "linux").is_absolute()
    assert not find({}, "linux").exists()
    assert find({"XDG_CONFIG_HOME": "/x"}, "linux") == Path("/x/ccrouter/config.toml")


def test_on_macos_the_native_place_counts_when_only_that_is_there(tmp_path):
    native = tmp_path / "Library" / "Application Support" / "ccrouter" / "config.toml"
    usual = tmp_path / ".config" / "ccrouter" / "config.toml"
    environ = {"HOME": str(tmp_path)}
    assert find(environ, "darwin") == usual
    for place in (native, usual):
        place.parent.mkdir(parents=True)
        place.touch()
        assert find(environ, "darwin") == place
    assert find(environ, "linux") == usual


def test_a_file_that_the_user_named_must_be_there():
    environ = {"HOME": "/h", "CCROUTER_CONFIG": "/c.toml"}
    assert choose(Path("~/f.toml"), environ, "linux") == (Path("/h/f.toml"), True)
    assert choose(None, environ, "linux") == (Path("/c.toml"), True)
    assert choose(None, {"HOME": "/h"}, "linux") == (Path("/h/.config/ccrouter/config.toml"), False)


# ------------------------------------------------------------------------------------------------- at the start


def test_no_file_at_the_usual_place_is_the_empty_configuration(path, clock):
    file = open_file(path, clock, required=False)
    assert (file.current(), file.problem, file.generation) == (Config(), None, 1)


def test_a_named_file_that_is_missing_is_an_error(path, clock):
    with pytest.raises(ConfigError, match=r"config\.toml: cannot be read: No such file"):
        open_file(path, clock)


@pytest.mark.parametrize("required", [True, False])
def test_a_broken_file_at_the_start_is_an_error_with_its_line(path, clock, required):
    save(path, "\n[server]\nprot = 1\n")
    with pytest.raises(ConfigError, match=r"config\.toml:3: server\.prot: unknown key"):
        open_file(path, clock, required=required)


def test_a_directory_is_not_a_configuration(tmp_path, clock):
    with pytest.raises(ConfigError, match=r"cannot be read: (Is a directory|Permission denied)"):
        open_file(tmp_path, clock)


def test_a_link_to_nowhere_is_not_taken_for_no_file(path, clock):
    path.symlink_to(path.with_name("gone.toml"))
    with pytest.raises(ConfigError, match="cannot be read"):
        open_file(path, clock, required=False)


def test_a_file_that_is_not_utf_8_says_so_with_its_line(path, clock):
    path.write_bytes(b"# a\nb = '\xff'\n")
    with pytest.raises(ConfigError, match=r"config\.toml:2: is not UTF-8 text"):
        open_file(path, clock)


def test_the_mark_that_some_editors_put_first_is_no_mistake(path, clock):
    path.write_bytes(b"\xef\xbb\xbf" + server(7).encode())
    assert port(open_file(path, clock)) == 7


def test_a_file_of_another_order_of_size_is_not_read_whole(path, clock):
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConfigError, match="larger than a configuration can be"):
        open_file(path, clock)


@posix
def test_a_pipe_is_read_once_and_kept(path, clock):
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(server(7),))
    writer.start()
    file = open_file(path, clock)
    writer.join()
    assert [port(file), port(file)] == [7, 7]
    assert (file.problem, file.generation) == (None, 1)


# -------------------------------------------------------------------------------------------------------- edits


@pytest.mark.parametrize("save_as", [save, save_by_rename])
def test_an_edit_holds_from_the_next_look_on(path, clock, save_as):
    save(path, server(1))
    file = open_file(path, clock)
    assert (port(file), file.generation) == (1, 1)
    save_as(path, server(22), at=WRITTEN + 1)
    assert (port(file), file.generation, file.problem) == (22, 2, None)


def test_a_file_that_appears_at_the_usual_place_is_taken(path, clock):
    file = open_file(path, clock, required=False)
    file.current()
    save(path, server(7))
    assert (port(file), file.generation) == (7, 2)


def test_an_unchanged_file_is_not_read_again(path, clock, monkeypatch):
    save(path, server(7))
    file = open_file(path, clock)
    monkeypatch.setattr("ccrouter.config_file.read", lambda path: pytest.fail("was read"))
    assert [port(file), port(file)] == [7, 7]


def test_an_edit_within_one_tick_of_the_file_systems_clock_is_seen(path, clock):
    save(path, server(1))
    clock.now = WRITTEN + 0.5
    file = open_file(path, clock)
    save(path, server(2))  # the same inode, size and time
    assert port(file) == 2


def test_touching_a_file_is_no_new_version(path, clock):
    save(path, server(1))
    file = open_file(path, clock)
    first = file.current()
    os.utime(path, (WRITTEN + 5, WRITTEN + 5))
    assert file.current() is first
    assert file.generation == 1


def test_a_broken_edit_keeps_the_last_good_configuration_and_says_what_is_wrong(path, clock):
    save(path, server(1))
    file = open_file(path, clock)
    save(path, "[server]\nport = 'x'\n", at=WRITTEN + 1)
    assert port(file) == 1
    assert file.problem == f"{path}:2: server.port: must be a whole number from 0 to 65535, without quotes"
    assert file.generation == 1
    save(path, server(3), at=WRITTEN + 2)
    assert (port(file), file.problem, file.generation) == (3, None, 2)


def test_undoing_a_broken_edit_mends_the_problem_without_a_new_version(path, clock):
    save(path, server(1))
    file = open_file(path, clock)
    for attempt in range(3):
        save(path, "[", at=WRITTEN + 1 + 2 * attempt)
        assert port(file) == 1
        assert file.problem is not None
        save(path, server(1), at=WRITTEN + 2 + 2 * attempt)
        assert (port(file), file.problem, file.generation) == (1, None, 1)


def test_a_broken_file_is_not_parsed_again_until_it_changes(path, clock, monkeypatch):
    save(path, server(1))
    file = open_file(path, clock)
    clock.now = WRITTEN + 1.5
    save(path, "[", at=WRITTEN + 1)
    file.current()
    monkeypatch.setattr("ccrouter.config_file.parse", lambda *_, **__: pytest.fail("was parsed"))
    file.current()
    assert file.problem is not None


@pytest.mark.parametrize("required", [True, False])
def test_a_file_that_vanishes_changes_nothing_and_is_taken_when_it_returns(path, clock, required):
    save(path, server(1))
    file = open_file(path, clock, required=required)
    path.unlink()
    assert port(file) == 1
    assert file.problem == f"{path}: is gone; what was read from it before stays in force"
    save(path, server(1))
    assert (port(file), file.problem, file.generation) == (1, None, 1)


def test_a_broken_file_that_was_never_good_may_go_again(path, clock):
    file = open_file(path, clock, required=False)
    save(path, "[")
    file.current()
    assert file.problem is not None
    path.unlink()
    assert (file.current(), file.problem) == (Config(), None)


def test_a_file_that_cannot_be_read_for_a_moment_changes_nothing(path, clock, monkeypatch):
    save(path, server(1))
    file = open_file(path, clock)
    save(path, server(2), at=WRITTEN + 1)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Sharing violation")))
        assert port(file) == 1
        assert file.problem == f"{path}: cannot be read: Sharing violation"
    assert (port(file), file.problem) == (2, None)


@posix
def test_a_file_that_may_not_be_read_any_more_is_told(path, clock, monkeypatch):
    save(path, server(1))
    file = open_file(path, clock)
    path.chmod(0)
    with monkeypatch.context() as patch:  # root may read any file
        patch.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        assert port(file) == 1
        assert file.problem == f"{path}: cannot be read: Permission denied"
    path.chmod(0o600)
    assert (port(file), file.problem, file.generation) == (1, None, 1)


@posix
def test_a_file_that_becomes_a_pipe_does_not_stop_the_router(path, clock):
    save(path, server(1))
    file = open_file(path, clock)
    path.unlink()
    os.mkfifo(path)
    assert port(file) == 1
    assert file.problem == f"{path}: is not a file any more"


def test_a_file_that_is_emptied_and_then_written_is_never_seen_empty(path, clock):
    save(path, server(1))
    file = open_file(path, clock)
    save(path, "", at=WRITTEN + HOUR)
    assert (port(file), file.problem, file.generation) == (1, None, 1)
    clock.now += 0.9
    assert (port(file), file.generation) == (1, 1)
    save(path, server(22), at=WRITTEN + HOUR + 1)
    assert (port(file), file.generation) == (22, 2)
    clock.now += 60
    assert (port(file), file.generation) == (22, 2)


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_file_that_stays_empty_is_the_empty_configuration(path, clock, text):
    save(path, server(1))
    file = open_file(path, clock)
    save(path, text)
    file.current()
    clock.now += 1
    assert (file.current(), file.generation) == (Config(), 2)
    clock.now += 60
    assert (file.current(), file.generation) == (Config(), 2)


def test_each_emptying_has_its_own_second(path, clock):
    save(path, server(1))
    file = open_file(path, clock)
    for again in range(3):
        save(path, "", at=WRITTEN + 10 * again)
        assert file.current() != Config()
        save(path, server(2 + again), at=WRITTEN + 10 * again + 1)
        assert port(file) == 2 + again
        clock.now += 60


# ----------------------------------------------------------------------------------------------------- warnings

SECRET = "SeKrIt-0123456789"


@posix
def test_a_file_with_a_secret_that_others_can_read_deserves_a_warning(path, clock):
    save(path, f'[server]\ntoken = "{SECRET}"\n')
    path.chmod(0o644)
    file = open_file(path, clock)
    (warning,) = file.warnings()
    assert "server.token" in warning
    assert warning.endswith(f"run: chmod 600 {path}")
    assert SECRET not in warning
    path.chmod(0o600)
    file.current()
    assert file.warnings() == []


@posix
def test_a_file_without_secrets_may_be_read_by_everybody(path, clock):
    save(path, '[server]\ntoken = { env = "T" }\n')
    path.chmod(0o644)
    assert open_file(path, clock).warnings() == []


def test_warnings_speak_of_the_version_in_force_and_name_the_file(path, clock):
    save(path, "")
    file = open_file(path, clock)
    assert file.warnings() == []
    save(path, '[providers.ollama]\nbase_url = "http://10.0.0.1"\napi_key = { env = "K" }\n', at=WRITTEN + 1)
    file.current()
    (warning,) = file.warnings()
    assert warning.startswith(f"{path}: providers.ollama: ")


def test_neither_a_version_nor_a_file_shows_secrets_in_its_repr(path, clock):
    save(path, f'[server]\ntoken = "{SECRET}"\n')
    assert SECRET not in repr(read(path))
    assert SECRET not in repr(open_file(path, clock).current())
