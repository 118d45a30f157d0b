"""The project on a port, the sandbox on another, webhooks between them: what a front end and a donor see.

A test asks for `live` and speaks HTTP. What no front end can do (let the background tasks run, sweep, prove the books)
has a name here; after every test the books are proved and no event or task may have failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests
from django.core import mail
from django.db import connections
from django_tasks_db.models import DBTaskResult
from pytest_django.live_server_helper import LiveServer

from donations.tests.factories import CampaignFactory
from payments.models import StripeEvent
from payments.proving import check_books
from payments.sweeping import sweep
from tests.sandbox_process import started_sandbox
from tests.working import run_worker

ROOT = Path(__file__).parent.parent
WEBHOOK_SECRET = "whsec_tests"
ALLOWED_ORIGIN = "https://give.example.org"
NO_LIMITS = dict.fromkeys(("checkout", "session", "login", "invite", "spend", "read"), "100000/m")


@dataclass
class Sandbox:
    """The control API, and what an integrator sees of Stripe's."""

    url: str
    http: requests.Session = field(default_factory=requests.Session)

    def post(self, path: str, status: int = 200, /, **body: Any) -> Any:
        answer = self.http.post(f"{self.url}/_sandbox/{path}", json=body, timeout=40)
        assert answer.status_code == status, answer.text
        return answer.json()

    def objects(self, kind: str) -> list[Any]:
        """All objects of a kind, the oldest first."""
        answer = self.http.get(f"{self.url}/_sandbox/state", params={"kind": kind}, timeout=20)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["objects"][kind])

    def deliveries(self, **equal: str) -> list[Any]:
        """The log, the oldest first."""
        answer = self.http.get(f"{self.url}/_sandbox/deliveries", params={"limit": 1000, **equal}, timeout=20)
        assert answer.status_code == 200, answer.text
        return list(reversed(answer.json()["data"]))

    def rules(self, kind: str) -> list[Any]:
        """The `faults` or `misbehaviour` asked for, with how often each has struck."""
        answer = self.http.get(f"{self.url}/_sandbox/{kind}", timeout=20)
        return list(answer.json()["data"])

    def stripe(self, method: str, path: str, **params: Any) -> Any:
        """A call of Stripe's own API by somebody else with a key of the account (form parameters, spelled out)."""
        headers = {"Authorization": "Bearer sk_test_" + "z" * 24}
        answer = self.http.request(method, f"{self.url}{path}", data=params, headers=headers, timeout=20)
        return answer.json()

    def advance(self, seconds: int) -> None:
        self.post("clock/advance", seconds=seconds)

    def forget(self) -> None:
        """As if freshly started, but for the webhook endpoints."""
        for rules in ("misbehaviour", "faults"):
            self.http.delete(f"{self.url}/_sandbox/{rules}", timeout=20)
        self.post("reset", keep_endpoints=True)
        self.post("settings", settle_soon_s=3600, settle_late_s=7200, balance_delay_s=0, retry_after_s=[60, 600, 3600])
        self.post("settings", settlement_currencies=[])


