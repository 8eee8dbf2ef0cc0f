"""Users, teams, sessions, sign-in links, API keys, limits, the usage ledger and conversations."""

from codeweft.accounts.accounts import SCOPES, Accounts, Identity, Key, Scope
from codeweft.accounts.attachments import Attachment
from codeweft.accounts.conversations import Conversation, Conversations, Turn
from codeweft.accounts.feedback import Feedback
from codeweft.accounts.ledger import Entry, Group, Ledger, Outcome, Total
from codeweft.accounts.limits import EVERYONE, Gate, Limit, Period, Subject, SubjectKind
from codeweft.accounts.people import Change, People, Role, Status, Team, User
from codeweft.accounts.snippets import Snippet, Snippets

__all__ = [
    "EVERYONE",
    "SCOPES",
    "Accounts",
    "Attachment",
    "Change",
    "Conversation",
    "Conversations",
    "Entry",
    "Feedback",
    "Gate",
    "Group",
    "Identity",
    "Key",
    "Ledger",
    "Limit",
    "Outcome",
    "People",
    "Period",
    "Role",
    "Scope",
    "Snippet",
    "Snippets",
    "Status",
    "Subject",
    "SubjectKind",
    "Team",
    "Total",
    "Turn",
    "User",
]
