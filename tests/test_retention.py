"""What was kept long enough is ended: payloads shrink to what the books need, names go where a period says so, codes and
tokens go, and amounts, transfers and the history stay. Nothing is done that was not asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db.models import Model
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.models import AuditEntry, Invitation
from accounts.tests.factories import UserFactory
from backoffice import retention
from donations.models import Donation, Donor
from donations.tests.factories import pending_donation
from payments import checkout
from payments.facts import from_event
from payments.inbox import Envelope, open_envelope
from payments.models import LastRun, LedgerAccount, Payment, Refund, StripeCall, StripeEvent, Transfer
from payments.proving import check_books
from payments.reducing import is_reduced, reduced
from payments.replaying import preview, replay
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from pricing.models import HourLot, Subscription
from pricing.tests.factories import make_plan
from pricing.tests.invoice_story import InvoiceStory, pending_subscription
from tests.test_architecture import read
from wallets.models import Notice, PaymentMethod, TelegramCode, TelegramUpdate
from wallets.tests.card_story import CardStory
from wallets.tests.factories import fund, make_organization, make_wallet

pytestmark = pytest.mark.django_db

PERSONAL = ("ada@example.org", "Ada@Example.org", "Lovelace", "card@example.org", "pay.example", "a private word")


def everything(payment: Payment) -> list[Envelope]:
    """Every event that a story can tell, of stories that exclude each other too."""
    told = Story(payment)
    told.metadata = {**told.metadata, "note": "a private word"}
    events = [*told.succeeded(), *told.declined(), *told.expired(), *told.delayed(succeeds=True), *told.delayed(succeeds=False)]
    events += [*told.refunded("a", 300, at=90, in_all=300), *told.refund_failed("b", 200, at=95)]
    return [*events, *told.disputed("won"), *told.disputed("lost")]


def aged(model: type[Model], days: int, *columns: str) -> None:
    then = timezone.now() - timedelta(days=days)
    model._default_manager.update(**dict.fromkeys(columns, then))


def run(*options: str) -> tuple[int, dict[str, Any]]:
    """Exit status, and the counts by rule."""
    out, status = StringIO(), 0
    try:
        call_command("retention", "--json", *options, stdout=out)
    except SystemExit as end:
        status = int(end.code or 0)
    return status, json.loads(out.getvalue())["rules"]


def rows(*models: type[Model], without: Iterable[str] = ()) -> list[Any]:
    shown = [[field.attname for field in model._meta.concrete_fields if field.attname not in without] for model in models]
    return [list(model._default_manager.order_by("pk").values(*names)) for model, names in zip(models, shown, strict=True)]


# -- reducing -------------------------------------------------------------------------------------------
def test_a_reduced_event_says_the_same_facts_but_for_who_paid() -> None:
    for envelope in everything(pending_donation().payment):
        small = json.loads(reduced(envelope.payload))
        seen, as_before = from_event(small), from_event(envelope.event)
        assert seen is not None
        assert as_before is not None
        nobody = replace(as_before, customer_email="", customer_name="", receipt_url="")
        ours = {name: value for name, value in (as_before.metadata or {}).items() if name != "note"}
        assert seen == (nobody if as_before.metadata is None else replace(nobody, metadata=ours)), envelope.event["type"]
        assert open_envelope(json.dumps(small)).object_id == envelope.object_id


def test_a_reduced_event_names_nobody_and_is_reduced_once() -> None:
    for envelope in everything(pending_donation().payment):
        text = reduced(envelope.payload)
        assert [word for word in PERSONAL if word in text] == []
        assert (is_reduced(envelope.payload), is_reduced(text), reduced(text)) == (False, True, text)


def test_a_card_keeps_what_may_be_shown_of_it_and_nothing_else() -> None:
    card = {"brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": 2031, "checks": {"cvc_check": "pass"}, "iin": "424242"}
    method = {"id": "pm_1", "object": "payment_method", "type": "card", "customer": "cus_1", "created": 1, "card": card}
    method |= {"billing_details": {"name": "Ada Lovelace", "address": {"postal_code": "10115"}}}
    event = {"id": "evt_1", "object": "event", "type": "payment_method.attached", "created": 1, "data": {"object": method}}

    small = json.loads(reduced(json.dumps(event)))["data"]["object"]

    assert small.pop("card") == {"brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": 2031}
    assert small == {name: method[name] for name in ("id", "object", "type", "customer", "created")}


def test_old_events_are_reduced_and_replaying_them_changes_nothing() -> None:
    story = Story(pending_donation().payment)
    wallet = make_wallet()
    filled = fund(wallet, 4_000)
    subscription = pending_subscription(make_plan(days=None), user=UserFactory.create())
    month = InvoiceStory(subscription)
    cards = CardStory(wallet.organization)
    for events in (
        [*story.succeeded(), *story.refunded("a", 300, at=90, in_all=300), *story.disputed("won")],
        filled.refunded("w", 500, at=100, in_all=500),
        [cards.attached("a", at=1), cards.attached("b", at=2), cards.chosen("b", at=3), cards.detached("a", at=4)],
        [*month.paid(), month.event("customer.subscription.deleted", month.subscription("canceled", ended_at=month.at + 9), 9)],
    ):
        settle_events(events, source="webhook")
    ids = list(StripeEvent.objects.values_list("pk", flat=True))
    replay(ids)  # what waited for its payment has found it now
    aged(StripeEvent, 91, "received_at")
    models = (Payment, Refund, Transfer, LedgerAccount, Donation, Donor, Subscription, HourLot, PaymentMethod, Notice)
    before = rows(*models)

    status, told = run("--apply")

    assert (status, told["payloads"]) == (0, {"ended": len(ids), "due": 0})
    assert all(is_reduced(payload) for payload in StripeEvent.objects.values_list("payload", flat=True))
    shown = preview(ids)
    assert (shown.changes, shown.failed, shown.busy) == ([], {}, [])
    assert set(replay(ids).states.values()) == {"applied"}
    assert rows(*models) == before
    assert list(check_books()) == []


def test_reduced_events_alone_settle_to_the_same_books() -> None:
    first, second = (Story(pending_donation().payment) for _ in range(2))
    second.number = first.number + 1_000
    ends = []
    for story, written in ((first, str), (second, reduced)):
        events = [*story.succeeded(), *story.refunded("a", 300, at=90, in_all=300), *story.disputed("lost")]
        settle_events([open_envelope(written(event.payload)) for event in events], source="webhook")
        payment = Payment.objects.get(pk=story.payment.pk)
        transfers = payment.transfers.order_by("occurred_at", "pk").values_list("amount_minor", "occurred_at", "memo")
        ends.append((payment.status, payment.paid_at, payment.refunded_minor, payment.disputed_minor, list(transfers)))

    assert ends[0] == ends[1]
    assert ends[0][0] == "paid"
    assert list(check_books()) == []


def test_what_has_no_end_yet_is_reduced_too_and_can_still_be_applied() -> None:
    donation = pending_donation()
    story = Story(donation.payment)
    events = story.succeeded()
    StripeEvent.objects.bulk_create(
        StripeEvent(
            id=event.id,
            type=event.type,
            object_id=event.object_id,
            livemode=False,
            created_at=event.created_at,
            source="webhook",
            payload=event.payload,
            state="dead",
        )
        for event in events
    )
    aged(StripeEvent, 91, "received_at")

    run("--apply")
    replayed = replay([event.id for event in events])

    assert (set(replayed.states.values()), replayed.failed) == ({"applied"}, {})
    donation.refresh_from_db()
    assert donation.state == "paid"
    assert list(check_books()) == []


# -- the command ----------------------------------------------------------------------------------------
def test_without_apply_nothing_is_changed_and_the_exit_status_says_that_something_is_due() -> None:
    settle_events(Story(pending_donation().payment).succeeded(), source="webhook")
    aged(StripeEvent, 91, "received_at")
    before = rows(StripeEvent, Payment)

    status, told = run()

    assert (status, told["payloads"]) == (1, {"due": 4})
    assert rows(StripeEvent, Payment) == before
    assert not LastRun.objects.filter(name="retention").exists()


def test_what_is_younger_stays_as_it_came() -> None:
    settle_events(Story(pending_donation().payment).succeeded(), source="webhook")
    aged(StripeEvent, 89, "received_at")
    before = rows(StripeEvent, Payment)

    assert run("--apply")[0] == 0

    assert rows(StripeEvent, Payment) == before
    assert LastRun.objects.get(name="retention").found == 0


def test_a_run_is_capped_and_the_next_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 2)
    settle_events(Story(pending_donation().payment).succeeded(), source="webhook")
    settle_events(Story(pending_donation().payment).succeeded(), source="webhook")
    aged(StripeEvent, 91, "received_at")  # all at one instant: the cursor goes by the id within it

    first, second, third = (run("--apply", "--limit", "5") for _ in range(3))

    assert [(status, told["payloads"]) for status, told in (first, second, third)] == [
        (1, {"ended": 5, "due": 3}),
        (0, {"ended": 3, "due": 0}),
        (0, {"ended": 0, "due": 0}),
    ]


def test_only_what_is_asked_for_is_done() -> None:
    settle_events(Story(pending_donation().payment).succeeded(), source="webhook")
    aged(StripeEvent, 91, "received_at")

    status, told = run("--apply", "--only", "sessions")

    assert (status, told) == (0, {"sessions": {"ended": 0, "due": 0}})
    assert not any(is_reduced(payload) for payload in StripeEvent.objects.values_list("payload", flat=True))


@pytest.mark.parametrize("limit", ["0", "-1", "1000001"])
def test_a_limit_that_makes_no_sense_is_refused(limit: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("retention", "--limit", limit)
    assert refused.value.returncode == 2


def test_for_people_it_tells_what_it_did() -> None:
    settle_events(Story(pending_donation().payment).succeeded(), source="webhook")
    aged(StripeEvent, 91, "received_at")
    out = StringIO()

    call_command("retention", "--apply", stdout=out)

    assert "4  events reduced to what the books need" in out.getvalue()
    assert "Nothing is due." not in out.getvalue()


@pytest.mark.parametrize("options", [[], ["--apply"]])
def test_where_nothing_is_due_it_says_so(options: list[str]) -> None:
    out = StringIO()

    call_command("retention", *options, stdout=out)

    assert out.getvalue().endswith("\nNothing is due.\n")


# -- names ----------------------------------------------------------------------------------------------
def test_calls_to_stripe_forget_who_paid_and_keep_the_rest() -> None:
    payment = pending_donation().payment
    checkout.plan_call(payment.pk, checkout.INTENT, {"amount": 2500, "receipt_email": "ada@example.org"})
    aged(StripeCall, 91, "created_at")

    run("--apply")

    assert StripeCall.objects.get().params == {"amount": 2500}


def test_guests_are_kept_for_ever_unless_a_period_is_set(settings: Any) -> None:
    settle_events(Story(pending_donation(message="For Lovelace").payment).succeeded(), source="webhook")
    aged(Payment, 5_000, "created_at")
    aged(Donation, 5_000, "created_at")
    aged(Donor, 5_000, "created_at")
    before = rows(Payment, Donor, Donation)

    assert run("--apply")[0] == 0

    assert rows(Payment, Donor, Donation) == before
    settings.PAYERS_KEPT_DAYS = 3_650
    transfers = rows(Transfer)
    status, told = run("--apply")
    assert (status, told["payers"], told["donors"]) == (0, {"ended": 1, "due": 0}, {"ended": 1, "due": 0})
    kept = json.dumps(rows(Payment, Donor, Donation), default=str)
    assert [word for word in ("ada@example.org", "Lovelace", "pay.example") if word in kept] == []
    assert (rows(Transfer), Payment.objects.get().amount_minor, Donation.objects.get().state) == (transfers, 2500, "paid")


def test_a_guest_who_gave_again_lately_is_kept(settings: Any) -> None:
    settings.PAYERS_KEPT_DAYS = 3_650
    for _ in range(2):
        settle_events(Story(pending_donation().payment).succeeded(), source="webhook")
    aged(Donor, 5_000, "created_at")
    old = Donation.objects.order_by("pk")[0]
    Donation.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=5_000))

    told = run("--apply")[1]

    assert (told["donors"], Donor.objects.get().name) == ({"ended": 0, "due": 0}, "Ada Lovelace")


# -- what ends by itself --------------------------------------------------------------------------------
def test_ended_invitations_codes_tokens_sessions_and_notices_go_and_open_ones_stay() -> None:
    organization, user = make_organization(), UserFactory.create()
    now = timezone.now()
    for number, ended in enumerate([{"withdrawn_at": now - timedelta(days=91)}, {}, {"withdrawn_at": now}]):
        expires_at = now - timedelta(days=91) if number == 0 else now + timedelta(days=1)
        Invitation.objects.create(
            organization=organization, email=f"{number}@example.org", invited_by=user, expires_at=expires_at, **ended
        )
    TelegramCode.objects.create(user=user, code_hash="a", expires_at=now - timedelta(days=2), used_at=now - timedelta(days=2))
    TelegramCode.objects.create(user=user, code_hash="b", expires_at=now + timedelta(minutes=5))
    TelegramUpdate.objects.create(id=1, taken_at=now - timedelta(days=8))
    TelegramUpdate.objects.create(id=2)
    for age in (1, -1):
        token = RefreshToken.for_user(user)
        OutstandingToken.objects.filter(jti=token["jti"]).update(expires_at=now - timedelta(days=age))
        Session.objects.create(session_key=f"s{age}", session_data="", expire_date=now - timedelta(days=age))
        Notice.objects.create(
            organization=organization, kind="low_balance", key=f"n{age}", created_at=now - timedelta(days=401 if age > 0 else 1)
        )
    lines = AuditEntry.objects.count()

    status, told = run("--apply")

    assert status == 0
    ended = {name: told[name]["ended"] for name in ("invitations", "codes", "updates", "tokens", "sessions", "notices")}
    assert ended == dict.fromkeys(ended, 1)
    assert sorted(Invitation.objects.values_list("email", flat=True)) == ["1@example.org", "2@example.org"]
    assert list(TelegramCode.objects.values_list("code_hash", flat=True)) == ["b"]
    assert list(TelegramUpdate.objects.values_list("pk", flat=True)) == [2]
    assert list(Session.objects.values_list("session_key", flat=True)) == ["s-1"]
    assert list(Notice.objects.values_list("key", flat=True)) == ["n-1"]
    assert (OutstandingToken.objects.count(), AuditEntry.objects.count()) == (1, lines)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAYLOADS_KEPT_DAYS", "29"),
        ("PAYLOADS_KEPT_DAYS", "0"),
        ("NOTICES_KEPT_DAYS", "119"),
        ("INVITATIONS_KEPT_DAYS", "0"),
        ("PAYERS_KEPT_DAYS", "119"),
        ("PAYERS_KEPT_DAYS", "a year"),
    ],
)
def test_a_period_in_which_data_is_still_needed_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=name):
        read(monkeypatch, **{name: value})


def test_who_paid_is_not_forgotten_before_the_events_that_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, PAYERS_KEPT_DAYS="200", PAYLOADS_KEPT_DAYS="200").payers_kept_days == 200
    with pytest.raises(ImproperlyConfigured, match="PAYERS_KEPT_DAYS"):
        read(monkeypatch, PAYERS_KEPT_DAYS="199", PAYLOADS_KEPT_DAYS="200")
