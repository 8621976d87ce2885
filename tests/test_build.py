"""dist-scripts/build: the parts that need no compiler. Whether the executable works is for tests/e2e to say."""

from __future__ import annotations

import importlib
import struct
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import ccrouter
from ccrouter.cli.main import main
from tests.release import built

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "dist-scripts"))


@pytest.fixture
def build(scripts: None) -> ModuleType:
    return importlib.import_module("_build")


@pytest.fixture
def result(scripts: None) -> ModuleType:
    return importlib.import_module("_build_result")


@pytest.fixture
def report(result: ModuleType, tmp_path: Path):
    """A result that is fit for everybody."""
    folder, program = tmp_path / "ccrouter.dist", tmp_path / "ccrouter"
    folder.mkdir()
    (folder / "data.pem").write_text("no program")
    program.write_bytes(elf({"libc.so.6": ["GLIBC_2.2.5", "GLIBC_2.34"]}))
    return result.Report(folder, program, [], {})


def elf(needs: dict[str, list[str]]) -> bytes:
    """An ELF file with nothing in it but what it needs of its libraries."""
    names, table = b"\0", b""

    def named(text: str) -> int:
        nonlocal names
        names += text.encode() + b"\0"
        return len(names) - len(text) - 1

    for number, (library, versions) in enumerate(needs.items(), 1):
        last = number == len(needs)
        table += struct.pack(
            "<HHIII", 1, len(versions), named(library), 16, 0 if last else 16 + 16 * len(versions)
        )
        for place, version in enumerate(versions, 1):
            table += struct.pack("<IHHII", 0, 0, 2, named(version), 0 if place == len(versions) else 16)
    start = 64 + 3 * 64
    sections = [
        struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        struct.pack("<IIQQQQIIQQ", 0, 0x6FFFFFFE, 0, 0, start, len(table), 2, len(needs), 0, 0),
        struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, start + len(table), len(names), 0, 0, 0, 0),
    ]
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, 62, 1, 0, 0, 64, 0, 64, 0, 0, 64, 3, 0)
    return header + b"".join(sections) + table + names


def test_the_newest_glibc_that_a_file_needs_is_read_library_by_library(result: ModuleType) -> None:
    file = elf(
        {
            "libm.so.6": ["GLIBC_2.9", "GLIBC_2.35", "GLIBC_2.29"],
            "libssl.so.3": ["OPENSSL_3.0.0"],
            "libc.so.6": ["GLIBC_PRIVATE", "GLIBC_2.2.5"],
        }
    )
    assert list(result.glibc_needs(file)) == [("libm.so.6", (2, 35)), ("libc.so.6", (2, 2, 5))]
    with pytest.raises(ValueError, match="64-bit"):
        list(result.glibc_needs(b"\x7fELF\x01\x01" + bytes(64)))


def test_a_result_within_its_limits_has_no_problems(result: ModuleType, report) -> None:
    size = report.program.stat().st_size
    assert result.problems("Nuitka: Starting\n", report, (2, 34), size) == []


def test_something_left_out_of_the_executable_is_a_problem(result: ModuleType, report) -> None:
    log = "Nuitka: Starting\nNuitka-Inclusion:WARNING: Not including due to forbidden DLL 'libx.so'.\n"
    (problem,) = result.problems(log, report, (2, 34), 10_000)
    assert "libx.so" in problem


def test_a_file_above_the_ceiling_of_glibc_is_a_problem_wherever_it_is(result: ModuleType, report) -> None:
    (report.folder / "_ssl.so").write_bytes(elf({"libm.so.6": ["GLIBC_2.35"]}))
    (problem,) = result.problems("", report, (2, 34), 10_000)
    assert problem.startswith("_ssl.so: needs libm.so.6 2.35, more than the ceiling of 2.34")
    assert result.problems("", report, (2, 35), 10_000) == []


def test_a_program_that_weighs_too_much_is_a_problem(result: ModuleType, report) -> None:
    size = report.program.stat().st_size
    (problem,) = result.problems("", report, (2, 34), size - 1)
    assert problem.startswith(f"ccrouter: is {size} bytes")