@dataclass
class Live:
    """The project as the world reaches it."""

    url: str
    sandbox: Sandbox
    http: requests.Session = field(default_factory=requests.Session)

    # -- HTTP -------------------------------------------------------------------------------------------
    def ask(self, method: str, path: str, /, **options: Any) -> requests.Response:
        return self.http.request(method, f"{self.url}{path}", timeout=30, allow_redirects=False, **options)

    def get(self, path: str, status: int = 200, /, *, token: str = "", **query: Any) -> Any:
        answer = self.ask("GET", path, params=query, headers=bearer(token))
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, status: int, body: Any, /, *, token: str = "", key: str = "") -> Any:
        headers = bearer(token) | ({"Idempotency-Key": key} if key else {})
        answer = self.ask("POST", path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    # -- giving -----------------------------------------------------------------------------------------
    def give(self, status: int = 200, /, *, token: str = "", key: str = "", **gift: Any) -> Any:
        """`{"url", "session_id", "donation_id"}` of a new gift, 25 unless told."""
        return self.post("/api/donations/create-checkout-session/", status, {"amount": 25, **gift}, token=token, key=key)

    def pay(self, started: Any, status: int = 200, /, *, flush: bool = True, **how: Any) -> Any:
        """What the donor does on Stripe's page; then, unless told otherwise, webhooks arrive and tasks run."""
        paid = self.sandbox.post(f"checkout_sessions/{started['session_id']}/pay", status, **how)
        if flush:
            self.flush()
        return paid

    def give_and_pay(self, *, card: str = "4242424242424242", email: str = "ada@example.org", **gift: Any) -> Any:
        started = self.give(email=email, **gift)
        return started | self.pay(started, card=card, email=email)

    # -- looking ----------------------------------------------------------------------------------------
    def campaign(self, campaign: str) -> Any:
        return self.get(f"/api/campaigns/{campaign}")

    def total(self, campaign: str) -> tuple[str, int, int]:
        """What the campaign has, from how many gifts of how many donors."""
        shown = self.campaign(campaign)
        return shown["current_amount"], shown["donation_count"], shown["donor_count"]

    def wall(self, campaign: str) -> list[Any]:
        return list(self.get("/api/donations", campaign_id=campaign)["results"])

    def session(self, started: Any, *, token: str = "") -> Any:
        return self.get(f"/api/payments/stripe/session/{started['session_id']}", token=token)["data"]

    def status(self, started: Any) -> str:
        return str(self.session(started)["payment_status"])

    # -- what happens behind -----------------------------------------------------------------------------
    def flush(self) -> None:
        """Everything that Stripe has to tell now is delivered, and the background tasks have run."""
        flushed = self.sandbox.post("deliveries/flush", timeout_s=20)
        assert flushed["done"], flushed
        self.run_tasks()

    def run_tasks(self) -> None:
        run_worker()
        failed = DBTaskResult.objects.filter(status="FAILED")
        assert [(task.task_path, task.traceback) for task in failed] == []

    def sweep(self) -> dict[str, int]:
        return sweep()

    def receipts(self) -> list[Any]:
        """Mails about gifts, as sent."""
        return [sent for sent in mail.outbox if sent.subject.startswith("Your gift")]

    def register(self, email: str, password: str = "correct horse battery", *, prove: bool = True, name: str = "") -> str:
        """An account by the API, its address proved by the mailed link, logged in: the access token."""
        self.post("/api/auth/register", 201, {"email": email, "password": password, "name": name})
        self.run_tasks()
        if prove:
            self.post("/api/auth/verify-email", 200, {"token": mailed_token(email)})
        return self.log_in(email, password)

    def log_in(self, email: str, password: str = "correct horse battery") -> str:
        return str(self.post("/api/auth/login", 200, {"email": email, "password": password})["access"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def mailed_token(email: str) -> str:
    """The token of the link in the latest mail to this address."""
    bodies = [str(sent.body) for sent in mail.outbox if sent.to == [email]]
    return unquote(bodies[-1].split("?token=")[1].split()[0])


def a_campaign(**fields: Any) -> str:
    """The id of a new live campaign."""
    return str(CampaignFactory(**fields).pk)


# -- fixtures ---------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with started_sandbox("--seed", "11") as url:
        running = Sandbox(url)
        yield running
        running.http.close()


@pytest.fixture(scope="session")
def live_server_process(sandbox: Sandbox, django_db_setup: None) -> Iterator[LiveServer]:
    """The project in threads of this process, known to the sandbox as a webhook endpoint."""
    server = LiveServer("127.0.0.1", start=False)
    server.thread.connections_override = {}  # each request has a connection of its own: see own_database
    server.start()
    sandbox.post("webhook_endpoints", url=f"{server.url}/api/payments/stripe/webhook", secret=WEBHOOK_SECRET)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def database_file(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """A copy of SQLite's migrated in-memory database; None elsewhere."""
    import sqlite3

    if connections["default"].vendor != "sqlite":
        return None
    file = tmp_path_factory.mktemp("live") / "live.sqlite3"
    with django_db_blocker.unblock(), closing(sqlite3.connect(file)) as copy:
        connections["default"].ensure_connection()
        connections["default"].connection.backup(copy)
    return file


@pytest.fixture
def own_database(database_file: Path | None) -> Iterator[None]:
    """Threads cannot share an in-memory SQLite database without sharing its one transaction: here it is a file."""
    if database_file is None:
        yield
        return
    memory = connections["default"]
    name = memory.settings_dict["NAME"]
    memory.settings_dict["NAME"] = str(database_file)
    del connections["default"]
    yield
    connections["default"].close()
    memory.settings_dict["NAME"] = name
    connections["default"] = memory


@pytest.fixture
def live(
    own_database: None, transactional_db: None, live_server_process: LiveServer, sandbox: Sandbox, settings: Any
) -> Iterator[Live]:
    settings.STRIPE_API_BASE = sandbox.url
    settings.STRIPE_JS_URL = f"{sandbox.url}/v3/"
    settings.FRONTEND_URL = live_server_process.url
    settings.RATE_LIMITS = NO_LIMITS
    settings.CORS_ALLOWED_ORIGINS = [ALLOWED_ORIGIN]
    sandbox.forget()
    running = Live(live_server_process.url, sandbox)
    yield running
    running.http.close()
    sandbox.http.delete(f"{sandbox.url}/_sandbox/misbehaviour", timeout=20)
    sandbox.post("deliveries/flush", timeout_s=20)
    sandbox.forget()
    assert list(check_books()) == []
    unfinished = StripeEvent.objects.filter(state__in=["received", "failed", "dead"])
    assert list(unfinished.values_list("type", "state", "last_error")) == []
