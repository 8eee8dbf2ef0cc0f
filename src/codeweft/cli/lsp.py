"""`codeweft lsp`: inline completion for editors, on standard input and output."""

from __future__ import annotations

import logging
import sys
from functools import partial

from codeweft.cli.answering import answerer
from codeweft.cli.options import ConfigOption, ModelOption, ServerOption, settings

EXAMPLES = """Examples (the command that an editor starts):

- `codeweft lsp`

- `codeweft lsp --model starter`

- `CODEWEFT_API_KEY=cw_… codeweft lsp --server http://codeweft.example.org:8000`"""


def lsp(model: ModelOption = None, server: ServerOption = None, config: ConfigOption = None) -> None:
    """Complete code in editors that speak the Language Server Protocol (`textDocument/inlineCompletion`)."""
    from codeweft.lsp import create_server

    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    create_server(partial(answerer, settings(config), server), model).start_io()
