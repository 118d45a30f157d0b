"""What a giver sees of their own gifts, what a session tells whom, and what leaves with a person."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.leaving import erase_person, export_person
from accounts.models import User
from accounts.tests.factories import UserFactory, staff_with
from donations.models import Donation, Donor
from donations.tests.factories import CampaignFactory, pending_donation
from donations.tests.test_api import as_user
from payments import stripe_gateway
from payments.errors import StripeBusy, StripeRefused, StripeTimeout, StripeUnavailable
from payments.models import Payment, StripeCall, Transfer
from payments.proving import check_books
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def stranger() -> APIClient:
    return APIClient(raise_request_exception=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of sessions that Stripe was asked for; it does not answer."""
    ids: list[str] = []

    def down(session: str) -> Any:
        ids.append(session)
        raise StripeUnavailable("The payment service cannot be reached.")

    monkeypatch.setattr(stripe_gateway, "retrieve_session", down)
    return ids


def gift(*, email: str = "", user: Any = None, age: timedelta = timedelta(0), **fields: Any) -> Story:
    donation = pending_donation(email=email, user=user, **fields)
    session = f"cs_test_{donation.pk.removeprefix('donation_')}"
    Payment.objects.filter(pk=donation.payment_id).update(checkout_session=session, created_at=timezone.now() - age)
    return Story(Payment.objects.get(pk=donation.payment_id))


def paid(**fields: Any) -> Story:
    story = gift(**fields)
    settle_events(story.succeeded(), source="webhook")
    return story


def look(client: APIClient, story: Story) -> Any:
    return client.get(f"/api/payments/stripe/session/{story.session_id}")


def own(client: APIClient) -> list[str]:
    return [row["id"] for row in client.get("/api/donations/mine").json()["results"]]


# -- history ------------------------------------------------------------------------------------------
def test_the_history_holds_ones_own_gifts_in_every_state_and_nobody_elses() -> None:
    ada = UserFactory(email="ada@example.org")
    pending, done = gift(user=ada), paid(user=ada, email="ada@example.org", anonymous=True, message="Hello")
    paid(email="grace@example.org")
    rows = as_user(ada).get("/api/donations/mine").json()["results"]
    assert {(row["id"], row["state"]) for row in rows} == {
        (pending.payment.subject_id, "pending"), (done.payment.subject_id, "paid"),
    }  # fmt: skip
    (shown,) = [row for row in rows if row["state"] == "paid"]
    assert (shown["amount"], shown["refunded_amount"], shown["message"]) == ("25.00", "0.00", "Hello")
    assert shown["receipt_url"] == f"https://pay.example/{done.charge_id}"


def test_a_guests_gifts_come_with_the_proof_of_their_address_and_not_before() -> None:
    story = paid(email="ada@example.org")
    ada = UserFactory(email="Ada@example.org")
    client = as_user(ada)
    assert own(client) == []
    assert client.get("/api/donors/me").status_code == 404
    assert client.get(f"/api/donations/{story.payment.subject_id}").status_code == 404
    ada.email_proved_at = timezone.now()
    ada.save()
    assert own(client) == [story.payment.subject_id]
    assert client.get(f"/api/donations/{story.payment.subject_id}").json()["state"] == "paid"
    assert client.get("/api/donors/me").json()["email"] == "ada@example.org"


@pytest.mark.parametrize("path", ["/api/donations/mine", "/api/donors/me", "/api/donations/donation_x", "/api/donations/a%00b"])
def test_private_routes_ask_who_is_there(path: str, stranger: APIClient) -> None:
    assert stranger.get(path).status_code in {401, 404}


def test_one_gift_is_for_its_giver_and_for_staff_who_may_see_gifts() -> None:
    ada = UserFactory()
    story = paid(user=ada)
    path = f"/api/donations/{story.payment.subject_id}"
    seeing = staff_with("donations.view_donation")
    no_staff_any_more = staff_with("donations.view_donation")
    User.objects.filter(pk=no_staff_any_more.pk).update(is_staff=False)
    askers = (ada, UserFactory(), staff_with(), staff_with("campaigns.view_campaign"), seeing, no_staff_any_more)
    assert [as_user(user).get(path).status_code for user in askers] == [200, 404, 404, 404, 200, 404]


