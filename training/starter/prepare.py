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
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from training import corpus
from training.starter import layout, repository, tokenizer
from training.starter.decontaminate import Benchmarks, problems
from training.starter.rows import Sample, pack, write_rows

HELD_OUT_ONE_IN = {"python": 32}
HELD_OUT_ELSEWHERE = 8  # of the packages of other languages, of which there are fewer
# Shares of the languages. Chats are Python's alone, for want of a parser for the others.
LANGUAGES = {
    "python": 0.55, "typescript": 0.09, "javascript": 0.08, "go": 0.08, "rust": 0.07, "c": 0.07, "java": 0.06,
}  # fmt: skip
# Shares of the kinds of samples. A hole still has text around it to learn the language from.
SHARES = {"plain": 0.10, "infill": 0.20, "repository": 0.46, "chat": 0.24}
SHARES_ELSEWHERE = {"plain": 0.30, "infill": 0.28, "repository": 0.42}
PREFIX_FIRST = 0.1  # of the holes; the product asks suffix first, other programs may not
NEAR_SHARE = (0.25, 0.55)  # of the limit, for the code that is shown in front of a hole
CHARACTERS_PER_TOKEN = 3.0  # on the safe side: the tokenizer averages about 3.4 on Python
OTHER_CAP = 60_000  # bytes of each package in other languages: enough for the run of a CPU core


@dataclass(frozen=True, slots=True)
class Text:
    """One file to learn from."""

    package: str
    path: str
    text: str
    language: str = "python"


def is_held_out(package: str, language: str = "python") -> bool:
    """Says whether a package is kept for evaluation; depends on its name and its language alone."""
    one_in = HELD_OUT_ONE_IN.get(language, HELD_OUT_ELSEWHERE)
    return hashlib.sha1(package.encode()).digest()[0] % one_in == 0


def select(
    sources: Iterator[corpus.SourceFile],
    cap: int,
    benchmarks: Benchmarks | None,
    other_cap: int = OTHER_CAP,
) -> Iterator[Text]:
    """Files without special tokens and without benchmark answers, up to ``cap`` bytes of each package of Python and
    ``other_cap`` of others.

    Python must parse; of the other languages the corpus is trusted.
    """
    dropped: Counter[str] = Counter()
    by_package: dict[str, list[corpus.SourceFile]] = {}
    for source in sources:
        by_package.setdefault(source.package, []).append(source)
    for package, found in by_package.items():
        random.Random(package).shuffle(found)
        used = 0
        for source in found:
            if used >= (cap if source.language == "python" else other_cap):
                break
            reason = _unfit(source, benchmarks)
            if reason:
                dropped[reason] += 1
                continue
            used += len(source.text)
            yield Text(package, source.path, source.text, source.language)
    print("dropped:", dict(dropped), flush=True)


def _unfit(source: corpus.SourceFile, benchmarks: Benchmarks | None) -> str | None:
    if any(token in source.text for token in layout.SPECIAL):
        return "holds a special token"
    try:
        if source.language == "python":
            ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError):
        return "does not parse"
    return "repeats a benchmark" if benchmarks and benchmarks.repeats(source.text) else None


class Mixer:
    """An endless stream of samples for rows of one length, in the shares of the languages and of their kinds."""

    def __init__(
        self,
        texts: Sequence[Text],
        packages: Sequence[repository.Package],
        encode: Callable[[str], list[int]],
        length: int,
        seed: int = 0,
    ) -> None:
        self.limit = length + 1
        self._encode, self._rng = encode, random.Random(seed)
        self.shares: dict[tuple[str, str], float] = {}
        self._streams: dict[tuple[str, str], Iterator[Sample]] = {}
        for language, share in LANGUAGES.items():
            spoken = [text for text in texts if text.language == language]
            near = [package for package in packages if package.language == language]
            kinds = SHARES if language == "python" else SHARES_ELSEWHERE
            for kind, part in kinds.items():
                if near if kind == "repository" else spoken:
                    self.shares[language, kind] = share * part
                    self._streams[language, kind] = self._stream(kind, spoken, near)
        self.counts = dict.fromkeys(self.shares, 0)

    def __iter__(self) -> Iterator[Sample]:
        while True:
            kind = min(self.shares, key=lambda each: self.counts[each] / self.shares[each])
            sample = next(self._streams[kind])
            if 16 <= len(sample) <= self.limit:
                self.counts[kind] += len(sample)
                yield sample

    def shown(self) -> Iterator[tuple[str, int]]:
        """What was drawn so far, by language and kind, in ids."""
        return ((f"{language} {kind}", count) for (language, kind), count in self.counts.items())

    def _stream(
        self, kind: str, texts: Sequence[Text], packages: Sequence[repository.Package]
    ) -> Iterator[Sample]:
        if kind == "repository":
            return self._repository(packages)
        return {"plain": self._plain, "infill": self._infill, "chat": self._chat}[kind](texts)

    def _files(self, texts: Sequence[Text]) -> Iterator[Text]:
        order = list(range(len(texts)))
        while True:
            self._rng.shuffle(order)
            for at in order:
                yield texts[at]

    def _windows(self, texts: Sequence[Text]) -> Iterator[tuple[str, bool]]:
        """Runs of whole lines that about fit the limit, and whether they reach the end of their file."""
        for text in self._files(texts):
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

    def _plain(self, texts: Sequence[Text]) -> Iterator[Sample]:
        for window, last in self._windows(texts):
            yield self._encode(window + (layout.END if last else "\n"))[: self.limit]

    def _infill(self, texts: Sequence[Text]) -> Iterator[Sample]:
        for window, _ in self._windows(texts):
            hole = layout.cut(window, self._rng)
            tokens = (
                layout.fim_tokens(hole, self._encode, self._hole_size(), (), self._swap()) if hole else None
            )
            if tokens:
                yield tokens

    def _repository(self, packages: Sequence[repository.Package]) -> Iterator[Sample]:
        while True:
            package = self._rng.choice(packages)
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

    def _chat(self, texts: Sequence[Text]) -> Iterator[Sample]:
        for text in self._files(texts):
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
            if len(some) > 1 and rng.random() < 0.06:
                yield layout.absent_chat(function, some, rng)
            if rng.random() < 0.12:
                yield layout.explain_chat(function, rng)
            if rng.random() < 0.1:
                yield layout.json_chat(function, rng)
            if rng.random() < 0.12:
                yield layout.greeting_chat(rng)
            if rng.random() < 0.15:
                yield layout.unknown_chat(rng)


