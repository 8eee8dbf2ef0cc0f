"""Running programs that nobody has read: bubblewrap, resource limits and a filter of system calls around each."""

from codeweft.sandbox.bubblewrap import Bubblewrap

__all__ = ["Bubblewrap"]
