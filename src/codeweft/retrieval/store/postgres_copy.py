"""Putting files into the tables of the PostgreSQL store, many rows at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from codeweft.retrieval.store import gather
from codeweft.retrieval.store.base import KINDS, NewFile, fold, last_segment
from codeweft.retrieval.store.gather import first_chunk
from codeweft.retrieval.store.lexical import lexical_document
from codeweft.retrieval.store.postgres_database import Cursor
from codeweft.retrieval.store.postings import packed
from codeweft.retrieval.tokens import joined_words

# After `postgres_database`, which says what to do when they are missing.
from pgvector import HalfVector  # isort: skip
from psycopg import sql  # isort: skip


def copied(cursor: Cursor, schema: str, new: Sequence[tuple[int, NewFile]]) -> dict[int, list[int]]:
    """Store files under their ids; returns by file with chunks how many terms each of its fields has."""
    terms = _copy_terms(cursor, schema, new)
    _copy_files(cursor, schema, new, terms)
    return terms


def _copy_terms(cursor: Cursor, schema: str, new: Sequence[tuple[int, NewFile]]) -> dict[int, list[int]]:
    """Store the postings of new files; returns by file how many terms each of its fields has."""
    documents = [
        lexical_document(number, file, path, one.language, chunk)
        for file, one in new
        for path in (joined_words(one.path),)
        for number, chunk in enumerate(one.chunks, first_chunk(file))
    ]
    if not documents:
        return {}
    lists, lengths = packed(documents)
    _copy(cursor, schema, "postings", ("text", "int4", "bytea"), lists)
    files = np.array([one.file for one in documents])
    return {int(file): lengths[files == file].sum(axis=0).tolist() for file in np.unique(files)}


def _copy_files(
    cursor: Cursor, schema: str, new: Sequence[tuple[int, NewFile]], terms: Mapping[int, list[int]]
) -> None:
    _copy(
        cursor,
        schema,
        "files",
        (
            *("int4", "text", "text", "text", "bytea", "int8", "int8", "int8", "text", "int4", "int4"),
            *("int4", "int4", "int8[]"),
        ),
        (
            (
                *(file, clean(one.path), one.status, clean(one.reason), one.digest, one.size),
                *(one.mtime_ns, one.checked_ns, one.language, one.lines, len(one.chunks)),
                *(sum(bool(chunk.summary) for chunk in one.chunks), len(one.secrets)),
                terms.get(file, [0, 0, 0, 0]),
            )
            for file, one in new
        ),
    )
    numbered = [
        (number, file, chunk)
        for file, one in new
        for number, chunk in enumerate(one.chunks, first_chunk(file))
    ]
    _copy(
        cursor,
        schema,
        "chunks",
        ("int8", "int4", "int4", "int4", "text", "text", "text", "int8", *("text",) * 5),
        (
            (
                *(number, file, one.piece.start_line, one.piece.end_line, one.piece.kind),
                *(clean(one.piece.name), clean(one.piece.scope), one.digest),
                *(clean("\n".join(one.piece.defines)), clean(one.piece.signature)),
                *(clean(one.piece.docstring), clean(one.summary), clean(one.text)),
            )
            for number, file, one in numbered
        ),
    )
    symbols = {
        (clean(folded), number, file)
        for number, file, one in numbered
        for name in (one.piece.name, *one.piece.defines)
        for folded in (fold(name), fold(last_segment(name)))
        if folded
    }
    _copy(cursor, schema, "symbols", ("text", "int8", "int4"), sorted(symbols))
    rows = (row for _, one in new for row in gather.unit_rows(one.vectors))
    kinds = (KINDS.index(one.piece.kind) for *_, one in numbered)
    _copy(
        cursor,
        schema,
        "vectors",
        ("int8", "int4", "int2", "halfvec"),
        (
            (number, file, kind, HalfVector(row))
            for (number, file, _), kind, row in zip(numbered, kinds, rows, strict=True)
        ),
    )
    secrets = [(file, secret.rule, secret.line) for file, one in new for secret in one.secrets]
    _copy(cursor, schema, "secrets", ("int4", "text", "int4"), secrets)


def _copy(
    cursor: Cursor, schema: str, table: str, types: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    statement = sql.SQL("COPY {}.{} FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(schema), sql.Identifier(table)
    )
    with cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def clean(text: str) -> str:
    """A text as PostgreSQL takes it: no NUL, no half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