def test_a_report_of_a_broken_build_is_not_taken(result: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    path.write_text('<nuitka-compilation-report completion="exception"/>')
    with pytest.raises(ValueError, match="exception"):
        result.Report.read(path, tmp_path, tmp_path)
    path.write_text(
        '<nuitka-compilation-report completion="yes">'
        '<included_dll name="libz.so.1" dest_path="libz.so.1" source_path="/lib/libz.so.1"/>'
        '<included_dll name="libpython3.13.so" dest_path="libpython3.13.so" source_path="/lib/libpython3.13.so"/>'
        '<distributions><distribution name="trio" version="1"/><distribution name="h11" version="2"/></distributions>'
        "</nuitka-compilation-report>"
    )
    read = result.Report.read(path, tmp_path, tmp_path)
    assert read.distributions == [("h11", "2"), ("trio", "1")]
    assert read.libraries == {"libz.so.1": Path("/lib/libz.so.1")}


def test_a_part_without_its_licence_fails_the_build(scripts: None, result: ModuleType, tmp_path: Path) -> None:
    notices = importlib.import_module("_build_notices").notices
    for name in ("nuitka-4.dist-info/LICENSE-RUNTIME.txt", "nuitka/build/inline_copy/zstd/LICENSE.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(f"the terms of {name}")
    terms = tmp_path / "h11-0.16.0.dist-info" / "licenses" / "LICENSE.txt"
    terms.parent.mkdir(parents=True)
    terms.write_text("the terms of h11")
    environment = SimpleNamespace(packages=tmp_path)
    (tmp_path / "folder").mkdir()
    of_h11 = result.Report(tmp_path / "folder", tmp_path, [("h11", "0.16.0")], {})
    text = notices(environment, of_h11)
    assert "\nh11 0.16.0\n" in text
    assert "the terms of h11" in text
    assert "Python Software Foundation" in text
    with pytest.raises(SystemExit, match=r"trio 0\.35\.0"):
        notices(environment, of_h11._replace(distributions=[("trio", "0.35.0")]))
    with pytest.raises(SystemExit, match="libnowhere"):
        notices(environment, of_h11._replace(libraries={"libnowhere.so.1": Path("/nowhere/libnowhere.so.1")}))
    # What came with Python is not covered by a text that does not speak of it.
    for name, named in (("libnovel.so.1", False), ("libpython-more.so.1", True)):
        source = {name: Path(sys.base_prefix) / "lib" / name}
        if named:
            assert f"\n{name}\n" in notices(environment, of_h11._replace(libraries=source))
        else:
            with pytest.raises(SystemExit, match=name):
                notices(environment, of_h11._replace(libraries=source))


def test_the_terms_of_each_library_are_there_and_name_it(scripts: None) -> None:
    for library in importlib.import_module("_libraries").LIBRARIES:
        text = library.terms.read_text("utf-8")
        assert text.startswith(f"{library.name}\n")
        assert "/usr/share" not in text, "whoever reads it may have no such file"


def test_each_library_of_the_list_of_parts_has_a_section_in_the_notices(
    scripts: None, result: ModuleType, tmp_path: Path
) -> None:
    """Also those that are linked into Python's own modules, of which no shared library tells."""
    out, packages = built.build(tmp_path / "out"), built.packages(tmp_path / "packages")
    report = result.Report.read(out / "report.xml", out / "ccrouter-folder", out / "ccrouter")
    for name in ("nuitka-4.3.3.dist-info/LICENSE-RUNTIME.txt", "nuitka/build/inline_copy/zstd/LICENSE.txt"):
        (packages / name).write_text(f"the terms of {name}")
    for name, version in report.distributions:
        (packages / f"{name.replace('-', '_')}-{version}.dist-info" / "LICENSE").write_text(f"the terms of {name}")
    (out / "ccrouter-folder" / "NOTICES.txt").unlink()
    text = importlib.import_module("_build_notices").notices(SimpleNamespace(packages=packages), report)
    (out / "ccrouter-folder" / "NOTICES.txt").write_text(text, "utf-8")
    inside = importlib.import_module("_package").contents(out, ROOT / "README.md", "linux-x64").folder
    document = importlib.import_module("_sbom").bom(
        out / "report.xml", inside, packages, name="x", version="1", when=0, archives=[]
    )
    parts = [part for part in document["components"] if part["type"] == "library"]
    names = {part["name"] for part in parts}
    assert {"libmpdec", "Expat", "OpenSSL", "bzip2", "XZ Utils", "libffi", "h11", "Python"} <= names
    titles = {line.rpartition(" ")[0] or line for line in sections(text)} | set(sections(text))
    told = {"Nuitka's run-time library": "the run-time library of Nuitka"}
    assert {told.get(name, name) for name in names} <= titles
    assert "Stefan Krah" in text
    assert "Expat maintainers" in text


def sections(text: str) -> list[str]:
    lines = text.splitlines()
    return [lines[at + 1] for at in range(len(lines) - 2) if set(lines[at]) == set(lines[at + 2]) == {"="}]


def test_the_copy_that_is_compiled_is_ccrouter_with_the_commit_in_it(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_revision", lambda: "0123abcd+")
    assert build.stage(tmp_path) == (ccrouter.__version__, "0123abcd+")
    copied = (tmp_path / "ccrouter" / "__init__.py").read_text("utf-8")
    assert '\n__revision__ = "0123abcd+"\n' in copied
    assert (tmp_path / "ccrouter" / "cli" / "main.py").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"ccrouter"}


def test_an_executable_tells_its_commit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ccrouter, "__revision__", "0123abcd")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ccrouter {ccrouter.__version__} (0123abcd)\n"


def test_the_executable_has_the_dependencies_that_were_tested(build: ModuleType) -> None:
    def pins(lock: str) -> set[str]:
        lines = (ROOT / "build" / "requirements" / f"{lock}.txt").read_text("ascii").splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line and not line.startswith((" ", "#"))}

    assert pins("run") <= pins("build")
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    assert pins("nuitka") == set(groups["nuitka"])


def test_two_builds_share_no_folder_of_unpacked_files(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "WORK", tmp_path / "work")
    monkeypatch.setattr(build, "LOCKS", tmp_path)
    monkeypatch.setattr(build, "RECIPES", tmp_path / "recipes")
    source = tmp_path / "work" / "source" / "ccrouter.py"
    inputs = (source, tmp_path / "recipes" / "plugin.py", tmp_path / "build.txt", tmp_path / "nuitka.txt")
    for path in inputs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    found = {build.fingerprint(), build.fingerprint()}
    assert len(found) == 1
    for path in inputs:
        path.write_text("2")
        found.add(build.fingerprint())
    assert len(found) == 1 + len(inputs)
