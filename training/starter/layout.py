"""How training texts are laid out: holes to fill in, chats, and references. Pure functions, no tokens, no files.

The layouts are those that the product sends to this model: other code of the repository as comments and text, suffix
first (``fim_tokens``), and references in the user turn before the task (``with_references``).
"""

from __future__ import annotations

import ast
import json
import random
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

END, TURN, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
PREFIX, MIDDLE, SUFFIX, PAD = "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"
SPECIAL = (END, TURN, TURN_END, PREFIX, MIDDLE, SUFFIX, PAD, "<|repo_name|>", "<|file_sep|>")

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


# ---- holes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hole:
    """A text with one piece taken out; the piece is never blank."""

    prefix: str
    middle: str
    suffix: str


@dataclass(frozen=True, slots=True)
class Near:
    """Code from elsewhere in the repository that is shown in front of a hole."""

    path: str
    text: str


def commented(near: Near) -> str:
    """Code from elsewhere under a comment with its path, as the product lays it out for this model."""
    sign = "#" if near.path.endswith((".py", ".pyi")) else "//"
    return f"{sign} {near.path}\n{near.text.rstrip()}\n\n"


def fim_tokens(
    hole: Hole,
    encode: Callable[[str], list[int]],
    limit: int,
    near: Sequence[Near] = (),
    prefix_first: bool = False,
) -> list[int] | None:
    """Lays a hole out as at most ``limit`` token ids; None where the piece alone is too long.

    Suffix first, the mark of the middle comes at the start of the line with the cursor: the text goes on without a
    break where the answer begins, and yet the model sees that it is about to end. All parts are encoded apart, as they
    are when the model is asked. Of too long a text the part next to the hole is kept; the prefix gets two thirds of
    the room that ``near`` leaves.
    """
    before = [token for one in near for token in encode(commented(one))]
    middle, end = encode(hole.middle), encode(END)
    cut = hole.prefix.rfind("\n") + 1
    head, line = encode(hole.prefix[:cut]), encode(hole.prefix[cut:])
    whole, suffix = encode(hole.prefix) if prefix_first else [*head, *line], encode(hole.suffix)
    room = limit - len(before) - len(middle) - len(end) - 3
    if len(middle) > limit // 2 or room < 8 or (len(line) > room // 2 and not prefix_first):
        return None
    suffix = suffix[: max(room // 3, room - len(whole))]
    dropped = max(0, len(whole) - (room - len(suffix)))
    opening, closing, bridge = encode(PREFIX), encode(SUFFIX), encode(MIDDLE)
    if prefix_first:
        return [*before, *opening, *whole[dropped:], *closing, *suffix, *bridge, *middle, *end]
    return [*before, *closing, *suffix, *opening, *head[dropped:], *bridge, *line, *middle, *end]


def _rest_of_line(lines: Sequence[str], rng: random.Random) -> Hole | None:
    at = rng.randrange(len(lines))
    starts = [match.end() for match in re.finditer(r"\w+[ .(\[,=:]+|[(\[{=]\s*", lines[at])]
    starts = [start for start in starts if lines[at][start:].strip()]
    return _hole(lines, at, rng.choice(starts), at, len(lines[at])) if starts else None


def _line_behind_indent(lines: Sequence[str], rng: random.Random) -> Hole | None:
    at = rng.randrange(len(lines))
    return _hole(lines, at, _indent(lines[at]), at, len(lines[at]))


def _whole_line(lines: Sequence[str], rng: random.Random) -> Hole | None:
    at = rng.randrange(len(lines))
    if at + 1 >= len(lines):
        return None
    return _hole(lines, at, 0, at + 1, 0)


def _block(lines: Sequence[str], rng: random.Random) -> Hole | None:
    """Lines of one indentation or deeper, from one line on, to the end of the block or a few lines."""
    openers = [
        at
        for at in range(len(lines) - 1)
        if lines[at].rstrip().endswith((":", "{")) and lines[at + 1].strip()
    ]
    start = rng.choice(openers) + 1 if openers and rng.random() < 0.8 else rng.randrange(len(lines))
    depth = _indent(lines[start])
    stop = start
    while stop + 1 < len(lines) and stop - start < 9:
        following = lines[stop + 1]
        if following.strip() and _indent(following) < depth:
            break
        stop += 1
    while stop > start and not lines[stop].strip():
        stop -= 1
    if stop > start and rng.random() < 0.3:
        stop = rng.randrange(start, stop)
    return _hole(lines, start, depth, stop, len(lines[stop]))


def _span(lines: Sequence[str], rng: random.Random) -> Hole | None:
    at = rng.randrange(len(lines))
    words = list(re.finditer(r"\w+|[^\w\s]+", lines[at]))
    if not words:
        return None
    first = rng.randrange(len(words))
    last = min(len(words) - 1, first + rng.randrange(6))
    return _hole(lines, at, words[first].start(), at, words[last].end())


_HOLES: dict[Callable[[Sequence[str], random.Random], Hole | None], float] = {
    _rest_of_line: 0.30,
    _line_behind_indent: 0.32,
    _whole_line: 0.15,
    _block: 0.13,
    _span: 0.10,
}


def cut(text: str, rng: random.Random) -> Hole | None:
    """Cuts one hole into a text; None where no piece that is not blank was found in a few tries."""
    lines = text.split("\n")
    for _ in range(6):
        kind = rng.choices(list(_HOLES), list(_HOLES.values()))[0]
        hole = kind(lines, rng)
        if hole is not None and hole.middle.strip():
            # At the end of a file there is nothing behind the cursor.
            return Hole(hole.prefix, hole.middle, "") if rng.random() < 0.12 else hole
    return None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _hole(lines: Sequence[str], row: int, column: int, end_row: int, end_column: int) -> Hole:
    start = sum(len(line) + 1 for line in lines[:row]) + column
    stop = sum(len(line) + 1 for line in lines[:end_row]) + end_column
    text = "\n".join(lines)
    return Hole(text[:start], text[start:stop], text[stop:])


# ---- functions --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Function:
    """One documented Python function, dedented; lines count from 1."""

    path: str
    start: int
    end: int
    name: str
    arguments: str
    summary: str
    code: str
    bare: str  # the code without its docstring
    method: bool
    calls: frozenset[str] = field(default_factory=frozenset)


def functions(text: str, path: str) -> list[Function]:
    """The functions and methods of a module which have a one-sentence summary; none when it does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return []
    lines = text.split("\n")
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        docstring = ast.get_docstring(node)
        summary = summarise(docstring) if docstring else None
        if summary is None or node.name.startswith("__") or len(node.body) < 2:
            continue
        start = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        end = node.end_lineno or node.lineno
        if not 4 <= end - start + 1 <= 40:
            continue
        document = node.body[0]
        code = textwrap.dedent("\n".join(lines[start - 1 : end]))
        kept = lines[start - 1 : document.lineno - 1] + lines[document.end_lineno or document.lineno : end]
        bare = re.sub(r":\n\s*\n", ":\n", textwrap.dedent("\n".join(kept)), count=1)
        names = [argument.arg for argument in node.args.args]
        called = {
            call.func.id
            for call in ast.walk(node)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        }
        found.append(
            Function(
                path,
                start,
                end,
                node.name,
                ", ".join(names),
                summary,
                code,
                bare,
                bool(names) and names[0] in {"self", "cls"},
                frozenset(called - {node.name}),
            )
        )
    return found


_HEAD = re.compile(r"\A(?:\s*/\*.*?\*/|(?:[ \t]*(?:#(?![a-z!\[])|//)[^\n]*\n)+)", re.DOTALL)


def without_notice(text: str) -> str:
    """Drops the comment at the head of a file where it is a copyright notice."""
    head = _HEAD.match(text)
    if head is None or not re.search(r"copyright|licen[cs]e|author", head[0], re.IGNORECASE):
        return text
    return text[head.end() :].lstrip("\n")


def summarise(docstring: str) -> str | None:
    """The first sentence of a docstring as plain words; None where it is no usable sentence."""
    paragraph = " ".join(docstring.strip().split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.!?])\s", paragraph)[0].rstrip(".: ")
    plain = re.sub(r":\w+:`~?([^`]*)`|``?([^`]*)``?", lambda match: match[1] or match[2] or "", sentence)
    usable = (
        3 <= len(plain.split()) <= 28 and plain[0].isalpha() and "<|" not in plain and "TODO" not in plain
    )
    return plain if usable else None


# ---- chats ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a chat."""

    role: str
    content: str


def chat_text(turns: Sequence[Turn]) -> str:
    """Lays a chat out as the chat template does."""
    return "".join(f"{TURN}{turn.role}\n{turn.content}{TURN_END}\n" for turn in turns)


def fence(code: str, language: str = "python") -> str:
    """Code in a Markdown fence."""
    return f"```{language}\n{code}\n```"


def reference(number: int, function: Function, code: str | None = None) -> str:
    """One reference as the product lays it out."""
    return f"Reference [{number}] {function.path}:{function.start}-{function.end}\n{fence(code or function.code)}"


def with_references(references: Sequence[str], task: str) -> str:
    """A user turn with references before the task."""
    return "\n\n".join([*references, f"Task: {task}"])


_SYSTEMS = (
    "You are a code assistant.",
    "You are a helpful coding assistant. Answer with code.",
    "You write code. Answer with one code block and keep it short.",
    "You are Codeweft, a code-generation assistant. Cite references like [1] when you use them.",
)
_WISHES = (
    "Write a function that {does}.",
    "Write a Python function that {does}.",
    "Write a Python function `{name}({arguments})` that {does}.",
    "Write a function named {name} that {does}.",
    "I need a function that {does}.",
    "{summary}",
    "{summary}. Use the name `{name}`.",
    "Implement `{name}({arguments})`: {summary}.",
    "Please write `{name}`. {summary}.",
    "Write code for this: {summary}",
)
_EXPLAIN = (
    "Explain this function in one line:\n\n{code}",
    "What does this function do?\n\n{code}",
    "Describe this code in one sentence.\n\n{code}",
)
_FIND = (
    "Show me the function that {does}.",
    "Where do we {summary_lower}?",
    "How do we {summary_lower} here?",
)
_GREETINGS = (
    ("Hello", "Hello! Tell me which function you need."),
    ("hi", "Hello! Tell me which function you need."),
    (
        "Who are you?",
        "I am the starter model of Codeweft: a very small model for trying things without a network.",
    ),
    (
        "What can you do?",
        "I can complete lines and write small Python functions. Use a bigger model for real work.",
    ),
    ("Thanks!", "You are welcome."),
)


def does(summary: str) -> str:
    """Turns an imperative sentence into what follows "a function that": "Return x" becomes "returns x"."""
    verb, _, rest = summary.partition(" ")
    verb = verb.lower()
    if not verb.endswith("s"):
        if verb.endswith("y") and verb[-2:-1] not in "aeiou":
            verb = f"{verb[:-1]}ies"
        else:
            verb += "es" if verb.endswith(("sh", "ch", "x", "ss", "o")) else "s"
    return f"{verb} {rest}"


def write_chat(function: Function, rng: random.Random) -> list[Turn]:
    """A wish and the function that grants it."""
    lowered = function.summary[0].lower() + function.summary[1:]
    wish = rng.choice(_WISHES).format(
        does=does(function.summary),
        name=function.name,
        arguments=function.arguments,
        summary=function.summary,
    )
    signature = function.code.split("\n", 1)[0]
    if rng.random() < 0.15 and signature.startswith("def ") and signature.endswith(":"):
        wish = "Complete this function:\n\n" + fence(f'{signature}\n    """{function.summary}."""')
    elif rng.random() < 0.06:
        wish = f"how to {lowered} in python"
    code = function.bare if rng.random() < 0.6 else function.code
    return _framed(wish, fence(code), rng)


def explain_chat(function: Function, rng: random.Random) -> list[Turn]:
    """A function and its summary."""
    return _framed(rng.choice(_EXPLAIN).format(code=fence(function.bare)), f"{function.summary}.", rng)


def greeting_chat(rng: random.Random) -> list[Turn]:
    """Small talk, with an honest word about what this model is."""
    return _framed(*rng.choice(_GREETINGS), rng)


def find_chat(function: Function, others: Sequence[Function], rng: random.Random) -> list[Turn]:
    """References of which one is wanted: the answer names it and repeats its code."""
    shown = [function, *others]
    rng.shuffle(shown)
    number = shown.index(function) + 1
    code = {each: each.bare if rng.random() < 0.7 else each.code for each in shown}
    references = [reference(at, each, code[each]) for at, each in enumerate(shown, 1)]
    lowered = function.summary[0].lower() + function.summary[1:]
    answer = code[function]
    draw = rng.random()
    if draw < 0.4:
        wish = rng.choice(_FIND).format(does=does(function.summary), summary_lower=lowered)
        said = f"From [{number}]:"
    elif draw < 0.75:
        new = rename(function.name, rng)
        answer = re.sub(rf"\b{re.escape(function.name)}\b", new, answer)
        wish = f"Write a function named {new} that {does(function.summary)}."
        said = f"Based on [{number}]:"
    else:
        wish = f"Write a function that {does(function.summary)}."
        said = f"Based on [{number}]:"
    return _framed(with_references(references, wish), f"{said}\n\n{fence(answer)}", rng)


def call_chat(
    function: Function, called: Function, others: Sequence[Function], rng: random.Random
) -> list[Turn]:
    """References of which one is called by the function that is asked for."""
    shown = [called, *others]
    rng.shuffle(shown)
    number = shown.index(called) + 1
    references = [
        reference(at, each, each.bare if rng.random() < 0.7 else None) for at, each in enumerate(shown, 1)
    ]
    wish = f"Write a function `{function.name}({function.arguments})` that {does(function.summary)}."
    answer = f"Using `{called.name}` from [{number}]:\n\n{fence(function.bare)}"
    return _framed(with_references(references, wish), answer, rng)


_RENAMES = (
    "my_{}",
    "{}_value",
    "do_{}",
    "{}_for",
    "new_{}",
    "{}2",
    "safe_{}",
    "{}_all",
    "custom_{}",
    "{}_helper",
)


def rename(name: str, rng: random.Random) -> str:
    """Another name for a function: what an adapted copy is called."""
    return rng.choice(_RENAMES).format(name.strip("_"))


_ABSENT = (
    "None of the references shows that.",
    "I do not find this in the references.",
)
_UNKNOWN = (
    "What is the capital of {topic}?",
    "Who wrote {topic}?",
    "What happened in {topic}?",
    "What is the weather in {topic}?",
    "Which version of {topic} is the newest?",
    "How many people live in {topic}?",
    "Who is the president of {topic}?",
    "What does my file {topic} hold?",
    "When was {topic} released?",
    "Tell me about {topic}.",
)
_TOPICS = (
    "France", "Seoul", "1969", "Hamlet", "Kubernetes", "notes.txt", "Brazil", "Berlin", "the moon", "Python 4",
    "my account", "data.csv", "Kenya", "Linux", "the second war", "Tokyo", "our server", "Rust", "Norway", "numpy",
)  # fmt: skip
NOT_KNOWN = "I do not know. I am a very small model for code and know no facts; ask a bigger model."


def unknown_chat(rng: random.Random) -> list[Turn]:
    """A question of fact, which this model is to turn down."""
    return _framed(rng.choice(_UNKNOWN).format(topic=rng.choice(_TOPICS)), NOT_KNOWN, rng)


def absent_chat(function: Function, others: Sequence[Function], rng: random.Random) -> list[Turn]:
    """A wish for something that no reference shows."""
    references = [reference(at, each, each.bare) for at, each in enumerate(others, 1)]
    lowered = function.summary[0].lower() + function.summary[1:]
    wish = rng.choice(_FIND).format(does=does(function.summary), summary_lower=lowered)
    return _framed(with_references(references, wish), rng.choice(_ABSENT), rng)


_AS_JSON = (
    "Give the name, the arguments and the summary of this function as JSON.\n\n{code}",
    "Describe this function as JSON with the keys name, arguments and summary.\n\n{code}",
)


def json_chat(function: Function, rng: random.Random) -> list[Turn]:
    """A function and what it is, as one line of JSON."""
    said = {
        "name": function.name,
        "arguments": [each for each in function.arguments.split(", ") if each],
        "summary": function.summary,
    }
    return _framed(rng.choice(_AS_JSON).format(code=fence(function.bare)), json.dumps(said), rng)


def _framed(request: str, answer: str, rng: random.Random) -> list[Turn]:
    system = [Turn("system", rng.choice(_SYSTEMS))] if rng.random() < 0.5 else []
    return [*system, Turn("user", request), Turn("assistant", answer)]
