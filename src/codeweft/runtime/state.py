"""Parts of the state folder that can be opened alone, without loading the rest of the program."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from codeweft import config

if TYPE_CHECKING:
    from codeweft.accounts import Accounts
    from codeweft.config import Settings
    from codeweft.retrieval.catalogue import Indexes
    from codeweft.types import Encoder


def models_folder() -> Path:
    """Where pulled models lie."""
    return config.home() / "models"


def open_indexes(settings: Settings, encoder: Encoder | None = None) -> Indexes:
    """The indexes of the state folder; needs no model and no server."""
    from codeweft.retrieval.catalogue import Indexes
    from codeweft.retrieval.encode import StaticEncoder
    from codeweft.retrieval.store.choose import open_stores

    chosen = settings.index
    return Indexes(
        config.home() / "indexes",
        encoder or StaticEncoder.load(),
        max_file_mb=chosen.max_file_mb,
        max_document_mb=chosen.max_document_mb,
        max_pages=chosen.max_pages,
        private_hosts=chosen.private_hosts,
        exclude=tuple(chosen.exclude),
        workers=chosen.workers,
        default=chosen.default,
        stores=open_stores(chosen.store),
        ray=chosen.ray,
    )


@asynccontextmanager
async def open_accounts() -> AsyncIterator[Accounts]:
    """The accounts of the state folder."""
    from codeweft.accounts import Accounts

    async with await Accounts.open(config.home() / "codeweft.db") as accounts:
        yield accounts
