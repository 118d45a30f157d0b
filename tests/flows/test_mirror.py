"""dj-stripe's tables as a mirror of what Stripe has: complete, current, and never in the way of money."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import stripe
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from djstripe import models as djstripe

from payments import mirror
from payments.models import MirrorCursor, MirrorGap, Payment, StripeCallTally, StripeEvent
from payments.persons import ERASED_DOMAIN
from payments.refunds import request_refund, send_refund
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from tests.live import Live

MIRRORED = (djstripe.Session, djstripe.PaymentIntent, djstripe.Charge, djstripe.Refund, djstripe.Dispute)


@pytest.fixture(autouse=True)
def _mirror_is_on(settings: Any) -> None:
    settings.STRIPE_MIRROR = True


def counts() -> list[int]:
    return [model.objects.count() for model in MIRRORED]


def calls_made() -> int:
    return StripeCallTally.objects.aggregate(n=Sum("calls"))["n"] or 0


def refund(amount_minor: int) -> str:
    payment = Payment.objects.earliest("created_at")
    asked = request_refund(payment_id=payment.pk, amount_minor=amount_minor, reason="duplicate", requested_by=None)
    return str(send_refund(asked).stripe_id)


def failing(*ids: str) -> list[tuple[str, int]]:
    return list(MirrorGap.objects.filter(pk__in=ids).values_list("pk", "attempts"))


def test_a_paid_gift_is_mirrored_with_all_that_it_names(live: Live) -> None:
    started = live.give_and_pay()
    assert counts() == [0, 0, 0, 0, 0]
    assert mirror.catch_up() >= 3
    payment = Payment.objects.get()
    session = djstripe.Session.objects.get(id=started["session_id"])
    intent, charge = session.payment_intent, djstripe.Charge.objects.get()
    assert (intent.id, charge.id, charge.payment_intent) == (payment.payment_intent, payment.charge, intent)
    assert (session.stripe_data["payment_status"], intent.stripe_data["status"]) == ("paid", "succeeded")
    assert (charge.stripe_data["amount"], charge.currency, charge.status) == (2500, "usd", "succeeded")
    assert charge.balance_transaction.stripe_data["amount"] == 2500
    assert intent.payment_method.stripe_data["card"]["last4"] == "4242"
    assert {row.djstripe_owner_account.id for row in (session, intent, charge)} == {djstripe.Account.objects.get().id}
    assert MirrorGap.objects.count() == 0


def test_a_gift_costs_one_call_and_one_for_the_account(live: Live) -> None:
    live.give_and_pay()
    before = calls_made()
    mirror.catch_up()
    assert calls_made() - before == 2


def test_every_sweep_mirrors(live: Live) -> None:
    live.give_and_pay()
    swept = live.sweep()
    assert (swept["mirrored"], swept["failed"], djstripe.Session.objects.count()) == (5, 0, 1)


def test_dj_stripes_own_commands_ask_the_sandbox_too(settings: Any) -> None:
    assert stripe.api_base == settings.STRIPE_API_BASE == "http://127.0.0.1:9"


def test_nothing_new_costs_no_call(live: Live) -> None:
    live.give_and_pay()
    mirror.catch_up()
    StripeEvent.objects.update(received_at=timezone.now() - timedelta(minutes=1))
    MirrorCursor.objects.update(received_at=timezone.now() - timedelta(seconds=30))
    before = calls_made()
    assert mirror.catch_up() == 0
    assert calls_made() == before


@pytest.mark.parametrize("is_on", [True, False])
def test_a_webhook_pays_nothing_for_the_mirror(is_on: bool, live: Live, settings: Any) -> None:
    settings.STRIPE_MIRROR = is_on
    started = live.give()
    event = Story(Payment.objects.get(checkout_session=started["session_id"])).succeeded()[2]
    before = calls_made()
    with CaptureQueriesContext(connection) as taken:
        settle_events([event], source="webhook")
    assert Payment.objects.get().status == "paid"
    assert [query["sql"] for query in taken.captured_queries if "djstripe" in query["sql"] or "mirror" in query["sql"]] == []
    assert calls_made() == before


def refunded_and_disputed(live: Live) -> str:
    """A gift of which $10 were refunded, and another one that its bank disputes: the refund's id."""
    live.give_and_pay()
    refunded = refund(1000)
    live.give_and_pay(card="4000000000000259")
    live.flush()
    return refunded


