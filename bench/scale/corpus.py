"""Indexes of a given number of chunks: of real files, and multiples of such an index.

A multiple repeats every file of an index with other names in its terms and noise in its vectors. It is made in the
store's tables, because reading a million chunks from source text would take most of an hour.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import numpy as np

from codeweft.retrieval.index import Index
from codeweft.retrieval.read import read_file
from codeweft.retrieval.sources import Source
from codeweft.retrieval.store.base import NewFile
from codeweft.retrieval.store.lexical import LexicalDocument, LexicalIndex
from codeweft.retrieval.store.sqlite import Tables
from codeweft.retrieval.store.vectors import sign_codes
from codeweft.retrieval.update import completed
from codeweft.retrieval.walk import walk
from codeweft.types import Encoder

EXCHANGED: Final = 0.4
"""Share of the terms that another term of about the same frequency takes the place of."""
NOISE: Final = 0.5
"""Length of the noise added to a vector of length one."""
_BATCH: Final = 200
_NO_VECTORS: Final = np.zeros((0, 1), np.int8)


def real(folder: Path, roots: Sequence[Path], chunks: int, encoder: Encoder) -> Index:
    """The index in `folder`, made when it is not there: files below `roots` until there are `chunks` chunks."""
    done = (folder / "index.sqlite").exists()
    index = Index.create(folder, Source("folder", str(roots[0])), encoder)
    if done and index.store.settings().get("scale"):
        return index
    with index.updating():
        index.store.clear()
        stored, batch = 0, list[NewFile]()
        for file in _files(roots):
            batch.append(file)
            stored += len(file.chunks)
            if len(batch) >= _BATCH or stored >= chunks:
                index.store.write(completed(index.store, encoder, batch))
                batch = []
            if stored >= chunks:
                break
        if batch:
            index.store.write(completed(index.store, encoder, batch))
    index.store.set(scale=str(stored), repository="scale")
    return index


def _files(roots: Sequence[Path]) -> Iterator[NewFile]:
    for number, root in enumerate(roots):
        for found in walk(root, git=False).files:
            read = read_file(root, None, found.path)
            if read.status == "indexed" and read.chunks:
                yield NewFile(
                    f"source{number}/{read.path}", "indexed", "", read.digest, read.size, 1, 2, read.language,
                    read.lines, read.chunks, _NO_VECTORS,
                )  # fmt: skip


def multiple(index: Index, folder: Path, times: int, encoder: Encoder) -> Index:
    """The index in `folder`, made when it is not there: `index` `times` times over, each time varied."""
    if not (folder / "lexical").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        index.close()
        with closing(sqlite3.connect(index.folder / "index.sqlite")) as connection:
            connection.execute("VACUUM INTO ?", (str(folder / "index.sqlite"),))
        with closing(sqlite3.connect(folder / "index.sqlite", isolation_level=None)) as connection:
            last_file, last_chunk = connection.execute(
                "SELECT max(id), max(first_chunk + chunks) FROM files"
            ).fetchone()
            for number in range(1, times):
                _repeat(connection, number, last_file, last_chunk, encoder.dimensions)
            connection.execute(
                "UPDATE settings SET value = ? WHERE key = 'next_chunk'", (last_chunk * times + 1,)
            )
        _write_lexical(Tables(folder / "index.sqlite"), folder / "lexical", last_chunk)
    return Index(folder, encoder)


def _repeat(connection: sqlite3.Connection, number: int, files: int, chunks: int, dimensions: int) -> None:
    by_file, by_chunk = number * files, number * chunks
    columns = (
        "status, reason, digest, size, mtime_ns, checked_ns, language, lines, chunks, summarised, secrets"
    )
    connection.execute("BEGIN")
    connection.execute(
        f"INSERT INTO files (id, path, {columns}, first_chunk) SELECT id + ?, 'times' || ? || '/' || path, {columns},"
        " first_chunk + ? FROM files WHERE id <= ?", (by_file, number, by_chunk, files),
    )  # fmt: skip
    connection.execute(
        "INSERT INTO chunks SELECT id + ?, file + ?, start_line, end_line, kind, name, scope, digest + ?, defines"
        " FROM chunks WHERE id <= ?", (by_chunk, by_file, number, chunks),
    )  # fmt: skip
    connection.execute(
        "INSERT INTO texts SELECT id + ?, signature, docstring, summary, text FROM texts WHERE id <= ?",
        (by_chunk, chunks),
    )
    connection.execute(
        "INSERT INTO symbols SELECT folded, chunk + ? FROM symbols WHERE chunk <= ?", (by_chunk, chunks)
    )
    chance = np.random.default_rng(number)
    for file, first, kinds, data in connection.execute(
        "SELECT file, first_chunk, kinds, data FROM vectors WHERE file <= ?", (files,)
    ).fetchall():
        rows = np.frombuffer(data, np.int8).reshape(-1, dimensions).astype(np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        noise = chance.standard_normal(rows.shape, np.float32) * (NOISE / dimensions**0.5)
        varied = np.clip(np.rint(rows + lengths * noise), -127, 127).astype(np.int8)
        connection.execute(
            "INSERT INTO vectors VALUES (?, 1, ?, ?, ?, ?)",
            (file + by_file, first + by_chunk, kinds, varied.tobytes(), sign_codes(varied).tobytes()),
        )
    connection.execute("COMMIT")


def _write_lexical(tables: Tables, folder: Path, chunks: int) -> None:
    lexical = LexicalIndex(folder)
    frequencies: Counter[str] = Counter()
    for document in tables.documents():
        if document.chunk > chunks:
            break
        frequencies.update(document.body.split())
    ranked = [term for term, _ in frequencies.most_common()]
    lexical.write(_varied(tables.documents(), ranked, chunks), (), tables.generation(), anew=True)
    lexical.finish()


def _varied(
    documents: Iterator[LexicalDocument], ranked: Sequence[str], chunks: int
) -> Iterator[LexicalDocument]:
    at, exchange = 0, dict[str, str]()
    for one in documents:
        if (number := one.chunk // chunks) != at:
            at, exchange = number, _exchange(ranked, Random(number))
        yield replace(
            one,
            name=" ".join([exchange.get(term, term) for term in one.name.split()]),
            doc=" ".join([exchange.get(term, term) for term in one.doc.split()]),
            body=" ".join([exchange.get(term, term) for term in one.body.split()]),
        )


def _exchange(ranked: Sequence[str], chance: Random) -> dict[str, str]:
    """Terms for terms of about the same frequency, so that the statistics of the language stay."""
    exchange = {}
    for low in range(0, len(ranked), 200):
        band = list(ranked[low : low + 200])
        others = chance.sample(band, len(band))
        exchange.update(
            {one: other for one, other in zip(band, others, strict=True) if chance.random() < EXCHANGED}
        )
    return exchange
