"""A random-weight Llama of half a million parameters as a GGUF file: a real model for the real engine, made in a second.

The tokenizer is a byte-level BPE learnt from the text below, with the special tokens and the chat template of the
Qwen coders. What it writes is noise, but greedy noise is repeatable.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np

SPECIALS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
)
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = '''
def fibonacci(n):
    """Return the nth number."""
    if n < 2:
        return n
    return fibonacci(n - 1) + fibonacci(n - 2)


class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def distance(self, other):
        return ((self.x - other.x) ** 2 + (self.y - other.y) ** 2) ** 0.5


for index, value in enumerate(values):
    print(index, value)
import os
import sys
'''
CODE_LLAMA_SPECIALS = ("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>")
FIM_KEYS = {
    "<|fim_prefix|>": "fim_pre",
    "<|fim_suffix|>": "fim_suf",
    "<|fim_middle|>": "fim_mid",
    "<|fim_pad|>": "fim_pad",
    "<|repo_name|>": "fim_rep",
    "<|file_sep|>": "fim_sep",
}


def byte_letters() -> list[str]:
    """GPT-2's printable letter for each of the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    extra = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(extra)) for byte in range(256)]


def learn_merges(text: str, count: int) -> list[tuple[str, str]]:
    """The `count` most useful byte-pair merges of `text`, most frequent first."""
    letters = byte_letters()
    words = Counter(
        tuple(letters[byte] for byte in word.encode()) for word in text.replace(" ", "\0 ").split("\0")
    )
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, times in words.items():
            for pair in pairwise(word):
                pairs[pair] += times
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        words = Counter({_merged(word, best): times for word, times in words.items()})
    return merges


def _merged(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    joined: list[str] = []
    for letter in word:
        if joined and (joined[-1], letter) == pair:
            joined[-1] += letter
        else:
            joined.append(letter)
    return tuple(joined)


def add_byte_level_bpe(writer: gguf.GGUFWriter) -> int:
    """The tokenizer of the Qwen coders; returns the size of the vocabulary."""
    merges = learn_merges(CORPUS, 120)
    tokens = [*byte_letters(), *("".join(pair) for pair in merges)]
    vocabulary = [*tokens, *SPECIALS]
    ids = {token: number for number, token in enumerate(vocabulary)}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(vocabulary)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(tokens) + [gguf.TokenType.CONTROL] * len(SPECIALS))
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(ids["<|im_end|>"])
    writer.add_eot_token_id(ids["<|im_end|>"])
    writer.add_pad_token_id(ids["<|endoftext|>"])
    writer.add_add_bos_token(False)
    for token, key in FIM_KEYS.items():
        writer.add_uint32(f"tokenizer.ggml.{key}_token_id", ids[token])
    return len(vocabulary)


def add_sentencepiece(writer: gguf.GGUFWriter) -> int:
    """A tokenizer of Code Llama's kind, with its infilling tokens; returns the size of the vocabulary."""
    kinds = {"<unk>": gguf.TokenType.UNKNOWN, "<s>": gguf.TokenType.CONTROL, "</s>": gguf.TokenType.CONTROL}
    kinds |= {f"<0x{byte:02X}>": gguf.TokenType.BYTE for byte in range(256)}
    kinds |= dict.fromkeys(("▁", *map(chr, range(33, 127)), "▁a", "ab", "▁ab"), gguf.TokenType.NORMAL)
    kinds |= dict.fromkeys(CODE_LLAMA_SPECIALS, gguf.TokenType.USER_DEFINED)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(list(kinds))
    writer.add_token_scores([-float(number) for number in range(len(kinds))])
    writer.add_token_types(list(kinds.values()))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    return len(kinds)


def write_tiny_gguf(
    path: Path,
    *,
    sentencepiece: bool = False,
    name: str = "tiny-coder-instruct",
    chat_template: str | None = CHAT_TEMPLATE,
    context: int = 4096,
    width: int = 64,
    layers: int = 2,
    seed: int = 0,
    penalty: float | None = None,
) -> Path:
    """Write the model to `path` and return it."""
    heads, kv_heads, feed_forward = 4, 2, 2 * width
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    size = add_sentencepiece(writer) if sentencepiece else add_byte_level_bpe(writer)
    writer.add_vocab_size(size)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(width // heads)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    if penalty is not None:
        writer.add_sampling_penalty_repeat(penalty)

    random = np.random.default_rng(seed)
    head = width // heads

    def matrix(rows: int, columns: int, scale: float | None = None) -> np.ndarray:
        values = random.standard_normal((rows, columns), dtype=np.float32)
        return (values * (scale or columns**-0.5)).astype(np.float16)

    writer.add_tensor("token_embd.weight", matrix(size, width, 0.5))
    for layer in range(layers):
        block = f"blk.{layer}."
        writer.add_tensor(block + "attn_norm.weight", np.ones(width, np.float32))
        writer.add_tensor(block + "attn_q.weight", matrix(heads * head, width))
        writer.add_tensor(block + "attn_k.weight", matrix(kv_heads * head, width))
        writer.add_tensor(block + "attn_v.weight", matrix(kv_heads * head, width))
        writer.add_tensor(block + "attn_output.weight", matrix(width, heads * head))
        writer.add_tensor(block + "ffn_norm.weight", np.ones(width, np.float32))
        writer.add_tensor(block + "ffn_gate.weight", matrix(feed_forward, width))
        writer.add_tensor(block + "ffn_up.weight", matrix(feed_forward, width))
        writer.add_tensor(block + "ffn_down.weight", matrix(width, feed_forward))
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
