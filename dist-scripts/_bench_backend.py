"""The backend of ``dist-scripts/bench``, a program of its own: it answers from memory, with little work.

What it answers is told by a word in the first 200 bytes of the request, as its model or beside it: ``whole`` (a
reply in one piece; the word may be missing), ``brief`` (the shortest stream), ``burst`` (500 events at once),
``paced`` (500, each by itself), ``silent`` (a beginning, and nothing more), ``flood`` (70 MB). The path tells in
which wire.

It serves until it is killed, prints its port, and then a line for each peer that hung up: the monotonic time.
"""

import socket
import threading
import time
from typing import NamedTuple

EVENTS = 500

MODES = (b"brief", b"burst", b"paced", b"silent", b"flood")


class Wire(NamedTuple):
    """The parts of a stream."""

    start: bytes
    delta: bytes
    stop: bytes


MESSAGES = Wire(
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
    b'"role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":" word"}}\n\n',
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":9}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
)
CHAT = Wire(
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"a"},"finish_reason":null}]}\n\n',
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
    b'"delta":{"content":" word"},"finish_reason":null}]}\n\n',
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
    b'"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":9,"total_tokens":10}}\n\ndata: [DONE]\n\n',
)
RESPONSES = Wire(
    b'event: response.output_item.added\ndata: {"type":"response.output_item.added","sequence_number":1,'
    b'"output_index":0,"item":{"id":"i","type":"message","status":"in_progress","role":"assistant","content":[]}}\n\n'
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":2,'
    b'"item_id":"i","output_index":0,"content_index":0,"delta":"a","logprobs":[]}\n\n',
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":2,'
    b'"item_id":"i","output_index":0,"content_index":0,"delta":" word","logprobs":[]}\n\n',
    b'event: response.completed\ndata: {"type":"response.completed","sequence_number":3,"response":{"id":"r",'
    b'"status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":9}}}\n\n',
)
_WIRES = ((b"/chat/completions", CHAT), (b"/responses", RESPONSES), (b"/messages", MESSAGES))

WHOLE = b'{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"text","text":"hello"}]}'


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(peer,), daemon=True).start()


def _serve(peer: socket.socket) -> None:
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            if not (data := peer.recv(1 << 20)):
                return
            buffer += data
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        parts, have = [buffer], len(buffer)
        while have < size:
            parts.append(peer.recv(1 << 20))
            have += len(parts[-1])
        body = b"".join(parts)
        body, buffer = body[:size], body[size:]
        path = head.split(b" ", 2)[1]
        wire = next(wire for ending, wire in _WIRES if ending in path)
        mode = next((mode for mode in MODES if b'"' + mode + b'"' in body[:200]), b"")
        try:
            _answer(peer, wire, mode)
        except OSError:
            print(time.monotonic(), flush=True)
            return


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _answer(peer: socket.socket, wire: Wire, mode: bytes) -> None:
    if not mode:
        peer.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (len(WHOLE), WHOLE)
        )
        return
    peer.sendall(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        + _chunk(wire.start)
    )
    if mode == b"silent":
        peer.recv(1)
        raise ConnectionResetError
    if mode == b"flood":
        piece = _chunk(wire.delta * 100)
        for _ in range(6000):
            peer.sendall(piece)
    elif mode == b"burst":
        peer.sendall(_chunk(wire.delta) * EVENTS)
    elif mode == b"paced":
        for _ in range(EVENTS):
            peer.sendall(_chunk(wire.delta))
            time.sleep(0.002)
    peer.sendall(_chunk(wire.stop) + b"0\r\n\r\n")


if __name__ == "__main__":
    main()
