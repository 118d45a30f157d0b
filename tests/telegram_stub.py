"""A stand-in for Telegram's Bot API on loopback: people say things to the bot, and see what it answers.

Serves what a bot that polls calls (https://core.telegram.org/bots/api): getUpdates waits for messages and never repeats what
a later `offset` confirmed; sendMessage records; the rest agrees. It refuses when told to.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

TOKEN = "110201543:" + "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX"  # the form of a real one; nobody's
NAME = "largesse_tests_bot"
ANSWER_WITHIN_S = 20
LONGEST_POLL_S = 5


@dataclass(frozen=True)
class Sent:
    chat_id: int
    text: str


@dataclass
class Refusal:
    method: str
    status: int
    description: str
    parameters: dict[str, Any] = field(default_factory=dict)


class TelegramStub:
    """`say` and `ask` are what a person does in the app; `sent` is what the bot has sent, the oldest first."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.polls = 0
        self.refusals: list[Refusal] = []
        self._updates: list[dict[str, Any]] = []
        self._confirmed = 0
        self._next_update = 1000
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._is_open = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def forget(self) -> None:
        with self._changed:
            self.sent.clear()
            self.refusals.clear()

    # -- people ------------------------------------------------------------------------------------------
    def say(self, chat_id: int, text: str, *, kind: str = "private") -> int:
        """Returns the id of the update."""
        with self._changed:
            self._next_update += 1
            message: dict[str, Any] = {
                "message_id": self._next_update,
                "date": int(time.time()),
                "chat": {"id": chat_id, "type": kind, "first_name": "Ada"},
                "from": {"id": abs(chat_id), "is_bot": False, "first_name": "Ada"},
                "text": text,
            }
            if text.startswith("/"):
                message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
            self._updates.append({"update_id": self._next_update, "message": message})
            self._changed.notify_all()
            return self._next_update

    def ask(self, chat_id: int, text: str) -> str:
        """What the bot answers to it."""
        before = len(self.sent_to(chat_id))
        self.say(chat_id, text)
        assert self.wait_for(lambda: len(self.sent_to(chat_id)) > before), f"no answer to {text!r}"
        return self.sent_to(chat_id)[-1]

    def sent_to(self, chat_id: int) -> list[str]:
        return [one.text for one in list(self.sent) if one.chat_id == chat_id]

    def wait_for(self, condition: Any) -> bool:
        with self._changed:
            return bool(self._changed.wait_for(condition, timeout=ANSWER_WITHIN_S))

    def tell_again(self, update_id: int) -> None:
        """As if the bot had died before it confirmed this update and those after it."""
        with self._changed:
            self._confirmed = update_id - 1

    # -- the API -----------------------------------------------------------------------------------------
    def call(self, method: str, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        refusal = next((one for one in self.refusals if one.method == method), None)
        if refusal is not None:
            self.refusals.remove(refusal)
            body = {"ok": False, "error_code": refusal.status, "description": refusal.description}
            return refusal.status, body | ({"parameters": refusal.parameters} if refusal.parameters else {})
        answers = {"getMe": self._me, "getUpdates": self._get_updates, "sendMessage": self._send}
        return 200, {"ok": True, "result": answers[method](parameters) if method in answers else True}

    def _me(self, parameters: dict[str, Any]) -> Any:
        return {"id": 110201543, "is_bot": True, "first_name": "Largesse", "username": NAME}

    def _get_updates(self, parameters: dict[str, Any]) -> Any:
        with self._changed:
            self.polls += 1
            self._confirmed = max(self._confirmed, int(parameters.get("offset") or 0) - 1)
            self._changed.notify_all()
            wait_s = min(int(parameters.get("timeout") or 0), LONGEST_POLL_S)
            self._changed.wait_for(lambda: self._waiting() or not self._is_open, timeout=wait_s)
            return self._waiting()

    def _waiting(self) -> list[dict[str, Any]]:
        return [update for update in self._updates if update["update_id"] > self._confirmed]

    def _send(self, parameters: dict[str, Any]) -> Any:
        chat_id = int(parameters["chat_id"])
        with self._changed:
            self.sent.append(Sent(chat_id, str(parameters["text"])))
            self._changed.notify_all()
        return {
            "message_id": len(self.sent),
            "date": int(time.time()),
            "chat": {"id": chat_id, "type": "private", "first_name": "Ada"},
            "text": parameters["text"],
        }


def _handler_of(stub: TelegramStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            is_json = "json" in (self.headers.get("Content-Type") or "")
            parameters = json.loads(raw) if is_json and raw else dict(parse_qsl(raw))
            prefix, _, method = self.path.rpartition("/")
            if prefix == f"/bot{TOKEN}":
                status, body = stub.call(method, parameters)
            else:
                status, body = 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
            answer = json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            except OSError:  # a bot that was killed while it waited
                self.close_connection = True

        def log_message(self, *args: Any) -> None:
            pass

    return Handler
