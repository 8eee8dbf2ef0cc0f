"""Writes the trained weights as a GGUF file that llama.cpp loads, and checks that both say the same.

python -m training.starter.export --weights RUN/weights.safetensors --work WORK --out starter.gguf
python -m training.starter.export --weights RUN/weights.safetensors --work WORK --out starter.gguf --check
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType, LlamaFileType
from safetensors import safe_open

from training.starter import layout
from training.starter.quantise import quantise

TYPES = {
    "F32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "F16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "BF16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "Q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "Q6_K": (GGMLQuantizationType.Q6_K, LlamaFileType.MOSTLY_Q6_K),
    "Q5_K": (GGMLQuantizationType.Q5_K, LlamaFileType.MOSTLY_Q5_K_S),
    "Q4_K": (GGMLQuantizationType.Q4_K, LlamaFileType.MOSTLY_Q4_K_S),
}
REPETITION_PENALTY = 1.15
"""Of twenty plain wishes, the code parsed of 6 (at 1.1), 7 (1.15), 4 (1.2), 7 (1.25) and 2 (1.3): little but noise."""
STILL = 1e12
"""Divides an angle so far down that no context turns the pair."""
DESCRIPTION = "Codeweft's starter model: very small, for trying things without a network."
LICENCE = "apache-2.0"

_FIM_KEYS = {
    layout.PREFIX: "fim_pre",
    layout.SUFFIX: "fim_suf",
    layout.MIDDLE: "fim_mid",
    layout.PAD: "fim_pad",
    "<|repo_name|>": "fim_rep",
    "<|file_sep|>": "fim_sep",
}
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def export(weights: Path, tokenizer: Path, out: Path, kind: str = "Q8_0") -> None:
    """Writes a GGUF file of architecture ``llama``; ``kind`` is one of ``TYPES``."""
    quantised, file_type = TYPES[kind]
    with safe_open(weights, "np") as stored:
        shape = json.loads(stored.metadata()["shape"])
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118, not a dictionary
    writer = gguf.GGUFWriter(str(out), "llama")
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name("codeweft-starter")
    writer.add_description(DESCRIPTION)
    writer.add_license(LICENCE)
    writer.add_languages(["en"])
    writer.add_tags(["text-generation", "code", "fill-in-the-middle"])
    # What llama.cpp samples with when a request says nothing: a model this small repeats itself without a penalty.
    writer.add_sampling_temp(0.2)
    writer.add_sampling_penalty_repeat(REPETITION_PENALTY)
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(shape["vocabulary"])
    writer.add_context_length(shape["context"])
    writer.add_embedding_length(shape["width"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["hidden"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_layer_norm_rms_eps(shape["epsilon"])
    writer.add_rope_freq_base(shape["rope_theta"])
    writer.add_rope_dimension_count(shape["head_width"])
    writer.add_key_length(shape["head_width"])
    writer.add_value_length(shape["head_width"])
    _add_tokenizer(writer, tokenizer)
    heads = {"self_attn.q_proj": shape["heads"], "self_attn.k_proj": shape["kv_heads"]}

    def put(name: str, value: np.ndarray) -> None:
        value = np.ascontiguousarray(value, dtype=np.float32)
        if value.ndim == 1 or quantised == GGMLQuantizationType.F32:
            writer.add_tensor(name, value)
        elif quantised == GGMLQuantizationType.F16:
            writer.add_tensor(name, value.astype(np.float16))
        elif quantised == GGMLQuantizationType.BF16:
            writer.add_tensor(name, gguf.quants.quantize(value, quantised), raw_dtype=quantised)
        else:
            writer.add_tensor(name, quantise(value, quantised), raw_dtype=quantised)

    # Without output.weight llama.cpp ties the head to the embedding, as this model does.
    put("token_embd.weight", tensors["model.embed_tokens.weight"])
    put("output_norm.weight", tensors["model.norm.weight"])
    put("rope_freqs.weight", rotation(shape["head_width"] // 2, shape["rotated"]))
    for layer in range(shape["layers"]):
        for ours, theirs in LAYER_NAMES.items():
            for part in ("weight", "bias"):
                value = tensors.get(f"model.layers.{layer}.{ours}.{part}")
                if value is not None:
                    value = interleave(value, heads[ours]) if ours in heads else value
                    put(f"blk.{layer}.{theirs}.{part}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def rotation(pairs: int, rotated: int) -> np.ndarray:
    """What llama.cpp divides the angle of each pair by, (pairs,): nothing, or so much that the pair stands still."""
    return np.where(np.arange(pairs) < rotated, 1.0, STILL).astype(np.float32)


def interleave(value: np.ndarray, heads: int) -> np.ndarray:
    """Reorders rotate-half rows, (heads * width, ...), into the interleaved rows of llama.cpp's ``llama``."""
    halves = value.reshape(heads, 2, value.shape[0] // heads // 2, -1)
    return halves.swapaxes(1, 2).reshape(value.shape)


def _add_tokenizer(writer: gguf.GGUFWriter, path: Path) -> None:
    stored = json.loads(path.read_text("utf-8"))
    ids: dict[str, int] = dict(stored["model"]["vocab"])
    special = {each["content"]: each["id"] for each in stored["added_tokens"]}
    ids |= special
    tokens = sorted(ids, key=lambda token: ids[token])
    kinds = [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(
        [each if isinstance(each, str) else " ".join(each) for each in stored["model"]["merges"]]
    )
    writer.add_eos_token_id(ids[layout.TURN_END])
    writer.add_eot_token_id(ids[layout.TURN_END])
    writer.add_pad_token_id(ids[layout.END])
    writer.add_add_bos_token(False)
    for token, key in _FIM_KEYS.items():
        writer.add_uint32(f"tokenizer.ggml.{key}_token_id", ids[token])
    writer.add_chat_template(layout.CHAT_TEMPLATE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Exports, and with ``--check`` compares with PyTorch."""
    parser = argparse.ArgumentParser(prog="python -m training.starter.export", description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument(
        "--work", type=Path, required=True, help="folder with tokenizer.json and heldout.jsonl"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kind", choices=sorted(TYPES), default="Q8_0")
    parser.add_argument("--check", action="store_true", help="compare tokens and greedy texts with PyTorch")
    options = parser.parse_args(arguments)
    tokenizer = options.work / "tokenizer.json"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    export(options.weights, tokenizer, options.out, options.kind)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")
    if options.check:
        from training.starter.parity import compare

        for kind in ("F32", "F16", options.kind):
            file = options.out if kind == options.kind else options.out.with_suffix(f".{kind.lower()}.gguf")
            export(options.weights, tokenizer, file, kind)
            print(f"{kind}: {compare(options.weights, options.work, file)}")


if __name__ == "__main__":
    main()
