"""LiteLLM's proxy as a backend: its own mock replies, and deployments on aimock that it translates for.

A deployment on aimock speaks Chat Completions to it, so what a client asks by Messages or by Responses goes through
LiteLLM's own translation and comes back through it. Nothing leaves this machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e import child
from tests.e2e.child import Missing

#: LiteLLM refuses to start with the keys of its own documentation.
KEY = "sk-6b1f0d2c9ae84753"
MOCKED = "A reply of LiteLLM's own."

_ENVIRONMENTS = Path(__file__).parents[2] / ".cache" / "environments"


def python() -> str:
    """A Python that has LiteLLM. Raises Missing."""
    scripts, name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    made = _ENVIRONMENTS / "litellm-{}.{}".format(*sys.version_info[:2]) / scripts / name
    chosen = os.environ.get("CCROUTER_TEST_LITELLM_PYTHON") or str(made)
    # Not imported: that takes ten seconds.
    question = [chosen, "-c", "from importlib.metadata import version; version('litellm')"]
    try:
        done = subprocess.run(question, capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"no LiteLLM: {error} (dist-scripts/test makes that environment)") from None
    if done.returncode != 0:
        raise Missing(f"no LiteLLM in {chosen} (build/requirements/litellm.txt brings it)")
    return chosen


@contextmanager
def serve(python: str, aimock: str, folder: Path) -> Iterator[str]:
    """The proxy for the block: its address. Its files are written to ``folder``."""
    config = folder / "litellm.yaml"
    config.write_text(json.dumps(configuration(aimock)))  # which is YAML
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CONFIG_FILE_PATH": str(config),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # it fetches a newer one otherwise
        "HTTPS_PROXY": "http://127.0.0.1:9",  # nothing listens there
        "NO_PROXY": "127.0.0.1,localhost",
    }
    script = Path(__file__).with_name("litellm_server.py")
    with child.serve([python, script], folder / "litellm.log", environ=environ) as url:
        yield url


def configuration(aimock: str) -> dict[str, Any]:
    """What it serves: models that LiteLLM mocks itself, and some of aimock's under their own names."""
    mocked = {
        "mocked-text": MOCKED,
        # Words that make LiteLLM raise these errors of its own.
        "mocked-overflow": "litellm.ContextWindowExceededError",
        "mocked-limit": "litellm.RateLimitError",
        "mocked-failure": "litellm.InternalServerError",
    }
    on_aimock = {"api_base": f"{aimock}/v1", "api_key": "none"}
    models = [
        *(
            {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_key": "none", "mock_response": reply}}
            for name, reply in mocked.items()
        ),
        *(
            # For LiteLLM a vendor that has Chat Completions only.
            {"model_name": name, "litellm_params": {"model": f"lm_studio/{name}", **on_aimock}}
            for name in ("text", "reasoning", "tools", "slow", "cut-3", "overflow", "limited")
        ),
    ]  # fmt: skip
    return {
        "model_list": models,
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": False},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    }
