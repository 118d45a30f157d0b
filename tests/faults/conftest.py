"""Processes that die when told, mails that are counted across processes, and Stripe's events to be posted by hand."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import connection

from tests.live import NO_LIMITS, ROOT, WEBHOOK_SECRET, Sandbox
from tests.sandbox_process import free_port, started_sandbox

WEBHOOK = "/api/payments/stripe/webhook"


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, at: float | None = None) -> str:
    """The Stripe-Signature header of a body, stamped `at` (now)."""
    stamp = int(time.time() if at is None else at)
    return f"t={stamp},v1={hmac.new(secret.encode(), f'{stamp}.'.encode() + body, hashlib.sha256).hexdigest()}"


def database_url() -> str:
    """Where the tests' own database is, for other processes."""
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{found['NAME']}"
    return f"postgres://{found['USER']}:{found['PASSWORD']}@{found['HOST']}:{found['PORT']}/{found['NAME']}"


@dataclass
class Mortal:
    """Children of tests/faults/mortal.py: each does one piece of work, or dies at a moment of it."""

    process: subprocess.Popen[str]
    url: str
    log: Path
    mails: Path

    def order(self, role: str, *, die_at: int = 0, **more: Any) -> None:
        self.log.unlink(missing_ok=True)
        self._say({"role": role, "die_at": die_at, "log": str(self.log), **more})

    def ended(self) -> int:
        """The exit status of the child; -9 when it was killed."""
        return int(self._hear()["ended"])

    def do(self, role: str, *, die_at: int = 0, **more: Any) -> int:
        self.order(role, die_at=die_at, **more)
        return self.ended()

    def post(self, path: str, body: bytes, *, die_at: int = 0, **headers: str) -> requests.Response | None:
        """One request to a web process; None where it died before it answered."""
        self.order("serve", die_at=die_at)
        try:
            answer = requests.post(
                f"{self.url}{path}", data=body, headers={"Content-Type": "application/json", **headers}, timeout=20
            )
        except requests.ConnectionError:
            answer = None
        assert self.ended() == (0 if answer is not None else -9)
        return answer

    def deliver(self, body: bytes, *, die_at: int = 0) -> int | None:
        """Post an event as Stripe does: the HTTP status, None where the process died."""
        answer = self.post(WEBHOOK, body, die_at=die_at, **{"Stripe-Signature": signed(body)})
        return answer.status_code if answer is not None else None

    def moments(self) -> list[str]:
        """What the latest child came to, its last moment included."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def mailed(self, donation: str) -> int:
        """How many receipts of a gift have gone out, from whatever process."""
        header = re.compile(f"^Message-ID: <{donation}@", re.MULTILINE)
        return sum(len(header.findall(file.read_text())) for file in self.mails.iterdir())

    def _say(self, order: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the mortal process ended"
        return dict(json.loads(line))


def environment(sandbox: Sandbox, **more: str) -> dict[str, str]:
    """What a process of its own sees: the tests' database and sandbox."""
    limits = {f"RATE_LIMIT_{group.upper()}": rate for group, rate in NO_LIMITS.items()}
    found = {**os.environ, "DATABASE_URL": database_url(), "STRIPE_API_BASE": sandbox.url, **limits, **more}
    return {**found, "DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}


@contextmanager
def own_sandbox() -> Iterator[Sandbox]:
    """A sandbox that no other test has registered an endpoint with."""
    with started_sandbox("--seed", "11") as url:
        running = Sandbox(url)
        running.forget()
        yield running
        running.http.close()


@pytest.fixture
def undelivered(sandbox: Sandbox) -> Iterator[Sandbox]:
    """A sandbox whose every event is listed and delivered to nobody: the test posts those that it wants to arrive."""
    sandbox.forget()
    sandbox.post("misbehaviour", act="drop", share=1)
    yield sandbox
    sandbox.forget()


@pytest.fixture
def mortal(own_database: None, transactional_db: None, undelivered: Sandbox, settings: Any, tmp_path: Path) -> Iterator[Mortal]:
    mails = tmp_path / "mails"
    mails.mkdir()
    settings.STRIPE_API_BASE = undelivered.url
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = "django.core.mail.backends.filebased.EmailBackend", str(mails)
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.mortal", str(port)],
        cwd=ROOT,
        env=environment(undelivered, EMAIL_URL=f"filemail:///{mails}"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        running = Mortal(process, f"http://127.0.0.1:{port}", tmp_path / "moments", mails)
        try:
            assert running._hear() == {"ready": True}
            yield running
        finally:
            process.kill()


def latest_event(sandbox: Sandbox, kind: str) -> bytes:
    """The newest event of a type, as Stripe would post it."""
    listed = sandbox.stripe("GET", "/v1/events", type=kind, limit="1")
    return json.dumps(listed["data"][0]).encode()
