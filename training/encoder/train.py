"""Trains the static code encoder on pairs of text and code, and writes the file that the product reads.

    python -m training.encoder.train --pairs DIR --out encoder.npz [--minutes 16]

Batch-contrastive: in a batch every text must find its own code among all others, and every code its text. Blocks of
a batch come from one file, so that the hardest negatives, siblings, are always there. One CPU thread is enough.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from codeweft.retrieval.tokens import query_terms, words
from codeweft.retrieval.vocabulary import Vocabulary

DIMENSIONS = 256
WORDS = 36_000
PIECES = 6_000
FEWEST_PACKAGES = (
    3  # a term must be used by so many packages, else it says more about one package than about code
)
BATCH = 2048
BLOCK = 8  # neighbours in one file that go into a batch together
MOST_ROWS = 160  # different terms of one code that are kept, at random when there are more
DROPPED = 0.15  # share of terms left out at random in each step, on both sides
NAME_KEPT = 0.6  # how often the code may show its own name
PATH_SHOWN = 0.3  # how often the path's words are added to the code
INVERSE_TEMPERATURE = 20.0
LEARNING_RATE = 6e-3
COUNT_POWER = 0.5
EVALUATED_EVERY = 300


@dataclass(frozen=True)
class Bags:
    """Ragged rows with weights: item i has `rows[offsets[i]:offsets[i + 1]]`."""

    rows: NDArray[np.uint16]
    weights: NDArray[np.float16]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True)
class Examples:
    """Pairs as row bags. `identity` is equal for pairs whose code is the same definition."""

    text: Bags
    code: Bags
    name: Bags
    path: Bags
    identity: NDArray[np.int64]


def read(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def learn_vocabulary(path: Path) -> tuple[list[str], list[str]]:
    """The commonest words over packages, and pieces for all others."""
    uses = Counter[str]()
    packages: dict[str, set[int]] = defaultdict(set)
    for pair in read(path):
        package = zlib.crc32(pair["package"].encode())
        # Words that people write count threefold: there are fewer of them, and each carries more.
        for term in set(query_terms(pair["text"])):
            uses[term] += 3
            packages[term].add(package)
        for term in set(words(pair["code"])):
            uses[term] += 1
            packages[term].add(package)
    wide = (term for term, _ in uses.most_common() if len(packages[term]) >= FEWEST_PACKAGES)
    chosen = [term for term, _ in zip((t for t in wide if len(t) <= 40), range(WORDS), strict=False)]
    known = set(chosen)
    rest = Counter(
        {t: n for t, n in uses.items() if t not in known and "_" not in t and t.isascii() and not t.isdigit()}
    )
    return chosen, learn_pieces(rest)


def learn_pieces(rest: Counter[str]) -> list[str]:
    """Substrings of the unknown words that save most characters, and every single letter."""
    saved = Counter[str]()
    for word, count in rest.most_common(200_000):
        for size in range(2, 8):
            for at in range(len(word) - size + 1):
                saved[word[at : at + size]] += count * (size - 1)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    return sorted({*letters, *(piece for piece, _ in saved.most_common(PIECES - len(letters)))})


def bags(row_lists: Iterable[list[int]], random: np.random.Generator, most: int) -> Bags:
    """Rows with their damped counts; long lists are thinned at random."""
    rows: list[NDArray[np.uint16]] = []
    weights: list[NDArray[np.float16]] = []
    lengths = [0]
    for row_list in row_lists:
        unique, counts = np.unique(np.array(row_list, dtype=np.uint16), return_counts=True)
        if len(unique) > most:
            kept = random.permutation(len(unique))[:most]
            unique, counts = unique[kept], counts[kept]
        rows.append(unique)
        weights.append((counts**COUNT_POWER).astype(np.float16))
        lengths.append(len(unique))
    return Bags(np.concatenate(rows), np.concatenate(weights), np.cumsum(lengths))


def examples(pairs: Iterable[dict[str, str]], vocabulary: Vocabulary) -> Examples:
    """Pairs as bags; what gives the name away stands apart, so that training can show it or not."""
    random = np.random.default_rng(1)
    text, code, name, path, identity = [], [], [], [], []
    for pair in pairs:
        bare = (
            re.sub(rf"\b{re.escape(pair['name'])}\b", " ", pair["code"])
            if pair["kind"] == "doc"
            else pair["code"]
        )
        asked, shown = vocabulary.query_rows(pair["text"]), vocabulary.rows(bare)
        if len(asked) < 2 or len(shown) < 3:
            continue
        text.append(asked)
        code.append(shown)
        name.append(vocabulary.rows(pair["name"]) if pair["kind"] == "doc" else [])
        path.append(vocabulary.rows("/".join(Path(pair["path"]).with_suffix("").parts[-3:])))
        identity.append(zlib.crc32(f"{pair['package']}:{pair['path']}:{pair['name']}".encode()))
    return Examples(
        bags(text, random, 48), bags(code, random, MOST_ROWS), bags(name, random, 12), bags(path, random, 12),
        np.array(identity),
    )  # fmt: skip


class Table(torch.nn.Module):
    """One row per term; questions weigh rows anew and pass one linear map."""

    def __init__(self, rows: int, weight: torch.Tensor) -> None:
        super().__init__()
        start = torch.randn(rows, DIMENSIONS) / math.sqrt(DIMENSIONS) * weight[:, None]
        self.table = torch.nn.Parameter(start)
        self.query_weight = torch.nn.Parameter(torch.ones(rows, 1))
        self.query_map = torch.nn.Parameter(torch.eye(DIMENSIONS))

    def code(self, rows: torch.Tensor, weights: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self._sum(rows, weights, offsets))

    def query(self, rows: torch.Tensor, weights: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        weights = weights * functional.embedding(rows, self.query_weight).squeeze(1)
        return functional.normalize(functional.normalize(self._sum(rows, weights, offsets)) @ self.query_map)

    def _sum(self, rows: torch.Tensor, weights: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        return functional.embedding_bag(rows, self.table, offsets, mode="sum", per_sample_weights=weights)


Ragged = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def gather(
    parts: list[Bags], items: NDArray[np.int64], shown: list[NDArray[np.bool_]], kept: float
) -> Ragged:
    """The bags of `items` joined, part by part where shown, with terms dropped at random."""
    lengths = [
        np.where(show, part.offsets[items + 1] - part.offsets[items], 0)
        for part, show in zip(parts, shown, strict=True)
    ]
    rows, weights, owners = [], [], []
    for part, length in zip(parts, lengths, strict=True):
        ends = np.cumsum(length)
        at = np.arange(int(ends[-1])) + np.repeat(part.offsets[items] - (ends - length), length)
        rows.append(part.rows[at])
        weights.append(part.weights[at])
        owners.append(np.repeat(np.arange(len(items)), length))
    row, weight, owner = map(np.concatenate, (rows, weights, owners))
    keep = np.random.random(len(row)) < kept if kept < 1 else np.ones(len(row), dtype=bool)
    row, weight, owner = row[keep], weight[keep], owner[keep]
    order = np.argsort(owner, kind="stable")
    offsets = np.searchsorted(owner[order], np.arange(len(items)))
    return (
        torch.from_numpy(row[order].astype(np.int64)),
        torch.from_numpy(weight[order].astype(np.float32)),
        torch.from_numpy(offsets),
    )


def batches(count: int) -> Iterator[NDArray[np.int64]]:
    """Endless batches of item numbers, each made of blocks of neighbours; blocks start anew every epoch."""
    while True:
        starts = np.random.permutation(np.arange(np.random.randint(BLOCK), count - BLOCK, BLOCK))
        for at in range(0, len(starts) - BATCH // BLOCK, BATCH // BLOCK):
            yield (starts[at : at + BATCH // BLOCK, None] + np.arange(BLOCK)).ravel()


def loss_of(model: Table, data: Examples, items: NDArray[np.int64]) -> torch.Tensor:
    everything = np.ones(len(items), dtype=bool)
    named, placed = (np.random.random(len(items)) < share for share in (NAME_KEPT, PATH_SHOWN))
    query = model.query(*gather([data.text], items, [everything], 1 - DROPPED))
    code = model.code(
        *gather([data.code, data.name, data.path], items, [everything, named, placed], 1 - DROPPED)
    )
    same = torch.from_numpy(data.identity[items])
    twins = (same[:, None] == same[None, :]) & ~torch.eye(len(items), dtype=torch.bool)
    scores = (query @ code.T * INVERSE_TEMPERATURE).masked_fill(twins, -1e4)
    target = torch.arange(len(items))
    return (functional.cross_entropy(scores, target) + functional.cross_entropy(scores.T, target)) / 2


@torch.no_grad()
def mrr(model: Table, data: Examples) -> float:
    """MRR of up to 2,000 texts over all codes of the held-out examples, names and paths hidden."""
    items = np.arange(len(data.text))
    everything = np.ones(len(items), dtype=bool)
    code = model.code(*gather([data.code], items, [everything], 1.0))
    asked = items[:: max(1, len(items) // 2000)]
    query = model.query(*gather([data.text], asked, [everything[asked]], 1.0))
    scores = query @ code.T
    mine = scores[torch.arange(len(asked)), torch.from_numpy(asked)]
    return float((1 / (1 + (scores > mine[:, None]).sum(1))).float().mean())


def load(path: Path) -> dict[str, torch.Tensor]:
    """The state of a model from the product's file, to go on from."""
    with np.load(path) as file:
        table = file["table"].astype(np.float32) * file["scale"][:, None]
        weight, query_map = (
            file["query_weight"].astype(np.float32)[:, None],
            file["query_map"].astype(np.float32),
        )
    return {
        "table": torch.from_numpy(table),
        "query_weight": torch.from_numpy(weight),
        "query_map": torch.from_numpy(query_map),
    }


