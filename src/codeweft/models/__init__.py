"""Models: the embedded engine, endpoints, scripted answers, and what is known about model families and files."""
