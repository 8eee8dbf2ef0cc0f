"""What every family's infilling prompt looks like, letter by letter, and what models can do."""

from __future__ import annotations

import pytest

from codeweft.errors import InvalidRequest, MissingSkill
from codeweft.models.skills import (
    FAMILIES,
    Piece,
    family,
    named_family,
    require,
    split_fill,
    text_of,
    with_defaults,
)
from codeweft.types import Infill, Neighbour, Sampling

HOLE = Infill("a = 1\n", "\nb = 2")

PREFIX_FIRST = {
    "code-llama": "<PRE> a = 1\n <SUF>\nb = 2 <MID>",
    "starcoder2": "<fim_prefix>a = 1\n<fim_suffix>\nb = 2<fim_middle>",
    "starcoder": "<fim_prefix>a = 1\n<fim_suffix>\nb = 2<fim_middle>",
    "deepseek-coder": "<｜fim▁begin｜>a = 1\n<｜fim▁hole｜>\nb = 2<｜fim▁end｜>",
    "qwen2.5-coder": "<|fim_prefix|>a = 1\n<|fim_suffix|>\nb = 2<|fim_middle|>",
    "qwen3-coder": "<|fim_prefix|>a = 1\n<|fim_suffix|>\nb = 2<|fim_middle|>",
    "codegemma": "<|fim_prefix|>a = 1\n<|fim_suffix|>\nb = 2<|fim_middle|>",
    "granite-code": "<fim_prefix>a = 1\n<fim_suffix>\nb = 2<fim_middle>",
    "granite": "<|fim_prefix|>a = 1\n<|fim_suffix|>\nb = 2<|fim_middle|>",
    "codestral": "[SUFFIX]\nb = 2[PREFIX]a = 1\n",
    "starter": "<|fim_suffix|>\nb = 2<|fim_prefix|>a = 1\n<|fim_middle|>",
    "qwen-style": "<|fim_prefix|>a = 1\n<|fim_suffix|>\nb = 2<|fim_middle|>",
    "starcoder-style": "<fim_prefix>a = 1\n<fim_suffix>\nb = 2<fim_middle>",
}
SUFFIX_FIRST = {
    "code-llama": "<PRE> <SUF>\nb = 2 <MID> a = 1\n",
    "starcoder2": "<fim_prefix><fim_suffix>\nb = 2<fim_middle>a = 1\n",
    "qwen2.5-coder": "<|fim_prefix|><|fim_suffix|>\nb = 2<|fim_middle|>a = 1\n",
    "codestral": "[SUFFIX]\nb = 2[PREFIX]a = 1\n",
    # Trained in one order only: the wish cannot change it.
    "deepseek-coder": PREFIX_FIRST["deepseek-coder"],
}


def test_every_family_that_can_fill_in_has_its_prompt_written_down_here() -> None:
    assert {item.name for item in FAMILIES if item.can_infill} == set(PREFIX_FIRST)


@pytest.mark.parametrize("name", PREFIX_FIRST)
def test_the_trained_order_is_the_default(name: str) -> None:
    assert text_of(named_family(name).fim_prompt(HOLE)) == PREFIX_FIRST[name]


def test_the_starter_is_told_where_the_line_with_the_cursor_begins() -> None:
    hole = Infill("a = 1\nb = ", "\nc = 3")
    prompt = text_of(named_family("starter").fim_prompt(hole))
    assert prompt == "<|fim_suffix|>\nc = 3<|fim_prefix|>a = 1\n<|fim_middle|>b = "


@pytest.mark.parametrize("name", SUFFIX_FIRST)
def test_suffix_first_can_be_asked_for(name: str) -> None:
    hole = Infill(HOLE.prefix, HOLE.suffix, suffix_first=True)
    assert text_of(named_family(name).fim_prompt(hole)) == SUFFIX_FIRST[name]


def test_code_is_plain_and_only_the_tokens_are_special() -> None:
    hole = Infill("x<|fim_middle|>", "<PRE>")
    assert named_family("qwen2.5-coder").fim_prompt(hole) == [
        Piece("<|fim_prefix|>", special=True),
        Piece("x<|fim_middle|>"),
        Piece("<|fim_suffix|>", special=True),
        Piece("<PRE>"),
        Piece("<|fim_middle|>", special=True),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "qwen2.5-coder",
            "<|repo_name|>repository\n<|file_sep|>m.py\nM = 1\n<|file_sep|>"
            "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>",
        ),
        (
            "starcoder2",
            "<repo_name>repository<file_sep>m.py\nM = 1\n<file_sep><fim_prefix>a<fim_suffix>b<fim_middle>",
        ),
        ("starcoder", "<reponame>repository<filename>m.py\nM = 1\n<fim_prefix>a<fim_suffix>b<fim_middle>"),
        ("codestral", "+++++ m.py\nM = 1\n[SUFFIX]b[PREFIX]a"),
        ("codegemma", "m.py\nM = 1\n<|file_separator|><|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"),
        ("deepseek-coder", "# m.py\nM = 1\n\n<｜fim▁begin｜>a<｜fim▁hole｜>b<｜fim▁end｜>"),
        ("starter", "# m.py\nM = 1\n\n<|fim_suffix|>b<|fim_prefix|><|fim_middle|>a"),
    ],
)
def test_neighbours_come_in_the_layout_of_the_family(name: str, expected: str) -> None:
    hole = Infill("a", "b", neighbours=(Neighbour("m.py", "M = 1"),))
    assert text_of(named_family(name).fim_prompt(hole)) == expected


