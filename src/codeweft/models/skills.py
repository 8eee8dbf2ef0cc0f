"""Model families: which tokens they were trained to fill holes with, and what each flavour and size can do.

A layout is a tuple of parts. Parts with `{prefix}`, `{suffix}`, `{path}`, `{text}` or `{name}` take plain text, which is
tokenised without special tokens; every other part is special-token text. `{head}` and `{line}` are the prefix up to the
line of the cursor, and what stands on that line before it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from codeweft.errors import InvalidRequest, MissingSkill
from codeweft.types import Infill, Neighbour, PromptPiece, Request, Sampling, Skill, Skills, replace

Layout = tuple[str, ...]
FILL: Final = "<FILL>"
Piece = PromptPiece
_FIELD: Final = re.compile(r"\{(\w+)\}")
_REPOSITORY_NAME: Final = "repository"
_HASH_COMMENTS: Final = frozenset(
    (".py", ".rb", ".sh", ".bash", ".yaml", ".yml", ".toml", ".r", ".pl", ".ex", ".exs", ".jl")
)


@dataclass(frozen=True, slots=True)
class RepositoryLayout:
    """How other files come before the hole: once `opening`, then `file` for each, then `here`."""

    opening: Layout
    file: Layout
    here: Layout


@dataclass(frozen=True, slots=True)
class SkillRule:
    """Names that match `pattern` (case ignored) have these skills."""

    pattern: str
    skills: Skills


@dataclass(frozen=True, slots=True)
class Family:
    """Models trained alike. `prefix_first` and `suffix_first` are the infilling orders they know."""

    name: str
    title: str
    pattern: str
    rules: tuple[SkillRule, ...]
    prefix_first: Layout | None = None
    suffix_first: Layout | None = None
    trained_suffix_first: bool = False
    stop: tuple[str, ...] = ()
    repository: RepositoryLayout | None = None
    chat_template: str = ""
    """Used when a model's file carries none."""

    @property
    def can_infill(self) -> bool:
        return self.prefix_first is not None or self.suffix_first is not None

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """The tokens that a vocabulary must hold for this family's infilling."""
        layout = self.prefix_first or self.suffix_first or ()
        return tuple(part.strip() for part in layout if not _FIELD.search(part))

    def skills_of(self, name: str) -> Skills:
        """What the model of this family with this name can do (flavour and size are read from the name)."""
        for rule in self.rules:
            if re.search(rule.pattern, name, re.IGNORECASE):
                return rule.skills
        return frozenset()

    def fim_prompt(self, infill: Infill) -> list[Piece]:
        """The infilling prompt. The answer continues it with the text of the hole. Raises `MissingSkill`."""
        layout = self._order(infill)
        cursor_line = infill.prefix.rfind("\n") + 1
        head, line = infill.prefix[:cursor_line], infill.prefix[cursor_line:]
        fields = {"prefix": infill.prefix, "suffix": infill.suffix, "head": head, "line": line}
        return [*self._neighbours(infill.neighbours), *_lay_out(layout, fields)]

    def defused(self, text: str) -> str:
        """`text` with this family's special tokens broken by a zero-width space, for endpoints that parse them."""
        tokens = {token.strip() for token in (*self.special_tokens, *self.stop)}
        for token in tokens:
            text = text.replace(token, token[0] + "\u200b" + token[1:])
        return text

    def harmless(self, infill: Infill) -> Infill:
        """`infill` with this family's special tokens broken up in all that people wrote."""
        return replace(
            infill,
            prefix=self.defused(infill.prefix),
            suffix=self.defused(infill.suffix),
            neighbours=tuple(Neighbour(one.path, self.defused(one.text)) for one in infill.neighbours),
        )

    def _order(self, infill: Infill) -> Layout:
        suffix_first = self.trained_suffix_first if infill.suffix_first is None else infill.suffix_first
        first, second = self.prefix_first, self.suffix_first
        layout = (second or first) if suffix_first else (first or second)
        if layout is None:
            raise MissingSkill(
                f"{self.title} models have no tokens to fill in the middle with.",
                fix="Use a model with the skill `infilling`, such as Qwen2.5-Coder or StarCoder2.",
            )
        return layout

    def _neighbours(self, neighbours: tuple[Neighbour, ...]) -> list[Piece]:
        if not neighbours:
            return []
        if self.repository is None:
            return [Piece(commented(neighbours))]
        pieces = _lay_out(self.repository.opening, {"name": _REPOSITORY_NAME})
        for item in neighbours:
            pieces += _lay_out(self.repository.file, {"path": item.path, "text": item.text})
        return pieces + _lay_out(self.repository.here, {})