def train(
    data: Examples, held_out: Examples, rows: int, seconds: float, learning_rate: float, start: Path | None
) -> Table:
    """Trains for `seconds`, from the encoder file `start` or anew; gives the state best on the held-out packages."""
    frequency = np.bincount(data.code.rows, minlength=rows) + np.bincount(data.text.rows, minlength=rows) + 1
    # Start near what counts in lexical search: rare terms weigh more.
    rarity = np.log(1 + len(data.code) / frequency)
    model = Table(rows, torch.tensor(rarity / rarity.mean(), dtype=torch.float32))
    if start is not None:
        model.load_state_dict(load(start))
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, betas=(0.9, 0.99), fused=True)
    best, best_state = 0.0, model.state_dict()
    begun = time.monotonic()
    for step, items in enumerate(batches(len(data.text))):
        done = (time.monotonic() - begun) / seconds
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / 100) * max(0.02, 1 - done)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model, data, items)
        loss.backward()
        optimizer.step()
        if step % EVALUATED_EVERY == 0 or done >= 1:
            score = mrr(model, held_out)
            print(
                f"step {step}: {time.monotonic() - begun:.0f} s, loss {loss.item():.3f}, held-out MRR {score:.4f}",
                flush=True,
            )
            if score > best:
                best, best_state = score, {key: value.clone() for key, value in model.state_dict().items()}
        if done >= 1:
            break
    model.load_state_dict(best_state)
    return model