def test_a_neighbour_in_c_is_introduced_by_a_c_comment() -> None:
    hole = Infill("a", "b", neighbours=(Neighbour("m.c", "int m;"),))
    assert text_of(named_family("deepseek-coder").fim_prompt(hole)).startswith("// m.c\nint m;\n\n")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("codellama-7b.Q4_K_M", "code-llama"),
        ("TheBloke/CodeLlama-13B-Instruct-GGUF", "code-llama"),
        ("bigcode/starcoder2-15b", "starcoder2"),
        ("starcoderbase-1b", "starcoder"),
        ("deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct", "deepseek-coder"),
        ("Qwen2.5 Coder 7B Instruct", "qwen2.5-coder"),
        ("qwen2.5-coder:32b", "qwen2.5-coder"),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "qwen3-coder"),
        ("codegemma-7b-it", "codegemma"),
        ("codestral-latest", "codestral"),
        ("mistral-small-latest", "mistral"),
        ("granite-8b-code-instruct", "granite-code"),
        ("granite-3.3-8b-instruct", "granite"),
        ("SmolLM2-1.7B-Instruct", "smollm"),
        ("codeweft-starter", "starter"),
        ("starter", "starter"),
        ("gpt-4o", "generic"),
    ],
)
def test_the_family_is_known_by_the_name(model: str, expected: str) -> None:
    assert family(model).name == expected


@pytest.mark.parametrize(
    ("model", "can"),
    [
        # Code Llama's documented table of flavours and sizes.
        ("CodeLlama-7b-hf", "completion infilling"),
        ("CodeLlama-13b-hf", "completion infilling"),
        ("CodeLlama-34b-hf", "completion"),
        ("CodeLlama-70b-hf", "completion"),
        ("CodeLlama-7b-Python-hf", "completion python"),
        ("CodeLlama-13b-Python-hf", "completion python"),
        ("CodeLlama-34b-Python-hf", "completion python"),
        ("CodeLlama-70b-Python-hf", "completion python"),
        ("CodeLlama-7b-Instruct-hf", "completion infilling chat"),
        ("CodeLlama-13b-Instruct-hf", "completion infilling chat"),
        ("CodeLlama-34b-Instruct-hf", "completion chat"),
        ("CodeLlama-70b-Instruct-hf", "completion chat"),
        ("codellama:13b-code", "completion infilling"),
        ("codellama:7b-python", "completion python"),
        ("codellama:70b-instruct-q4_K_M", "completion chat"),
        ("starcoder2-7b", "completion infilling"),
        ("starcoder2-15b-instruct-v0.1", "completion chat"),
        ("Qwen2.5-Coder-1.5B", "completion infilling"),
        ("Qwen2.5-Coder-1.5B-Instruct", "completion infilling chat tools"),
        ("codegemma-2b", "completion infilling"),
        ("codegemma-7b-it", "completion chat"),
        ("SmolLM2-360M", "completion"),
    ],
)
def test_skills_follow_flavour_and_size(model: str, can: str) -> None:
    assert family(model).skills_of(model) == set(can.split())


def test_an_unknown_model_is_known_by_the_tokens_in_its_vocabulary() -> None:
    assert family("my-finetune", {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"}).name == "starcoder-style"
    assert family("my-finetune", {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"}).name == "qwen-style"
    assert family("my-finetune", {"a", "b"}).name == "generic"


def test_a_known_name_without_its_tokens_cannot_fill_in() -> None:
    pruned = family("Qwen2.5-Coder-7B", {"a", "b"})
    assert pruned.name == "qwen2.5-coder"
    assert "infilling" not in pruned.skills_of("Qwen2.5-Coder-7B")
    with pytest.raises(MissingSkill):
        pruned.fim_prompt(HOLE)


def test_code_llamas_tokens_count_with_sentencepiece_spelling() -> None:
    assert family("codellama-7b", {"▁<PRE>", "▁<SUF>", "▁<MID>"}).can_infill


def test_a_model_without_the_tokens_says_so() -> None:
    with pytest.raises(MissingSkill, match="no tokens to fill in the middle"):
        family("SmolLM2-1.7B").fim_prompt(HOLE)


def test_every_family_that_fills_in_stops_at_its_own_tokens() -> None:
    """A model that goes on to the next file or hole must not be shown doing so."""
    for item in FAMILIES:
        if item.can_infill:
            assert item.stop, item.name
        starts = {part.strip() for layout in (item.prefix_first, item.suffix_first) for part in layout or () if "{" not in part}  # fmt: skip
        if item.repository is not None and item.name != "code-llama":
            assert starts & set(item.stop), item.name


def test_fill_splits_any_text() -> None:
    assert split_fill("def f():\n    <FILL>\nf()") == Infill("def f():\n    ", "\nf()")
    assert split_fill("<FILL>") == Infill("", "")


@pytest.mark.parametrize("text", ["no mark", "<FILL> and <FILL>"])
def test_fill_wants_exactly_one_mark(text: str) -> None:
    with pytest.raises(InvalidRequest, match="<FILL>"):
        split_fill(text)


def test_infilling_is_greedy_unless_said_otherwise() -> None:
    assert with_defaults(Sampling(), "infilling").temperature == 0
    assert with_defaults(Sampling(temperature=0.7), "infilling").temperature == 0.7
    assert with_defaults(Sampling(), "chat").top_p == 0.95
    assert with_defaults(Sampling(temperature=0.0), "chat").temperature == 0


def test_a_missing_skill_is_refused_with_a_sentence() -> None:
    with pytest.raises(MissingSkill, match="llama-34b cannot do infilling; it can do completion"):
        require("infilling", frozenset({"completion"}), "llama-34b")


def test_an_unknown_family_name_lists_the_known() -> None:
    with pytest.raises(InvalidRequest, match=r"qwen2\.5-coder"):
        named_family("nonsense")