def commented(neighbours: Iterable[Neighbour]) -> str:
    """Other files before the code at hand, for what knows no tokens for them: each under a comment with its path."""
    return "".join(f"{_comment(one.path)} {one.path}\n{one.text.rstrip()}\n\n" for one in neighbours)


def _comment(path: str) -> str:
    return "#" if PurePosixPath(path).suffix.lower() in _HASH_COMMENTS else "//"


def _lay_out(layout: Layout, fields: dict[str, str]) -> list[Piece]:
    pieces = []
    for part in layout:
        if _FIELD.search(part):
            text = _FIELD.sub(lambda match: fields[match[1]], part)
            pieces.append(Piece(text))
        else:
            pieces.append(Piece(part, special=True))
    return [piece for piece in pieces if piece.text]


def _skills(*names: Skill) -> Skills:
    return frozenset(names)


_COMPLETE: Final = _skills("completion")
_FILL: Final = _skills("completion", "infilling")
_CHAT: Final = _skills("completion", "chat")
_CHAT_TOOLS: Final = _skills("completion", "chat", "tools")
_ALL: Final = _skills("completion", "infilling", "chat")
_ALL_TOOLS: Final = _skills("completion", "infilling", "chat", "tools")
_INSTRUCT: Final = r"instruct|chat|[-_. ]it\b|assistant"

_QWEN_FIM: Final[Layout] = ("<|fim_prefix|>", "{prefix}", "<|fim_suffix|>", "{suffix}", "<|fim_middle|>")
_QWEN_SPM: Final[Layout] = ("<|fim_prefix|>", "<|fim_suffix|>", "{suffix}", "<|fim_middle|>", "{prefix}")
_QWEN_STOP: Final = (
    "<|endoftext|>",
    "<|im_end|>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
)
_QWEN_REPOSITORY: Final = RepositoryLayout(
    opening=("<|repo_name|>", "{name}\n"),
    file=("<|file_sep|>", "{path}\n{text}\n"),
    here=("<|file_sep|>",),
)
_STARCODER_FIM: Final[Layout] = ("<fim_prefix>", "{prefix}", "<fim_suffix>", "{suffix}", "<fim_middle>")
_STARCODER_SPM: Final[Layout] = ("<fim_prefix>", "<fim_suffix>", "{suffix}", "<fim_middle>", "{prefix}")

