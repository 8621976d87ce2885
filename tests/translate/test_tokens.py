"""The token estimate: what counts, what it costs, and that nothing decoded from JSON upsets it."""

import base64
import json
import struct
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.translate import tokens as module
from ccrouter.translate.provenance import MAKER, Origin, sign
from ccrouter.translate.tokens import estimate, estimate_text, of, texts_of
from ccrouter.wire.messages import read_request

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
KINDS = [
    "text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "tool_result", "mcp_tool_result",
    "web_search_tool_result", "tool_reference", "image", "document", "search_result", "not_yet_known",
]  # fmt: skip
BLOCK_KEYS = ["text", "thinking", "data", "name", "input", "content", "source", "title", "context", "signature"]
BLOCKS = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(KINDS) | JSON,
    st.dictionaries(st.sampled_from(BLOCK_KEYS), JSON, max_size=4),
)
SOURCES = st.builds(
    lambda kind, source: {"type": kind, "source": source},
    st.sampled_from(["image", "document"]),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["base64", "text", "content", "url", "file"])},
        optional={"data": JSON | st.binary(max_size=80).map(lambda raw: base64.b64encode(raw).decode())},
    ),
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system"]) | JSON},
        optional={"content": JSON | st.lists(BLOCKS | SOURCES | JSON, max_size=4)},
    )
    | JSON,
    max_size=3,
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "system": JSON | st.lists(BLOCKS, max_size=2),
        "messages": MESSAGES | JSON,
        "tools": JSON | st.lists(st.dictionaries(st.sampled_from(["name", "description", "input_schema"]), JSON)),
        "output_config": JSON | st.fixed_dictionaries({"format": JSON}),
    },
)


def message(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def cost(block: Any) -> int:
    """What ``block`` adds to a message."""
    return estimate(message(block)) - estimate(message())


def source(raw: bytes) -> dict[str, Any]:
    return {"type": "base64", "data": base64.b64encode(raw).decode()}


def image(raw: bytes) -> dict[str, Any]:
    return {"type": "image", "source": source(raw)}


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(200)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(200)


def jpeg(width: int, height: int) -> bytes:
    metadata = b"\xff\xe1" + struct.pack(">H", 40_000) + bytes(39_998)
    frame = b"\xff\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width)  # one byte of filling before the marker
    return b"\xff\xd8" + metadata + frame + bytes(200)


def webp(width: int, height: int, flavour: bytes) -> bytes:
    if flavour == b"VP8X":
        chunk = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif flavour == b"VP8L":
        chunk = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
    else:
        chunk = bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return b"RIFF" + bytes(4) + b"WEBP" + flavour + bytes(4) + chunk + bytes(200)


@given(REQUESTS)
def test_nothing_decoded_from_json_is_an_error(fields: dict[str, Any]) -> None:
    assert estimate(fields) >= 0
    assert all(isinstance(text, str) for text in texts_of(fields))


@given(st.text(st.characters()))
def test_a_text_costs_something_and_less_than_three_tokens_a_byte(text: str) -> None:
    tokens = estimate_text(text)
    assert (tokens > 0) == bool(text)
    assert tokens <= 3 * len(text.encode("utf-8", "surrogatepass"))


@given(st.text(), st.text())
def test_more_text_never_costs_less(text: str, more: str) -> None:
    assert estimate_text(text + more) >= estimate_text(text)


def test_halves_of_surrogate_pairs_are_counted() -> None:
    assert estimate(message({"type": "text", "text": "\ud83d alone"})) > estimate(message())


@pytest.mark.parametrize(
    ("text", "tokens"),
    # Counts of o200k_base and of Anthropic's published tokenizer, lowest and highest.
    [
        ("The router holds one connection open for each request and closes it with the client.", (16, 16)),
        ("def estimate_text(text: str) -> int:\n    return max(1, round(tokens))\n", (19, 23)),
        ('{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}', (18, 19)),
        ("drwxr-xr-x 2 root root 4096 Nov 20 16:21 translate", (17, 21)),
    ],
)
def test_short_texts_are_near_the_real_counts(text: str, tokens: tuple[int, int]) -> None:
    lowest, highest = tokens
    assert lowest * 0.75 <= estimate_text(text) <= highest * 1.25


def test_all_that_a_model_sees_is_counted_in_order() -> None:
    fields = {
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: a=b;"},
            {"type": "text", "text": "Be brief."},
        ],
        "tools": [{"name": "Read", "description": "Reads.", "input_schema": {"type": "object", "é": 1}}],
        "messages": [
            {"role": "user", "content": "hello"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "c2VjcmV0"},
                    {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a b"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "content": [
                            {"type": "text", "text": "nested", "cache_control": {"type": "ephemeral"}},
                            {"type": "tool_reference", "tool_name": "Grep"},
                            {"type": "document", "title": "notes", "source": {"type": "text", "data": "inside"}},
                        ],
                    },
                    {"type": "tool_result", "tool_use_id": "toolu_2", "content": "plain"},
                    {
                        "type": "document",
                        "source": {"type": "content", "content": [{"type": "text", "text": "deep"}]},
                    },
                ],
            },
        ],
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "string"}}},
    }
    assert texts_of(fields) == [
        "Be brief.",
        "Read", "Reads.", '{"type":"object","é":1}',
        "user", "hello",
        "assistant", "hm", "Read", '{"path":"a b"}',
        "user", "nested", "Grep", "notes", "inside", "plain", "deep",
        '{"type":"string"}',
    ]  # fmt: skip


def test_a_system_prompt_counts_the_same_as_text_and_as_blocks() -> None:
    assert estimate({"system": "Be brief."}) == estimate({"system": [{"type": "text", "text": "Be brief."}]}) > 0


