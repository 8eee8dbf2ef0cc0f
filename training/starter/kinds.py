"""Compares the kinds of GGUF that a model can be written as: size, loss, holes, and agreement with PyTorch.

python -m training.starter.kinds --weights RUN/weights.safetensors --work WORK --out WORK/kinds

The loss is that of the weights as the file holds them, computed in float32; holes are filled in by llama.cpp.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader, dequantize
from tokenizers import Tokenizer

from training.starter import evaluate, export
from training.starter.engine import Engine
from training.starter.model import Llama
from training.starter.parity import compare, load
from training.starter.prepare import read_texts

KINDS = ("BF16", "Q8_0", "Q6_K", "Q5_K", "Q4_K")
FILES = 40  # held-out files whose loss is taken


def as_written(weights: Path, gguf: Path) -> Llama:
    """The PyTorch model with the numbers that a file holds; ``weights`` gives the shape and the order of the rows."""
    model = load(weights)
    stored = {tensor.name: tensor for tensor in GGUFReader(gguf).tensors}
    heads = {"self_attn.q_proj": model.shape.heads, "self_attn.k_proj": model.shape.kv_heads}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            tensor = stored[_theirs(name)]
            value = dequantize(tensor.data, tensor.tensor_type).reshape(parameter.shape)
            ours = name.split(".", 3)[-1].rsplit(".", 1)[0]
            if ours in heads:
                order = export.interleave(np.arange(len(value))[:, None], heads[ours])[:, 0]
                value = value[np.argsort(order)]
            parameter.copy_(torch.from_numpy(np.array(value)))
    return model


def _theirs(name: str) -> str:
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, rest = name.split(".", 3)
    ours, part = rest.rsplit(".", 1)
    return f"blk.{layer}.{export.LAYER_NAMES[ours]}.{part}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m training.starter.kinds", description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument(
        "--work", type=Path, required=True, help="folder with tokenizer.json and heldout.jsonl"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--cases", type=int, default=100, help="holes")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.work / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    texts = read_texts(options.work / "heldout.jsonl")
    random.Random(1).shuffle(texts)
    holes = evaluate.held_out_holes(texts, options.cases)
    print("| kind | MB | nats per token | first line exact | edit similarity | greedy tokens as PyTorch's |")
    print("|---|---|---|---|---|---|")
    for kind in KINDS:
        file = options.out / f"codeweft-starter.{kind}.gguf"
        export.export(options.weights, path, file, kind)
        nats = evaluate.loss(as_written(options.weights, file), texts[:FILES], tokenizer)[0].value
        scores = evaluate.infill(
            Engine(file), lambda text: list(tokenizer.encode(text).ids), "holes", holes, 64
        )
        measured = {score.measure: score.value for score in scores}
        print(
            f"| {kind} | {file.stat().st_size / 1e6:.2f} | {nats:.4f} | {measured['first line exact']:.3f} "
            f"| {measured['edit similarity']:.3f} | {compare(options.weights, options.work, file).greedy} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
