"""What settings put around a search: an embedding model in place of the encoder, re-ranking, translation."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

from codeweft import config
from codeweft.config import Settings
from codeweft.retrieval.bridge import Bridge
from codeweft.retrieval.by_model import ModelReranker, ModelTranslator
from codeweft.retrieval.embedding import EmbedderEncoder, Prefixes, known_prefixes
from codeweft.retrieval.encode import BundledEncoder
from codeweft.retrieval.stages import StageOptions, Stages
from codeweft.runtime.models import check_kinds
from codeweft.types import Embedder, Encoder, Model, Reranker

MOST_BY_MODEL = 20
"""Results that a chat model puts in order: more do not fit small contexts, and the order of the rest matters little."""


class Parts(Protocol):
    """Where models come from. Each raises `NotFound`."""

    def embedder(self, name: str) -> Embedder: ...
    def reranker(self, name: str) -> Reranker: ...
    def writer(self, name: str | None) -> Model: ...


def encoder_of(settings: Settings, parts: Parts, bridge: Bridge, bundled: BundledEncoder | None) -> Encoder:
    """The encoder that settings choose; `bundled` is the static one where there is one already."""
    chosen = settings.index.encoder
    if chosen is None:
        return bundled or BundledEncoder()
    check_kinds(settings)
    entry = settings.all_models().get(chosen.model)
    asked = (entry.model if entry is not None else None) or chosen.model
    known = known_prefixes(f"{asked} {entry.path.name if entry is not None and entry.path else ''}")
    prefixes = Prefixes(
        known.query if chosen.query_prefix is None else chosen.query_prefix,
        known.text if chosen.text_prefix is None else chosen.text_prefix,
    )
    # The place belongs to the name: the same model elsewhere may be another one.
    place = urlsplit(entry.base_url).netloc if entry is not None and entry.base_url else ""
    return EmbedderEncoder(
        parts.embedder(chosen.model),
        bridge,
        name="@".join(filter(None, (asked, place))),
        prefixes=prefixes,
        memory=config.home() / "encoders.json",
    )


def stages_of(settings: Settings, parts: Parts, bridge: Bridge) -> Stages | None:
    """The stages that settings turn on; None when there are none."""
    ranked, translated = settings.index.reranker, settings.index.translate
    if ranked is None and translated is None:
        return None
    check_kinds(settings)
    options = StageOptions()
    reranker: Reranker | None = None
    if ranked is not None:
        by_chat = ranked.kind == "llm"
        reranker = ModelReranker(parts.writer(ranked.model)) if by_chat else parts.reranker(ranked.model)
        options = StageOptions(
            top=min(ranked.top, MOST_BY_MODEL) if by_chat else ranked.top,
            share=ranked.share,
            rerank_timeout=ranked.timeout,
            expand_timeout=translated.timeout if translated else options.expand_timeout,
            expansion_only=bool(translated and translated.instead),
        )
    elif translated is not None:
        options = StageOptions(expand_timeout=translated.timeout, expansion_only=translated.instead)
    expander = ModelTranslator(parts.writer(translated.model)) if translated is not None else None
    return Stages(bridge, reranker=reranker, expander=expander, options=options)