def test_a_system_prompt_of_the_attribution_alone_is_none() -> None:
    assert estimate({"system": "x-anthropic-billing-header: a=b;"}) == estimate({}) == 0


def test_results_of_server_tools_count_without_their_encrypted_parts() -> None:
    found = {
        "type": "web_search_result",
        "url": "https://example.org/a",
        "title": "A",
        "encrypted_content": "x" * 9000,
    }
    block = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [found]}
    assert texts_of(message(block)) == ["user", "https://example.org/a", "A"]


def test_each_message_tool_call_and_result_costs_more_than_its_text() -> None:
    assert estimate(message()) > estimate_text("user")
    assert estimate({"tools": [{"name": "Read"}]}) > estimate_text("Read")
    assert cost({"type": "tool_use", "name": "Read", "input": {}}) > estimate_text("Read {}")
    assert cost({"type": "tool_result", "content": "done"}) > estimate_text("done")


def test_a_call_nested_deeper_than_the_json_encoder_goes_is_counted() -> None:
    value: Any = "leaf"
    for _ in range(100_000):
        value = {"key": [value]}
    assert estimate(message({"type": "tool_use", "name": "Read", "input": value})) > 100_000
    blocks: Any = "leaf"
    for _ in range(100_000):
        blocks = [{"type": "tool_result", "content": blocks}]
    assert texts_of(message(*blocks)) == ["user", "leaf"]


@pytest.mark.parametrize("make", [png, gif, jpeg, *(
    (lambda width, height, flavour=flavour: webp(width, height, flavour)) for flavour in (b"VP8 ", b"VP8L", b"VP8X")
)], ids=["png", "gif", "jpeg", "webp", "webp lossless", "webp extended"])  # fmt: skip
@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        ((750, 100), 100),
        ((100, 750), 100),
        ((1, 1), 1),
        ((1500, 800), 1600),  # as many as an image can cost
        ((3136, 300), 314),  # scaled to 1568 x 150
    ],
)
def test_an_image_costs_its_pixels(make: Any, size: tuple[int, int], tokens: int) -> None:
    assert cost(image(make(*size))) == tokens


@pytest.mark.parametrize(
    "where",
    [
        source(b"no image at all"),
        source(b""),
        source(png(0, 10)),
        source(png(10, 10)[:20]),
        source(jpeg(10, 10)[:100]),
        source(b"\xff\xd8" + bytes(50)),
        source(b"RIFF1234WEBPVP8L"),
        {"type": "base64", "data": "not base64: é"},
        {"type": "base64", "data": "====="},
        {"type": "base64", "data": None},
        {"type": "url", "url": "https://example.org/picture.png"},
        None,
    ],
)
def test_an_image_of_unknown_size_costs_1600(where: Any) -> None:
    assert cost({"type": "image", "source": where}) == 1600


def test_an_image_costs_the_same_inside_a_tool_result() -> None:
    inside = cost({"type": "tool_result", "content": [image(png(750, 100))]})
    assert inside - cost({"type": "tool_result", "content": []}) == 100


def test_a_pdf_costs_3000_tokens_for_each_page_that_it_shows() -> None:
    pages = b"".join(b"<</Type /Page /Parent 1 0 R>> endobj\n" for _ in range(3))
    raw = b"%PDF-1.4\n1 0 obj <</Type /Pages /Count 3>> endobj\n" + pages
    assert cost({"type": "document", "source": source(raw)}) == 9000


def test_a_pdf_that_shows_no_pages_costs_3000_tokens_for_each_40_kb() -> None:
    assert cost({"type": "document", "source": source(b"%PDF-1.7\n" + bytes(90_000))}) == 9000
    assert cost({"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}) == 3000


def test_the_pages_of_a_very_long_pdf_are_projected_from_its_beginning() -> None:
    page = b"<</Type/Page>>".ljust(3000)
    assert cost({"type": "document", "source": source(page * 2000)}) == pytest.approx(6_000_000, rel=0.01)


def test_a_document_of_text_costs_its_text_and_title() -> None:
    block = {"type": "document", "title": "notes", "source": {"type": "text", "data": "one two three"}}
    assert cost(block) == cost({"type": "text", "text": "notes one two three"})


def test_signatures_and_ids_cost_nothing() -> None:
    bare = {"type": "thinking", "thinking": "hm"}
    assert cost({**bare, "signature": "x" * 5000, "id": "y" * 5000}) == cost(bare)


def test_the_mark_of_a_blocks_maker_costs_nothing() -> None:
    bare = {"type": "text", "text": "hm"}
    assert cost({**bare, MAKER: sign(Origin("somebody", "m", {"f": "messages"}))}) == cost(bare)


def test_the_time_is_linear() -> None:
    """One megabyte costs about 30 ms; the limit leaves room for a machine that is busy with other tests."""
    text = ("def of(self, name: str) -> int:\n    return self.known[name]  # 42\n" * 16_000)[:1_000_000]
    for shape in (text, "a" * 1_000_000, " " * 1_000_000, "({[" * 333_333, json.dumps(text)):
        start = time.process_time()
        estimate_text(shape)
        assert time.process_time() - start < 0.5


def test_the_estimate_for_a_request_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"model": "m", "messages": [{"role": "user", "content": "Some words"}]}
    request = read_request(json.dumps(fields).encode())
    assert of(request) == estimate(fields)
    monkeypatch.setattr(module, "estimate", lambda _: 99)
    assert of(request) == estimate(fields)
    assert of(read_request(json.dumps(fields).encode())) == 99
