"""What an app takes beside a conversation: named inputs, checked and laid out as the user's message."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import BaseModel, ConfigDict, Field, model_validator

from codeweft.errors import InvalidRequest
from codeweft.flows import checks
from codeweft.flows.fences import fenced

INPUT_NAME = r"^[a-z][a-z0-9_]{0,31}$"
LONGEST_LINE = 200
_LANGUAGE = re.compile(r"(?=.{1,40}$)[\w+#./()-]+(?: [\w+#./()-]+){0,2}")
"""At most three words, such as `Visual Basic .NET`: no place to hide a sentence for the model in."""
QUERY_CHARACTERS = 2000
"""Of the code that similar code is looked up by; its end says little that its beginning does not."""

Kind = Literal["code", "text", "line", "language", "choice"]


class Input(BaseModel):
    """One input. `says` is its line in the message, with `{value}`; code and text become a fenced block below it.

    An input without `says` is for the app's nodes only, such as the file's path. A choice says what `choices` maps it to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=INPUT_NAME)]
    title: str = ""
    description: str = ""
    kind: Kind = "text"
    required: bool = False
    says: str = ""
    choices: Mapping[str, str] = Field(default_factory=dict)
    default: str = ""

    @model_validator(mode="after")
    def _choice(self) -> Input:
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError(f"the input {self.name!r} must have `choices` if, and only if, it is a choice")
        if self.choices and self.default not in self.choices:
            raise ValueError(f"the default of {self.name!r} must be one of its choices")
        return self

    def accept(self, value: str) -> str:
        """`value` as it will be used. Raises `InvalidRequest`."""
        if self.kind == "choice" and value not in self.choices:
            raise self._wrong(f"must be one of {', '.join(self.choices)}")
        if self.kind == "language" and not _LANGUAGE.fullmatch(value):
            raise self._wrong("must be the name of a language, such as `go`")
        if self.kind == "line" and (len(value) > LONGEST_LINE or "\n" in value):
            raise self._wrong(f"must be one line of at most {LONGEST_LINE} characters")
        return value

    def _wrong(self, what: str) -> InvalidRequest:
        return InvalidRequest(f"`{self.name}` {what}.", param=self.name)


CODE = Input(
    name="code",
    title="Code",
    kind="code",
    required=True,
    says="The code:",
    description="The code to work on.",
)
# The inputs that several apps share; a document names them.
SHARED: Mapping[str, Input] = {
    one.name: one
    for one in (
        CODE,
        Input(
            name="path",
            title="File",
            kind="line",
            says="File: {value}",
            description="Path of the file; tells its language.",
        ),
        Input(
            name="language",
            title="Language",
            kind="language",
            description="The code's language (left out: read off it).",
        ),
        Input(
            name="instruction",
            title="Instruction",
            says="{value}",
            description="What matters, in your own words.",
        ),
        Input(
            name="error",
            title="Error message",
            says="This is what goes wrong:",
            description="A message, a stack trace, a log.",
        ),
        Input(
            name="tests",
            title="Tests",
            kind="code",
            says="These tests must pass:",
            description="Run on the new code in the sandbox.",
        ),
        Input(
            name="explain",
            title="Explain the result",
            kind="choice",
            default="short",
            choices={
                "no": "Answer with the code block alone.",
                "short": "Below the code block, say in at most three sentences what you did and why.",
                "long": "Below the code block, explain the code step by step for somebody who is new to it.",
            },
            description="How much is said about the result.",
        ),
        Input(
            name="label",
            title="Say how it was checked",
            kind="choice",
            default="yes",
            choices={"yes": "", "no": ""},
            description="Whether the answer's text ends with a line about the check; the event tells it anyway.",
        ),
    )
}


def named(given: Any) -> Any:
    """The shared inputs that a document names, in place of their names. Raises `ValueError` for an unknown one."""
    if not isinstance(given, list):
        return given
    for one in given:
        if isinstance(one, str) and one not in SHARED:
            raise ValueError(f"there is no shared input {one!r}; there is: {', '.join(SHARED)}")
    return [SHARED[one] if isinstance(one, str) else one for one in given]


def accept(inputs: Sequence[Input], given: Mapping[str, Any], app: str) -> dict[str, str]:
    """The given values, checked, with defaults. Raises `InvalidRequest` naming the input at fault."""
    known = {one.name: one for one in inputs}
    for name, value in given.items():
        if name not in known:
            raise InvalidRequest(
                f"The app {app} takes no `{name}`.",
                fix=f"It takes: {', '.join(known)}." if known else "Send a message instead.",
                param=name,
            )
        if not _text(value):
            raise InvalidRequest(f"`{name}` must be text.", param=name)
    found: dict[str, str] = {}
    for one in inputs:
        value = given.get(one.name, "")
        if not value.strip():
            if one.required:
                raise InvalidRequest(f"The app {app} needs `{one.name}`: {one.description}", param=one.name)
            value = one.default
        if value:
            found[one.name] = one.accept(value.strip("\n") if one.kind == "code" else value.strip())
    return found


def _text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str)


def lay_out(inputs: Sequence[Input], values: Mapping[str, str]) -> str:
    """The user's message: each input that has something to say, in the document's order."""
    language = language_of(values)
    parts = []
    for one in inputs:
        value = values.get(one.name)
        if value is None:
            continue
        said = one.choices[value] if one.kind == "choice" else one.says.replace("{value}", value)
        if said and one.kind == "code":
            said = f"{said}\n{fenced(value, language if one.name == CODE.name else '')}"
        elif said and one.kind == "text" and "{value}" not in one.says:
            said = f"{said}\n{fenced(value)}"
        if said:
            parts.append(said)
    return "\n\n".join(parts)


def language_of(values: Mapping[str, str]) -> str:
    """The language of the code: as said, or by the file's name; empty when unknown."""
    said = values.get("language") or values.get("language_from") or ""
    if said:
        known = checks.of(said)
        return known.name if known is not None else said.lower()
    known = checks.by_suffix(PurePosixPath(values.get("path", "")).suffix)
    return known.name if known is not None else ""


def query(values: Mapping[str, str]) -> str:
    """What to look up for inputs: what is asked, what goes wrong, and the code's beginning."""
    parts = (values.get("instruction", ""), values.get("error", ""), values.get(CODE.name, ""))
    return "\n".join(part[:QUERY_CHARACTERS] for part in parts if part)
