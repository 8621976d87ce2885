"""The house itself: the contracts between the layers bite, a skip fails in CI, set-up is done once and whole."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import os
import pkgutil
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

import ccrouter
from ccrouter import errors
from ccrouter.providers.presets import PRESETS
from ccrouter.routing.load import parse

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "dist-scripts"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def script_module(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The layers


@pytest.fixture
def package(tmp_path):
    """A copy of the package, to break."""
    shutil.copytree(ROOT / "ccrouter", tmp_path / "ccrouter", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path / "ccrouter"


def lint_imports(package):
    command = [sys.executable, "-c", LINT_IMPORTS, "--no-cache", "--no-logo"]
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    ended = subprocess.run(
        command, cwd=package.parent, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    return ended.returncode, " ".join(ended.stdout.split())


def test_the_layers_are_as_drawn(package):
    assert lint_imports(package)[0] == 0


def break_by(package, module, line):
    with (package / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        (
            "wire/sse.py",
            "import ccrouter.translate.messages.lane",
            "ccrouter.wire is not allowed to import ccrouter.translate",
        ),
        ("server/gate.py", "import ccrouter.upstream.pool", "server is not allowed to import ccrouter.upstream"),
        ("errors.py", "from ccrouter import wire", "ccrouter.errors is not allowed to import ccrouter.wire"),
        ("oddments.py", "", "oddments"),
        ("wire/sse.py", "import trio", "ccrouter.wire is not allowed to import trio"),
        (
            "demo/words.py",
            "def now():\n    from time import monotonic",
            "ccrouter.demo is not allowed to import time",
        ),
        ("translate/messages/lane.py", "import http.client", "ccrouter.translate is not allowed to import http"),
        (
            "translate/chat/request.py",
            "import ccrouter.translate.messages.lane",
            "ccrouter.translate.chat is not allowed to import ccrouter.translate.messages",
        ),
    ],
)
def test_a_broken_contract_is_named(package, module, line, complaint):
    break_by(package, module, line)
    code, report = lint_imports(package)
    assert code == 1
    assert complaint in report


def test_the_drawing_of_the_layers_is_the_contract():
    drawn = re.findall(
        r"^``(\w+)``", (ROOT / "ccrouter" / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE
    )
    [layers] = [c["layers"] for c in PROJECT["tool"]["importlinter"]["contracts"] if c.get("exhaustive")]
    contract = [name for layer in reversed(layers) for name in layer.split(" | ")]
    assert [*drawn, "__main__"] == contract


@pytest.mark.parametrize(
    "package", sorted((ROOT / "ccrouter").rglob("__init__.py")), ids=lambda path: path.parent.name
)
def test_the_map_of_each_package_has_all_that_is_in_it_and_nothing_else(package):
    beside = {path for path in package.parent.iterdir() if path != package and not path.name.startswith("__")}
    there = sorted(path.stem for path in beside if path.suffix == ".py" or (path / "__init__.py").exists())
    drawing = ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))) or ""
    # A row begins with a module's name, and what has double quotes in it or in the lines that go on is one more.
    rows = re.findall(r"^``\w+`` .*(?:\n +.*)*", drawing, re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"``(\w+)``", row)) == there


def test_the_tree_of_exceptions_is_as_drawn():
    for module in pkgutil.walk_packages(ccrouter.__path__, "ccrouter."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    def below(parent):
        ours = [each for each in parent.__subclasses__() if each.__module__.startswith("ccrouter.")]
        return {(each.__name__, parent.__name__) for each in ours} | {
            pair for each in ours for pair in below(each)
        }

    drawn: set[tuple[str, str | None]] = set()
    above: dict[int, str] = {}
    for indent, name in re.findall(r"^    ([ │├└─]*)(\w+) ", errors.__doc__ or "", re.MULTILINE):
        drawn.add((name, above.get(len(indent) - 4)))
        above[len(indent)] = name
    assert drawn == {("CcrouterError", None)} | below(errors.CcrouterError)


def test_the_configurations_of_the_readme_are_right():
    found = re.findall(
        r"^```toml\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(found) >= 2
    for text in found:
        parse(text, where="README.md", presets=PRESETS)


# Skips


SKIPS = """
import pytest, sys

@pytest.fixture
def client():
    pytest.skip("no client here")

