"""Check the code of an answer in the sandbox, and let the model correct it once where it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

from pydantic import Field

from codeweft.errors import CodeweftError
from codeweft.flows import checks
from codeweft.flows.fences import Block, blocks, fenced
from codeweft.flows.inputs import language_of
from codeweft.flows.nodes.base import Node
from codeweft.flows.state import Services, State
from codeweft.stream import reading
from codeweft.types import (
    Checked,
    Done,
    Event,
    Failed,
    Message,
    ReasoningDelta,
    TextDelta,
    Withdrawn,
    replace,
)

REPAIR = """\
This was checked with {tool}, and it is not right:

{fault}

Correct it. Answer as before, with the whole corrected code in one block."""


class Check(Node):
    """Compile the answer's code, or run tests on it, and say whether it stood the check.

    `of: tests` takes the answer for tests of the code that was sent. The language is that of the input `language_to`,
    else of the code that was sent, else what the answer's code block says.
    """

    type: Literal["check"]
    of: Literal["code", "tests"] = "code"
    repairs: int = Field(1, ge=0, le=3, description="How often the model may correct its code.")

    def applies(self, state: State) -> bool:
        return bool(state.request.messages)

    async def run(self, state: State, services: Services) -> AsyncIterator[Event]:
        found, fault = await self._look(state, services)
        for _ in range(self.repairs):
            if not fault:
                break
            corrected = False
            async for event in self._repair(state, found, fault):
                yield event
                if isinstance(event, Failed):
                    return
                corrected = corrected or isinstance(event, Withdrawn)
            if not corrected:
                break
            found, fault = await self._look(state, services)
            found = replace(found, repaired=True)
        state.detail = {"verified": found.verified, "tool": found.tool, "message": found.message}
        if state.request.label and state.request.inputs.get("label") != "no":
            yield TextDelta(f"\n\n{'Verified' if found.verified else 'Not verified'}: {found.message}.")
        yield found

    async def _look(self, state: State, services: Services) -> tuple[Checked, str]:
        """What can be said of the code as it is, and what is wrong with it."""
        inputs = state.request.inputs
        wanted = inputs.get("language_to") or (language_of(inputs) if inputs else "")
        block = chosen("".join(state.written), wanted)
        language = checks.of(wanted or (block.language if block else ""))
        name = language.name if language else wanted
        if block is None or not block.code.strip():
            return Checked(False, "", "the answer holds no code", name), ""
        if not block.closed or state.reason == "length":
            return Checked(False, "", "the answer was cut before its end", name), ""
        if language is None:
            said = (
                f"nothing here checks {wanted or block.language}"
                if wanted or block.language
                else "its language is not known"
            )
            return Checked(False, "", said, name), ""
        code, tests = block.code, inputs.get("tests", "")
        if self.of == "tests":
            code, tests = inputs.get("code", ""), block.code
            if not code:
                return Checked(False, "", "the code that it tests was not sent as `code`", name), ""
        plan = checks.plan(language, code, tests, inputs.get("path", ""))
        if tests and not plan.tested and self.of == "tests":
            return Checked(False, "", f"tests in {language.name} are not run here", name), ""
        if services.sandbox is None or (why := await services.sandbox.missing()):
            said = why if services.sandbox else "no sandbox is set up"
            return Checked(False, "", said.rstrip(".") + "; nothing is run without a sandbox", name), ""
        if not services.sandbox.tool(language.tool):
            return Checked(False, "", f"{language.tool} is not installed where the sandbox sees it", name), ""
        verdict = checks.verdict(plan, await services.sandbox.run(plan.command, plan.files))
        said = verdict.message
        if tests and not plan.tested:
            said += f"; tests in {language.name} are not run here"
        return Checked(
            verdict.verified and (plan.tested or not tests), language.tool, said, name
        ), verdict.fault

    async def _repair(self, state: State, found: Checked, fault: str) -> AsyncIterator[Event]:
        """The model's correction, as the answer from here on. Nothing when it has none to give."""
        request = state.request
        asked = REPAIR.format(tool=found.tool, fault=fenced(fault))
        turns = (*request.messages, Message("assistant", "".join(state.written)), Message("user", asked))
        begun = False
        try:
            async with reading(
                state.writer.stream(replace(request, model=state.writer.info.name, messages=turns, inputs={}))
            ) as events:
                async for event in events:
                    match event:
                        case TextDelta():
                            if not begun:
                                begun = True
                                yield TextDelta(f"\n\n{found.message}. Corrected:\n\n")
                                yield Withdrawn()
                                state.written.clear()
                            state.written.append(event.text)
                            yield event
                        case ReasoningDelta():
                            yield event
                        case Done():
                            state.spend(event.usage)
                            state.reason = event.reason
                        case Failed():
                            if begun:
                                yield event
                            return
                        case _:
                            pass
        except CodeweftError as error:
            if begun:
                yield Failed(error)


def chosen(text: str, language: str) -> Block | None:
    """The longest code block of that language, or of any."""
    found = list(blocks(text))
    if not found:
        return None
    row = checks.of(language)
    fitting = [one for one in found if row is not None and checks.of(one.language) is row]
    return max(fitting or found, key=lambda one: len(one.code))
