"""Alembic's scripts; `database.migrate` runs them when the database is opened."""
