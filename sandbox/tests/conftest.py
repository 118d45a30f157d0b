"""A sandbox in a process of its own, the official SDK as its client, and an endpoint that keeps what it is told."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import stripe

ROOT = Path(__file__).parents[2]
KEY = "sk_test_" + "a" * 24
SECRET = "whsec_of_the_tests"
SUCCESS_URL = "http://127.0.0.1:8000/thanks?session_id={CHECKOUT_SESSION_ID}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Control:
    """The control API. Every call says which status it expects."""

    url: str
    http: requests.Session = field(default_factory=requests.Session)

    def post(self, path: str, status: int = 200, /, **body: Any) -> Any:
        answer = self.http.post(f"{self.url}/_sandbox/{path}", json=body, timeout=20)
        assert answer.status_code == status, answer.text
        return answer.json()

    def get(self, path: str, **query: Any) -> Any:
        answer = self.http.get(f"{self.url}/_sandbox/{path}", params=query, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def api(self, method: str, path: str, data: Any = None, **headers: str) -> requests.Response:
        """A call of Stripe's API without the SDK, for what the SDK would not send or show."""
        named = {"Authorization": f"Bearer {KEY}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, self.url + path, data=data, headers=named, timeout=20)

    def pay(self, session: stripe.checkout.Session, status: int = 200, /, **body: Any) -> Any:
        return self.post(f"checkout_sessions/{session.id}/pay", status, **body)


Starter = Callable[..., tuple[subprocess.Popen[bytes], Control]]


@pytest.fixture(scope="module")
def start() -> Iterator[Starter]:
    """Start a sandbox with these arguments; all are ended with the module."""
    started: list[tuple[subprocess.Popen[bytes], Control]] = []

    def begin(*arguments: str) -> tuple[subprocess.Popen[bytes], Control]:
        port = free_port()
        process = subprocess.Popen([sys.executable, "-m", "sandbox", "--port", str(port), *arguments], cwd=ROOT)
        control = Control(f"http://127.0.0.1:{port}")
        started.append((process, control))
        deadline = time.monotonic() + 10
        while not answers(port):
            assert process.poll() is None, "the sandbox ended at its start"
            assert time.monotonic() < deadline, "the sandbox did not start in 10 seconds"
            time.sleep(0.02)
        return process, control

    yield begin
    for process, control in started:
        process.terminate()
        process.wait(timeout=10)
        control.http.close()


@pytest.fixture(scope="module")
def running(start: Starter) -> Control:
    return start("--seed", "7")[1]


@pytest.fixture
def control(running: Control) -> Control:
    """A sandbox that has forgotten every earlier test."""
    running.post("reset", keep_endpoints=False)
    running.post("settings", settle_soon_s=3600, settle_late_s=7200, balance_delay_s=0, retry_after_s=[60, 600, 3600])
    running.post("settings", settlement_currencies=[])
    return running


@pytest.fixture
def client(control: Control) -> Iterator[stripe.StripeClient]:
    transport = stripe.RequestsClient(timeout=20)
    yield stripe.StripeClient(KEY, base_addresses={"api": control.url}, max_network_retries=0, http_client=transport)
    transport.close()  # type: ignore[no-untyped-call]


@dataclass
class Inbox:
    """What an endpoint received, and what it answers: the statuses in turn, then 200 for ever."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def events(self) -> list[Any]:
        return [json.loads(body) for _, body in self.received]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]


@pytest.fixture
def inbox(control: Control) -> Iterator[Inbox]:
    """A registered endpoint that wants every event."""
    box = Inbox()

    class Endpoint(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            box.received.append((dict(self.headers), body))
            self.send_response(box.answers.pop(0) if box.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """The sandbox keeps its own log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        server.daemon_threads = True
        box.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        control.post("webhook_endpoints", url=box.url, secret=SECRET)
        yield box
        control.post("reset", keep_endpoints=False)
        server.shutdown()
        thread.join()


def donation(client: stripe.StripeClient, *, currency: str = "usd", amount: int = 2500, **more: Any) -> stripe.checkout.Session:
    """An open session, as a donation opens one."""
    price = {"currency": currency, "unit_amount": amount, "product_data": {"name": "Gift"}}
    params: Any = {
        "mode": "payment",
        "success_url": SUCCESS_URL,
        "line_items": [{"quantity": 1, "price_data": price}],
        **more,
    }
    return client.v1.checkout.sessions.create(params)


def payment(client: stripe.StripeClient, method: str = "pm_card_visa", **more: Any) -> stripe.PaymentIntent:
    """An intent confirmed at once."""
    params: Any = {"amount": 2000, "currency": "usd", "confirm": True, "payment_method": method,
                   "payment_method_types": ["card"], **more}  # fmt: skip
    return client.v1.payment_intents.create(params)


def types_of(client: stripe.StripeClient) -> list[str]:
    """The events so far, oldest first."""
    return [str(event.type) for event in client.v1.events.list({"limit": 100}).data][::-1]


def plain(thing: stripe.StripeObject | None) -> dict[str, Any]:
    """An object that must be there (metadata, previous attributes), as a dictionary."""
    assert thing is not None
    found: dict[str, Any] = thing.to_dict()
    return found
