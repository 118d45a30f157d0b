"""Clocks that are wrong, secrets that change, a cache that is gone, a disk that is full."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import requests
import time_machine
from django.core.cache import cache
from django.db import connection
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper
from redis.exceptions import RedisError

from donations.models import Donation
from payments.models import Payment, StripeEvent, Transfer
from tests.faults.conftest import WEBHOOK, latest_event, signed
from tests.live import Live, a_campaign

pytestmark = pytest.mark.xdist_group("faults-surroundings")
TEN_MINUTES_S = 600
GIVE = "/api/donations/create-checkout-session/"


def post(live: Live, body: bytes, **how: Any) -> requests.Response:
    return live.ask("POST", WEBHOOK, data=body, headers={"Stripe-Signature": signed(body, **how)})


# -- clocks -------------------------------------------------------------------------------------------------
def test_a_stripe_that_is_ten_minutes_ahead_changes_nothing(live: Live) -> None:
    campaign = a_campaign()
    live.sandbox.advance(TEN_MINUTES_S)
    started = live.give_and_pay(campaign_id=campaign)
    live.sandbox.post("refunds", payment_intent=started["payment_intent"]["id"], amount=500)
    live.flush()
    assert live.total(campaign) == ("20.00", 1, 1)
    assert live.status(started) == "completed"
    assert {delivery["http_status"] for delivery in live.sandbox.deliveries()} == {200}
    assert len(live.receipts()) == 1


def test_with_our_clock_ten_minutes_ahead_webhooks_are_refused_aloud_and_the_success_page_settles(
    live: Live, caplog: Any
) -> None:
    """Old signatures cannot be told from replayed ones. Once the clock is right, Stripe's retries change nothing."""
    campaign = a_campaign()
    with time_machine.travel(time.time() + TEN_MINUTES_S):
        started = live.give(campaign_id=campaign, email="ada@example.org")
        live.pay(started)
        assert {delivery["http_status"] for delivery in live.sandbox.deliveries()} == {400}
        assert "the timestamp is outside the tolerance" in caplog.text
        assert (StripeEvent.objects.count(), live.total(campaign)) == (0, ("0.00", 0, 0))
        assert live.status(started) == "completed"
        assert live.total(campaign) == ("25.00", 1, 1)
    live.sandbox.advance(61)
    live.flush()
    assert {delivery["http_status"] for delivery in live.sandbox.deliveries(status="succeeded")} == {200}
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"applied", "ignored"}
    assert live.total(campaign) == ("25.00", 1, 1)
    assert (Transfer.objects.count(), len(live.receipts())) == (1, 1)


def test_with_our_clock_ten_minutes_behind_everything_works(live: Live) -> None:
    campaign = a_campaign()
    with time_machine.travel(time.time() - TEN_MINUTES_S):
        started = live.give_and_pay(campaign_id=campaign)
        assert {delivery["http_status"] for delivery in live.sandbox.deliveries()} == {200}
        assert live.total(campaign) == ("25.00", 1, 1)
    assert live.status(started) == "completed"
    assert (Transfer.objects.count(), len(live.receipts())) == (1, 1)


# -- modes and secrets --------------------------------------------------------------------------------------
def test_an_event_of_the_other_mode_is_refused_by_name_and_leaves_no_trace(live: Live) -> None:
    campaign = a_campaign()
    live.sandbox.post("misbehaviour", act="drop", share=1)
    live.pay(live.give(campaign_id=campaign))
    event = json.loads(latest_event(live.sandbox, "checkout.session.completed"))
    answer = post(live, json.dumps(event | {"livemode": True}).encode())
    assert (answer.status_code, answer.text) == (400, "Webhook Error: this endpoint takes events of test mode only")
    assert StripeEvent.objects.count() == Transfer.objects.count() == 0
    assert live.total(campaign) == ("0.00", 0, 0)


def test_while_the_secret_is_rotated_no_event_is_lost(live: Live, settings: Any) -> None:
    campaign = a_campaign()
    started = live.give(campaign_id=campaign, email="ada@example.org")
    settings.STRIPE_WEBHOOK_SECRETS = ("whsec_new",)  # too early: Stripe still signs with the old one
    live.pay(started)
    assert {delivery["http_status"] for delivery in live.sandbox.deliveries()} == {400}
    assert (StripeEvent.objects.count(), live.total(campaign)) == (0, ("0.00", 0, 0))
    settings.STRIPE_WEBHOOK_SECRETS = ("whsec_new", "whsec_tests")
    live.sandbox.advance(61)
    live.flush()
    assert live.total(campaign) == ("25.00", 1, 1)
    body = latest_event(live.sandbox, "checkout.session.completed")
    assert [post(live, body, secret=secret).status_code for secret in ("whsec_new", "whsec_tests", "whsec_other")] == [
        200,
        200,
        400,
    ]
    assert (Transfer.objects.count(), len(live.receipts())) == (1, 1)


