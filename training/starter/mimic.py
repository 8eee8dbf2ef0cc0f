"""Starts a model with heads that copy: what followed the same words before is likely to follow again.

Learning such induction heads takes a small model far more text than a CPU core can show it (Olsson et al. 2022, "In-context
learning and induction heads"). Here they are written down, and trained on from there (as Trockman & Kolter 2023,
"Mimetic initialization of self-attention layers", do for other patterns). They live in the last ``2 * CODE`` channels:

- the channels *own* hold a random code for each token, stored in the (tied) embedding;
- layer 0, last two heads: constant queries and keys, so that only the rotation counts, look one and two positions back
  and write what stands there to the channels *before*, the farther one turned by ``R``;
- layer 1, last head: looks where *before* is most like the own code and what stands before it, and adds the code that
  it finds there to *own*, which raises the logit of that token; the head before it takes the own code out of *own*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.starter.model import Attention, Llama, RMSNorm, Shape

CODE = 16  # channels of a token's code; a head compares all of them in the pairs that do not rotate
FARTHER = 0.6  # weight of the token two positions back, against the one before
SHARPNESS = 20.0  # nats of attention for one token in common
LENGTH = 4.0  # of a code behind a norm
LOOK_BACK = 25.0  # nats of attention of each rotating pair for the position looked for


@dataclass(frozen=True, slots=True)
class Strength:
    """How strongly the heads speak: the share of the code in a channel's norm, and what a copy adds to a logit."""

    share: float = 1 / 3
    logit: float = 4.0


