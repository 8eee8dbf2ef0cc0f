"""What the gateway itself costs, beside a bare ASGI application in the same run."""
