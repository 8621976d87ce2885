from __future__ import annotations

import os
import sys

import trio

from ccrouter.upstream.program import run_program

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


async def test_what_a_program_printed_comes_with_how_it_ended() -> None:
    done = await run_program(python("print('out'); raise SystemExit(3)"), ENVIRON, 100)
    assert (done.code, done.output.split()) == (3, [b"out"])


async def test_a_program_that_prints_too_much_is_ended_with_one_byte_more_than_it_may() -> None:
    done = await run_program(python("while True: print('x' * 1000)"), ENVIRON, 10)
    assert len(done.output) == 11


async def test_a_cancelled_program_is_gone_before_the_cancellation_is_over() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    code = f"import socket; socket.create_connection(('127.0.0.1', {port})).makefile().readline()"
    async with listener, trio.open_nursery() as nursery:
        nursery.start_soon(run_program, python(code), ENVIRON, 100)
        line = await listener.accept()
        nursery.cancel_scope.cancel()
    async with line:
        assert await line.receive_some() == b""
