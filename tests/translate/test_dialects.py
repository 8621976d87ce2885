"""The table of dialects: every wire has one, and every preset's wires can be rendered by theirs."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from ccrouter.errors import TruncatedStream
from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Target, Wire
from ccrouter.translate.dialects import DIALECTS
from ccrouter.wire.messages import read_request
from tests.rig import provider, request

SPOKEN = [(name, wire) for name, row in PRESETS.items() for wire in get_args(Wire) if row.path(wire) is not None]


def test_every_wire_has_a_dialect() -> None:
    assert set(DIALECTS) == set(get_args(Wire))


@pytest.mark.parametrize(("name", "wire"), SPOKEN)
def test_a_request_is_put_to_every_preset_by_each_of_its_wires(name: str, wire: Wire) -> None:
    target = Target(provider(name, wire=wire), "some-model")
    wanted = read_request(request(model="anything", stop_sequences=["a"], thinking={"type": "adaptive"}))
    dialect = DIALECTS[wire]
    outbound = dialect.render(wanted, target, [(b"x-api-key", b"secret")], "beta=true", "messages")
    assert outbound.url.startswith(f"{target.provider.base_url}{target.provider.preset.path(wire)}")
    body = json.loads(outbound.body)
    assert body["model"] == "some-model"
    assert body["stream"] is True
    assert all(value != b"secret" for _, value in outbound.headers)
    stream = dialect.stream(wanted, target, "msg_1")
    with pytest.raises(TruncatedStream):
        stream.close()
