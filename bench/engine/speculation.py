"""What speculation from repeated text gains: tokens per second and accepted drafts, with it and without.

Two models, because small ones copy badly. The **copier** has a real Llama's cost (12 layers, 88 million weights) and
continues every sequence that its prompt holds, so drafts are always right: the most that can be gained. The **starter**
is led by a grammar through real edits (a function of this repository with one name changed throughout and a line added),
so the share of accepted drafts is that of real code; its speed says little, as it is small. "novel" is an answer that the
prompt does not hold: the price of looking. Rounds alternate, figures are medians.

    python -m bench.engine.speculation [--work FOLDER] [--rounds 3] [--tasks 6]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import msgspec
import numpy as np

from codeweft.models.loaded import LoadedFile
from codeweft.models.plan import EngineOptions, EnginePlan, generation_parameters
from codeweft.models.starter import bundled

WIDTH, LAYERS, HEADS, KV_HEADS, FEED_FORWARD, VOCABULARY = 768, 12, 12, 4, 2048, 8192
TOKENS = 128
SOURCE = Path(__file__).parents[2] / "src" / "codeweft"


@dataclass(frozen=True)
class Task:
    """A prompt as token ids or text, and a grammar that leads the answer (empty: none)."""

    prompt: Sequence[int] | str
    tokens: int
    grammar: str = ""


class Answer(msgspec.Struct):
    timings: dict[str, float]


def write_copier(path: Path) -> Path:
    """A Llama whose next token is always the last one plus one, at the full cost of its layers."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("copier")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([f"t{number}" for number in range(VOCABULARY)])
    writer.add_token_types([gguf.TokenType.NORMAL] * VOCABULARY)
    writer.add_token_merges(["t 0"])
    writer.add_eos_token_id(0)
    writer.add_vocab_size(VOCABULARY)
    writer.add_context_length(4096)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    random = np.random.default_rng(0)
    head = WIDTH // HEADS
    embedding = random.standard_normal((VOCABULARY, WIDTH), dtype=np.float32)

    def add(name: str, values: np.ndarray) -> None:
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    def noise(rows: int, columns: int) -> np.ndarray:
        return random.standard_normal((rows, columns), dtype=np.float32) * 0.02

    add("token_embd.weight", embedding)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}{name}.weight", np.ones(WIDTH, np.float32))
        add(block + "attn_q.weight", noise(HEADS * head, WIDTH))
        add(block + "attn_k.weight", noise(KV_HEADS * head, WIDTH))
        add(block + "attn_v.weight", noise(KV_HEADS * head, WIDTH))
        # Nothing is added to the stream, so that it stays the token's own embedding.
        add(block + "attn_output.weight", np.zeros((WIDTH, HEADS * head), np.float32))
        add(block + "ffn_gate.weight", noise(FEED_FORWARD, WIDTH))
        add(block + "ffn_up.weight", noise(FEED_FORWARD, WIDTH))
        add(block + "ffn_down.weight", np.zeros((WIDTH, FEED_FORWARD), np.float32))
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    add("output.weight", np.roll(embedding, 1, 0))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def copier_tasks() -> dict[str, list[Task]]:
    file = range(3000, 3600)
    return {
        "copy": [Task([*file, 9, 9, 9, *file[:20]], TOKENS)],
        "novel": [Task(list(file[:20]), TOKENS)],
    }


def edit_tasks(count: int) -> dict[str, list[Task]]:
    """Functions of this repository, and the same with their most frequent name changed and a line more."""
    edits, novel = [], []
    for path in sorted(SOURCE.rglob("*.py")):
        for found in re.finditer(r"^def .*\n(?:[ ]{4}.*\n|\n)+", path.read_text(), re.MULTILINE):
            code = found[0].rstrip() + "\n"
            if not 500 <= len(code) <= 900:
                continue
            names = Counter(re.findall(r"\b[a-z_]{4,}\b", code)).most_common(1)
            changed = re.sub(rf"\b{names[0][0]}\b", f"new_{names[0][0]}", code)
            first, rest = changed.split("\n", 1)
            changed = f"{first}\n    check_limits()\n{rest}"
            grammar = f"root ::= {json.dumps(changed)}"
            edits.append(Task(f"# before\n{code}\n# after\n", 400, grammar))
            novel.append(Task("# a function\n", 400, grammar))
            break
        if len(edits) == count:
            break
    return {"edit": edits, "novel": novel}


async def answered(file: LoadedFile, task: Task, stop: int) -> dict[str, float]:
    body: dict[str, Any] = {"prompt": task.prompt, "n_predict": task.tokens, "temperature": 0.0}
    body |= {"grammar": task.grammar} if task.grammar else {"logit_bias": [[stop, -1e3]]}
    return msgspec.json.decode(await file.ask("/completion", body), type=Answer).timings


def unspeculative(header: Any, options: EngineOptions, sized: EnginePlan) -> dict[str, Any]:
    return generation_parameters(header, options, replace(sized, speculation=0))


async def compare(name: str, path: Path, tasks: dict[str, list[Task]], rounds: int) -> None:
    options = EngineOptions(parallel=4, threads=1, context=4096)
    files = {
        "without": LoadedFile(name, path, options, unspeculative),
        "with": LoadedFile(name, path, options, generation_parameters),
    }
    for file in files.values():
        await file.engine.ready()
    try:
        for kind, asked in tasks.items():
            seen: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
            for _ in range(rounds):
                for task in asked:
                    for arm, file in files.items():
                        seen[arm].append(await answered(file, task, 0))
            gains = [
                one["predicted_per_second"] / other["predicted_per_second"]
                for one, other in zip(seen["with"], seen["without"], strict=True)
            ]
            drafted = sum(one.get("draft_n", 0) for one in seen["with"])
            accepted = sum(one.get("draft_n_accepted", 0) for one in seen["with"])
            written = sum(one["predicted_n"] for one in seen["with"])
            plain = statistics.median(one["predicted_per_second"] for one in seen["without"])
            print(
                f"{name:8} {kind:6} tokens/s {plain:6.0f} without, {plain * statistics.median(gains):6.0f} with "
                f"(gain {statistics.median(gains):.2f}); drafts {drafted:.0f}, accepted {accepted / max(1, drafted):.0%}; "
                f"{written / max(1, written - accepted):.2f} tokens a step",
                flush=True,
            )
    finally:
        for file in files.values():
            await file.engine.close()


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, help="keeps the copier's file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=6)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="codeweft-bench-") as scratch:
        path = (arguments.work or Path(scratch)) / "copier.gguf"
        if not path.exists():
            write_copier(path)
        await compare("copier", path, copier_tasks(), arguments.rounds)
    await compare("starter", bundled(), edit_tasks(arguments.tasks), arguments.rounds)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    asyncio.run(main())