def test_a_donor_changes_name_language_and_habit_and_nothing_else() -> None:
    ada = UserFactory(email="ada@example.org", email_proved_at=timezone.now())
    paid(email="ada@example.org")
    client = as_user(ada)
    changed = client.patch("/api/donors/me", {"name": "Ada L.", "locale": "en_GB", "anonymous_by_default": True}, format="json")
    assert changed.json() | {"id": ""} == {
        "id": "", "email": "ada@example.org", "name": "Ada L.", "locale": "en_GB", "anonymous_by_default": True,
    }  # fmt: skip
    refused = [
        client.patch("/api/donors/me", {k: v}, format="json") for k, v in (("user", "x"), ("locale", "<b>"), ("name", "\x07"))
    ]
    assert [answer.status_code for answer in refused] == [400, 400, 400]
    client.patch("/api/donors/me", {"email": "eve@example.org"}, format="json")
    assert Donor.objects.get().email == "ada@example.org"


# -- sessions -----------------------------------------------------------------------------------------
STATUSES = {
    "open": ({}, "pending"),
    "processing": ({"status": "processing", "processing_at": NOW}, "processing"),
    "failed": ({"status": "failed", "failed_at": NOW}, "failed"),
    "canceled": ({"status": "canceled", "canceled_at": NOW}, "expired"),
    "expired": ({"status": "expired", "expired_at": NOW}, "expired"),
    "paid": ({"status": "paid", "paid_at": NOW}, "completed"),
    "partly refunded": ({"status": "paid", "paid_at": NOW, "refunded_minor": 700}, "completed"),
    "disputed": ({"status": "paid", "paid_at": NOW, "disputed_minor": 2500}, "completed"),
    "refunded": ({"status": "paid", "paid_at": NOW, "refunded_minor": 2500}, "refunded"),
}


@pytest.mark.parametrize("name", sorted(STATUSES))
def test_a_sessions_status_in_the_words_of_the_front_end(name: str, stranger: APIClient, asked: list[str]) -> None:
    story = gift()
    facts, shown = STATUSES[name]
    Payment.objects.update(**facts)
    body = look(stranger, story).json()
    assert (body["success"], body["data"]["payment_status"], body["data"]["amount"]) == (True, shown, "25.00")