def save(path: Path, name: str, model: Table, words: list[str], pieces: list[str]) -> None:
    """Writes the product's file: int8 rows with one scale each."""
    table = model.table.detach().numpy()
    scale = np.abs(table).max(axis=1) / 127
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            name=np.array(name),
            words=np.frombuffer("\n".join(words).encode(), dtype=np.uint8),
            pieces=np.frombuffer("\n".join(pieces).encode(), dtype=np.uint8),
            table=np.round(table / np.maximum(scale, 1e-12)[:, None]).astype(np.int8),
            scale=scale.astype(np.float32),
            query_weight=model.query_weight.detach().numpy().ravel().astype(np.float16),
            query_map=model.query_map.detach().numpy().astype(np.float16),
            count_power=np.array(COUNT_POWER, dtype=np.float32),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True, help="the folder that pairs.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", default="codeweft-static-1")
    parser.add_argument("--minutes", type=float, default=16)
    parser.add_argument("--start", type=Path, help="go on from this encoder file, made from the same pairs")
    parser.add_argument(
        "--learning-rate", type=float, default=LEARNING_RATE, help="at the start; falls to a fiftieth"
    )
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    np.random.seed(0)
    words, pieces = learn_vocabulary(args.pairs / "train.jsonl")
    vocabulary = Vocabulary(words, pieces)
    held_out = examples((p for p in read(args.pairs / "held_out.jsonl") if p["kind"] == "doc"), vocabulary)
    data = examples(read(args.pairs / "train.jsonl"), vocabulary)
    print(
        f"{len(words)} words, {len(pieces)} pieces, {len(data.text)} pairs, {len(held_out.text)} held out",
        flush=True,
    )
    model = train(data, held_out, len(vocabulary), args.minutes * 60, args.learning_rate, args.start)
    save(args.out, args.name, model, words, pieces)


if __name__ == "__main__":
    main()
