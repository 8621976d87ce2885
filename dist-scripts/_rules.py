"""The rules of the house that no tool knows: `complaints` lists what breaks them, one line each."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

LONGEST_MODULE = 400

#: Modules that may be longer, with the reason.
LONGER: dict[str, str] = {}

#: Modules without a test file of their name, with the reason.
UNTESTED = {
    "ccrouter/__main__.py": "a few lines, run by whatever starts ccrouter; tests/cli/test_interrupt.py",
    "ccrouter/errors.py": "names and messages, no behaviour",
    "ccrouter/attempt/parts.py": "values only; tests/attempt/test_pump.py shows each",
    "ccrouter/routing/config.py": "values only; tests/routing/test_load.py fills them",
    "ccrouter/providers/openai_format.py": "rows of the presets; tests/providers/test_presets.py",
    "ccrouter/providers/quirks.py": "values only; tests/translate shows what each makes of a request",
    "ccrouter/translate/chat/messages.py": "the messages of a request: tests/translate/chat/test_request.py",
    "ccrouter/translate/messages/block.py": "one block of a reply: tests/translate/messages/test_blocks.py",
    "ccrouter/translate/ollama/messages.py": "the messages of a request: tests/translate/ollama/test_request.py",
    "ccrouter/translate/responses/input.py": "the items of a request: tests/translate/responses/request",
    "ccrouter/translate/responses/items.py": "one item of a reply: tests/translate/responses/test_reply.py",
    "ccrouter/translate/turns.py": "values only; tests/translate/test_conversation.py fills them",
    "ccrouter/upstream/codex_file.py": "the file of a login: tests/upstream/codex/test_file.py",
    "ccrouter/upstream/dial.py": "an interface; its two sides have their tests",
}

#: Directories that a copy without git may hold, besides those whose names start with a dot.
UNTRACKED = {"__pycache__", "node_modules", "dist", "out"}

# An index belongs to whoever installs: their pip and npm are set up for the one that they reach and trust.
# (The pattern does not match itself.)
INDEX_HOSTS = re.compile(
    rb"pypi\.org|pythonhosted\.org|registry\.npmjs|npmmirror\.com|registry\.yarnpkg"
    rb"|index\.crates\.io|proxy\.golang\.org",
    re.IGNORECASE,
)

#: What names an index in a lock, whatever its host; by what the lock's path contains.
INDEX_IN_A_LOCK = {
    "build/requirements/": re.compile(rb"://|^\s*(--\S*index|--find-links|-i\b|-f\b)", re.MULTILINE),
    "package-lock.json": re.compile(rb'"resolved"\s*:\s*"https?:'),
}


def complaints(root: Path) -> list[str]:
    files = tracked(root)
    return [*index_hosts(root, files), *long_modules(root, files), *untested_modules(files)]


def tracked(root: Path) -> list[str]:
    """The files that are the project's: what git has or would take, or all there is in a copy without git."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return sorted(_walk(root))
    names = {os.fsdecode(name) for name in listed.split(b"\0") if name}
    return sorted(name for name in names if (root / name).is_file())


def _walk(root: Path) -> Iterator[str]:
    for directory, below, names in os.walk(root):
        here = Path(directory)
        below[:] = [name for name in below if name == ".ci" or not (name in UNTRACKED or name.startswith("."))]
        yield from ((here / name).relative_to(root).as_posix() for name in names)


def index_hosts(root: Path, files: list[str]) -> Iterator[str]:
    for name in files:
        content = (root / name).read_bytes()
        patterns = [pattern for place, pattern in INDEX_IN_A_LOCK.items() if place in name]
        found = next(filter(None, (pattern.search(content) for pattern in (INDEX_HOSTS, *patterns))), None)
        if found:
            line = content.count(b"\n", 0, found.start()) + 1
            yield f"{name}:{line}: names a package index, which is for whoever installs to choose"


def long_modules(root: Path, files: list[str]) -> Iterator[str]:
    for name in files:
        if not name.startswith(("ccrouter/", "dist-scripts/")) or not name.endswith(".py"):
            continue
        lines = (root / name).read_bytes().count(b"\n")
        if lines > LONGEST_MODULE and name not in LONGER:
            yield f"{name}: has {lines} lines, more than {LONGEST_MODULE}: cut it along what it knows"
        if lines <= LONGEST_MODULE and name in LONGER:
            yield f"{name}: is short enough again; strike it from LONGER in dist-scripts/_rules.py"


def untested_modules(files: list[str]) -> Iterator[str]:
    for name in files:
        path = Path(name)
        if path.parts[0] != "ccrouter" or path.suffix != ".py" or path.name == "__init__.py":
            continue
        place = Path("tests", *path.parts[1:-1])
        mirror = (place / f"test_{path.name}").as_posix()
        # Where there is too much to be told in one file, a folder of the module's name holds it.
        several = (place / path.stem).as_posix() + "/test_"
        if mirror not in files and name not in UNTESTED and not any(each.startswith(several) for each in files):
            yield f"{name}: has no {mirror}"
        if mirror in files and name in UNTESTED:
            yield f"{name}: has a test now; strike it from UNTESTED in dist-scripts/_rules.py"
