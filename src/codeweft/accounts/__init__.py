"""Users, teams, ways to sign in, API keys, who reads what, limits, the usage ledger and conversations."""

<<<<<<< HEAD
from codeweft.accounts.accounts import SCOPES, Accounts, Identity, Key, Scope
from codeweft.accounts.attachments import Attachment
from codeweft.accounts.conversations import Conversation, Conversations, Turn
from codeweft.accounts.feedback import Feedback
from codeweft.accounts.ledger import Entry, Group, Ledger, Outcome, Total
from codeweft.accounts.limits import EVERYONE, Gate, Limit, Period, Subject, SubjectKind
from codeweft.accounts.people import Change, People, Role, Status, Team, User
from codeweft.accounts.snippets import Snippet, Snippets
=======
from codeweft.accounts.access import Readers, readable
from codeweft.accounts.accounts import Accounts, Key
from codeweft.accounts.conversations import Conversation, Conversations, Turn
from codeweft.accounts.identities import SCOPES, Identity, Scope
from codeweft.accounts.ledger import Entry, Group, Ledger, Outcome, Total
from codeweft.accounts.limits import EVERYONE, Gate, Limit, Period, Subject, SubjectKind
from codeweft.accounts.people import Actor, Change, People, Role, Status, Team, User
from codeweft.accounts.sessions import Session, Visit
from codeweft.accounts.signin import External, Factors, Registration, SignIn, SignInPolicy
>>>>>>> main

__all__ = [
    "EVERYONE",
    "SCOPES",
    "Accounts",
<<<<<<< HEAD
    "Attachment",
=======
    "Actor",
>>>>>>> main
    "Change",
    "Conversation",
    "Conversations",
    "Entry",
<<<<<<< HEAD
    "Feedback",
=======
    "External",
    "Factors",
>>>>>>> main
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
<<<<<<< HEAD
    "Snippet",
    "Snippets",
=======
    "Session",
    "SignIn",
    "SignInPolicy",
>>>>>>> main
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