def read_texts(path: Path) -> list[Text]:
    """Reads ``texts.jsonl`` or ``heldout.jsonl``."""
    with path.open(encoding="utf-8") as lines:
        return [Text(**json.loads(line)) for line in lines]


def _write_texts(path: Path, texts: Sequence[Text]) -> None:
    with path.open("w", encoding="utf-8") as out:
        for text in texts:
            out.write(json.dumps(asdict(text)) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Selects texts, trains the tokenizer and packs rows; each part only where its files are not there yet."""
    parser = argparse.ArgumentParser(prog="python -m training.starter.prepare", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=corpus.DEFAULT_OUT)
    parser.add_argument("--work", type=Path, default=corpus.DEFAULT_OUT.with_name("starter"))
    parser.add_argument(
        "--benchmarks", type=Path, help="folder of benchmark sets whose answers must not be learnt"
    )
    parser.add_argument("--cap", type=int, default=350_000, help="bytes of each package")
    parser.add_argument("--other-cap", type=int, default=OTHER_CAP, help="the same for other languages")
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

        sources = corpus.files(options.corpus, set(LANGUAGES))
        judged = list(clean(select(sources, options.cap, benchmarks, options.other_cap)))
        print("dropped:", dict(Counter(why for _, why in judged if why)), flush=True)
        texts = [text for text, why in judged if why is None]
        held_out = {text for text in texts if is_held_out(text.package, text.language)}
        _write_texts(work / "heldout.jsonl", [text for text in texts if text in held_out])
        _write_texts(work / "texts.jsonl", [text for text in texts if text not in held_out])
    texts = read_texts(work / "texts.jsonl")
    print(
        f"{len(texts)} files, {sum(len(t.text) for t in texts) / 1e6:.1f} MB, {_since(started)}", flush=True
    )
    if options.only == "texts":
        return
    path = work / "tokenizer.json"
    if not path.exists():
        sample = random.Random(0).sample(texts, min(len(texts), 2500))
        python = [text for text in sample if text.language == "python"]
        chats = [layout.chat_text(layout.write_chat(each, random.Random(0)))
                 for text in python[:500] for each in layout.functions(text.text, text.path)]  # fmt: skip
        tokenizer.train((*(text.text for text in sample), *chats), path)
    trained = Tokenizer.from_file(str(path))
    print(f"tokenizer of {trained.get_vocab_size()}, {_since(started)}", flush=True)
    if options.only == "tokenizer":
        return
    packages = repository.packages((text.package, text.path, text.text, text.language) for text in texts)
    print(f"{len(packages)} packages to find holes in, {_since(started)}", flush=True)
    for wanted in options.rows:
        length, total = int(wanted.split(":")[0]), int(float(wanted.split(":")[1]))
        mixer = Mixer(texts, packages, lambda text: trained.encode(text).ids, length, seed=length)
        packed = pack(iter(mixer), length, total, trained.token_to_id(layout.PAD))
        np.random.default_rng(length).shuffle(packed)
        write_rows(packed, work, length)
        filled = (packed != trained.token_to_id(layout.PAD)).mean()
        print(
            f"rows of {length}: {packed.shape}, {filled:.1%} filled, {dict(mixer.shown())}, {_since(started)}",
            flush=True,
        )


def _since(started: float) -> str:
    return f"{time.monotonic() - started:.0f} s"


if __name__ == "__main__":
    main()
