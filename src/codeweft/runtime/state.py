"""Parts of the state folder that can be opened alone, without loading the rest of the program."""

from __future__ import annotations

import atexit
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from codeweft import config

if TYPE_CHECKING:
    from codeweft.accounts import Accounts, SignInPolicy
    from codeweft.config import Settings
    from codeweft.retrieval.catalogue import Indexes
    from codeweft.retrieval.stages import Stages
    from codeweft.types import Encoder, SearchResult


def models_folder() -> Path:
    """Where pulled models lie."""
    return config.home() / "models"


def open_indexes(
    settings: Settings,
    encoder: Encoder | None = None,
    stages: Stages | None = None,
    on_found: Callable[[Sequence[SearchResult]], None] | None = None,
) -> Indexes:
    """The indexes of the state folder; needs no server, and no model unless the settings name one for searching.

    `encoder=None` opens the encoder and the stages that the settings choose.
    """
    from codeweft.retrieval.catalogue import Indexes
    from codeweft.retrieval.store.choose import open_stores

    if encoder is None:
        encoder, stages = _alone(settings)
    chosen = settings.index
    return Indexes(
        config.home() / "indexes",
        encoder,
        max_file_mb=chosen.max_file_mb,
        max_document_mb=chosen.max_document_mb,
        max_pages=chosen.max_pages,
        private_hosts=chosen.private_hosts,
        exclude=tuple(chosen.exclude),
        workers=chosen.workers,
        default=chosen.default,
        stores=open_stores(chosen.store),
        ray=chosen.ray,
        redact=chosen.redact,
        allow_secrets=tuple(chosen.allow_secrets),
        stages=stages,
        on_found=on_found,
    )


def _alone(settings: Settings) -> tuple[Encoder, Stages | None]:
    """What searching needs, for a command that opens nothing else."""
    from codeweft.retrieval.encode import StaticEncoder

    chosen = settings.index
    if chosen.encoder is None and chosen.reranker is None and chosen.translate is None:
        return StaticEncoder.load(), None
    from codeweft.retrieval.bridge import Bridge
    from codeweft.runtime.models import Alone
    from codeweft.runtime.searching import encoder_of, stages_of

    bridge, parts = Bridge(), Alone(settings)
    atexit.register(lambda: bridge.run(parts.close()))
    encoder = encoder_of(settings, parts, bridge, None)
    return encoder, stages_of(settings, parts, bridge)


def sign_in_policy(settings: Settings) -> SignInPolicy:
    """Who may register and what signing in takes."""
    from codeweft.accounts import SignInPolicy

    chosen = settings.sign_in
    return SignInPolicy(chosen.registration, chosen.totp, chosen.session_days * 86400)


@asynccontextmanager
async def open_accounts(settings: Settings | None = None) -> AsyncIterator[Accounts]:
    """The accounts that `settings` (None: those of the state folder) name, by default in the state folder."""
    from codeweft.accounts import Accounts

    settings = settings or config.load(None)
    home, policy = config.home(), sign_in_policy(settings)
    database = settings.database or home / "codeweft.db"
    async with await Accounts.open(database, journals=home / "journals", policy=policy) as accounts:
        yield accounts
