"""Variables in the words of each shell, read back by the shells themselves."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ccrouter.cli.shells import FORMATS, Format, failing, render
from ccrouter.errors import UsageError

values = st.one_of(
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=40),
    st.text("""'"$`%!\\\n\r\t ~=-#&;|<>(){}*?[]^@aé€😀\u2018\u2019\u2028""", max_size=20),
)

#: What an environment can hold that is not even text: bytes outside of UTF-8.
raw_values = values | st.binary(max_size=20).map(
    lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape")
)

TRICKY = {
    "A": "it's",
    "B": "$HOME `id` $(id) !! %PATH% \\",
    "C": "-n",
    "D": "two\nlines\n",
    "E": "",
    "F": "=ls",
    "I": "~root:~",
    "G": "\\'\"\\\\",
    "H": "x\r\ny",
}


#: Each shell with the format it reads and how it is made to read standard input and show its environment.
SHELLS = {
    "sh": ("sh", ["sh", "-c", 'eval "$(cat)"; exec env -0']),
    "dash": ("sh", ["dash", "-c", 'eval "$(cat)"; exec env -0']),
    "bash": ("sh", ["bash", "-c", 'eval "$(cat)"; exec env -0']),
    "zsh": ("sh", ["zsh", "-f", "-c", 'eval "$(cat)"; exec env -0']),
    "fish": ("fish", ["fish", "--no-config", "-c", "source; env -0"]),
    "pwsh": ("powershell", ["pwsh", "-NoProfile", "-Command", "$input | Invoke-Expression; env -0"]),
}

#: In CI all of them must be there but PowerShell, which no Debian has; elsewhere those that are there count.
PRESENT = [name for name in SHELLS if shutil.which(name) or (name != "pwsh" and os.environ.get("CI"))]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fish leaves files there."""
    return tmp_path_factory.mktemp("home")


def told(argv: list[str], text: str, home: Path) -> subprocess.CompletedProcess[bytes]:
    """A shell that was given ``text`` to read."""
    return subprocess.run(
        argv,
        input=text.encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home)},
        timeout=60,
    )


def read_back(argv: list[str], text: str, home: Path, names: set[str]) -> dict[str, str]:
    done = told(argv, text, home)
    assert (done.returncode, done.stderr) == (0, b"")
    pairs = (entry.split(b"=", 1) for entry in done.stdout.split(b"\0") if entry)
    found = {name.decode(): value.decode("utf-8", "surrogateescape") for name, value in pairs}
    return {name: value for name, value in found.items() if name in names}


@pytest.mark.parametrize("shell", PRESENT)
@given(value=raw_values, other=raw_values)
@example(value="".join(TRICKY.values()), other="-e")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_shells_read_back_every_byte(shell: str, home: Path, value: str, other: str) -> None:
    fmt, argv = SHELLS[shell]
    env = {"CCR_ONE": value, "CCR_TWO": other, **{f"CCR_{name}": text for name, text in TRICKY.items()}}
    if fmt == "powershell":  # its strings are text, and an empty one removes the variable
        env = {name: text for name, text in env.items() if text.isprintable() and text}
    assert read_back(argv, render(env, fmt, {}), home, set(env)) == env  # type: ignore[arg-type]


@pytest.mark.parametrize("shell", PRESENT)
@pytest.mark.parametrize("known", [True, False], ids=["who reads it is known", "or not"])
def test_what_fails_fails_in_each_shell_and_says_nothing_in_most(shell: str, home: Path, known: bool) -> None:
    fmt, argv = SHELLS[shell]
    text = failing(cast(Format, fmt) if known else None)
    script = re.sub("; *(exec )?env -0", "{} echo on", argv[-1]).format(";" if fmt == "powershell" else "&&")
    done = told([*argv[:-1], script], text, home)
    assert done.returncode != 0
    assert done.stdout == b""
    assert done.stderr == b"" or fmt == "powershell"


def test_to_powershell_what_fails_everywhere_is_three_tokens_and_a_comment() -> None:
    """By its rules: a string in double quotes ends at the next one, and ``#`` after a space begins a comment."""
    found = re.fullmatch(r"""false "[^"`$]*"; (throw '[^']*') #.*\n""", failing(None))
    assert found
    assert found[1] + "\n" == failing("powershell")


