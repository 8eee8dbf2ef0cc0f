"""Users, teams, ways to sign in, API keys, who reads what, limits, the usage ledger and conversations."""

from codeweft.accounts.access import Readers, readable
from codeweft.accounts.accounts import Accounts, Key
from codeweft.accounts.attachments import Attachment
from codeweft.accounts.conversations import Conversation, Conversations, Turn
from codeweft.accounts.feedback import Feedback
from codeweft.accounts.identities import SCOPES, Identity, Scope
from codeweft.accounts.ledger import Entry, Group, Ledger, Outcome, Total
from codeweft.accounts.limits import EVERYONE, Gate, Limit, Period, Subject, SubjectKind
from codeweft.accounts.people import Actor, AuditFilter, Change, People, Role, Status, Team, User
from codeweft.accounts.sessions import Session, Visit
from codeweft.accounts.signin import External, Factors, Registration, SignIn, SignInPolicy
from codeweft.accounts.snippets import Snippet, Snippets

__all__ = [
    "EVERYONE",
    "SCOPES",
    "Accounts",
    "Actor",
    "Attachment",
    "AuditFilter",
    "Change",
    "Conversation",
    "Conversations",
    "Entry",
    "External",
    "Factors",
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
    "Readers",
    "Registration",
    "Role",
    "Scope",
    "Session",
    "SignIn",
    "SignInPolicy",
    "Snippet",
    "Snippets",
    "Status",
    "Subject",
    "SubjectKind",
    "Team",
    "Total",
    "Turn",
    "User",
    "Visit",
    "readable",
]
