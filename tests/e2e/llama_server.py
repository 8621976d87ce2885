"""A real llama.cpp server with a model that is made on the spot. Run by a Python that has xllamacpp and gguf.

``llama_server.py MODEL`` writes the model to that path, serves it on a free port of loopback, prints the port, and
ends when its standard input does.

The model is a real one as far as llama.cpp can tell, and its every step is known: its embedding is one-hot, its layers
add nothing, and its output matrix is a table of which token follows which. So it says one sentence and stops; where
its template ends the prompt with another byte, it says one word over and over until it is stopped. The sentence has
a character of two bytes, which are two tokens.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import gguf  # type: ignore[import-not-found,import-untyped,unused-ignore]
import numpy as np  # type: ignore[import-not-found,import-untyped,unused-ignore]
import xllamacpp  # type: ignore[import-not-found,import-untyped,unused-ignore]

MODEL = "tiny"
SENTENCE = "tiny ü."
ENDLESS = "more_"
"""Shares no byte with the sentence, and has each of its own once."""
ENDLESS_WHEN = "without end"
"""Words in the last message that start it."""
CONTEXT = 8192

_HEADS = 4
_HEAD = 72
_HIDDEN = _HEADS * _HEAD
_FEED_FORWARD = 32
_CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_MERGED = "th"
_ENDLESS_START = ">"

_TEMPLATE = (
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant"
    "{%- if '"
    + ENDLESS_WHEN
    + "' in messages[-1].content %}"
    + _ENDLESS_START
    + "{%- else %}{{ '\n' }}{%- endif %}"
    "{%- endif %}"
)


def letters() -> list[str]:
    """How a byte-level vocabulary of GPT-2's kind writes each byte: printable ones as they are."""
    plain = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


def make_model(path: Path) -> None:
    """Write the model."""
    tokens = [*letters(), _MERGED, *_CONTROL]
    size, first_control = len(tokens), len(tokens) - len(_CONTROL)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(_HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(_HEAD)
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    kinds = [gguf.TokenType.NORMAL] * first_control + [gguf.TokenType.CONTROL] * len(_CONTROL)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(_MERGED)])
    writer.add_bos_token_id(first_control)
    writer.add_eos_token_id(size - 1)
    writer.add_add_bos_token(False)
    writer.add_chat_template(_TEMPLATE)

    sentence = SENTENCE.encode()
    follows = dict(zip(sentence, [*sentence[1:], size - 1], strict=True))
    endless = ENDLESS.encode()
    follows |= dict(zip(endless, endless[1:] + endless[:1], strict=True)) | {ord(_ENDLESS_START): endless[0]}
    embedding = np.eye(size, _HIDDEN, dtype=np.float32)
    output = np.zeros((size, _HIDDEN), dtype=np.float32)
    for token in range(size):
        output[follows.get(token, sentence[0]), token] = 10.0
    ones = np.ones(_HIDDEN, dtype=np.float32)
    tensors = {"token_embd": embedding, "output_norm": ones, "output": output}
    tensors |= {"blk.0.attn_norm": ones, "blk.0.ffn_norm": ones}
    square = np.zeros((_HIDDEN, _HIDDEN), dtype=np.float32)
    tensors |= {f"blk.0.attn_{part}": square for part in ("q", "k", "v", "output")}
    wide = np.zeros((_FEED_FORWARD, _HIDDEN), dtype=np.float32)
    tensors |= {"blk.0.ffn_gate": wide, "blk.0.ffn_up": wide, "blk.0.ffn_down": np.ascontiguousarray(wide.T)}
    for name, tensor in tensors.items():
        writer.add_tensor(f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(path: Path) -> None:
    """Serve until standard input ends."""
    with socket.socket() as probe:  # the server cannot say which free port it took
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.model_alias = {MODEL}
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    print(f"LISTENING {server.listening_address}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    model = Path(sys.argv[1])
    make_model(model)
    serve(model)