def test_harmless_values_stand_unquoted_for_people_to_read() -> None:
    env = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:43117", "ANTHROPIC_AUTH_TOKEN": "ccr-9f_A"}
    assert render(env, "sh", {}) == (
        "export ANTHROPIC_BASE_URL=http://127.0.0.1:43117\nexport ANTHROPIC_AUTH_TOKEN=ccr-9f_A\n"
    )


def powershell_value(line: str) -> str:
    """What PowerShell makes of an assignment: quoted pieces and [char] codes, joined by plus signs."""
    prefix = "$env:A = "
    assert line.startswith(prefix)
    units = b""
    rest = line.removeprefix(prefix)
    assert rest.startswith("'"), "the first term decides that the sum is a string"
    while rest:
        if found := re.match(r"'((?:[^']|'')*)'", rest):
            units += found[1].replace("''", "'").encode("utf-16-be")
        else:
            found = re.match(r"\[char\]0x([0-9a-f]{4})", rest)
            assert found
            units += bytes.fromhex(found[1])
        rest = rest[found.end() :]
        assert not rest or rest.startswith(" + ")
        rest = rest.removeprefix(" + ")
    return units.decode("utf-16-be")


@given(values)
def test_powershell_gets_one_line_of_ascii_whatever_the_value(value: str) -> None:
    text = render({"A": value}, "powershell", {})
    assert text.isascii()
    assert text.endswith("\n")
    line = text.removesuffix("\n")
    assert line.isprintable()
    assert powershell_value(line) == value


@given(values)
def test_cmd_gets_only_what_it_cannot_misread(value: str) -> None:
    try:
        text = render({"A": value}, "cmd", {})
    except UsageError:
        assert re.search(r'[^ -~]|["%!]', value)
    else:
        assert text == f'set "A={value}"\n'
        assert not re.search(r'[^ -~]|["%!]', value)


def test_a_value_that_cmd_cannot_take_is_named_but_not_shown() -> None:
    with pytest.raises(UsageError, match="ANTHROPIC_AUTH_TOKEN") as caught:
        render({"ANTHROPIC_AUTH_TOKEN": "secret%PATH%"}, "cmd", {})
    assert "secret" not in str(caught.value)


def dotenv_value(line: str, environ: dict[str, str]) -> str:
    """One line by python-dotenv's rules: three kinds of values, escapes by kind, then ${...} in all of them."""
    name, _, rest = line.partition("=")
    assert name == "A"
    if rest.startswith("'"):
        found = re.fullmatch(r"'((?:[^'\\]|\\.)*)'", rest)
        assert found, rest
        value = re.sub(r"\\([\\'])", r"\1", found[1])
    elif rest.startswith('"'):
        found = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', rest)
        assert found, rest
        escapes = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
        value = re.sub(r"\\([\\'\"abfnrtv])", lambda at: escapes.get(at[1], at[1]), found[1])
    else:
        value = re.sub(r"\s+#.*", "", rest).strip()
    return re.sub(
        r"\$\{([^}:]*)(?::-([^}]*))?\}", lambda at: environ.get(at[1], at[2] or ""), value, flags=re.DOTALL
    )


@given(values)
@example("${HOME}")
@example("it's $5")
@example("#not a comment")
def test_dotenv_reads_back_what_could_be_said(value: str) -> None:
    try:
        text = render({"A": value}, "dotenv", {})
    except UsageError:
        assert "$" in value
    else:
        assert text.count("\n") == 1
        assert dotenv_value(text.removesuffix("\n"), {"HOME": "/x"}) == value


@given(st.dictionaries(st.sampled_from("ABC"), values))
def test_json_is_one_line_with_everything(env: dict[str, str]) -> None:
    text = render(env, "json", {"url": "http://127.0.0.1:1", "port": 1, "pid": 2, "version": "3"})
    assert text.count("\n") == 1
    assert text.isascii()
    assert json.loads(text) == {
        "env": env, "url": "http://127.0.0.1:1", "port": 1, "pid": 2, "version": "3"
    }  # fmt: skip


@pytest.mark.parametrize("fmt", FORMATS)
def test_what_no_environment_holds_is_refused(fmt: str) -> None:
    with pytest.raises(UsageError, match="NUL"):
        render({"A": "x\0y"}, fmt, {})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="name of a variable"):
        render({"A;id": "x"}, fmt, {})  # type: ignore[arg-type]
