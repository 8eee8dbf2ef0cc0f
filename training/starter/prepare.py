"""Turns the corpus into packed rows of token ids.

    python -m training.starter.prepare --corpus training/build/corpus --work training/build/starter \
        --benchmarks ../shared/data

Writes ``texts.jsonl`` (training files), ``heldout.jsonl`` (files of packages that are never trained on),
``tokenizer.json`` and, for each row length, ``rows-LENGTH.NNN.npy``: uint16 ids, (rows, LENGTH + 1), no piece above
``PIECE_BYTES``. Positions that do not count hold the id of ``<|fim_pad|>``.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from training import corpus
from training.starter import layout, repository, tokenizer
from training.starter.decontaminate import Benchmarks, problems

PIECE_BYTES = 55_000_000
HELD_OUT_ONE_IN = 32
# Shares of the kinds of samples. A hole still has text around it to learn the language from.
SHARES = {"plain": 0.15, "infill": 0.25, "repository": 0.35, "chat": 0.25}
PREFIX_FIRST = 0.1  # of the holes; the product asks suffix first, other programs may not
NEAR_SHARE = (0.25, 0.55)  # of the limit, for the code that is shown in front of a hole
CHARACTERS_PER_TOKEN = 3.0  # on the safe side: the tokenizer averages about 3.4 on Python

Sample = list[int]


@dataclass(frozen=True, slots=True)
class Text:
    """One file to learn from."""

    package: str
    path: str
    text: str


def is_held_out(package: str) -> bool:
    """Says whether a package is kept for evaluation; depends on the name alone."""
    return hashlib.sha1(package.encode()).digest()[0] % HELD_OUT_ONE_IN == 0


def select(sources: Iterator[corpus.SourceFile], cap: int, benchmarks: Benchmarks | None) -> Iterator[Text]:
    """Files that parse, without special tokens and without benchmark answers, up to ``cap`` bytes of each package."""
    dropped: Counter[str] = Counter()
    by_package: dict[str, list[corpus.SourceFile]] = {}
    for source in sources:
        by_package.setdefault(source.package, []).append(source)
    for package, found in by_package.items():
        random.Random(package).shuffle(found)
        used = 0
        for source in found:
            if used >= cap:
                break
            reason = _unfit(source.text, benchmarks)
            if reason:
                dropped[reason] += 1
                continue
            used += len(source.text)
            yield Text(package, source.path, source.text)
    print("dropped:", dict(dropped), flush=True)


def _unfit(text: str, benchmarks: Benchmarks | None) -> str | None:
    if "<|" in text:
        return "holds a special token"
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return "does not parse"
    return "repeats a benchmark" if benchmarks and benchmarks.repeats(text) else None


class Mixer:
    """An endless stream of samples for rows of one length, in the shares of that length."""

    def __init__(
        self,
        texts: Sequence[Text],
        packages: Sequence[repository.Package],
        encode: Callable[[str], list[int]],
        length: int,
        seed: int = 0,
    ) -> None:
        self.limit = length + 1
        self.shares = dict(SHARES)
        self._texts, self._encode, self._rng = texts, encode, random.Random(seed)
        self._packages = packages
        if not packages:
            del self.shares["repository"]
        self.counts = dict.fromkeys(self.shares, 0)
        self._streams = {
            "plain": self._plain(),
            "infill": self._infill(),
            "repository": self._repository(),
            "chat": self._chat(),
        }

    def __iter__(self) -> Iterator[Sample]:
        while True:
            kind = min(self.shares, key=lambda each: self.counts[each] / self.shares[each])
            sample = next(self._streams[kind])
            if 16 <= len(sample) <= self.limit:
                self.counts[kind] += len(sample)
                yield sample

    def _files(self) -> Iterator[Text]:
        order = list(range(len(self._texts)))
        while True:
            self._rng.shuffle(order)
            for at in order:
                yield self._texts[at]

    def _windows(self) -> Iterator[tuple[str, bool]]:
        """Runs of whole lines that about fit the limit, and whether they reach the end of their file."""
        for text in self._files():
            lines, size = [], 0
            wanted = self._window_size()
            for line in layout.without_notice(text.text).split("\n"):
                lines.append(line)
                size += len(line) + 1
                if size >= wanted:
                    yield "\n".join(lines), False
                    lines, size, wanted = [], 0, self._window_size()
            if lines:
                yield "\n".join(lines), True

    def _window_size(self) -> float:
        return self._rng.uniform(0.4, 1.0) * self.limit * CHARACTERS_PER_TOKEN

    def _plain(self) -> Iterator[Sample]:
        for window, last in self._windows():
            yield self._encode(window + (layout.END if last else "\n"))[: self.limit]

    def _infill(self) -> Iterator[Sample]:
        for window, _ in self._windows():
            hole = layout.cut(window, self._rng)
            tokens = (
                layout.fim_tokens(hole, self._encode, self._hole_size(), (), self._swap()) if hole else None
            )
            if tokens:
                yield tokens

    def _repository(self) -> Iterator[Sample]:
        while True:
            package = self._rng.choice(self._packages)
            room = int(self._rng.uniform(*NEAR_SHARE) * self.limit * CHARACTERS_PER_TOKEN)
            found = package.hole(self._rng, room)
            if found is None:
                continue
            hole, near = found
            tokens = layout.fim_tokens(hole, self._encode, self._hole_size(), near, self._swap())
            if tokens:
                yield tokens

    def _hole_size(self) -> int:
        return int(self._rng.uniform(0.6, 1.0) * self.limit)

    def _swap(self) -> bool:
        return self._rng.random() < PREFIX_FIRST

    def _chat(self) -> Iterator[Sample]:
        for text in self._files():
            for turns in self._chats(layout.functions(text.text, text.path)):
                yield self._encode(layout.chat_text(turns))

    def _chats(self, found: Sequence[layout.Function]) -> Iterator[list[layout.Turn]]:
        rng = self._rng
        for function in found:
            others = [each for each in found if each.name != function.name]
            some = rng.sample(others, min(len(others), rng.choice((0, 1, 1, 2, 2, 3))))
            called = next((each for each in others if each.name in function.calls), None)
            if not function.method:
                yield layout.write_chat(function, rng)
            if rng.random() < (0.2 if function.method else 0.35):
                yield layout.find_chat(function, some, rng)
            if called and not function.method:
                yield layout.call_chat(function, called, [each for each in some if each is not called], rng)
            if len(some) > 1 and rng.random() < 0.03:
                yield layout.absent_chat(function, some, rng)
            if rng.random() < 0.12:
                yield layout.explain_chat(function, rng)
            if rng.random() < 0.03:
                yield layout.json_chat(function, rng)
            if rng.random() < 0.03:
                yield layout.greeting_chat(rng)
            if rng.random() < 0.03:
                yield layout.unknown_chat(rng)


def pack(samples: Iterator[Sample], length: int, total: int, pad: int, open_rows: int = 64) -> np.ndarray:
    """Best-fit packs samples into rows of ``length + 1`` ids until ``total`` ids are used; (rows, length + 1) uint16."""
    done: list[list[int]] = []
    rows: list[list[int]] = []
    used = 0
    for sample in samples:
        used += len(sample)
        if used > total:
            break
        fitting = [row for row in rows if len(row) + len(sample) <= length + 1]
        if fitting:
            row = max(fitting, key=len)
            row += sample
        else:
            row = list(sample)
            rows.append(row)
        if len(row) > length - 16:
            rows.remove(row)
            done.append(row)
        elif len(rows) > open_rows:
            fullest = max(rows, key=len)
            rows.remove(fullest)
            done.append(fullest)
    done += rows
    packed = np.full((len(done), length + 1), pad, dtype=np.uint16)
    for at, row in enumerate(done):
        packed[at, : len(row)] = row
    return packed


def write_rows(packed: np.ndarray, folder: Path, length: int) -> None:
    """Writes rows as pieces of at most ``PIECE_BYTES``."""
    rows = max(1, PIECE_BYTES // (packed.shape[1] * packed.itemsize))
    for number, start in enumerate(range(0, len(packed), rows)):
        np.save(folder / f"rows-{length}.{number:03}.npy", packed[start : start + rows])


def read_rows(folder: Path, length: int) -> np.ndarray:
    """Joins the pieces of one row length; raises FileNotFoundError when there is none."""
    pieces = sorted(folder.glob(f"rows-{length}.*.npy"))
    if not pieces:
        raise FileNotFoundError(f"no rows of length {length} in {folder}; run training.starter.prepare first")
    return np.concatenate([np.load(piece) for piece in pieces])


def read_texts(path: Path) -> list[Text]:
    """Reads ``texts.jsonl`` or ``heldout.jsonl``."""
    with path.open(encoding="utf-8") as lines:
        return [Text(**json.loads(line)) for line in lines]


def _write_texts(path: Path, texts: Sequence[Text]) -> None:
    with path.open("w", encoding="utf-8") as out:
        for text in texts:
            out.write(json.dumps({"package": text.package, "path": text.path, "text": text.text}) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Selects texts, trains the tokenizer and packs rows; each part only where its files are not there yet."""
    parser = argparse.ArgumentParser(prog="python -m training.starter.prepare", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=corpus.DEFAULT_OUT)
    parser.add_argument("--work", type=Path, default=corpus.DEFAULT_OUT.with_name("starter"))
    parser.add_argument(
        "--benchmarks", type=Path, help="folder of benchmark sets whose answers must not be learnt"
    )
    parser.add_argument("--cap", type=int, default=350_000, help="bytes of each package")
    parser.add_argument("--only", choices=("texts", "tokenizer"), help="stop after this part")
    parser.add_argument(
        "--rows",
        nargs="+",
        default=["512:9e6", "1024:3e6"],
        help="row length and ids, as LENGTH:IDS",
    )
    options = parser.parse_args(arguments)
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    if not (work / "texts.jsonl").exists():
        benchmarks = Benchmarks(problems(options.benchmarks)) if options.benchmarks else None
        if benchmarks is None:
            print("no --benchmarks: the texts are not checked against benchmark answers", flush=True)
        from training.starter.clean import clean

        judged = list(clean(select(corpus.files(options.corpus, {"python"}), options.cap, benchmarks)))
        print("dropped:", dict(Counter(why for _, why in judged if why)), flush=True)
        texts = [text for text, why in judged if why is None]
        _write_texts(work / "heldout.jsonl", [text for text in texts if is_held_out(text.package)])
        _write_texts(work / "texts.jsonl", [text for text in texts if not is_held_out(text.package)])
    texts = read_texts(work / "texts.jsonl")
    print(
        f"{len(texts)} files, {sum(len(t.text) for t in texts) / 1e6:.1f} MB, {_since(started)}", flush=True
    )
    if options.only == "texts":
        return
    path = work / "tokenizer.json"
    if not path.exists():
        sample = random.Random(0).sample(texts, min(len(texts), 2500))
        chats = [layout.chat_text(layout.write_chat(each, random.Random(0)))
                 for text in sample[:500] for each in layout.functions(text.text, text.path)]  # fmt: skip
        tokenizer.train((*(text.text for text in sample), *chats), path)
    trained = Tokenizer.from_file(str(path))
    print(f"tokenizer of {trained.get_vocab_size()}, {_since(started)}", flush=True)
    if options.only == "tokenizer":
        return
    packages = repository.packages((text.package, text.path, text.text) for text in texts)
    print(f"{len(packages)} packages to find holes in, {_since(started)}", flush=True)
    for wanted in options.rows:
        length, total = int(wanted.split(":")[0]), int(float(wanted.split(":")[1]))
        mixer = Mixer(texts, packages, lambda text: trained.encode(text).ids, length, seed=length)
        packed = pack(iter(mixer), length, total, trained.token_to_id(layout.PAD))
        np.random.default_rng(length).shuffle(packed)
        write_rows(packed, work, length)
        filled = (packed != trained.token_to_id(layout.PAD)).mean()
        print(
            f"rows of {length}: {packed.shape}, {filled:.1%} filled, {mixer.counts}, {_since(started)}",
            flush=True,
        )


def _since(started: float) -> str:
    return f"{time.monotonic() - started:.0f} s"


if __name__ == "__main__":
    main()