def test_in_the_test(): pytest.skip("not today")
def test_in_a_fixture(client): pass
@pytest.mark.skipif(True, reason="by a mark")
def test_by_a_mark(): pass
@pytest.mark.only_on(sys.platform)
def test_here_but_skipped(): pytest.skip("for another reason")
@pytest.mark.only_on("plan9", "beos")
def test_elsewhere(): raise AssertionError
@pytest.mark.only_on("plan9", sys.platform)
def test_here(): pass
@pytest.mark.xfail(strict=True)
def test_known_to_fail(): raise AssertionError
"""


@pytest.fixture
def inner(pytester):
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    pytester.makeini("[pytest]\nmarkers = only_on(*platforms): x")
    return pytester


def test_a_skip_fails_in_ci_unless_the_test_is_for_another_platform(inner, monkeypatch):
    monkeypatch.setenv("CI", "true")
    inner.makepyfile(test_skips=SKIPS, test_module="import pytest\npytest.importorskip('no_such_module')")
    result = inner.runpytest_subprocess("--continue-on-collection-errors")
    result.assert_outcomes(failed=2, errors=3, skipped=1, passed=1, xfailed=1)
    result.stdout.fnmatch_lines(["*no client here", "In CI nothing may be skipped*test_in_a_fixture*"])


def test_a_skip_is_a_skip_elsewhere(inner, monkeypatch):
    monkeypatch.setenv("CI", "false")
    inner.makepyfile(test_skips=SKIPS, test_module="import pytest\npytest.importorskip('no_such_module')")
    inner.runpytest_subprocess().assert_outcomes(skipped=6, passed=1, xfailed=1)


# Set-up


def test_the_scripts_parse_where_python_is_too_old():
    # What they import after _environment is never reached there.
    scripts = [path for path in SCRIPTS.iterdir() if not path.suffix and path.is_file()]
    assert {"try", "test", "check", "lock"} <= {path.name for path in scripts}
    for path in (*scripts, SCRIPTS / "_environment.py"):
        source = path.read_text(encoding="utf-8")
        ast.parse(source, str(path), feature_version=(3, 6))
        assert "from __future__ import annotations" not in source, f"{path.name}: unknown to Python 3.6"


def test_what_is_imported_first_is_what_refuses_an_old_python():
    for name in ("try", "test", "check", "lock"):
        tree = ast.parse((SCRIPTS / name).read_text(encoding="utf-8"))
        imported = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
        assert next(module for module in imported if module.startswith("_")) == "_environment", name


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The set-up code in a checkout of its own, where making and installing only leave their marks."""
    root = tmp_path / "a b ü"
    (root / "build" / "requirements").mkdir(parents=True)
    (root / "build" / "requirements" / "dev.txt").write_text("one")
    (root / "build" / "requirements" / "more.txt").write_text("two")
    module = script_module("_environment")
    monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(module, "ENVIRONMENTS", root / ".cache" / "environments")
    monkeypatch.setattr(module, "LOCKS", root / "build" / "requirements")
    calls = []

    def call(command, **kwargs):
        calls.append("venv" if "venv" in command else Path(command[command.index("-r") + 1]).stem)
        module.Environment("dev").packages.mkdir(parents=True, exist_ok=True)
        return module.exit_code

    monkeypatch.setattr(module, "_called", call)
    module.exit_code = 0
    module.calls = calls
    return module


def calls_of(made, *, action):
    made.calls.clear()
    action()
    return list(made.calls)


def test_an_environment_is_made_once(made):
    environment = made.Environment("dev")
    assert calls_of(made, action=environment.prepare) == ["venv", "dev"]
    assert calls_of(made, action=environment.prepare) == []
    assert calls_of(made, action=made.Environment("dev").prepare) == []
    assert calls_of(made, action=lambda: environment.add("more")) == ["more"]
    assert calls_of(made, action=lambda: environment.add("more")) == []


def test_an_environment_that_is_not_needed_may_fail(made, capsys):
    assert made.Environment("dev").attempt()
    (made.LOCKS / "dev.txt").write_text("one, newer")
    made.exit_code = 1
    assert not made.Environment("dev").attempt()
    assert "-m venv failed" in capsys.readouterr().err


@pytest.mark.parametrize("change", ["the lock", "the Python"])
def test_an_environment_is_made_anew_after_a_change_of(made, monkeypatch, change):
    environment = made.Environment("dev").prepare()
    environment.add("more")
    left_over = environment.packages / "left_over.py"
    left_over.touch()
    if change == "the lock":
        (made.LOCKS / "dev.txt").write_text("one, newer")
    else:
        monkeypatch.setattr(made.sys, "version", sys.version + " rebuilt")
    assert calls_of(made, action=environment.prepare) == ["venv", "dev"]
    assert not left_over.exists()
    assert calls_of(made, action=lambda: environment.add("more")) == ["more"]


def test_an_interrupted_set_up_is_begun_again(made, monkeypatch):
    environment = made.Environment("dev")

    def interrupted(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(environment, "_install", interrupted)
        with pytest.raises(SystemExit, match="130"):
            environment.attempt()
    assert calls_of(made, action=environment.prepare) == ["venv", "dev"]


#: The set-up of an environment in a place of its own, after which nothing should come.
SET_UP = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(SCRIPTS)!r})
import _environment

