"""A question to a backend about itself. How lists and facts use it: test_models.py and test_facts.py."""

from __future__ import annotations

import pytest

from ccrouter.errors import UpstreamBroken
from ccrouter.providers.secret import Literal
from ccrouter.routing.credentials import ClientCredentials
from ccrouter.upstream.credentials import Credentials
from ccrouter.upstream.inquiry import Inquiry
from ccrouter.upstream.secrets import Secrets
from tests.rig import Script, ScriptedDial, provider

NOBODY = ClientCredentials()


def inquiry(*scripts: Script) -> tuple[Inquiry, ScriptedDial]:
    dial = ScriptedDial(list(scripts))
    return Inquiry({"http": dial}, Credentials(Secrets({}), {}, "linux")), dial


async def test_a_question_with_a_body_is_posted_as_json() -> None:
    asked, dial = inquiry(Script(body=[b'{"a"', b":1}"]))
    there = provider("ollama", api_key=Literal("sk-key"))
    assert await asked.ask(there, NOBODY, "/api/show", b"{}", root=True) == b'{"a":1}'
    (call,) = dial.calls
    assert (call.method, call.url, call.body) == ("POST", "http://127.0.0.1:11434/api/show", b"{}")
    assert dict(call.headers) == {
        b"authorization": b"Bearer sk-key",
        b"accept": b"application/json",
        b"accept-encoding": b"identity",
        b"content-type": b"application/json",
    }


@pytest.mark.parametrize("base", ["http://127.0.0.1:1234", "http://127.0.0.1:1234/", "http://127.0.0.1:1234/v1"])
async def test_a_servers_own_paths_begin_at_its_root(base: str) -> None:
    asked, dial = inquiry(Script(body=[b"{}"]))
    await asked.ask(provider("lmstudio", base_url=base), NOBODY, "/api/v1/models", root=True)
    assert dial.calls[0].url == "http://127.0.0.1:1234/api/v1/models"


@pytest.mark.parametrize("status", [204, 307, 404, 500])
async def test_only_a_success_is_an_answer(status: int) -> None:
    asked, dial = inquiry(Script(status=status, body=[b"{}"]))
    with pytest.raises(UpstreamBroken, match=f"HTTP status {status}"):
        await asked.ask(provider("ollama"), NOBODY, "/api/ps")
    assert dial.opened == dial.closed == 1
