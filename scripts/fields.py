"""Print docs/fields.md: what becomes of every request field, from the tables that the server itself uses.

python scripts/fields.py > docs/fields.md
"""

from __future__ import annotations

import json

from codeweft.server import fields

TABLES = {
    "POST /v1/chat/completions": fields.CHAT,
    "POST /v1/completions": fields.COMPLETION,
    "POST /v1/embeddings": fields.EMBEDDING,
    "POST /v1/responses": fields.RESPONSES,
    "POST /v1/messages": fields.MESSAGES,
    "POST /infill (llama.cpp)": fields.INFILL,
    "POST /v1/completions with `segments` (Tabby)": fields.TABBY,
    "POST /api/chat (Ollama)": fields.OLLAMA_CHAT,
    "POST /api/generate (Ollama)": fields.OLLAMA_GENERATE,
    "POST /api/embed (Ollama)": fields.OLLAMA_EMBED,
    "POST /v1/codegen": fields.CODEGEN,
    "POST /v1/codetrans": fields.CODETRANS,
    "POST /v1/search": fields.SEARCH,
    "POST /v1/retrieval": fields.OPEA_RETRIEVAL,
}


def page() -> str:
    """The whole page as Markdown."""
    lines = [
        "# Request fields",
        "",
        "Made by `scripts/fields.py` from the server's own tables. A field that is in no table is refused by name, except"
        " those that begin with `x_`. A refused field is accepted with null or a value that asks for nothing.",
    ]
    for route, table in TABLES.items():
        lines += ["", f"## {route}", "", "| field | |", "|---|---|"]
        lines += [f"| `{name}` | {_fate(table[name])} |" for name in sorted(table)]
    return "\n".join(lines) + "\n"


def _fate(field: fields.Field) -> str:
    if field.use == "used":
        return "used"
    if field.use == "forwarded":
        return f"forwarded: {field.why}"
    harmless = (
        f" (accepted: {', '.join(f'`{json.dumps(value)}`' for value in field.harmless)})"
        if field.harmless
        else ""
    )
    return f"{'refused' if field.use == 'rejected' else 'ignored'}: {field.why}{harmless}"


if __name__ == "__main__":
    print(page(), end="")
