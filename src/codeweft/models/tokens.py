"""Prompts as token ids, with untrusted text kept from becoming special tokens."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Final

from codeweft.models.gguf import Tokenizer
from codeweft.models.skills import Family, Piece

Encode = Callable[[str, bool], Awaitable[list[int]]]
"""The engine's tokeniser: text and whether special tokens in it count, without a beginning-of-text token."""
_ANCHOR: Final = "☺"


class PromptTokens:
    """Makes token ids of pieces for one model."""

    def __init__(self, tokenizer: Tokenizer, family: Family, encode: Encode) -> None:
        self._tokenizer = tokenizer
        self._encode = encode
        self._ids = {token: number for number, token in enumerate(tokenizer.tokens)}
        # Added tokens that look like markers are parsed by the engine even in plain text; others are only words.
        markers = {token for token in tokenizer.user_defined if "|" in token or "｜" in token}
        known = {token for token in (*family.special_tokens, *family.stop) if token in self._ids}
        self._special = tokenizer.control | markers | known

    @cached_property
    def longest(self) -> int:
        """Characters of the longest token: no text has fewer tokens than its length divided by this."""
        return max((len(token) for token in self._tokenizer.tokens), default=1)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self._special, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) if longest_first else r"(?!)")

    async def of(self, pieces: Sequence[Piece]) -> list[int]:
        """The ids of a prompt, beginning-of-text included where the model wants it."""
        if self._is_clean(pieces):
            ids = await self._encode("".join(piece.text for piece in pieces), True)
        else:
            parts = await asyncio.gather(*(self._part(piece, first=not n) for n, piece in enumerate(pieces)))
            ids = [number for part in parts for number in part]
        bos = self._tokenizer.bos
        if self._tokenizer.add_bos and bos is not None and ids[:1] != [bos]:
            return [bos, *ids]
        return ids

    async def of_text(self, text: str) -> list[int]:
        """The ids of plain text, as it stands."""
        return await self._plain(text, first=True)

    def defused(self, text: str) -> str:
        """`text` with every special token in it broken by a zero-width space, for routes that parse everything."""
        return self._pattern.sub(lambda match: match[0][0] + "\u200b" + match[0][1:], text)

    def _is_clean(self, pieces: Sequence[Piece]) -> bool:
        """Whether tokenising the whole text at once reads exactly the template's special tokens, and as such.

        It is what the model was trained on (words may span a template's line break), but only safe if no plain text
        holds or completes a special token.
        """
        if any(piece.special and piece.text not in self._special and self._names(piece) for piece in pieces):
            return False
        whole = sum(1 for _ in self._pattern.finditer("".join(piece.text for piece in pieces)))
        meant = sum(len(self._pattern.findall(piece.text)) for piece in pieces if piece.special)
        return whole == meant

    def _names(self, piece: Piece) -> list[int]:
        """The token that a special piece names, in its own spelling or SentencePiece's; empty when it is more than that."""
        spellings = (piece.text, "▁" + piece.text.strip())
        return [self._ids[name] for name in spellings if name in self._ids][:1]

    async def _part(self, piece: Piece, *, first: bool) -> list[int]:
        if not piece.special:
            return await self._plain(piece.text, first=first)
        return self._names(piece) or await self._exact(piece.text, True, first=first)

    async def _plain(self, text: str, *, first: bool) -> list[int]:
        """`text` without special tokens: it is cut inside everything that looks like one."""
        cuts = [match.start() + 1 for match in self._pattern.finditer(text)]
        ids: list[int] = []
        for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
            ids += await self._exact(text[start:end], False, first=first and start == 0)
        return ids

    async def _exact(self, text: str, special: bool, *, first: bool) -> list[int]:
        """`text` as it stands. SentencePiece puts a space before a text, which is right only at the first.

        Encoding it behind a character and dropping that character's tokens is how Code Llama's authors do it.
        """
        tokenizer = self._tokenizer
        if first or not (tokenizer.is_sentencepiece and tokenizer.add_space_prefix):
            return await self._encode(text, special)
        anchor, anchored = await asyncio.gather(
            self._encode(_ANCHOR, False), self._encode(_ANCHOR + text, special)
        )
        return anchored[len(anchor) :]
