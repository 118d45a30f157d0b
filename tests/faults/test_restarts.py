"""PostgreSQL falls over and web workers are killed while gifts and webhooks come in."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
import time_machine
from django.core import mail
from django.db import connection
from django.utils import timezone

from campaigns.models import CampaignTally
from donations.models import Donation
from donations.tests.factories import CampaignFactory
from payments.models import Payment, StripeEvent, Transfer
from payments.proving import check_books
from payments.sweeping import sweep
from tests.faults import cluster as clusters
from tests.faults.conftest import environment, own_sandbox
from tests.live import WEBHOOK_SECRET, Sandbox
from tests.sandbox_process import free_port
from tests.working import run_worker

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="restarts a PostgreSQL of its own"),
    pytest.mark.xdist_group("faults-restarts"),
]
GIFTS, DONORS = 60, 6
DOWN_S = 0.5


@pytest.fixture
def cluster(db: None) -> Iterator[clusters.Cluster]:
    found = clusters.binaries()
    if found is None and os.environ.get("REQUIRE_POSTGRES") == "1":
        pytest.fail("REQUIRE_POSTGRES=1, but there is no initdb to make a cluster with.")
    if found is None:
        pytest.skip("no initdb below /usr/lib/postgresql: no cluster of one's own to restart")
    with clusters.own_cluster(found, free_port()) as running, clusters.as_default_database(running):
        yield running


@pytest.fixture
def private_sandbox(settings: Any) -> Iterator[Sandbox]:
    with own_sandbox() as sandbox:
        settings.STRIPE_API_BASE = sandbox.url
        yield sandbox


def give_until_taken(url: str, sandbox: Sandbox, campaign: str, number: int) -> list[int]:
    """A donor who presses again until it works, then pays; the statuses that were answered (0: none)."""
    gift = {"amount": 25, "campaign_id": campaign, "email": f"donor{number}@example.org"}
    statuses: list[int] = []
    with requests.Session() as http:
        while 200 not in statuses:
            assert len(statuses) < 400, statuses
            try:
                answer = http.post(
                    f"{url}/api/donations/create-checkout-session/",
                    json=gift,
                    headers={"Idempotency-Key": f"gift-{number}"},
                    timeout=20,
                )
                statuses.append(answer.status_code)
            except (requests.ConnectionError, requests.Timeout):
                statuses.append(0)
            time.sleep(0.05 * (statuses[-1] != 200))
        paid = http.post(f"{sandbox.url}/_sandbox/checkout_sessions/{answer.json()['session_id']}/pay", json={}, timeout=20)
        assert paid.status_code == 200
    return statuses


def test_gifts_survive_a_database_that_falls_over_and_workers_that_are_killed(
    cluster: clusters.Cluster, private_sandbox: Sandbox
) -> None:
    sandbox, campaign, port = private_sandbox, CampaignFactory(), free_port()
    env = environment(sandbox, DATABASE_URL=cluster.url, FRONTEND_URL=f"http://127.0.0.1:{port}", LOG_LEVEL="CRITICAL")
    with clusters.gunicorn(port, env) as web:
        sandbox.post("webhook_endpoints", url=f"{web.url}/api/payments/stripe/webhook", secret=WEBHOOK_SECRET)
        with ThreadPoolExecutor(DONORS) as donors:
            giving = [donors.submit(give_until_taken, web.url, sandbox, campaign.pk, number) for number in range(GIFTS)]
            giving[GIFTS // 4].result()
            cluster.stop()
            time.sleep(DOWN_S)
            cluster.start()
            giving[GIFTS // 2].result()
            web.kill_worker()
            statuses = [status for gift in giving for status in gift.result()]
        clusters.wait_until_ready(f"{web.url}/readyz")
        sandbox.post("deliveries/flush", timeout_s=30)
        lost = [delivery for delivery in sandbox.deliveries() if delivery["status"] == "failed"]
        for pause in (61, 601, 3601):  # what was not answered with 200 comes again
            sandbox.advance(pause)
            assert sandbox.post("deliveries/flush", timeout_s=30)["done"]
    sys.stdout.write(f"{GIFTS} gifts, answers {sorted(set(statuses))}, {len(lost)} deliveries failed and came again\n")
    assert set(statuses) - {200} <= {0, 500, 502, 503}
    assert set(statuses) > {200}
    assert len(lost) > 0

    run_worker()
    with time_machine.travel(timezone.now() + timedelta(minutes=20)):
        sweep()
    assert Payment.objects.filter(status="paid").count() == Payment.objects.count() == GIFTS
    assert Donation.objects.filter(state="paid", campaign=campaign).count() == GIFTS
    assert Transfer.objects.count() == GIFTS
    slots = CampaignTally.objects.filter(campaign=campaign)
    assert [sum(getattr(slot, name) for slot in slots) for name in ("raised_minor", "donations", "donors")] == [
        GIFTS * 2500,
        GIFTS,
        GIFTS,
    ]
    assert len(sandbox.objects("checkout.session")) == GIFTS
    assert len([sent for sent in mail.outbox if sent.subject.startswith("Your gift")]) == GIFTS
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"applied", "ignored"}
    told = {event["event"] for event in sandbox.deliveries()}
    assert set(StripeEvent.objects.values_list("pk", flat=True)) == told
    assert list(check_books()) == []
