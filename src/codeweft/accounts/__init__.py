"""Users, sessions, sign-in links, API keys and conversations."""

from codeweft.accounts.accounts import Accounts, Identity, Key, User
from codeweft.accounts.conversations import Conversation, Conversations, Turn

__all__ = ["Accounts", "Conversation", "Conversations", "Identity", "Key", "Turn", "User"]
