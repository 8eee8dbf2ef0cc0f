"""Where code comes from, one file per kind of source."""

from codeweft.retrieval.sources.access import Access
from codeweft.retrieval.sources.names import upload_path
from codeweft.retrieval.sources.source import Prepared, Source, parse_source, split_token, stored_source

__all__ = ["Access", "Prepared", "Source", "parse_source", "split_token", "stored_source", "upload_path"]
