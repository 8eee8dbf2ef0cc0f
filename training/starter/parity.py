"""Says how far llama.cpp and PyTorch agree on one model: tokens of texts, greedy tokens, first log-probabilities."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from tokenizers import Tokenizer

from training.starter import layout
from training.starter.engine import Engine
from training.starter.model import Llama, Shape
from training.starter.prepare import read_texts

COUNT = 48
PROMPTS = (
    "import os\nimport sys\n\n\ndef main():\n",
    "class Point:\n    def __init__(self, x, y):\n        self.",
    "def add(a, b):\n    return ",
    f"{layout.SUFFIX}\n\n\nprint(area(2)){layout.PREFIX}def area(r):\n{layout.MIDDLE}    return ",
    layout.chat_text([layout.Turn("user", "Write a function that returns the sum of a list.")])
    + f"{layout.TURN}assistant\n",
)


@dataclass(frozen=True, slots=True)
class Parity:
    """Equal files of those tokenised, equal greedy tokens of those compared, worst first log-probability difference."""

    files: str
    greedy: str
    worst: float


def load(weights: Path) -> Llama:
    """The PyTorch model of a weights file."""
    with safe_open(weights, "pt") as stored:
        model = Llama(Shape(**json.loads(stored.metadata()["shape"])))
        model.load_state_dict({name: stored.get_tensor(name) for name in stored.keys()})  # noqa: SIM118, not a dictionary
    return model.eval()


@torch.no_grad()
def greedy(model: Llama, ids: list[int], count: int, ends: set[int]) -> list[int]:
    """At most ``count`` greedy tokens, up to an end token and without it."""
    found: list[int] = []
    while len(found) < count:
        token = int(model(torch.tensor([ids + found]))[0, -1].argmax())
        if token in ends:
            break
        found.append(token)
    return found


def compare(weights: Path, work: Path, gguf: Path) -> Parity:
    """Compares a GGUF file with the weights that it was made of."""
    torch.set_num_threads(1)
    model, tokenizer, engine = load(weights), Tokenizer.from_file(str(work / "tokenizer.json")), Engine(gguf)
    texts = [text.text[:20_000] for text in read_texts(work / "heldout.jsonl")[:40]]
    same = sum(tokenizer.encode(text).ids == engine.tokens(text) for text in texts)
    ends = {tokenizer.token_to_id(token) for token in (layout.END, layout.TURN_END, layout.PAD)}
    equal, total, worst = 0, 0, 0.0
    for prompt in PROMPTS:
        ids = tokenizer.encode(prompt).ids
        answer = engine.complete(ids, COUNT, n_probs=1)
        wanted = greedy(model, ids, COUNT, ends)
        got = [token for token in answer["tokens"] if token not in ends]
        total += max(len(wanted), len(got))
        equal += next(
            (at for at, pair in enumerate(zip(got, wanted, strict=False)) if pair[0] != pair[1]), len(got)
        )
        with torch.no_grad():
            best = float(torch.log_softmax(model(torch.tensor([ids]))[0, -1], -1).max())
        worst = max(worst, abs(best - answer["completion_probabilities"][0]["logprob"]))
    return Parity(f"{same}/{len(texts)}", f"{equal}/{total}", round(worst, 4))
