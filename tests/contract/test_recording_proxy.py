"""The proxy changes nothing that passes, remembers all of it, and tells what was wrong with it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tests.contract.recording_proxy import Recording, recording

LIST = {"object": "list", "data": [], "has_more": False, "url": "/v1/refunds"}
ANSWERS = {
    "/v1/refunds": (200, json.dumps(LIST).encode()),
    "/v1/charges": (200, json.dumps(LIST | {"total": 3}).encode()),
    "/v1/refunds/re_0": (404, b'{"error": {"type": "invalid_request_error", "message": "No such refund"}}'),
    "/v1/balance": (200, b"<html>"),
}


class Stub(BaseHTTPRequestHandler):
    """Answers by path, echoes what came, and hangs up on a path that it does not know."""

    def answer(self) -> None:
        received = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        if path not in ANSWERS:
            self.close_connection = True
            return
        status, body = ANSWERS[path]
        self.send_response(status)
        self.send_header("Request-Id", f"req_{self.headers['Idempotency-Key']}")
        self.send_header("Received", received.decode() or "nothing")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def proxy() -> Iterator[Recording]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stub) as stub:
        thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        with recording(f"http://127.0.0.1:{stub.server_port}") as record:
            yield record
        stub.shutdown()
        thread.join()


def call(proxy: Recording, method: str, target: str, body: bytes = b"") -> tuple[int, list[str | None], bytes]:
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=10)
    try:
        connection.request(method, target, body, {"Idempotency-Key": "k1"})
        response = connection.getresponse()
        return response.status, [response.getheader("Request-Id"), response.getheader("Received")], response.read()
    finally:
        connection.close()


def test_answer_passes_unchanged_with_its_status_and_headers(proxy: Recording) -> None:
    assert call(proxy, "GET", "/v1/refunds?limit=3") == (200, ["req_k1", "nothing"], ANSWERS["/v1/refunds"][1])
    assert call(proxy, "GET", "/v1/refunds/re_0") == (404, ["req_k1", "nothing"], ANSWERS["/v1/refunds/re_0"][1])
    assert proxy.violations == []


def test_every_call_is_remembered_in_order(proxy: Recording) -> None:
    call(proxy, "GET", "/v1/refunds?limit=3")
    call(proxy, "GET", "/v1/refunds/re_0")
    seen = [(made.method, made.path, made.query, made.body, made.status) for made in proxy.calls]
    assert seen == [("GET", "/v1/refunds", "limit=3", b"", 200), ("GET", "/v1/refunds/re_0", "", b"", 404)]


def test_wrong_request_is_passed_on_and_told(proxy: Recording) -> None:
    assert call(proxy, "GET", "/v1/refunds?page=2")[0] == 200
    assert proxy.violations == ["GET /v1/refunds: request: page: unknown parameter"]


def test_wrong_body_is_told_beside_a_wrong_answer(proxy: Recording) -> None:
    answer = call(proxy, "POST", "/v1/refunds", b"charge=ch_1&amount=half")
    assert answer[1] == ["req_k1", "charge=ch_1&amount=half"]
    assert proxy.calls[0].body == b"charge=ch_1&amount=half"
    assert proxy.violations[0] == "POST /v1/refunds: request: amount: 'half' is not an integer"
    assert proxy.violations[-1] == "POST /v1/refunds: answer 200: url: unknown field"


def test_wrong_answer_is_told(proxy: Recording) -> None:
    assert call(proxy, "GET", "/v1/charges")[0] == 200
    assert proxy.violations == ["GET /v1/charges: answer 200: total: unknown field"]


def test_answer_that_is_no_json_is_told(proxy: Recording) -> None:
    assert call(proxy, "GET", "/v1/balance")[2] == b"<html>"
    assert proxy.violations == ["GET /v1/balance: answer 200: not JSON"]


def test_dropped_connection_is_dropped_for_the_caller_and_told(proxy: Recording) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        call(proxy, "GET", "/v1/events")
    assert proxy.violations == ["GET /v1/events: answer 0: the connection was dropped"]
