"""The lexical index: BM25 over name, path, documentation and body, each with its own weight (tantivy).

It holds nothing that SQLite does not; the generation it was committed at is stored inside it, atomically.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import tantivy

from codeweft.retrieval.forms import known_forms
from codeweft.retrieval.store.base import FILE_FIELDS, KIND_NUMBERS, NewChunk
from codeweft.retrieval.store.vectors import Ids
from codeweft.retrieval.tokens import joined_words
from codeweft.types import Vectors

FIELDS: Final = ("name", "path", "doc", "body")
_TOKENIZER: Final = "terms"
_HEAP_BYTES: Final = 50_000_000
_MARKER: Final = "generation"
_REMEMBERED: Final = 4096
"""Terms whose forms and files are remembered until the next commit (about 16 MB)."""

K = TypeVar("K")
V = TypeVar("V")
Counts = tuple[Ids, Ids]
"""Files in ascending order, and how many chunks of each."""


@dataclass(frozen=True, slots=True)
class LexicalDocument:
    """One chunk's terms by field, joined by spaces, and what it can be filtered by."""

    chunk: int
    file: int
    kind: int
    language: str
    name: str
    path: str
    doc: str
    body: str


def lexical_document(number: int, file: int, path: str, language: str, chunk: NewChunk) -> LexicalDocument:
    """The terms of a chunk by field; `path` are those of its file's path."""
    piece = chunk.piece
    # A summary stands in the body as well, as documentation does by itself.
    summary = joined_words(chunk.summary)
    return LexicalDocument(
        number,
        file,
        KIND_NUMBERS[piece.kind],
        language,
        joined_words(" ".join((piece.scope, *piece.own_names))),
        path,
        " ".join(filter(None, (joined_words(piece.docstring), summary))),
        " ".join(filter(None, (chunk.words or joined_words(chunk.text), summary))),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Restriction:
    """Which chunks may be hits, by what is in the index itself; empty parts do not restrict.

    Only the same object is equal, for comparing thousands of files takes as long as looking for their chunks.
    """

    kinds: tuple[int, ...] = ()
    languages: tuple[str, ...] = ()
    files: tuple[int, ...] = ()


UNRESTRICTED: Final = Restriction()


class _View:
    """What is seen of the last commit, with what was looked up in it: questions repeat each other's words."""

    def __init__(self, searcher: tantivy.Searcher) -> None:
        self.searcher = searcher
        self.forms: dict[str, tuple[str, ...]] = {}
        self.files: dict[tuple[tuple[str, ...], int, Restriction], Counts] = {}


def _keep(known: dict[K, V], key: K, value: V) -> V:
    """Remember `value`; what was remembered before goes when it is too much."""
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = value
    return value


class LexicalIndex:
    """A tantivy index in a folder. One writer at a time (the caller holds the index's lock), any number of readers."""

    def __init__(self, folder: Path) -> None:
        """Open or create. Raises ValueError when the files are damaged; `wipe` and open again."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("chunk", stored=False, indexed=False, fast=True)
        builder.add_unsigned_field("file", stored=False, indexed=True, fast=True)
        builder.add_unsigned_field("kind", stored=False, indexed=True, fast=False)
        builder.add_text_field("language", tokenizer_name="raw", index_option="basic")
        builder.add_unsigned_field(_MARKER, stored=False, indexed=True, fast=True)
        builder.add_text_field("marker", tokenizer_name="raw", index_option="basic")
        for name in FIELDS:
            builder.add_text_field(name, tokenizer_name=_TOKENIZER, index_option="freq")
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema, path=str(folder), reuse=True)
        analyzer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
        self._index.register_tokenizer(_TOKENIZER, analyzer)
        self._index.config_reader("manual")
        self._index.reload()
        self._view = _View(self._index.searcher())
        self._lock = threading.Lock()
        self._writer: tantivy.IndexWriter | None = None

    @staticmethod
    def wipe(folder: Path) -> None:
        """Remove the files; everything in them can be rebuilt."""
        shutil.rmtree(folder, ignore_errors=True)

    def reload(self) -> None:
        """See what was committed since, by this process or another."""
        with self._lock:
            self._index.reload()
            self._view = _View(self._index.searcher())

    def generation(self) -> int:
        """The generation of the last commit seen; -1 for a new index."""
        searcher = self._view.searcher
        hits = searcher.search(tantivy.Query.term_query(self._schema, "marker", _MARKER), 1, count=False).hits
        if not hits:
            return -1
        (generation,) = searcher.fast_field_values(_MARKER, [address for _, address in hits])
        return int(generation or 0)

    def write(
        self,
        documents: Iterable[LexicalDocument],
        removed_files: Iterable[int],
        generation: int,
        *,
        anew: bool = False,
    ) -> None:
        """Replace the documents of files, or with `anew` of everything; the generation is committed with them.

        The writer stays open for the next batch until `finish`.
        """
        writer = self._writer or self._new_writer()
        # What goes wrong below leaves the writer with half a batch: it must not be used again.
        self._writer = None
        if anew:
            writer.delete_all_documents()
        for file in removed_files:
            writer.delete_documents_by_query(tantivy.Query.term_query(self._schema, "file", file))
        writer.delete_documents_by_query(tantivy.Query.term_query(self._schema, "marker", _MARKER))
        for one in documents:
            writer.add_document(_document(one))
        marker = tantivy.Document()
        marker.add_text("marker", _MARKER)
        marker.add_unsigned(_MARKER, generation)
        writer.add_document(marker)
        writer.commit()
        self._writer = writer
        self.reload()

    def _new_writer(self) -> tantivy.IndexWriter:
        writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        # A commit that was killed leaves files with the names that the next commit gives to its own.
        writer.garbage_collect_files()
        self._remove_unborn()
        return writer

    def _remove_unborn(self) -> None:
        """Remove lists of deletions newer than the last commit: no reader can know them, and collecting misses some."""
        last = json.loads((self._folder / "meta.json").read_text())["opstamp"]
        for path in self._folder.glob("*.*.del"):
            if int(path.name.split(".")[1]) > last:
                path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Let segments be merged and others write."""
        writer, self._writer = self._writer, None
        if writer is not None:
            # What this process looked at last is replaced by now; only then its files can go.
            writer.garbage_collect_files()
            writer.wait_merging_threads()
            self.reload()

    def frequency(self, term: str) -> int:
        """How many chunks hold a term in their body."""
        return int(self._view.searcher.doc_freq("body", term))

    def forms(self, term: str) -> tuple[str, ...]:
        """Other forms of a term that chunks hold, the commonest first."""
        known = self._view.forms
        found = known.get(term)
        return _keep(known, term, known_forms(term, self.frequency)) if found is None else found

    def search(
        self,
        terms: Mapping[str, float],
        weights: Mapping[str, float],
        limit: int,
        restriction: Restriction = UNRESTRICTED,
    ) -> tuple[Ids, Vectors]:
        """Chunk ids and BM25 scores, best first. `terms` map to their weight in the question."""
        query = self._any_of(terms, weights, restriction)
        return self._found(query, limit, "chunk")

    def files(self, terms: tuple[str, ...], limit: int, restriction: Restriction = UNRESTRICTED) -> Counts:
        """The files of the best chunks that hold one of `terms`; of equal chunks all or none, whatever their order."""
        known = self._view.files
        key = terms, limit, restriction
        if (found := known.get(key)) is not None:
            return found
        query = self._any_of(dict.fromkeys(terms, 1.0), FILE_FIELDS, restriction)
        files, scores = self._found(query, limit, "file")
        best = files if len(files) < limit else files[scores > scores[-1]]
        holding, counts = np.unique(best, return_counts=True)
        return _keep(known, key, (holding, counts.astype(np.int64)))

    def holding(self, terms: Sequence[str], limit: int, restriction: Restriction) -> Ids:
        """Chunk ids whose body holds all of `terms`, best first."""
        if not terms:
            return np.zeros(0, np.int64)
        clauses = [(tantivy.Occur.Must, self._term("body", term)) for term in terms]
        query = tantivy.Query.boolean_query([*clauses, *self._required(restriction)])
        return self._found(query, limit, "chunk")[0]

    def _any_of(
        self, terms: Mapping[str, float], weights: Mapping[str, float], restriction: Restriction
    ) -> tantivy.Query:
        term_query, boosted, schema = tantivy.Query.term_query, tantivy.Query.boost_query, self._schema
        should = tantivy.Occur.Should
        query = tantivy.Query.boolean_query(
            [
                (should, boosted(term_query(schema, name, term, "freq"), weight * importance))
                for term, importance in terms.items()
                for name, weight in weights.items()
            ]
        )
        required = self._required(restriction)
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, query), *required]) if required else query

    def _term(self, field: str, term: str) -> tantivy.Query:
        return tantivy.Query.term_query(self._schema, field, term, "freq")

    def _required(self, restriction: Restriction) -> list[tuple[tantivy.Occur, tantivy.Query]]:
        """Clauses that restrict and do not count for the score."""
        parts = {"kind": restriction.kinds, "language": restriction.languages, "file": restriction.files}
        return [
            (
                tantivy.Occur.Must,
                tantivy.Query.const_score_query(
                    tantivy.Query.term_set_query(self._schema, name, list(values)), 0.0
                ),
            )
            for name, values in parts.items()
            if values
        ]

    def _found(self, query: tantivy.Query, limit: int, field: str) -> tuple[Ids, Vectors]:
        """The values of a field and the scores of the best hits."""
        # Addresses are those of one searcher; another thread may put a newer one in its place.
        searcher = self._view.searcher
        hits = searcher.search(query, limit, count=False).hits
        if not hits:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        scores, addresses = zip(*hits, strict=True)
        values = searcher.fast_field_values(field, list(addresses))
        return np.array(values, np.int64), np.array(scores, np.float32)


def _document(one: LexicalDocument) -> tantivy.Document:
    document = tantivy.Document()
    document.add_unsigned("chunk", one.chunk)
    document.add_unsigned("file", one.file)
    document.add_unsigned("kind", one.kind)
    document.add_text("language", one.language)
    for name in FIELDS:
        if text := getattr(one, name):
            document.add_text(name, text)
    return document
