"""`python -m codeweft` is the `codeweft` command."""

from codeweft.cli import main

main()
