"""The HTTP server: the program API under /v1, the web API under /api, the built web UI."""
