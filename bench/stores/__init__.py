"""Embedded, PostgreSQL and OpenSearch side by side on the same chunks."""