# -- the cache ----------------------------------------------------------------------------------------------
@pytest.fixture
def dead_cache(live: Live, settings: Any) -> Iterator[None]:
    usual = settings.CACHES
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:9/0"}}
    with pytest.raises(RedisError):
        cache.get("anything")
    yield
    settings.CACHES = usual


@pytest.mark.usefixtures("dead_cache")
def test_without_a_cache_gifts_are_taken_and_settled_and_it_is_logged(live: Live, caplog: Any) -> None:
    campaign = a_campaign()
    started = live.give_and_pay(campaign_id=campaign)
    assert {delivery["http_status"] for delivery in live.sandbox.deliveries()} == {200}
    assert live.status(started) == "completed"
    assert live.total(campaign) == ("25.00", 1, 1)
    assert len(live.receipts()) == 1
    assert "rate limit “checkout” cannot count" in caplog.text
    assert live.ask("GET", "/readyz").status_code == 503


@pytest.mark.usefixtures("dead_cache")
def test_without_a_cache_nobody_may_guess_passwords(live: Live, caplog: Any) -> None:
    answer = live.ask("POST", "/api/auth/login", json={"email": "ada@example.org", "password": "guess"})
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (429, "rate_limited", "30")
    assert "rate limit “login” cannot count" in caplog.text
    assert "requests are refused" in caplog.text


# -- the disk -----------------------------------------------------------------------------------------------
@contextmanager
def no_page_left() -> Iterator[None]:
    """SQLite itself refuses what needs one page more than the file has; it is packed first, so that few are free."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")

    def limit(connection: Any, **_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA page_count")
            pages = cursor.fetchone()[0]
            cursor.execute(f"PRAGMA max_page_count = {pages}")

    connection_created.connect(limit)
    try:
        yield
    finally:
        connection_created.disconnect(limit)


@contextmanager
def no_space_left() -> Iterator[None]:
    """What PostgreSQL answers to every write of the server's threads when its disk is full: 53100, disk_full."""
    execute = CursorWrapper.execute

    def refuse(cursor: CursorWrapper, sql: str, params: Any = None) -> Any:
        if threading.current_thread() is not threading.main_thread() and sql.lstrip().startswith(("INSERT", "UPDATE", "WITH")):
            with cursor.db.wrap_database_errors:
                raise psycopg.errors.DiskFull("could not extend file: No space left on device")
        return execute(cursor, sql, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", refuse)
        yield


def of_no_interest(number: int, size: int) -> bytes:
    """An event of a type that is only stored."""
    about = {"id": f"cus_{number}", "object": "customer", "description": "x" * size}
    head = {"id": f"evt_filling_{number}", "object": "event", "type": "customer.created", "created": 1_790_000_000}
    return json.dumps({**head, "livemode": False, "data": {"object": about}}).encode()


FULL_DISK = {"sqlite": no_page_left, "postgresql": no_space_left}


def test_on_a_full_disk_webhooks_get_500_and_are_settled_once_there_is_space(live: Live, caplog: Any) -> None:
    campaign = a_campaign()
    started = live.give(campaign_id=campaign, email="ada@example.org")
    with FULL_DISK[connection.vendor]():
        # The last page of SQLite's file has some room: ever smaller events fill it.
        sizes = [3000] * 3 + [1000] * 4 + [300] * 4 + [10] * 8
        assert [post(live, of_no_interest(n, size)).status_code for n, size in enumerate(sizes)][-1] == 500
        live.pay(started)
    assert {delivery["http_status"] for delivery in live.sandbox.deliveries()} == {500}
    assert not StripeEvent.objects.filter(type="checkout.session.completed").exists()
    assert (Transfer.objects.count(), live.total(campaign)) == (0, ("0.00", 0, 0))
    assert "could not be stored either; Stripe will send it again" in caplog.text
    live.sandbox.advance(61)
    live.flush()
    assert live.total(campaign) == ("25.00", 1, 1)
    assert (Transfer.objects.count(), len(live.receipts())) == (1, 1)


def test_on_a_full_disk_gifts_are_refused_in_words_and_taken_once_there_is_space(live: Live) -> None:
    campaign = a_campaign()
    gifts = [{"amount": 25, "campaign_id": campaign, "message": "m" * 400} for _ in range(40)]
    with FULL_DISK[connection.vendor]():
        answers = [live.ask("POST", GIVE, json=gift, headers={"Idempotency-Key": str(n)}) for n, gift in enumerate(gifts)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert [answer.status_code for answer in refused[:1]] == [500]
    assert refused[-1].json() == {
        "success": False,
        "error": "The mistake is on our side and has been recorded. Please try again.",
        "code": "server_error",
    }
    again = [live.ask("POST", GIVE, json=gift, headers={"Idempotency-Key": str(n)}) for n, gift in enumerate(gifts)]
    assert {answer.status_code for answer in again} == {200}
    assert Payment.objects.count() == Donation.objects.count() == len(live.sandbox.objects("checkout.session")) == 40