def test_when_stripe_says_paid_it_is_settled_before_it_is_told(stranger: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    story = gift()
    fetched = story.session("complete", "paid") | {
        "payment_intent": story.intent("succeeded") | {"latest_charge": story.charge()}
    }
    monkeypatch.setattr(stripe_gateway, "retrieve_session", lambda session: fetched)
    assert look(stranger, story).json()["data"] == {
        "session_id": story.session_id, "donation_id": story.payment.subject_id,
        "campaign_id": Donation.objects.get().campaign_id, "amount": "25.00", "currency": "USD",
        "payment_status": "completed", "receipt_url": f"https://pay.example/{story.charge_id}",
        "customer_email": "ada@example.org", "payment_intent_id": story.intent_id,
    }  # fmt: skip
    settle_events(story.succeeded(), source="webhook")
    assert Transfer.objects.count() == 1
    assert list(check_books()) == []


@pytest.mark.parametrize("failure", [StripeUnavailable("x"), StripeTimeout("x"), StripeBusy("x"), StripeRefused("x")])
def test_when_stripe_cannot_be_asked_our_own_word_is_given(
    failure: Exception, stranger: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = gift()

    def fails(session: str) -> Any:
        raise failure

    monkeypatch.setattr(stripe_gateway, "retrieve_session", fails)
    answer = look(stranger, story)
    assert (answer.status_code, answer.json()["data"]["payment_status"]) == (200, "pending")


def test_a_paid_session_is_told_without_asking_stripe(stranger: APIClient, asked: list[str]) -> None:
    look(stranger, paid(email="ada@example.org"))
    assert asked == []


def shown_to(client: APIClient, story: Story) -> tuple[Any, ...]:
    answer = look(client, story)
    data = answer.json().get("data", {})
    return answer.status_code, data.get("customer_email"), bool(data.get("receipt_url"))


def test_who_is_told_address_and_receipt_within_a_day_and_after_it() -> None:
    ada = UserFactory(email="ada@example.org")
    young, old = timedelta(hours=23, minutes=59), timedelta(hours=24, minutes=1)
    askers = [APIClient(), as_user(staff_with()), as_user(ada), as_user(staff_with("donations.view_donation"))]
    told = {
        (who, age): [shown_to(client, paid(age=age, **given)) for client in askers]
        for age in (young, old)
        for who, given in (("guest", {"email": "grace@example.org"}), ("user", {"user": ada, "email": ada.email}))
    }
    hidden, gone = (200, None, False), (404, None, False)
    guests, adas = (200, "grace@example.org", True), (200, "ada@example.org", True)
    assert told == {
        ("guest", young): [guests, guests, guests, guests],
        ("user", young): [hidden, hidden, adas, adas],
        ("guest", old): [gone, gone, gone, guests],
        ("user", old): [gone, gone, adas, adas],
    }


@pytest.mark.parametrize("token", ["x", "a.b.c", ""])
def test_a_token_that_is_none_counts_as_none(token: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert shown_to(client, paid(user=UserFactory(), email="x@example.org")) == (200, None, False)


@pytest.mark.parametrize(
    "session", ["cs_test_", "cs_x_1", "cs_test_a-b", "cs_test_" + "a" * 201, "pi_1", "%00", "cs_test_a%0A", "١"]
)
def test_what_is_no_session_id_is_refused_and_stripe_is_not_asked(session: str, stranger: APIClient, asked: list[str]) -> None:
    answer = stranger.get(f"/api/payments/stripe/session/{session}")
    assert (answer.status_code, answer.json()["code"], asked) == (400, "malformed_session_id", [])


def test_a_session_that_is_not_ours_is_not_found_and_stripe_is_not_asked(stranger: APIClient, asked: list[str]) -> None:
    assert stranger.get("/api/payments/stripe/session/cs_test_other").status_code == 404
    assert asked == []


# -- leaving ------------------------------------------------------------------------------------------
def everything_held(of: str) -> list[str]:
    """Where a text still stands in the rows that are kept for good."""
    tables = {"donors": Donor, "donations": Donation, "payments": Payment, "calls": StripeCall, "transfers": Transfer}
    return [name for name, model in tables.items() if of in json.dumps(list(model.objects.values()), default=str)]


def person() -> tuple[Any, list[Story]]:
    """A user with a gift made as a guest and one made while signed in."""
    user = UserFactory(email="ada@secret.example", name="Ada Secret", email_proved_at=timezone.now())
    as_guest = paid(email="ada@secret.example", display_name="Ada Secret", message="My Secret")
    signed_in = paid(email="ada@secret.example", user=user, campaign=CampaignFactory(currency="eur"))
    paid(email="grace@example.org")
    params = {"customer_email": "ada@secret.example"}
    key = f"{as_guest.payment.pk}:checkout.sessions.create:1"
    StripeCall.objects.create(key=key, operation="checkout.sessions.create", subject_id=as_guest.payment.pk, params=params)
    return user, [as_guest, signed_in]


def test_the_export_holds_all_gifts_and_payments_of_a_person_and_nobody_elses() -> None:
    user, stories = person()
    records = export_person(user=user)["records"]
    assert {row["id"] for row in records["donations"]["donations"]} == {story.payment.subject_id for story in stories}
    assert records["donations"]["donor"]["email"] == "ada@secret.example"
    assert {row["id"] for row in records["payments"]["payments"]} == {story.payment.pk for story in stories}
    assert "grace" not in json.dumps(records)


def test_erasure_empties_every_row_that_stays_and_leaves_the_books() -> None:
    user, stories = person()
    total = Transfer.objects.count()
    erase_person(user=user)
    assert everything_held("ecret") == []
    assert Payment.objects.filter(pk__in=[s.payment.pk for s in stories]).exclude(receipt_url="").count() == 0
    assert set(Donation.objects.filter(donor__email__endswith="erased.invalid").values_list("anonymous", "message")) == {
        (True, "")
    }
    assert (Transfer.objects.count(), everything_held("grace@example.org")) == (total, ["donors", "payments"])
    assert list(check_books()) == []


def test_looking_at_a_session_after_an_erasure_does_not_bring_the_person_back(monkeypatch: pytest.MonkeyPatch) -> None:
    user, (_, signed_in) = person()
    erase_person(user=user)
    monkeypatch.setattr(stripe_gateway, "retrieve_session", lambda session: signed_in.session("complete", "paid"))
    assert look(as_user(staff_with("donations.view_donation")), signed_in).status_code == 200
    assert "ada" not in Payment.objects.get(pk=signed_in.payment.pk).customer_email


def test_what_stripe_tells_after_an_erasure_does_not_bring_the_person_back() -> None:
    user, (as_guest, signed_in) = person()
    erase_person(user=user)
    late = [s.event("checkout.session.async_payment_succeeded", s.session("complete", "paid"), 9) for s in (as_guest, signed_in)]
    settle_events([*late, *signed_in.refunded("a", 700, at=100, in_all=700)], source="webhook")
    payments = Payment.objects.filter(pk__in=[as_guest.payment.pk, signed_in.payment.pk])
    kept = " ".join(f"{email} {name}" for email, name in payments.values_list("customer_email", "customer_name"))
    assert "ada" not in kept.lower()
    assert list(check_books()) == []