FAMILIES: Final = (
    Family(
        name="starter",
        title="Codeweft starter",
        pattern=r"codeweft[-_ ]?starter|^starter$",
        rules=(SkillRule("", _ALL),),
        prefix_first=_QWEN_FIM,
        # The answer directly continues the line, and the mark before it says that the end is near (training/README.md).
        suffix_first=("<|fim_suffix|>", "{suffix}", "<|fim_prefix|>", "{head}", "<|fim_middle|>", "{line}"),
        trained_suffix_first=True,
        stop=_QWEN_STOP,
    ),
    Family(
        name="code-llama",
        title="Code Llama",
        pattern=r"code[-_ ]?llama",
        # The documented table: only 7B and 13B fill in, and never the Python specialists.
        rules=(
            SkillRule(r"python", _skills("completion", "python")),
            SkillRule(r"\b(7|13)b.*instruct|instruct.*\b(7|13)b", _ALL),
            SkillRule(r"instruct", _CHAT),
            SkillRule(r"\b(7|13)b", _FILL),
            SkillRule(r"", _COMPLETE),
        ),
        prefix_first=("<PRE>", " {prefix}", " <SUF>", "{suffix}", " <MID>"),
        suffix_first=("<PRE>", " <SUF>", "{suffix}", " <MID>", " {prefix}"),
        stop=("<EOT>",),
        chat_template=(
            "{% set ns = namespace(system='') %}{% for m in messages %}"
            "{% if m.role == 'system' %}{% set ns.system = '<<SYS>>\\n' + m.content + '\\n<</SYS>>\\n\\n' %}"
            "{% elif m.role == 'user' %}{{ bos_token }}[INST] {{ ns.system }}{{ m.content }} [/INST]"
            "{% set ns.system = '' %}"
            "{% else %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}"
        ),
    ),
    Family(
        name="starcoder2",
        title="StarCoder2",
        pattern=r"star[-_ ]?coder[-_ ]?2",
        rules=(SkillRule(_INSTRUCT, _CHAT), SkillRule("", _FILL)),
        prefix_first=_STARCODER_FIM,
        suffix_first=_STARCODER_SPM,
        stop=("<|endoftext|>", "<file_sep>", "<repo_name>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
        repository=RepositoryLayout(
            opening=("<repo_name>", "{name}"), file=("<file_sep>", "{path}\n{text}\n"), here=("<file_sep>",)
        ),
    ),
    Family(
        name="starcoder",
        title="StarCoder",
        pattern=r"star[-_ ]?coder|santa[-_ ]?coder|star[-_ ]?chat",
        rules=(SkillRule(r"chat|instruct", _CHAT), SkillRule("", _FILL)),
        prefix_first=_STARCODER_FIM,
        suffix_first=_STARCODER_SPM,
        stop=("<|endoftext|>", "<filename>", "<reponame>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
        repository=RepositoryLayout(
            opening=("<reponame>", "{name}"), file=("<filename>", "{path}\n{text}\n"), here=()
        ),
    ),
    Family(
        name="deepseek-coder",
        title="DeepSeek-Coder",
        pattern=r"deep[-_ ]?seek[-_ ]?coder",
        rules=(SkillRule(_INSTRUCT, _ALL), SkillRule("", _FILL)),
        prefix_first=("<｜fim▁begin｜>", "{prefix}", "<｜fim▁hole｜>", "{suffix}", "<｜fim▁end｜>"),
        stop=("<｜end▁of▁sentence｜>", "<|EOT|>", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    ),
    Family(
        name="qwen2.5-coder",
        title="Qwen2.5-Coder",
        pattern=r"qwen[-_ ]?2\.?5?[-_ ]?coder|code[-_ ]?qwen",
        rules=(SkillRule(_INSTRUCT, _ALL_TOOLS), SkillRule("", _FILL)),
        prefix_first=_QWEN_FIM,
        suffix_first=_QWEN_SPM,
        stop=_QWEN_STOP,
        repository=_QWEN_REPOSITORY,
    ),
    Family(
        name="qwen3-coder",
        title="Qwen3-Coder",
        pattern=r"qwen[-_ ]?3[-_ ]?coder",
        # Released as instruct models only, whether the name says so or not.
        rules=(SkillRule("", _ALL_TOOLS),),
        prefix_first=_QWEN_FIM,
        suffix_first=_QWEN_SPM,
        stop=_QWEN_STOP,
        repository=_QWEN_REPOSITORY,
    ),
    Family(
        name="codegemma",
        title="CodeGemma",
        pattern=r"code[-_ ]?gemma",
        rules=(SkillRule(_INSTRUCT, _CHAT), SkillRule("", _FILL)),
        prefix_first=_QWEN_FIM,
        suffix_first=_QWEN_SPM,
        stop=("<|file_separator|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<eos>"),
        repository=RepositoryLayout(opening=(), file=("{path}\n{text}\n", "<|file_separator|>"), here=()),
    ),
    Family(
        name="codestral",
        title="Codestral",
        pattern=r"codestral",
        rules=(SkillRule(r"mamba", _CHAT), SkillRule("", _ALL_TOOLS)),
        suffix_first=("[SUFFIX]", "{suffix}", "[PREFIX]", "{prefix}"),
        trained_suffix_first=True,
        stop=("</s>", "[PREFIX]", "[SUFFIX]"),
        repository=RepositoryLayout(opening=(), file=("+++++ {path}\n{text}\n",), here=()),
    ),
    Family(
        name="mistral",
        title="Mistral",
        pattern=r"mistral|mixtral|devstral|ministral|magistral",
        rules=(SkillRule(_INSTRUCT + r"|devstral|magistral", _CHAT_TOOLS), SkillRule("", _COMPLETE)),
    ),
    Family(
        name="granite-code",
        title="Granite Code",
        pattern=r"granite.*code",
        rules=(SkillRule(_INSTRUCT, _ALL), SkillRule("", _FILL)),
        prefix_first=_STARCODER_FIM,
        suffix_first=_STARCODER_SPM,
        stop=("<|endoftext|>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<filename>", "<reponame>"),
    ),
    Family(
        name="granite",
        title="Granite",
        pattern=r"granite",
        rules=(SkillRule(_INSTRUCT + r"|granite[-_. ]?[34]", _ALL_TOOLS), SkillRule("", _FILL)),
        prefix_first=_QWEN_FIM,
        stop=("<|end_of_text|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>"),
    ),
    Family(
        name="smollm",
        title="SmolLM",
        pattern=r"smol[-_ ]?lm",
        rules=(
            SkillRule(_INSTRUCT, _CHAT),
            SkillRule(r"smol[-_ ]?lm[-_ ]?3", _CHAT_TOOLS),
            SkillRule("", _COMPLETE),
        ),
    ),
    Family(
        name="qwen-style",
        title="Models with Qwen's infilling tokens",
        pattern=r"(?!)",
        rules=(SkillRule(_INSTRUCT, _ALL), SkillRule("", _FILL)),
        prefix_first=_QWEN_FIM,
        suffix_first=_QWEN_SPM,
        stop=_QWEN_STOP,
        repository=_QWEN_REPOSITORY,
    ),
    Family(
        name="starcoder-style",
        title="Models with StarCoder's infilling tokens",
        pattern=r"(?!)",
        rules=(SkillRule(_INSTRUCT, _ALL), SkillRule("", _FILL)),
        prefix_first=_STARCODER_FIM,
        suffix_first=_STARCODER_SPM,
        stop=("<|endoftext|>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ),
    Family(
        name="generic",
        title="Other",
        pattern="",
        rules=(SkillRule(_INSTRUCT, _CHAT), SkillRule("", _COMPLETE)),
    ),
)
_BY_NAME: Final = {item.name: item for item in FAMILIES}
_GENERIC: Final = _BY_NAME["generic"]
_STYLES: Final = tuple(item for item in FAMILIES if item.name.endswith("-style"))

DEFAULTS: Final[dict[Skill, Sampling]] = {
    "infilling": Sampling(temperature=0.0, top_p=0.9, max_tokens=256),
    "completion": Sampling(temperature=0.2, top_p=0.9),
    "python": Sampling(temperature=0.2, top_p=0.9),
    "chat": Sampling(temperature=0.2, top_p=0.95),
}
"""What Code Llama documents for its capabilities; 256 tokens are more than an editor's hole ever needs."""


def family(name: str, vocabulary: Container[str] | None = None) -> Family:
    """The family of a model by its name, or by the infilling tokens that its vocabulary holds.

    A family's own name (`qwen2.5-coder`) finds it directly. When the vocabulary is known and lacks the family's
    tokens, the family keeps its name and skills but cannot fill in.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    found = next(item for item in FAMILIES if re.search(item.pattern, name, re.IGNORECASE))
    if vocabulary is None:
        return found
    if found is _GENERIC:
        return next((item for item in _STYLES if _holds(vocabulary, item)), _GENERIC)
    if found.can_infill and not _holds(vocabulary, found):
        return _without_infilling(found)
    return found


def named_family(name: str) -> Family:
    """The family called exactly `name`. Raises `InvalidRequest` listing the names there are."""
    if name not in _BY_NAME:
        raise InvalidRequest(f"There is no model family {name!r}.", fix=f"Use one of: {', '.join(_BY_NAME)}.")
    return _BY_NAME[name]


def _holds(vocabulary: Container[str], item: Family) -> bool:
    return all(token in vocabulary or "▁" + token in vocabulary for token in item.special_tokens)


def _without_infilling(item: Family) -> Family:
    rules = tuple(replace(rule, skills=rule.skills - {"infilling"}) for rule in item.rules)
    return replace(item, prefix_first=None, suffix_first=None, rules=rules)


def split_fill(text: str) -> Infill:
    """Cut `text` at its one `<FILL>`. Raises `InvalidRequest` when there is none or more than one."""
    count = text.count(FILL)
    if count != 1:
        raise InvalidRequest(
            f"The prompt holds {FILL} {count} times.",
            fix=f"Mark the one place to fill with {FILL}.",
            param="prompt",
        )
    prefix, suffix = text.split(FILL)
    return Infill(prefix=prefix, suffix=suffix)


def with_defaults(sampling: Sampling, skill: Skill) -> Sampling:
    """`sampling` with the skill's own values where nothing was said. Temperature 0 stays 0."""
    default = DEFAULTS.get(skill, DEFAULTS["chat"])
    return replace(
        sampling,
        temperature=default.temperature if sampling.temperature is None else sampling.temperature,
        top_p=default.top_p if sampling.top_p is None else sampling.top_p,
        max_tokens=default.max_tokens if sampling.max_tokens is None else sampling.max_tokens,
    )


def require(request_skill: Skill, skills: Skills, model: str) -> None:
    """Raise `MissingSkill` with a sentence when a model cannot do what is asked."""
    if request_skill in skills:
        return
    able = ", ".join(sorted(skills)) or "nothing"
    raise MissingSkill(
        f"The model {model} cannot do {request_skill}; it can do {able}.",
        fix=f"Choose a model with the skill `{request_skill}` (`codeweft models` lists them).",
        param="model",
    )


def refuse_forwarded(request: Request, model: str) -> None:
    """Raise `InvalidRequest` for the first field that only endpoints of OpenAI's protocol know."""
    for name in request.forwarded:
        raise InvalidRequest(f"The model {model} does not take `{name}`.", fix="Leave it out.", param=name)


def not_unicode(error: UnicodeEncodeError) -> InvalidRequest:
    """The error for text that cannot be sent to any model."""
    return InvalidRequest(
        f"The text holds half of a character (a lone surrogate) at position {error.start}.",
        fix="Send valid Unicode; the character was probably cut in two.",
    )


def text_of(pieces: list[Piece]) -> str:
    """The prompt as one string, for endpoints that take only text."""
    return "".join(piece.text for piece in pieces)
