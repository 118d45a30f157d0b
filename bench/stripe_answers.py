"""A Stripe that only answers: dj-stripe asks for the objects behind each event, and this has them at no cost.

Any id is known; the objects are those of one real story, with their ids in place of the recorded ones. Asked from
outside this process: `python -m bench.stripe_answers PORT`.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "stripe_answers.json").read_text())
PREFIXES = {
    "checkout/sessions": "cs_test_0",
    "payment_intents": "pi_0",
    "charges": "ch_0",
    "balance_transactions": "txn_0",
    "payment_methods": "pm_0",
}
# Each kind's recorded text, in which the ids of the story are to be exchanged.
TEXTS = {kind: json.dumps(found) for kind, found in RECORDED.items()}


def answer(path: str) -> str:
    """The object at `path`, with the number of the id that was asked for in all ids of its story."""
    kind, _, asked = path.partition("?")[0].removeprefix("/v1/").rpartition("/")
    if kind not in PREFIXES:
        return TEXTS["account"]
    number, text = asked.removeprefix(PREFIXES[kind]), TEXTS[kind]
    for other, prefix in PREFIXES.items():
        text = text.replace(RECORDED[other]["id"], prefix + number)
    return text


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = answer(self.path).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
