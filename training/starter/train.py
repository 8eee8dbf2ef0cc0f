"""Trains the starter model, in slices: stops after ``--slice-minutes``, and goes on from its checkpoint when run again.

python -m training.starter.train --work training/build/starter --preset cpu
python -m training.starter.train --work training/build/starter --preset gpu --slice-minutes 9
"""

from __future__ import annotations

import argparse
import json
import math
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from training.starter import layout, mimic, parts
from training.starter.model import Llama, Shape
from training.starter.rows import read_rows

WARM_UP, STABLE = 0.02, 0.6  # shares of the whole run: rise, stay, then fall
LEAST_RATE = 0.02  # of the full rate, at the end of the fall


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the run: from ``start`` (share of the run) on, each row length with its rows a step and its weight.

    ``end_weight`` weighs the end of a text in the loss: nothing marks where a middle starts, so that a small model
    that is only just learning holes would hardly ever end one.
    """

    start: float
    lengths: dict[int, tuple[int, float]]
    end_weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Preset:
    """One way to train: sizes, time and rates."""

    shape: Shape
    minutes: float
    stages: tuple[Stage, ...]
    matrix_rate: float
    other_rate: float
    weight_decay: float = 0.02
    checkpoint_minutes: float = 5.0
    copying: bool = True
    """Begin with heads that copy (mimic.py)."""


MIXED = {512: (12, 0.6), 1024: (6, 0.4)}
LATE = {512: (12, 0.4), 1024: (6, 0.6)}

PRESETS = {
    # Short rows first: attention over long ones costs a quarter of the time of a CPU core.
    "cpu": Preset(
        shape=Shape(width=256, layers=4, heads=8, kv_heads=8, hidden=512, rotated=8),
        minutes=69,
        stages=(Stage(0.0, {512: (12, 1.0)}, 3.0), Stage(0.2, MIXED, 3.0), Stage(0.6, LATE, 3.0)),
        matrix_rate=0.01,
        other_rate=2e-3,
    ),
    # Goes on from weights that are trained already (--init), with new rows.
    "further": Preset(
        shape=Shape(width=256, layers=4, heads=8, kv_heads=8, hidden=512, rotated=8),
        minutes=38.5,
        stages=(Stage(0.0, {512: (12, 1.0)}, 3.0), Stage(0.08, MIXED, 3.0), Stage(0.5, LATE, 3.0)),
        matrix_rate=0.006,
        other_rate=1.2e-3,
    ),
    # About 60M parameters; 25 minutes of one H200-class GPU.
    "gpu": Preset(
        shape=Shape(
            width=768, layers=8, heads=12, kv_heads=12, head_width=64, rotated=16, hidden=2048, context=2048
        ),
        minutes=25,
        stages=(Stage(0.0, {512: (128, 1.0)}), Stage(0.2, {512: (128, 0.5), 1024: (64, 0.5)}, 3.0)),
        matrix_rate=0.01,
        other_rate=1.5e-3,
        weight_decay=0.05,
        checkpoint_minutes=3.0,
    ),
    # Seconds on a CPU: rehearses slices, resuming, parts and export.
    "tiny": Preset(
        shape=Shape(width=96, layers=2, heads=3, kv_heads=3, rotated=8, hidden=128),
        minutes=0.4,
        stages=(Stage(0.0, {256: (4, 1.0)}),),
        matrix_rate=0.01,
        other_rate=3e-3,
        checkpoint_minutes=0.1,
    ),
}


class Rows:
    """Batches of one row length in a fixed order; knows how far it has read."""

    def __init__(self, packed: np.ndarray, pad: int, held_out: int) -> None:
        self._packed, self._pad = packed[held_out:], pad
        self.held_out = packed[:held_out]
        self.at = 0

    def next(self, count: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets, (count, length) each; the target of padding is -1."""
        taken = self._packed[np.arange(self.at, self.at + count) % len(self._packed)]
        self.at += count
        return self.split(taken)

    def split(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Rows of ids, (n, length + 1), as inputs and targets."""
        ids = torch.from_numpy(rows.astype(np.int64))
        targets = ids[:, 1:].clone()
        targets[targets == self._pad] = -1
        return ids[:, :-1], targets


def rate(share: float) -> float:
    """Warm up, stay, decay: the learning rate at a share of the run, as a share of the full rate."""
    if share < WARM_UP:
        return max(share / WARM_UP, 0.01)
    if share < STABLE:
        return 1.0
    return LEAST_RATE + (1 - LEAST_RATE) * (1 - min(1.0, (share - STABLE) / (1 - STABLE)))


class Run:
    """One training run: model, optimisers, data and how much of its time is used."""

    def __init__(self, preset: Preset, work: Path, out: Path, device: str, compiled: bool) -> None:
        self.preset, self.out, self.device = preset, out, device
        out.mkdir(parents=True, exist_ok=True)
        tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
        self.shape = replace(preset.shape, vocabulary=tokenizer.get_vocab_size())
        torch.manual_seed(0)
        self.model = Llama(self.shape).to(device)
        named = list(self.model.named_parameters())
        matrices = [value for name, value in named if value.dim() == 2 and "embed" not in name]
        others = [value for name, value in named if value.dim() != 2 or "embed" in name]
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(
                matrices, lr=preset.matrix_rate, weight_decay=preset.weight_decay, adjust_lr_fn="original"
            ),
            torch.optim.AdamW(others, lr=preset.other_rate, betas=(0.9, 0.95), weight_decay=0.0),
        ]
        self._rates = [preset.matrix_rate, preset.other_rate]
        self._work, self._pad = work, tokenizer.token_to_id(layout.PAD)
        self._end = tokenizer.token_to_id(layout.END)
        self.rows: dict[int, Rows] = {}
        self._loss = torch.compile(self.model.loss, dynamic=False) if compiled else self.model.loss
        self.seconds = 0.0
        self.step = self.tokens = 0
        self._stopping = False
        self._kept: mimic.Kept | None = None
        self._smooth: float | None = None

    def resume(self) -> bool:
        """Goes on from the checkpoint; false where there is none."""
        path = self.out / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.seconds, self.step, self.tokens = state["seconds"], state["step"], state["tokens"]
        for length, at in state["rows"].items():
            self._rows_of(length).at = at
        print(f"resumed at step {self.step}, {self.seconds / 60:.1f} minutes", flush=True)
        return True

    def save(self) -> None:
        """Writes the checkpoint and, beside it, the weights of this moment."""
        state = {
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "seconds": self.seconds, "step": self.step, "tokens": self.tokens,
            "rows": {length: rows.at for length, rows in self.rows.items()},
        }  # fmt: skip
        partial = self.out / "checkpoint.partial"
        torch.save(state, partial)
        partial.replace(self.out / "checkpoint.pt")
        self.write_weights(self.out / f"weights-{round(self.seconds / 60):03}.safetensors")

    def write_weights(self, path: Path) -> None:
        """Writes float32 weights with the shape of the model beside them."""
        weights = {
            name: value.detach().float().cpu().contiguous() for name, value in self.model.state_dict().items()
        }
        save_file(weights, path, metadata={"shape": json.dumps(asdict(self.shape))})

    def begin(self, weights: Path | None) -> None:
        """Starts from the weights of another run of the same shape, or from none but for the heads that copy."""
        if weights is not None:
            self.model.load_state_dict(load_file(weights))
        elif self.preset.copying:
            shortest = min(self.preset.stages[0].lengths)
            inputs, _ = self._rows_of(shortest).split(self._rows_of(shortest).held_out[:6])
            mimic.install(self.model, inputs.to(self.device))

    def keep(self) -> None:
        """From now on the copying heads stay what they are."""
        self._kept = mimic.Kept(self.model) if self.preset.copying else None

    def stop(self, *_: object) -> None:
        """Ends the slice behind the step in progress (a handler of signals)."""
        self._stopping = True

    def train(self, slice_minutes: float) -> bool:
        """Trains until the slice or the run is over; true when the run is."""
        total, until = self.preset.minutes * 60, self.seconds + slice_minutes * 60
        saved = self.seconds
        while self.seconds < min(total, until) and not self._stopping:
            started = time.monotonic()
            loss = self._one_step(self.seconds / total)
            self.seconds += time.monotonic() - started
            self._smooth = loss if self._smooth is None else 0.97 * self._smooth + 0.03 * loss
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss} at step {self.step}; lower the rates of the preset"
                )
            if self.step % 20 == 0:
                speed = self.tokens / self.seconds
                print(
                    f"step {self.step} {self.seconds / 60:.1f} min loss {self._smooth:.3f} "
                    f"{self.tokens / 1e6:.2f}M tokens {speed:.0f} tokens/s rate {rate(self.seconds / total):.3f}",
                    flush=True,
                )
            if self.seconds - saved > self.preset.checkpoint_minutes * 60:
                self.save()
                print(f"checkpoint at {self.seconds / 60:.1f} min: {self.held_out_losses()}", flush=True)
                saved = self.seconds
        self.save()
        print(f"stopped at {self.seconds / 60:.1f} min: {self.held_out_losses()}", flush=True)
        return self.seconds >= total

    def _one_step(self, share: float) -> float:
        stage = [stage for stage in self.preset.stages if stage.start <= share][-1]
        lengths = stage.lengths
        # Weighted round robin by what was read so far, so that a resumed run reads the same rows.
        # Drawn by the share of tokens; seeded by the step, so that a run that was stopped goes on alike.
        drawn = {each: weight / (rows * each) for each, (rows, weight) in lengths.items()}
        length = random.Random(self.step).choices(list(drawn), list(drawn.values()))[0]
        inputs, targets = self._rows_of(length).next(lengths[length][0])
        for optimiser, full in zip(self.optimisers, self._rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = full * rate(share)
        with self._autocast():
            weights = torch.ones(self.shape.vocabulary, device=self.device)
            weights[self._end] = stage.end_weight
            loss = self._loss(inputs.to(self.device), targets.to(self.device), weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        if self._kept:
            self._kept.restore()
        self.step += 1
        self.tokens += inputs.numel()
        return float(loss.detach())

    def _rows_of(self, length: int) -> Rows:
        """Rows of one length, read when they are first needed."""
        if length not in self.rows:
            self.rows[length] = Rows(read_rows(self._work, length), self._pad, held_out=24)
        return self.rows[length]

    def _autocast(self) -> torch.autocast:
        # On the CPU float32 products were 1.3 to 1.7 times faster than bfloat16 ones (training/starter/LOG.md).
        return torch.autocast(self.device, torch.bfloat16, enabled=self.device != "cpu")

    def held_out_losses(self) -> dict[int, float]:
        """Loss on rows that are not trained on, by row length; same packages, so it only shows progress."""
        with torch.no_grad(), self._autocast():
            found = {}
            for length, rows in self.rows.items():
                inputs, targets = rows.split(rows.held_out[: max(4, 6144 // length)])
                found[length] = round(
                    float(self.model.loss(inputs.to(self.device), targets.to(self.device))), 4
                )
        return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains one slice."""
    parser = argparse.ArgumentParser(prog="python -m training.starter.train", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(__file__).parents[1] / "work" / "starter")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="cpu")
    parser.add_argument("--out", type=Path, help="folder of this run; WORK/PRESET by default")
    parser.add_argument("--minutes", type=float, help="length of the whole run instead of the preset's")
    parser.add_argument(
        "--slice-minutes", type=float, default=math.inf, help="stop after this time, to go on later"
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="on the CPU; more than the free cores is far slower"
    )
    parser.add_argument("--init", type=Path, help="weights to begin with where there is no checkpoint yet")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument(
        "--parts", action="store_true", help="also write the final weights in parts, to OUT/parts"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    preset = PRESETS[options.preset]
    if options.minutes:
        preset = replace(preset, minutes=options.minutes)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    out = options.out or options.work / options.preset
    run = Run(preset, options.work, out, device, not options.no_compile)
    parameters = sum(value.numel() for value in run.model.parameters())
    print(f"{parameters / 1e6:.2f}M parameters on {device}, {asdict(run.shape)}", flush=True)
    if not run.resume():
        run.begin(options.init)
    run.keep()
    signal.signal(signal.SIGTERM, run.stop)
    if run.train(options.slice_minutes):
        weights = out / "weights.safetensors"
        run.write_weights(weights)
        if options.parts:
            parts.split(weights, out / "parts")
        print(f"finished: {weights}")


if __name__ == "__main__":
    main()
