"""The lexical index: BM25 over name, path, documentation and body, each with its own weight (tantivy).

It holds nothing that SQLite does not; the generation it was committed at is stored inside it, atomically.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tantivy

from codeweft.retrieval.store.base import NewChunk
from codeweft.retrieval.store.vectors import Ids
from codeweft.retrieval.tokens import words
from codeweft.types import Vectors

FIELDS: Final = ("name", "path", "doc", "body")
_TOKENIZER: Final = "terms"
_HEAP_BYTES: Final = 50_000_000
_MARKER: Final = "generation"


@dataclass(frozen=True, slots=True)
class LexicalDocument:
    """One chunk's terms by field, joined by spaces."""

    chunk: int
    file: int
    name: str
    path: str
    doc: str
    body: str


def lexical_document(number: int, file: int, path: str, chunk: NewChunk) -> LexicalDocument:
    """The terms of a chunk by field."""
    piece = chunk.piece
    return LexicalDocument(
        number,
        file,
        " ".join(words(" ".join((piece.scope, piece.name, *piece.defines)))),
        " ".join(words(path)),
        " ".join(words(f"{piece.docstring} {chunk.summary}")),
        " ".join(words(chunk.text)),
    )


class LexicalIndex:
    """A tantivy index in a folder. One writer at a time (the caller holds the index's lock), any number of readers."""

    def __init__(self, folder: Path) -> None:
        """Open or create. Raises ValueError when the files are damaged; `wipe` and open again."""
        folder.mkdir(parents=True, exist_ok=True)
        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("chunk", stored=False, indexed=False, fast=True)
        builder.add_unsigned_field("file", stored=False, indexed=True, fast=False)
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
        self._searcher = self._index.searcher()
        self._lock = threading.Lock()

    @staticmethod
    def wipe(folder: Path) -> None:
        """Remove the files; everything in them can be rebuilt."""
        shutil.rmtree(folder, ignore_errors=True)

    def reload(self) -> None:
        """See what was committed since, by this process or another."""
        with self._lock:
            self._index.reload()
            self._searcher = self._index.searcher()

    def generation(self) -> int:
        """The generation of the last commit seen; -1 for a new index."""
        searcher = self._searcher
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
        """Replace the documents of files, or with `anew` of everything; the generation is committed with them."""
        writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        try:
            if anew:
                writer.delete_all_documents()
            for file in removed_files:
                writer.delete_documents_by_query(tantivy.Query.term_query(self._schema, "file", file))
            writer.delete_documents_by_query(tantivy.Query.term_query(self._schema, "marker", _MARKER))
            for one in documents:
                document = tantivy.Document()
                document.add_unsigned("chunk", one.chunk)
                document.add_unsigned("file", one.file)
                for name in FIELDS:
                    if text := getattr(one, name):
                        document.add_text(name, text)
                writer.add_document(document)
            marker = tantivy.Document()
            marker.add_text("marker", _MARKER)
            marker.add_unsigned(_MARKER, generation)
            writer.add_document(marker)
            writer.commit()
        finally:
            # Waits for merges and frees the writer's lock.
            writer.wait_merging_threads()
        self.reload()

    def frequency(self, term: str) -> int:
        """How many chunks hold a term in their body."""
        return int(self._searcher.doc_freq("body", term))

    def search(
        self, terms: Mapping[str, float], weights: Mapping[str, float], limit: int
    ) -> tuple[Ids, Vectors]:
        """Chunk ids and BM25 scores, best first. `terms` map to their weight in the question."""
        clauses: list[tuple[Any, Any]] = []
        for term, importance in terms.items():
            for name, weight in weights.items():
                query = tantivy.Query.term_query(self._schema, name, term, "freq")
                clauses.append((tantivy.Occur.Should, tantivy.Query.boost_query(query, weight * importance)))
        if not clauses:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        return self._hits(tantivy.Query.boolean_query(clauses), limit)

    def holding(self, terms: Sequence[str], limit: int) -> Ids:
        """Chunk ids whose body holds all of `terms`, best first."""
        if not terms:
            return np.zeros(0, np.int64)
        clauses = [
            (tantivy.Occur.Must, tantivy.Query.term_query(self._schema, "body", term, "freq"))
            for term in terms
        ]
        return self._hits(tantivy.Query.boolean_query(clauses), limit)[0]

    def _hits(self, query: Any, limit: int) -> tuple[Ids, Vectors]:
        searcher = self._searcher
        hits: Sequence[tuple[float, Any]] = searcher.search(query, limit, count=False).hits
        if not hits:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        ids = searcher.fast_field_values("chunk", [address for _, address in hits])
        return np.array(ids, np.int64), np.array([score for score, _ in hits], np.float32)
