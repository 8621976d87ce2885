from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.errors import FrameError, TruncatedStream, WireError
from ccrouter.wire import coding
from ccrouter.wire.coding import Undo, can_undo, coding_of
from tests.strategies import cuts, mutated


def raw_deflate(body):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def several_members(body):
    return b"".join(gzip.compress(body[place : place + 7]) for place in range(0, len(body), 7)) or gzip.compress(
        b""
    )


PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("identity", bytes),
    ("gzip", gzip.compress),
    ("gzip", several_members),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", lambda body: zlib.compress(body, 0)),
    ("deflate", raw_deflate),
]
packed = st.sampled_from(PACKERS)
bodies = st.binary(max_size=60) | st.text("ab\n", max_size=500).map(str.encode)


def undo(name, chunks):
    decoder = Undo(name)
    body = b"".join(decoder.feed(chunk) for chunk in chunks)
    decoder.close()
    return body


@given(st.data(), packed, bodies)
def test_a_body_comes_back_however_it_is_cut(data, packer, body):
    name, pack = packer
    assert undo(name, data.draw(cuts(pack(body)))) == body


@given(st.data(), packed.filter(lambda each: each[0] != "identity"), bodies)
def test_a_body_that_is_cut_off_is_told_from_a_whole_one(data, packer, body):
    name, pack = packer
    whole = pack(body)
    # A multiple of whole members is a whole body.
    part = whole[: data.draw(st.integers(1, len(whole) - 1))]
    if pack is several_members and len(part) in member_ends(whole):
        undo(name, [part])
        return
    with pytest.raises(TruncatedStream, match="before it was whole"):
        undo(name, data.draw(cuts(part)))


def member_ends(whole):
    ends = []
    rest = whole
    while rest:
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        member.decompress(rest)
        rest = member.unused_data
        ends.append(len(whole) - len(rest))
    return ends


@pytest.mark.parametrize("name", ["identity", "gzip", "deflate"])
def test_no_body_at_all_is_whole(name):
    assert undo(name, []) == b""
    assert undo(name, [b"", b""]) == b""


@given(st.data(), packed, bodies)
def test_mutated_bodies_raise_our_own_errors_only(data, packer, body):
    name, pack = packer
    mutant = data.draw(mutated(pack(body)))
    try:
        undo(name, data.draw(cuts(mutant)))
    except WireError:
        return


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("gzip", b"plain text"),
        ("gzip", zlib.compress(b"x")),
        ("gzip", gzip.compress(b"x") + b"what follows"),
        ("gzip", gzip.compress(b"x")[:-4] + b"\0\0\0\0"),
        ("deflate", b"plain text"),
        ("deflate", zlib.compress(b"x") + b"more"),
        ("deflate", raw_deflate(b"x") + b"more"),
    ],
)
def test_a_body_that_breaks_its_coding_is_refused_at_any_cut(name, body):
    for chunks in ([body], [body[place : place + 1] for place in range(len(body))]):
        with pytest.raises(FrameError, match="does not follow its content coding"):
            undo(name, chunks)


@pytest.mark.parametrize(
    "pack", [gzip.compress, lambda body: gzip.compress(body[:500]) + gzip.compress(body[500:])]
)
def test_a_bomb_is_stopped_before_it_fills_the_memory(pack, monkeypatch):
    monkeypatch.setattr(coding, "MAX_OUTPUT", 1000)
    assert undo("gzip", [pack(bytes(1000))]) == bytes(1000)
    with pytest.raises(FrameError, match="over 1000 bytes"):
        Undo("gzip").feed(pack(bytes(1001)))


def test_the_limit_is_sixty_four_megabytes():
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    megabyte = bytes(1024 * 1024)
    bomb = b"".join(packer.compress(megabyte) for _ in range(65)) + packer.flush()
    assert len(bomb) < 100_000
    with pytest.raises(FrameError, match=f"over {64 * 1024 * 1024} bytes"):
        Undo("gzip").feed(bomb)


def test_a_bomb_is_not_unpacked_any_further_than_its_limit(monkeypatch):
    monkeypatch.setattr(coding, "MAX_OUTPUT", 1000)
    bomb = gzip.compress(bytes(20_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(FrameError):
            Undo("gzip").feed(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ([], "identity"),
        ([(b"content-encoding", b"")], "identity"),
        ([(b"content-encoding", b" GZip ")], "gzip"),
        ([(b"content-encoding", b"br")], "br"),
    ],
)
def test_the_coding_stands_in_the_headers(headers, name):
    assert coding_of(headers) == name


@pytest.mark.parametrize(
    ("name", "can"),
    [*((name, True) for name, _ in PACKERS), ("br", False), ("zstd", False), ("gzip, gzip", False)],
)
def test_which_codings_can_be_undone(name, can):
    assert can_undo(name) is can
