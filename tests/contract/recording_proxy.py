"""A loopback proxy between the project and whatever stands for Stripe: passes every call on, judges it, remembers it.

with recording(sandbox_url) as proxy:
    ...                             # STRIPE_API_BASE=proxy.url
assert proxy.violations == []
assert len(proxy.calls) == 3
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.contract.stripe_shape import Shape

NOT_PASSED_ON = frozenset({"accept-encoding", "connection", "content-length", "host", "keep-alive", "transfer-encoding"})
TIMEOUT_S = 30
NO_ANSWER = 0


@dataclass(frozen=True)
class Call:
    """One request and its answer; status 0 where the upstream gave none."""

    method: str
    path: str
    query: str
    body: bytes
    status: int
    answer: bytes
    violations: tuple[str, ...]


@dataclass
class Recording:
    """What has passed so far. Calls are remembered before they are answered: a client that has its answer sees them."""

    url: str
    calls: list[Call] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        return [f"{call.method} {call.path}: {what}" for call in self.calls for what in call.violations]


@contextmanager
def recording(upstream_url: str) -> Iterator[Recording]:
    """Serve on a free port until the block ends."""
    upstream = urlsplit(upstream_url).netloc
    shape = Shape.load()

    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_PASSED_ON}
            with closing(http.client.HTTPConnection(upstream, timeout=TIMEOUT_S)) as connection:
                try:
                    connection.request(self.command, self.path, body or None, headers)
                    response = connection.getresponse()
                    answer = response.read()
                except (OSError, http.client.HTTPException):
                    record.calls.append(judged(shape, self.command, self.path, body, NO_ANSWER, b""))
                    self.close_connection = True  # and the caller, too, gets no answer
                    return
            record.calls.append(judged(shape, self.command, self.path, body, response.status, answer))
            self.send_response_only(response.status, response.reason)
            for name, value in response.getheaders():
                if name.lower() not in NOT_PASSED_ON:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = pass_on

        def log_message(self, format: str, *args: object) -> None:
            """The recording is the log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        record = Recording(url=f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield record
        finally:
            server.shutdown()
            thread.join()


def judged(shape: Shape, method: str, target: str, body: bytes, status: int, answer: bytes) -> Call:
    """The call with all that is wrong with either side of it."""
    url = urlsplit(target)
    asked = [f"request: {error}" for error in shape.request_errors(method, url.path, body, url.query)]
    answered = [f"answer {status}: {error}" for error in _answer_errors(shape, method, url.path, status, answer)]
    return Call(method, url.path, url.query, body, status, answer, (*asked, *answered))


def _answer_errors(shape: Shape, method: str, path: str, status: int, answer: bytes) -> list[str]:
    if status == NO_ANSWER:
        return ["the connection was dropped"]
    try:
        decoded = json.loads(answer)
    except ValueError:
        return ["not JSON"]
    return shape.response_errors(method, path, status, decoded)
