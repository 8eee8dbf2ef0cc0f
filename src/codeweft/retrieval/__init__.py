"""Know the code: files into chunks, chunks into an index, questions into ranked chunks."""

from codeweft.retrieval.catalogue import Indexes, IndexRetriever
from codeweft.retrieval.index import Index, IndexStatus
from codeweft.retrieval.update import Progress

__all__ = ["Index", "IndexRetriever", "IndexStatus", "Indexes", "Progress"]