_environment.ENVIRONMENTS = Path(sys.argv[1])
_environment._shown = str
_environment.Environment("run").attempt()
sys.exit("it went on")
"""


@pytest.mark.only_on("linux", "darwin")
@pytest.mark.parametrize("seconds", [0, 0.2, 1])
def test_ctrl_c_ends_a_set_up_which_says_nothing_more(tmp_path, seconds):
    command = [sys.executable, "-c", SET_UP, str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as set_up:
        assert set_up.stderr is not None
        try:
            assert set_up.stderr.readline().startswith("making ")
            time.sleep(seconds)
            os.killpg(set_up.pid, signal.SIGINT)
            assert set_up.stderr.read() == ""
            assert set_up.wait(30) == 130
        finally:
            set_up.kill()


def test_a_failed_installation_is_one_line_and_tried_again(made):
    environment = made.Environment("dev").prepare()
    made.exit_code = 1
    assert not environment.add("more")
    made.exit_code = 0
    assert calls_of(made, action=lambda: environment.add("more")) == ["more"]
    (made.LOCKS / "dev.txt").write_text("one, newer")
    made.exit_code = 1
    with pytest.raises(SystemExit, match=r"^\S.* -m venv failed: see above$"):
        environment.prepare()


def test_the_checkout_is_on_the_path_whatever_letters_its_own_path_has(made):
    environment = made.Environment("dev").prepare()
    line = (environment.packages / "checkout.pth").read_text(encoding="ascii").strip()
    assert (environment.packages / line).resolve() == made.ROOT.resolve()


@pytest.mark.parametrize(
    ("apt", "ci", "words"),
    [
        (None, True, "install your system's package"),
        ("/usr/bin/apt-get", False, f"sudo apt-get install python3.{sys.version_info.minor}-venv"),
    ],
)
def test_a_python_without_venv_is_told_how_to_get_it(made, monkeypatch, apt, ci, words):
    monkeypatch.setattr(made.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(made.shutil, "which", lambda name: apt)
    monkeypatch.setattr(made, "IN_CI", ci)
    with pytest.raises(SystemExit, match=re.escape(words)):
        made.Environment("dev").prepare()
    assert made.calls == []


def test_another_pythons_packages_stay_outside(made, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/opt/elsewhere")
    monkeypatch.setenv("KEPT", "1")
    variables = made.Environment("dev").variables()
    assert "PYTHONPATH" not in variables
    assert variables["KEPT"] == "1"


# Locks and rules


@pytest.mark.parametrize("name", ["run", "dev", "e2e", "litellm", "node"])
def test_every_locked_package_has_one_version_and_hashes(name):
    text = (ROOT / "build" / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    requirements = re.split(r"\n(?=\w)", re.sub(r"(?m)^ *#.*\n", "", text).strip())
    for requirement in requirements:
        assert re.match(r"[\w.-]+==[\w.]+( ;.*)? \\\n", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("run", PROJECT["project"]["dependencies"]),
        ("dev", PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]),
        ("e2e", PROJECT["dependency-groups"]["e2e"]),
        ("litellm", PROJECT["dependency-groups"]["litellm"]),
        ("node", PROJECT["dependency-groups"]["node"]),
    ],
)
def test_the_lock_holds_what_is_declared(name, declared):
    text = (ROOT / "build" / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))
    names = {re.split(r"[<>=!~ ;\[]", requirement)[0].lower().replace("_", "-") for requirement in declared}
    assert names <= locked


@pytest.fixture
def rules():
    return script_module("_rules")


def test_each_rule_of_the_house_is_complained_about(rules, tmp_path):
    host = "pypi" + ".org"
    files = {
        "README.md": f"fine\nfrom {host}",
        "build/requirements/run.txt": "a==1 \\\n# from https" + "://mirror.example/simple",
        "tests/e2e/package-lock.json": json.dumps({"resolved": "https" + "://mirror.example/a.tgz"}),
        "ccrouter/wire/long.py": "\n" * 401,
        "tests/wire/test_long.py": "",
        "ccrouter/pump.py": "",
        "tests/other/test_pump.py": "",
        "tests/pump/rig.py": "",
        "ccrouter/relay.py": "",
        "tests/relay/test_pacing.py": "",
        "tests/test_errors.py": "",
        "ccrouter/errors.py": "",
        ".cache/ignored.py": f"{host}",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert [line.split(" ")[0] for line in rules.complaints(tmp_path)] == [
        "README.md:2:",
        "build/requirements/run.txt:2:",
        "tests/e2e/package-lock.json:1:",
        "ccrouter/wire/long.py:",
        "ccrouter/errors.py:",
        "ccrouter/pump.py:",
    ]


def test_a_lock_with_an_index_of_its_own_is_complained_about(rules, tmp_path):
    (tmp_path / "build" / "requirements").mkdir(parents=True)
    lock = tmp_path / "build" / "requirements" / "dev.txt"
    for line in ("--extra-index-url mirror", "-i mirror", "--find-links wheels"):
        lock.write_text(f"a==1\n{line}\n")
        assert rules.complaints(tmp_path), line
    lock.write_text("a==1 \\\n    --hash=sha256:00\n    # via -r b\n")
    assert rules.complaints(tmp_path) == []
