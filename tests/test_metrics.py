"""/metrics: whom it answers, what it says, what it costs."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
import yaml
from django.core.cache import cache
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from config import metrics
from donations.tests.factories import pending_donation
from payments import measuring, stripe_gateway
from payments.errors import CardDeclined, StripeTimeout
from payments.models import LastRun, Payment, StripeEvent
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db
TOKEN = "a-token-of-some-length"
STRIPE = "http://127.0.0.1:9/v1"
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _token(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    settings.STRIPE_MAX_NETWORK_RETRIES = 0


def scrape(client: Client) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels, in the order of the labels' names."""
    cache.clear()
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


# -- whom it answers -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN} ", "Bearer é"])
def test_without_the_token_there_is_no_such_page(header: str, client: Client) -> None:
    answer = client.get("/metrics", headers={"Authorization": header})
    assert (answer.status_code, b"largesse_" in answer.content) == (404, False)


def test_it_is_never_public_by_default(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    for header in ("", "Bearer ", "Bearer"):
        assert client.get("/metrics", headers={"Authorization": header}).status_code == 404


@pytest.mark.parametrize(
    ("address", "forwarded", "proxies", "status"),
    [
        ("10.1.2.3", None, 0, 200),
        ("::ffff:10.1.2.3", None, 0, 200),
        ("203.0.113.9", None, 0, 404),
        # Behind a proxy that was not declared, everybody comes from inside.
        ("10.1.2.3", "203.0.113.9", 0, 404),
        ("10.1.2.3", "203.0.113.9", 1, 404),
        ("10.1.2.3", "10.9.9.9, 203.0.113.9", 1, 404),
        ("10.1.2.3", "10.9.9.9", 1, 200),
        ("", None, 0, 404),
    ],
)
def test_a_network_that_is_named_needs_no_token(
    address: str, forwarded: str | None, proxies: int, status: int, client: Client, settings: Any
) -> None:
    settings.METRICS_TOKEN, settings.METRICS_NETWORKS, settings.TRUSTED_PROXIES = "", ("192.168.0.0/16", "10.0.0.0/8"), proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert client.get("/metrics", REMOTE_ADDR=address, headers=headers).status_code == status


def test_it_is_only_read(client: Client) -> None:
    assert client.post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 405


# -- what it says --------------------------------------------------------------------------------------------
def test_payments_events_and_delay(client: Client) -> None:
    story = Story(pending_donation().payment)
    pending_donation()
    settle_events(story.succeeded(), source="webhook")
    now = timezone.now()
    StripeEvent.objects.update(received_at=now, created_at=now - timedelta(seconds=4))
    Payment.objects.update(created_at=now - timedelta(minutes=40))
    found = scrape(client)
    assert found["largesse_payments_recent", "paid", "donation"] == 1
    assert found["largesse_payments_recent", "open", "donation"] == 1
    assert found["largesse_conversion_ratio", "donation"] == 0.5
    assert found["largesse_events_recent", "webhook", "applied", "charge.succeeded"] == 1
    assert found["largesse_webhook_delay_seconds", "0.5"] == found["largesse_webhook_delay_seconds", "1"] == 4
    assert 0 <= found["largesse_webhook_silence_seconds",] < 60
    assert found["largesse_events_unfinished", "dead"] == 0
    assert ("largesse_scrape_failed", "events") not in found


def test_dead_and_waiting_events_and_silence(client: Client) -> None:
    story = Story(pending_donation().payment)
    settle_events(story.succeeded(), source="webhook")
    long_ago = timezone.now() - timedelta(hours=2)
    StripeEvent.objects.update(received_at=long_ago)
    StripeEvent.objects.filter(type="charge.updated").update(state="dead")
    StripeEvent.objects.filter(type="charge.succeeded").update(state="failed", next_attempt_at=long_ago)
    settle_events([Story(pending_donation().payment).succeeded()[0]], source="pull")
    found = scrape(client)
    assert (found["largesse_events_unfinished", "dead"], found["largesse_events_unfinished", "failed"]) == (1, 1)
    assert found["largesse_oldest_unfinished_event_seconds",] == pytest.approx(7200, abs=60)
    assert found["largesse_webhook_silence_seconds",] == pytest.approx(7200, abs=60)


def test_what_does_not_balance(client: Client) -> None:
    call_command("check_books", json=True)
    found = scrape(client)
    assert found["largesse_last_run_found", "check_books"] == 0
    assert found["largesse_last_run_timestamp_seconds", "check_books"] == pytest.approx(timezone.now().timestamp(), abs=60)
    Payment.objects.filter(pk=pending_donation().payment_id).update(
        paid_at=timezone.now(), status="paid", refunded_minor=1, payment_intent="pi_1"
    )
    with pytest.raises(SystemExit):
        call_command("check_books", json=True)
    assert scrape(client)["largesse_last_run_found", "check_books"] >= 1


def test_calls_to_stripe_by_operation_outcome_and_time(client: Client) -> None:
    with responses.RequestsMock() as stripe:
        stripe.get(f"{STRIPE}/payment_intents/pi_3AbC", json={"id": "pi_3AbC", "object": "payment_intent"})
        stripe_gateway.retrieve_intent("pi_3AbC")
        stripe.get(f"{STRIPE}/charges/ch_3AbC", status=402, json={"error": {"type": "card_error", "code": "card_declined"}})
        with pytest.raises(CardDeclined):
            stripe_gateway.retrieve_charge("ch_3AbC")
        stripe.get(f"{STRIPE}/refunds/re_3AbC", body=requests.exceptions.ReadTimeout("slow"))
        with pytest.raises(StripeTimeout):
            stripe_gateway.retrieve_refund("re_3AbC")
    found = scrape(client)
    prefix = "largesse_stripe_call_seconds"
    assert found[f"{prefix}_count", "GET /v1/payment_intents/{id}", "ok"] == 1
    assert found[f"{prefix}_bucket", "12.0", "GET /v1/payment_intents/{id}", "ok"] == 1
    assert found[f"{prefix}_count", "GET /v1/charges/{id}", "declined"] == 1
    assert found[f"{prefix}_count", "GET /v1/refunds/{id}", "timeout"] == 1


# -- what it costs -------------------------------------------------------------------------------------------
def test_a_scrape_is_answered_from_the_cache_for_a_few_seconds(client: Client) -> None:
    scrape(client)
    with CaptureQueriesContext(connection) as taken:
        assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert len(taken) == 0


def test_queries_do_not_grow_with_what_there_is(client: Client) -> None:
    scrape(client)
    with CaptureQueriesContext(connection) as empty:
        scrape(client)
    for _ in range(3):
        settle_events(Story(pending_donation().payment).succeeded(), source="webhook")
    with CaptureQueriesContext(connection) as full:
        scrape(client)
    assert len(full) == len(empty) <= 16
    assert not any("COUNT" in query["sql"] and "LIMIT" not in query["sql"] for query in full.captured_queries)


def test_no_window_is_read_beyond_its_limit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MOST_ROWS", 3)
    settle_events(Story(pending_donation().payment).succeeded(), source="webhook")
    found = scrape(client)
    assert sum(value for name, value in found.items() if name[0] == "largesse_events_recent") == 3
    assert (found["largesse_events_window_is_cut",], found["largesse_payments_window_is_cut",]) == (1, 0)


def test_a_part_that_fails_takes_no_other_with_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def _runs(now: Any) -> Any:
        raise DatabaseError("no such table")

    monkeypatch.setattr(measuring, "PARTS", (_runs, *measuring.PARTS))
    LastRun.objects.create(name="sweep", finished_at=timezone.now())
    found = scrape(client)
    assert (found["largesse_scrape_failed", "runs"], found["largesse_last_run_found", "sweep"]) == (1, 0)


def test_metrics_are_kept_for_less_than_prometheus_waits() -> None:
    assert metrics.KEPT_FOR_S < 15


# -- the rules that are shipped --------------------------------------------------------------------------------
RULES = [rule for group in yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_rests_on_metrics_that_exist_and_is_explained(rule: dict[str, Any], client: Client, settings: Any) -> None:
    settings.STRIPE_MIRROR = True
    StripeEvent.objects.create(
        id="evt_1", type="charge.succeeded", object_id="ch_1", livemode=False, created_at=timezone.now(), source="webhook",
        payload="{}", state="applied",
    )  # fmt: skip
    pending_donation()
    cache.clear()
    text = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    named = {re.sub("_(bucket|count|sum)$", "", name) for name in re.findall("largesse_[a-z_]+", rule["expr"])}
    assert named
    assert named <= families
    assert rule["labels"]["severity"] in {"page", "ticket"}
    explained = (ROOT / "docs/operations.md").read_text().split("## Metrics and alerts")[1]
    assert re.search(rf"\*\*[^*]*{rule['alert']}[^*]*\*\*", explained)