def install(model: Llama, sample: Tensor, strength: Strength = Strength(), seed: int = 0) -> None:
    """Writes the copying heads into ``model``; channels of *own* and *before* and the last two heads must be unused.

    ``sample`` are some rows of real token ids, (rows, time): the gains of the norms are set so that the rest of the
    model sees on average what it saw before.
    """
    shape = model.shape
    if (
        shape.layers < 2
        or shape.kv_heads != shape.heads
        or 2 * (shape.head_width // 2 - shape.rotated) < CODE
    ):
        raise ValueError("copying heads need two layers, as many key heads as heads, and room for a code")
    random = torch.Generator().manual_seed(seed)
    own = slice(shape.width - 2 * CODE, shape.width - CODE)
    before = slice(shape.width - CODE, shape.width)
    used = slice(0, own.start)
    turn = torch.linalg.qr(torch.randn(CODE, CODE, generator=random))[0]
    with torch.no_grad():
        embedding = model.model.embed_tokens.weight
        device = embedding.device
        turn, one = turn.to(device), torch.eye(CODE, device=device)
        codes = torch.randn(shape.vocabulary, CODE, generator=random).to(device)
        codes /= codes.norm(dim=1, keepdim=True)
        size = math.sqrt(strength.share) * float(embedding[sample.unique(), used].norm(dim=1).mean())
        embedding[:, own], embedding[:, before] = size * codes, 0.0
        norms = [
            norm
            for block in model.model.layers
            for norm in (block.input_layernorm, block.post_attention_layernorm)
        ]
        _calibrate(model, norms[0], sample, used)
        first, second = model.model.layers[0].self_attn, model.model.layers[1].self_attn
        for block in model.model.layers:
            # Only the copying heads write to these channels.
            block.self_attn.o_proj.weight[own.start :] = 0.0
            block.mlp.down_proj.weight[own.start :] = 0.0
        for attention in (first, second):
            _silence(attention)
        for head, distance, mix in ((-2, 1, one), (-1, 2, FARTHER * turn)):
            rows = _rows(shape, head)
            _look_back(first, rows, distance)
            first.v_proj.weight[rows.start : rows.start + CODE, own] = one / LENGTH
            first.o_proj.weight[before, rows.start : rows.start + CODE] = size * mix
        for norm in norms[1:3]:
            _calibrate(model, norm, sample, used)
        rows = _rows(shape, -1)
        pairs = shape.head_width // 2
        content = [
            rows.start + at for at in (*range(shape.rotated, pairs), *range(pairs + shape.rotated, 2 * pairs))
        ]
        content = content[:CODE]
        sharp = math.sqrt(SHARPNESS * math.sqrt(shape.head_width)) / LENGTH
        second.q_proj.weight[content, own] = sharp * one
        second.q_proj.weight[content, before] = sharp * FARTHER * turn
        second.k_proj.weight[content, before] = sharp * one
        second.v_proj.weight[rows.start : rows.start + CODE, own] = one / LENGTH
        second.o_proj.weight[own, rows.start : rows.start + CODE] = size * one
        rows = _rows(shape, -2)
        _look_back(second, rows, 0)
        second.v_proj.weight[rows.start : rows.start + CODE, own] = one / LENGTH
        second.o_proj.weight[own, rows.start : rows.start + CODE] = -size * one
        for norm in (*norms[3:], model.model.norm):
            _calibrate(model, norm, sample, used)
        # A code times its embedding is `size`; the norm divides it by the root mean square of all channels.
        model.model.norm.weight[before] = 0.0
        x = _inputs(model, model.model.norm, sample)
        model.model.norm.weight[own] = strength.logit / (size**2 / x.pow(2).mean(-1).sqrt().mean())


class Kept:
    """Holds the copying heads as they are: steps of equal size in all directions, as Muon's, would wash them out.

    What reads the copies in later layers is trained like the rest. How loudly they speak at the end, which the gains of
    the last norm say, is a number far larger than AdamW's steps: it moves in steps of its own size.
    """

    def __init__(self, model: Llama) -> None:
        shape = model.shape
        codes = slice(shape.width - 2 * CODE, None)
        heads = slice((shape.heads - 2) * shape.head_width, None)
        first, second = model.model.layers[0], model.model.layers[1]
        parts: list[tuple[nn.Parameter, tuple[slice, ...]]] = [
            (model.model.embed_tokens.weight, (slice(None), codes)),
            (first.self_attn.o_proj.weight, (codes, slice(None))),
            (first.mlp.down_proj.weight, (codes, slice(None))),
            (second.self_attn.o_proj.weight, (codes, heads)),
        ]
        for block in (first, second):
            parts.append((block.input_layernorm.weight, (codes,)))
            for projection in (block.self_attn.q_proj, block.self_attn.k_proj, block.self_attn.v_proj):
                parts.append((projection.weight, (heads, slice(None))))
                if projection.bias is not None:
                    parts.append((projection.bias, (heads,)))
        self._parts = [(parameter, where, parameter.detach()[where].clone()) for parameter, where in parts]
        self._gains = model.model.norm.weight[shape.width - 2 * CODE : shape.width - CODE]
        self._before = self._gains.detach().clone()

    @torch.no_grad()
    def restore(self) -> None:
        """Undoes what a step did to the heads, and makes the step of their gains one in proportion."""
        for parameter, where, value in self._parts:
            parameter[where] = value
        gains = self._gains.data
        gains.copy_(self._before + (gains - self._before) * self._before.abs().clamp(min=1.0))
        self._before = gains.clone()


def _rows(shape: Shape, head: int) -> slice:
    """Rows of one head, counted from the end, in a projection to heads."""
    return slice((shape.heads + head) * shape.head_width, (shape.heads + head + 1) * shape.head_width)


def _silence(attention: Attention) -> None:
    """Empties the last two heads: what they were before would be noise in the codes."""
    rows = slice((attention.shape.heads - 2) * attention.shape.head_width, None)
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
        projection.weight[rows] = 0.0
    attention.q_proj.bias[rows] = attention.k_proj.bias[rows] = 0.0
    attention.o_proj.weight[:, rows] = 0.0


def _look_back(attention: Attention, rows: slice, distance: int) -> None:
    """Constant query and key whose product is largest ``distance`` positions back."""
    shape = attention.shape
    pairs = shape.head_width // 2
    angles = shape.frequencies()[: shape.rotated].to(attention.q_proj.bias.device) * distance
    size = math.sqrt(LOOK_BACK * math.sqrt(shape.head_width))
    real = slice(rows.start, rows.start + shape.rotated)
    imaginary = slice(rows.start + pairs, rows.start + pairs + shape.rotated)
    attention.q_proj.bias[real], attention.q_proj.bias[imaginary] = size * angles.cos(), -size * angles.sin()
    attention.k_proj.bias[real] = size


def _inputs(model: Llama, norm: RMSNorm, sample: Tensor) -> Tensor:
    """What goes into a norm, (rows, time, width)."""
    seen: list[Tensor] = []
    handle = norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.hidden(sample)
    handle.remove()
    return seen[0]


def _calibrate(model: Llama, norm: RMSNorm, sample: Tensor, used: slice) -> None:
    """Scales the gain of ``used`` channels as if the norm saw them alone, and of the others so that a code has its length."""
    x = _inputs(model, norm, sample)
    alone, all_ = x[..., used].pow(2).sum(-1), x.pow(2).sum(-1)
    norm.weight[used] *= (all_ / alone).sqrt().mean() * math.sqrt((used.stop - used.start) / x.shape[-1])
    own = slice(used.stop, used.stop + CODE)
    norm.weight[used.stop :] = LENGTH / float((x[..., own].norm(dim=-1) / x.pow(2).mean(-1).sqrt()).mean())
