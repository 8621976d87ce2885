"""What passes the lane is what came: a real client's requests and any stream's bytes, compared on the wire."""

from __future__ import annotations

import random

import pytest

from tests.e2e import replies, upstream, wiretap
from tests.e2e.images import png
from tests.e2e.replies import Reply, Text, Thinking, Use
from tests.e2e.sandbox import Sandbox
from tests.e2e.stage import Client, Stage, staged
from tests.e2e.upstream import Received

pytestmark = pytest.mark.e2e


async def test_a_real_conversation_goes_through_byte_for_byte(client: Client, sandbox: Sandbox) -> None:
    picture = sandbox.folder / "dot.png"
    picture.write_bytes(png(40, 30, (0, 90, 200)))

    def script(received: Received) -> Reply:
        if reply := upstream.usual(received):
            return reply
        turn = len(stage.upstream.of("main"))
        if turn == 1:
            calls = (
                Use("toolu_1", "Read", {"file_path": str(picture)}),
                Use("toolu_2", "Bash", {"command": "printf 'ü \\u2028 🙂'", "description": "Odd characters"}),
            )
            return received.say(Thinking("Hm.", "signature"), *calls, strange=True).recut(turn)
        if turn == 2:
            return replies.error(
                529, "overloaded_error", "Überlastet", ("x-should-retry", "true"), ("retry-after", "0")
            )
        return received.say(Text("Done: ü\u2028🙂."), strange=True).recut(turn)

    async with staged(client, "printed", sandbox) as stage:
        assert stage.router is not None
        async with wiretap.tap(stage.router.port) as tap:
            stage.upstream.script = script
            stage.router.env["ANTHROPIC_BASE_URL"] = tap.url
            ran = await stage.ask("go")
            assert ran.answer == "Done: ü\u2028🙂."
        seen = [each for each in tap.exchanges() if each.target.startswith("/v1/messages")]
        got = [each for each in stage.upstream.received if each.path == "/v1/messages"]
        assert len(seen) == len(got) == 3
        assert sorted(each.request for each in seen) == sorted(each.body for each in got)
        assert {each.target for each in seen} == {each.target for each in got}
        assert sorted((each.status, each.reply) for each in seen) == sorted(
            (each.reply.status, each.reply.body) for each in got if each.reply is not None
        )
        assert all(each.whole for each in seen)
        [overloaded] = [dict(each.headers) for each in seen if each.status == 529]
        assert (overloaded[b"x-should-retry"], overloaded[b"retry-after"]) == (b"true", b"0")


@pytest.mark.parametrize("seed", range(12))
async def test_any_chunking_of_a_stream_gives_the_client_the_same_bytes(serving: Stage, seed: int) -> None:
    chance = random.Random(seed)
    blocks = [
        chance.choice(
            (
                Text("words, and \u2028\u0085\r odd ones: ü 🙂 " * chance.randint(1, 40)),
                Thinking("hm " * chance.randint(1, 99), "c2lnbmF0dXJl" * chance.randint(1, 50)),
                Use(f"toolu_{number}", "Bash", {"command": "echo 'ü' \\" * chance.randint(1, 9)}),
            )
        )
        for number in range(chance.randint(1, 5))
    ]
    serving.upstream.script = lambda received: (
        received.say(*blocks, strange=True)
        .recut(seed)
        .with_headers(
            ("request-id", f"req_upstream_{seed}"),
            ("anthropic-ratelimit-unified-status", "allowed"),
            ("x-omen", "stays"),
            ("connection", "x-hop"),
            ("x-hop", "goes"),
        )
    )
    body = b'{"model":"claude-sonnet-5-5",  "stream" : true, "max_tokens":9,"omen":[1.50,1e3,"\\ud83d\\ude42"],"messages":[{"role":"user","content":"hi"}]}\n'
    assert serving.router is not None
    headers = {"content-type": "application/json", "anthropic-omen": "a, b", "anthropic-beta": "x-2030-01-01,y"}
    async with serving.router.client() as http:
        reply = await http.post("/v1/messages?beta=true&x=%2F%C3%BC", content=body, headers=headers)
    [received] = serving.upstream.of("main")
    assert received.reply is not None
    assert reply.content == received.reply.body
    assert received.body == body
    assert received.target == "/v1/messages?beta=true&x=%2F%C3%BC"
    assert (received.header("anthropic-omen"), received.header("anthropic-beta")) == ("a, b", "x-2030-01-01,y")
    assert reply.headers["request-id"] == f"req_upstream_{seed}"
    assert reply.headers["anthropic-ratelimit-unified-status"] == "allowed"
    assert reply.headers["x-omen"] == "stays"
    assert "x-hop" not in reply.headers


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429, 500, 503, 529])
async def test_a_refusal_keeps_its_status_words_and_headers(serving: Stage, status: int) -> None:
    refusal = replies.error(
        status,
        "some_error",
        "words: ü",
        ("retry-after", "7"),
        ("x-should-retry", "false"),
        ("request-id", "req_1"),
    )
    serving.upstream.script = lambda _received: refusal
    body = {"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    assert serving.router is not None
    async with serving.router.client() as http:
        for streamed in (True, False):
            reply = await http.post("/v1/messages", json={**body, "stream": streamed})
            assert (reply.status_code, reply.content) == (status, refusal.body)
            assert reply.headers["retry-after"] == "7"
            assert reply.headers["x-should-retry"] == "false"
            assert reply.headers["request-id"] == "req_1"