def test_refunds_and_disputes_are_mirrored_and_follow_what_changes(live: Live) -> None:
    refunded = refunded_and_disputed(live)
    mirror.catch_up()
    assert counts() == [2, 2, 2, 1, 1]
    row, dispute = djstripe.Refund.objects.get(id=refunded), djstripe.Dispute.objects.get()
    assert (row.amount, row.charge.stripe_data["amount_refunded"], row.stripe_data["status"]) == (1000, 1000, "succeeded")
    assert (dispute.charge.stripe_data["disputed"], dispute.stripe_data["status"]) == (True, "needs_response")
    live.sandbox.post(f"disputes/{dispute.id}/resolve", outcome="won")
    live.flush()
    mirror.catch_up()
    dispute.refresh_from_db()
    assert (dispute.stripe_data["status"], djstripe.Dispute.objects.count()) == ("won", 1)


def test_rows_are_those_that_dj_stripe_itself_would_write(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    refunded_and_disputed(live)
    mirror.catch_up()
    monkeypatch.setattr(stripe, "api_base", live.sandbox.url)
    key = "sk_test_" + "t" * 24
    compared = []
    for model in (*MIRRORED, djstripe.PaymentMethod, djstripe.BalanceTransaction):
        for mine in model.objects.all():
            kept = columns(mine)
            fetched = model.stripe_class.retrieve(mine.id, api_key=key, stripe_version="2026-08-26.dahlia")
            theirs = model.sync_from_stripe_data(fetched, api_key=key)
            theirs.refresh_from_db()
            assert kept == columns(theirs)
            compared.append(mine.id)
    assert len(compared) == 2 + 2 + 2 + 1 + 1 + 2 + 4


def columns(row: Any) -> dict[str, Any]:
    """What is stored, but for the time of it, and for the secret that dj-stripe would keep."""
    stored = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    del stored["djstripe_updated"]
    stored["stripe_data"].pop("client_secret", None)
    return stored


def test_no_secret_is_kept(live: Live) -> None:
    live.give_and_pay()
    mirror.catch_up()
    everything = json.dumps([list(model.objects.values_list("stripe_data", flat=True)) for model in MIRRORED])
    assert "client_secret" not in everything
    assert "_secret_" not in everything
    assert djstripe.APIKey.objects.count() == 0


def test_the_mirror_can_be_switched_off(live: Live, settings: Any) -> None:
    settings.STRIPE_MIRROR = False
    live.give_and_pay()
    before = calls_made()
    assert mirror.catch_up() == 0
    assert (counts(), calls_made()) == ([0, 0, 0, 0, 0], before)
    with pytest.raises(CommandError) as refused:
        call_command("stripe_mirror")
    assert refused.value.returncode == 2


def test_while_stripe_is_down_the_mirror_waits_and_then_goes_on(live: Live, settings: Any) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    live.give_and_pay()
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    assert (mirror.catch_up(), MirrorGap.objects.count()) == (0, 0)
    settings.STRIPE_API_BASE = live.sandbox.url
    mirror.catch_up()
    assert counts() == [1, 1, 1, 0, 0]


def test_an_object_that_stripe_does_not_show_is_a_gap_and_holds_up_no_other(live: Live) -> None:
    live.give_and_pay()
    lost = StripeEvent.objects.filter(type="charge.succeeded").get()
    StripeEvent.objects.filter(pk=lost.pk).update(object_id="ch_lost")
    mirror.catch_up()
    assert counts() == [1, 1, 1, 0, 0]
    assert failing("ch_lost") == [("ch_lost", 1)]
    mirror.catch_up()
    assert failing("ch_lost") == [("ch_lost", 1)]
    MirrorGap.objects.update(next_attempt_at=timezone.now())
    mirror.catch_up()
    assert failing("ch_lost") == [("ch_lost", 2)]


def test_an_event_that_shows_up_behind_the_cursor_is_found(live: Live) -> None:
    live.give_and_pay()
    mirror.catch_up()
    djstripe.Refund.objects.all().delete()
    refund(1000)
    live.flush()
    MirrorCursor.objects.filter(name="events").update(received_at=timezone.now(), position="zzz")
    mirror.catch_up()
    assert djstripe.Refund.objects.get().amount == 1000


def test_of_two_at_once_one_mirrors(live: Live) -> None:
    live.give_and_pay()
    with mirror.lease():
        assert mirror.catch_up() == 0
    assert mirror.catch_up() >= 3


def test_a_lease_whose_process_died_runs_out(live: Live) -> None:
    live.give_and_pay()
    MirrorCursor.objects.create(name="events", leased_until=timezone.now() - timedelta(seconds=1))
    assert mirror.catch_up() >= 3


def test_whoever_was_erased_is_not_brought_back(live: Live) -> None:
    token = live.register("ada@example.org")
    live.give_and_pay(token=token)
    refund(1000)
    live.flush()
    mirror.catch_up()
    assert counts() == [1, 1, 1, 1, 0]
    assert (
        live.ask(
            "DELETE", "/api/auth/me", json={"password": "correct horse battery"}, headers={"Authorization": f"Bearer {token}"}
        ).status_code
        == 204
    )
    assert Payment.objects.get().customer_email.endswith(ERASED_DOMAIN)
    assert (counts(), djstripe.PaymentMethod.objects.count()) == ([0, 0, 0, 0, 0], 0)
    MirrorCursor.objects.all().delete()
    mirror.catch_up()
    call_command("stripe_mirror", stdout=StringIO(), kind=["checkout.session", "charge", "refund"])
    assert (counts(), djstripe.PaymentMethod.objects.count()) == ([0, 0, 0, 0, 0], 0)
    assert MirrorGap.objects.count() == 0


# -- the first sync -----------------------------------------------------------------------------------------
def first_sync(**options: Any) -> Any:
    """What a run tells that finds everything in order."""
    out = StringIO()
    call_command("stripe_mirror", json=True, stdout=out, **options)
    return json.loads(out.getvalue())


def first_sync_that_leaves_some(**options: Any) -> Any:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("stripe_mirror", json=True, stdout=out, **options)
    assert ended.value.code == 1
    return json.loads(out.getvalue())


def test_everything_that_stripe_has_is_mirrored_at_first(live: Live) -> None:
    for _ in range(3):
        live.give_and_pay()
    StripeEvent.objects.all().delete()
    told = first_sync()
    assert (told["left"], told["gaps"]) == ([], {})
    assert {kind: told["mirrored"][kind] for kind in ("checkout.session", "payment_intent", "charge")} == {
        "checkout.session": 3, "payment_intent": 3, "charge": 3,
    }  # fmt: skip
    assert counts() == [3, 3, 3, 0, 0]


def test_a_first_sync_stops_where_it_is_told_and_goes_on_there(live: Live) -> None:
    for _ in range(3):
        live.give_and_pay()
    StripeEvent.objects.all().delete()
    told = first_sync_that_leaves_some(kind=["charge"], most=2)
    assert told == {"mirrored": {"charge": 2}, "left": ["charge"], "gaps": {}}
    assert djstripe.Charge.objects.count() == 2
    assert first_sync(kind=["charge"]) == {"mirrored": {"charge": 1}, "left": [], "gaps": {}}
    assert djstripe.Charge.objects.count() == 3
    assert first_sync(kind=["charge"]) == {"mirrored": {"charge": 0}, "left": [], "gaps": {}}
    assert first_sync(kind=["charge"], again=True)["mirrored"] == {"charge": 3}


def test_a_first_sync_without_stripe_says_so(live: Live, settings: Any) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    with pytest.raises(CommandError) as refused:
        call_command("stripe_mirror")
    assert refused.value.returncode == 2
    assert "Run it again to go on." in str(refused.value)
