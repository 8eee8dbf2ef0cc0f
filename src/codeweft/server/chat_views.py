"""What the web API shows of conversations, and what it takes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from codeweft.accounts import Attachment, Conversation, Feedback, Snippet, Turn
from codeweft.server.views import Body, Problem, ReferenceView, View, iso
from codeweft.types import Usage

MOST_ATTACHMENTS = 10
"""Files with one question; a repository is better indexed."""
LONGEST_SNIPPET = 100_000

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{1,32}$")]


class UsageView(View):
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int

    @classmethod
    def of(cls, used: Usage) -> UsageView:
        return cls.shown(used)


class SamplingBody(Body):
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=0, le=1_000_000)
    max_tokens: int | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)


class AttachmentView(View):
    id: str
    name: str
    language: str
    size: int = Field(description="Characters of its text.")
    secrets: int = Field(description="Secrets that were taken out of it.")

    @classmethod
    def of(cls, attachment: Attachment) -> AttachmentView:
        return cls.shown(attachment)


class AttachmentText(AttachmentView):
    text: str


class StepView(View):
    """Something an agent did on its way to the answer: a tool it called, and what came of it."""

    number: int
    tool: str
    arguments: dict[str, Any]
    seconds: float
    results: int = Field(description="How many places the tool showed.")
    tokens: int = Field(description="What the model spent on choosing it.")
    thought: str
    error: str = Field(description="What the tool answered instead of results.")


class CheckedView(View):
    """Whether the code of an answer stood its check."""

    verified: bool
    tool: str = Field(description="What checked it; empty when nothing could.")
    message: str
    language: str
    repaired: bool = Field(description="The first answer failed, and this is its correction.")


class TurnView(View):
    id: str
    role: Literal["user", "assistant"]
    content: str
    created_at: str
    model: str | None
    note: str
    references: list[ReferenceView]
    usage: UsageView | None
    reason: str | None
    error: Problem | None
    sampling: dict[str, float | None]
    timings: dict[str, float]
    rating: Literal["good", "bad"] | None
    comment: str
    cost: float | None = Field(None, description="USD; null when no price is known.")
    dropped: list[int] = Field(default=[], description="Numbers of citations that could not be verified.")
    explained: bool = Field(
        False, description="Whether `GET /api/turns/ID/explanation` has something to tell."
    )
    steps: list[StepView] = Field(default=[], description="What an agent did before it answered.")
    withdrawn: list[str] = Field(default=[], description="Texts of this answer that did not stand, in order.")
    checked: CheckedView | None = Field(None, description="Null when no code was to be checked.")
    siblings: list[str] = Field(default=[], description="All turns in this one's place, as they came.")
    attachments: list[AttachmentView] = Field(default=[])
    answer_id: str | None = Field(None, description="Set while the answer is being written.")

    @classmethod
    def of(cls, turn: Turn, answer_id: str | None = None) -> TurnView:
        return cls.shown(turn, created_at=iso(turn.created_at), answer_id=answer_id)


class ConversationView(View):
    id: str
    title: str
    model: str | None
    index: str | None
    created_at: str
    updated_at: str
    excerpt: str = Field("", description="Where a search found its words.")

    @classmethod
    def of(cls, conversation: Conversation) -> ConversationView:
        return cls.shown(
            conversation, created_at=iso(conversation.created_at), updated_at=iso(conversation.updated_at)
        )


class ConversationWithTurns(ConversationView):
    turns: list[TurnView] = Field(description="The branch that is shown.")


class NewConversationBody(Body):
    model: str | None = Field(None, max_length=200)
    index: str | None = Field(None, max_length=200)
    title: str = Field("", max_length=200)


class ConversationPatch(Body):
    title: str | None = Field(None, min_length=1, max_length=200)
    model: str | None = Field(None, max_length=200)
    index: str | None = Field(None, max_length=200)


class AskBody(Body):
    content: str | None = Field(None, min_length=1)
    regenerate: bool = Field(False, description="Write an answer anew instead of asking something.")
    beside: Id | None = Field(
        None,
        description="The turn in whose place the new one stands: a question that is edited, an answer that is "
        "written anew (null: the last). The old one is kept beside it.",
    )
    attachments: list[Id] = Field(default=[], max_length=MOST_ATTACHMENTS)
    model: str | None = Field(None, max_length=200)
    index: str | None = Field(
        None, max_length=200, description='null takes the app\'s default, "" looks nothing up.'
    )
    sampling: SamplingBody = SamplingBody()
    explain: bool = Field(False, description="Tell what was looked up and why, and what the model read.")
    agent: bool = Field(
        False, description="Let the model look things up in steps before it answers. For apps."
    )


class AskedView(View):
    answer_id: str
    user_turn: TurnView | None
    turn: TurnView


class RatingBody(Body):
    rating: Literal["good", "bad"] | None
    comment: str = Field("", max_length=10_000)


class ShowBody(Body):
    turn_id: Id = Field(description="Show the branch through this turn, to its newest end.")


class CandidateView(View):
    path: str
    start_line: int
    end_line: int
    name: str
    kind: str
    language: str
    score: float
    repository: str
    why: dict[str, float]
    number: int | None = Field(
        description="Its number as a reference; null when it was left out of the prompt."
    )


class PromptView(View):
    role: str
    content: str


class ExplainedView(View):
    question: str
    query: str
    candidates: list[CandidateView]
    prompt: list[PromptView]


class SnippetView(View):
    id: str
    conversation_id: str = Field(description="Empty for one that was saved by hand.")
    turn_id: str
    language: str
    title: str
    code: str
    created_at: str

    @classmethod
    def of(cls, snippet: Snippet) -> SnippetView:
        return cls.shown(snippet, created_at=iso(snippet.created_at))


class SnippetBody(Body):
    code: str = Field(min_length=1, max_length=LONGEST_SNIPPET)
    language: str = Field("", max_length=50)
    title: str = Field("", max_length=200)


class DeletedView(View):
    deleted: int


class FeedbackView(View):
    turn_id: str
    rated_at: str
    user: str
    model: str
    rating: Literal["good", "bad"]
    comment: str
    question: str
    answer: str

    @classmethod
    def of(cls, feedback: Feedback) -> FeedbackView:
        return cls.shown(feedback, rated_at=iso(feedback.rated_at))
