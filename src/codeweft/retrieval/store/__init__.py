"""Where chunks live. SQLite holds the truth; the lexical index and the vector table are rebuilt from it."""
