"""The front door: who is let in, what is stored, what is answered, and what it costs."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse
from djstripe.models import Event, WebhookEndpoint, WebhookEventTrigger

from donations.models import Donation
from donations.tests.factories import pending_donation
from payments.models import Payment, StripeEvent, Transfer
from payments.proving import check_books
from payments.tests.stripe_objects import Story

UUID = "6f1f9c5a-3f7b-4f0e-9d0c-0a4a5e0f2b11"
DJSTRIPE = f"/stripe/webhook/{UUID}"
ROUTES = ["/api/payments/stripe/webhook", "/api/payments/webhook", "/api/finances/webhooks/stripe", "/webhook", DJSTRIPE]
PATHS = [path for route in ROUTES for path in (route, f"{route}/")]
SECRET = "whsec_tests"
APPS = ("payments", "campaigns", "donations", "accounts", "django_tasks_database", "djstripe")

pytestmark = pytest.mark.django_db


def signed(body: bytes, *, secret: str = SECRET, at: float | None = None) -> str:
    stamp = int(time.time() if at is None else at)
    return f"t={stamp},v1={hmac.new(secret.encode(), f'{stamp}.'.encode() + body, hashlib.sha256).hexdigest()}"


def deliver(body: bytes | str, *, signature: str | None = None, path: str = ROUTES[0], **extra: Any) -> Any:
    raw = body.encode() if isinstance(body, str) else body
    headers = {"Stripe-Signature": signed(raw) if signature is None else signature}
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    return client.generic("POST", path, raw, content_type="application/json", headers=headers, **extra)


def counts() -> dict[str, int]:
    """The number of rows of every table of ours, tasks and mirror included."""
    return {
        model._meta.label: model._default_manager.count() for label in APPS for model in apps.get_app_config(label).get_models()
    }


@pytest.fixture
def story() -> Story:
    return Story(pending_donation().payment)


@pytest.fixture
def paid(story: Story) -> str:
    """The body of the event that a gift is paid."""
    return story.event("checkout.session.completed", story.session("complete", "paid"), 5).payload


@pytest.mark.parametrize("path", PATHS)
def test_every_webhook_address_is_the_same_front_door(path: str, paid: str) -> None:
    answer = deliver(paid, path=path)
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert Donation.objects.get().state == "paid"
    assert list(check_books()) == []


@pytest.mark.parametrize("path", PATHS)
def test_no_webhook_address_lets_a_stranger_in(path: str, paid: str) -> None:
    before = counts()
    answer = deliver(paid, path=path, signature="")
    assert (answer.status_code, answer["Content-Type"]) == (400, "text/plain")
    assert answer.content == b"Webhook Error: the Stripe-Signature header is missing or malformed"
    assert counts() == before


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_only_posts_are_taken(path: str, method: str, client: Client) -> None:
    before = counts()
    assert getattr(client, method)(path).status_code == 405
    assert counts() == before


def forged(body: bytes) -> dict[str, str]:
    now = int(time.time())
    good = signed(body).split("v1=")[1]
    return {
        "another secret": signed(body, secret="whsec_other"),
        "another body": signed(body + b" "),
        "stale": signed(body, at=now - 310),
        "very stale": signed(body, at=0),
        "stamp changed": signed(body, at=now - 7).replace(str(now - 7), str(now - 6)),
        "v0 only": f"t={now},v0={good}",
        "no stamp": f"v1={good}",
        "two stamps": f"t={now},t={now},v1={good}",
        "no v1": f"t={now}",
        "empty v1": f"t={now},v1=",
        "stamp is no number": f"t=now,v1={good}",
        "stamp in other digits": f"t=١٢,v1={good}",
        "negative stamp": f"t=-1,v1={good}",
        "huge stamp": f"t={'9' * 40},v1={good}",
        "upper case": f"t={now},v1={good.upper()}",
        "not ASCII": f"t={now},v1=é",
        "garbage": "garbage",
        "only commas": ",,,,",
        "spaces": "   ",
    }


@pytest.mark.parametrize("name", sorted(forged(b"")))
def test_a_bad_signature_is_refused_and_stores_nothing(name: str, paid: str) -> None:
    before = counts()
    answer = deliver(paid, signature=forged(paid.encode())[name])
    assert answer.status_code == 400
    assert answer.content.startswith(b"Webhook Error: ")
    assert SECRET.encode() not in answer.content
    assert counts() == before
    assert Payment.objects.get().status == "open"


def accepted(body: bytes) -> dict[str, str]:
    now = int(time.time())
    good = signed(body, at=now)
    return {
        "now": good,
        "old but within the tolerance": signed(body, at=now - 290),
        "from a clock ahead of ours": signed(body, at=now + 3600),
        "several v1, ours last": good.replace(",v1=", f",v1={'0' * 64},v1="),
        "several v1, ours first": f"{good},v1={'0' * 64}",
        "beside a v0": f"{good},v0={'0' * 64}",
        "with spaces after commas": good.replace(",", ", "),
        "with parts that are no pairs": f"junk,{good},junk",
    }


@pytest.mark.parametrize("name", sorted(accepted(b"")))
def test_a_genuine_signature_is_accepted(name: str, paid: str) -> None:
    assert deliver(paid, signature=accepted(paid.encode())[name]).status_code == 200
    assert StripeEvent.objects.get().state == "applied"


@pytest.mark.parametrize("secret", ["whsec_old", "whsec_new"])
def test_while_a_secret_is_rotated_both_are_good(secret: str, paid: str, settings: Any) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = ("whsec_old", "whsec_new")
    assert deliver(paid, signature=signed(paid.encode(), secret=secret)).status_code == 200


def dj_stripes_endpoint(secret: str = "whsec_of_dj_stripe") -> None:
    WebhookEndpoint.objects.create(
        id="we_1", djstripe_uuid=UUID, secret=secret, url="https://x.org" + DJSTRIPE, enabled_events=["*"], status="enabled",
    )  # fmt: skip


def test_dj_stripes_own_address_is_the_one_that_dj_stripe_gives_out() -> None:
    assert reverse("djstripe:djstripe_webhook_by_uuid", kwargs={"uuid": UUID}) == DJSTRIPE


def test_the_secret_that_dj_stripe_keeps_for_its_endpoint_counts_there_and_none_of_its_own_work_is_done(paid: str) -> None:
    dj_stripes_endpoint()
    signature = signed(paid.encode(), secret="whsec_of_dj_stripe")
    assert deliver(paid, path=ROUTES[0], signature=signature).status_code == 400
    assert deliver(paid, path=DJSTRIPE.replace("6f1f", "0000"), signature=signature).status_code == 400
    assert StripeEvent.objects.count() == 0
    assert deliver(paid, path=DJSTRIPE, signature=signature).status_code == 200
    assert Donation.objects.get().state == "paid"
    assert (Event.objects.count(), WebhookEventTrigger.objects.count()) == (0, 0)


def test_an_endpoint_without_a_secret_opens_nothing(paid: str) -> None:
    dj_stripes_endpoint(secret="")
    assert deliver(paid, path=DJSTRIPE, signature=signed(paid.encode(), secret="")).status_code == 400
    assert StripeEvent.objects.count() == 0


def test_a_retired_secret_is_refused(paid: str, settings: Any) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = ("whsec_new",)
    assert deliver(paid, signature=signed(paid.encode())).status_code == 400
    assert StripeEvent.objects.count() == 0


@pytest.mark.parametrize(
    "declared", ["", "256001", "1048576", "99999999999999999999", "-1", "abc", "1e3", "²", "٣", "9" * 5000], ids=lambda v: v[:20]
)
def test_a_body_of_undeclared_or_too_great_length_is_never_read(declared: str, paid: str) -> None:
    before = counts()
    answer = deliver(paid, CONTENT_LENGTH=declared)
    assert (answer.status_code, answer.content) == (413, b"Webhook Error: the body is too large")
    assert counts() == before


def test_a_megabyte_is_refused_though_it_is_signed() -> None:
    assert deliver(b"{" + b" " * 1_048_576 + b"}").status_code == 413
    assert StripeEvent.objects.count() == 0


def test_a_length_that_lies_cuts_the_body_and_breaks_the_signature(paid: str) -> None:
    assert deliver(paid, CONTENT_LENGTH="10").status_code == 400
    assert StripeEvent.objects.count() == 0


def test_a_large_event_within_the_limit_is_taken(story: Story) -> None:
    envelope = story.event("checkout.session.completed", {**story.session("complete", "paid"), "custom_text": "x" * 200_000}, 5)
    assert deliver(envelope.payload).status_code == 200
    assert Donation.objects.get().state == "paid"


EVENT = {"id": "evt_1", "object": "event", "type": "x.y", "created": 1, "livemode": False, "data": {"object": {"id": "x_1"}}}
NO_EVENTS: dict[str, bytes] = {
    "blank": b" ",
    "not JSON": b"{",
    "not UTF-8": b'{"id": "\xff"}',
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "an object of another kind": json.dumps({**EVENT, "object": "charge"}).encode(),
    "a thin event": json.dumps({**EVENT, "object": "v2.core.event"}).encode(),
    "no data": json.dumps({**EVENT, "data": None}).encode(),
    "data without object": json.dumps({**EVENT, "data": {}}).encode(),
    "object is a list": json.dumps({**EVENT, "data": {"object": []}}).encode(),
    "no id": json.dumps({**EVENT, "id": None}).encode(),
    "another id": json.dumps({**EVENT, "id": "ch_1"}).encode(),
    "long id": json.dumps({**EVENT, "id": "evt_" + "1" * 252}).encode(),
    "no type": json.dumps({**EVENT, "type": 7}).encode(),
    "long type": json.dumps({**EVENT, "type": "x" * 81}).encode(),
    "time is text": json.dumps({**EVENT, "created": "1"}).encode(),
    "time is a fraction": json.dumps({**EVENT, "created": 1.5}).encode(),
    "time is beyond all years": json.dumps({**EVENT, "created": 10**15}).encode(),
    "no mode": json.dumps({**EVENT, "livemode": None}).encode(),
    "live mode": json.dumps({**EVENT, "livemode": True}).encode(),
}


@pytest.mark.parametrize("name", sorted(NO_EVENTS))
def test_what_is_no_event_of_ours_is_refused_and_stores_nothing(name: str) -> None:
    before = counts()
    assert deliver(NO_EVENTS[name]).status_code == 400
    assert counts() == before


def test_in_live_mode_test_events_are_refused(paid: str, settings: Any) -> None:
    settings.STRIPE_LIVE_MODE = True
    answer = deliver(paid)
    assert (answer.status_code, answer.content) == (400, b"Webhook Error: this endpoint takes events of live mode only")
    assert StripeEvent.objects.count() == 0


def test_an_unknown_type_is_stored_ignored_and_acknowledged() -> None:
    assert deliver(json.dumps(EVENT)).json() == {"received": True}
    row = StripeEvent.objects.get()
    assert (row.state, row.type, row.object_id, row.attempts, row.next_attempt_at) == ("ignored", "x.y", "x_1", 0, None)
    assert row.payload == json.dumps(EVENT)
    assert Payment.objects.count() == Transfer.objects.count() == 0
