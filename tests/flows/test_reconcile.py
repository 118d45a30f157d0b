"""Deliveries that never came: `reconcile --apply` leaves every row as it would have been, and a second run nothing to do."""

from __future__ import annotations

import json
from collections import Counter
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F, Sum

from campaigns.models import TOTALS, CampaignTally
from donations.models import Donation, Supporter
from payments import ledger, stripe_gateway
from payments.following import handled_types
from payments.models import BalanceTransaction, Dispute, Payment, Payout, Reconciliation, Refund, StripeEvent, Transfer
from payments.proving import check_books
from payments.reconciliation import running
from payments.reconciliation.comparing import Objects
from payments.reconciliation.pulling import MissedEvents
from tests.live import Live, a_campaign

DISPUTED, REFUND_FAILS = "4000000000000259", "4000000000005126"
UNTIL = "2100-01-01"


def reconcile(*options: str, until: str = UNTIL) -> tuple[int, list[Any]]:
    """The exit status, and the lines of its JSON."""
    out = StringIO()
    status = 0
    try:
        call_command("reconcile", "--json", "--until", until, *options, stdout=out)
    except SystemExit as stopped:
        status = int(str(stopped.code))
    return status, [json.loads(line) for line in out.getvalue().splitlines()]


def nothing_differs(status: int, lines: list[Any]) -> bool:
    return (status, len(lines), lines[-1]["clean"], lines[-1]["mended"]) == (0, 1, True, 0) and lines[-1]["compared"] > 0


def an_eventful_day(live: Live, campaign: str) -> None:
    """Gifts that end in every way there is."""

    def gift(name: str, amount: int, card: str = "4242424242424242") -> Any:
        started = live.give(email=f"{name}@example.org", campaign_id=campaign, amount=amount, donor_name=name)
        return live.pay(started, card=card, email=f"{name}@example.org", name=name, flush=False)

    gift("ada", 25)
    gift("ada", 40)
    partly = gift("bea", 30)
    live.sandbox.post("refunds", payment_intent=partly["payment_intent"]["id"], amount=700)
    wholly = gift("cem", 35)
    live.sandbox.post("refunds", payment_intent=wholly["payment_intent"]["id"])
    failing = gift("dia", 45, REFUND_FAILS)
    live.sandbox.post("refunds", payment_intent=failing["payment_intent"]["id"], amount=1000)
    won, lost = (gift(name, 50, DISPUTED)["payment_intent"]["id"] for name in ("eva", "fay"))
    of = {dispute["payment_intent"]: dispute["id"] for dispute in live.sandbox.objects("dispute")}
    live.sandbox.post(f"disputes/{of[won]}/resolve", outcome="won")
    live.sandbox.post(f"disputes/{of[lost]}/resolve", outcome="lost")
    declined = live.give(email="gus@example.org", campaign_id=campaign, amount=60)
    live.pay(declined, 402, card="4000000000009995", flush=False)
    live.pay(declined, card="4242424242424242", email="gus@example.org", name="gus", flush=False)
    refused = live.give(email="hal@example.org", campaign_id=campaign, amount=70)
    live.pay(refused, 402, card="4000000000000002", flush=False)
    live.give(email="ian@example.org", campaign_id=campaign, amount=80)
    live.sandbox.advance(4000)  # a refund fails
    live.sandbox.advance(25 * 3600)  # open sessions expire
    live.flush()


def rows(campaign: str) -> dict[str, Any]:
    """Everything that events leave of a campaign's gifts, but ids and times: whether a time is known is told."""
    payments = Payment.objects.filter(donation__campaign=campaign).order_by("pk")
    place = {payment.pk: number for number, payment in enumerate(payments)}
    known = ("processing_at", "failed_at", "paid_at", "canceled_at", "expired_at", "checkout_session", "payment_intent", "charge")
    same = ("status", "amount_minor", "refunded_minor", "disputed_minor", "failure_code", "customer_email", "customer_name")
    facts = ("succeeded_at", "failed_at", "canceled_at")
    moments = ("evidence_due_at", "funds_withdrawn_at", "funds_reinstated_at", "closed_at")
    transfers = Transfer.objects.filter(payment__in=place).values_list("payment", "key", "amount_minor", "debit", "credit")
    events = StripeEvent.objects.filter(type__in=handled_types())  # the endpoint of the tests asks for more
    of_objects = {getattr(p, n): place[p.pk] for p in payments for n in known[5:] if getattr(p, n)}
    paid = Donation.objects.filter(campaign=campaign, paid_at__isnull=False)
    return {
        "payments": [[getattr(p, n) for n in same] + [getattr(p, n) is not None for n in known] for p in payments],
        "receipt urls": [bool(p.receipt_url) for p in payments],
        "refunds": sorted(
            (place[r.payment_id], r.amount_minor, r.status, r.failure_reason, *(getattr(r, n) is not None for n in facts))
            for r in Refund.objects.filter(payment__in=place)
        ),
        "disputes": sorted(
            (place[d.payment_id], d.amount_minor, d.status, d.reason, *(getattr(d, n) is not None for n in moments))
            for d in Dispute.objects.filter(payment__in=place)
        ),
        "transfers": sorted(
            (place[pk], key.split(":")[0], key.rsplit(":", 1)[-1].startswith("re"), amount, d.split(":")[0], c.split(":")[0])
            for pk, key, amount, d, c in transfers
        ),
        "donations": list(
            Donation.objects.filter(campaign=campaign).order_by("pk").values_list("state", "donor__email", "donor__name")
        ),
        "moments of their own": paid.exclude(paid_at=F("payment__paid_at")).count(),
        "supporters": sorted(Supporter.objects.filter(campaign=campaign).values_list("donor__email", "count", "total_minor")),
        "tally": CampaignTally.objects.filter(campaign=campaign).aggregate(**{name: Sum(name) for name in TOTALS}),
        "events": Counter(
            (of_objects[event.object_id], event.type, event.state) for event in events if event.object_id in of_objects
        ),
    }


def what_counts(rows: dict[str, Any]) -> list[Any]:
    """Without what only events can tell: that a payment was declined once, or a refund succeeded before it failed."""
    named = ("transfers", "donations", "moments of their own", "supporters", "tally", "disputes")
    return [[payment[:4] for payment in rows["payments"]], [refund[:4] for refund in rows["refunds"]], *(rows[n] for n in named)]


def changing_rows() -> list[list[Any]]:
    """Every row of the tables that reconcile may write, as they are."""
    models = (Payment, Refund, Dispute, Transfer, Donation, Supporter, CampaignTally, StripeEvent, BalanceTransaction)
    return [list(model._default_manager.order_by("pk").values()) for model in models]


@pytest.mark.parametrize(("seed", "share"), [(1, 0.01), (2, 0.2), (3, 0.6), (4, 1)])
def test_dropped_deliveries_are_made_good_and_a_second_run_changes_nothing(live: Live, seed: int, share: float) -> None:
    live.sandbox.post("reset", keep_endpoints=True, seed=seed)
    told = a_campaign()
    an_eventful_day(live, told)
    live.sandbox.post("misbehaviour", act="drop", share=share)
    dropped = a_campaign()
    an_eventful_day(live, dropped)
    status, lines = reconcile("--apply")
    assert (status, lines[-1]["clean"]) == (1, False)
    live.run_tasks()
    assert rows(dropped) == rows(told)
    assert {line["outcome"] for line in lines[:-1]} == {"mended"}
    assert list(check_books()) == []
    before = changing_rows()
    assert nothing_differs(*reconcile("--apply"))
    assert changing_rows() == before
    assert len(live.receipts()) == 16


def test_what_events_no_longer_tell_the_objects_do(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripe lists events of 30 days only; objects go on being listed."""
    told = a_campaign()
    an_eventful_day(live, told)
    live.sandbox.post("misbehaviour", act="drop", share=1)
    dropped = a_campaign()
    an_eventful_day(live, dropped)
    monkeypatch.setattr(running, "STEPS", running.STEPS[1:])
    status, lines = reconcile("--apply")
    assert (status, {line["outcome"] for line in lines[:-1]}) == (1, {"mended"})
    live.run_tasks()
    assert what_counts(rows(dropped)) == what_counts(rows(told))
    assert list(check_books()) == []
    assert nothing_differs(*reconcile("--apply"))


def test_with_every_delivery_made_only_stripes_own_books_are_new(live: Live) -> None:
    an_eventful_day(live, a_campaign())
    status, lines = reconcile("--apply")
    assert status == 1
    assert {line["step"] for line in lines[:-1]} == {"balance transactions"}


def test_dry_run_names_each_difference_and_changes_nothing(live: Live) -> None:
    campaign = a_campaign()
    live.sandbox.post("misbehaviour", act="drop", share=1)
    live.give_and_pay(campaign_id=campaign)
    before = changing_rows()
    status, lines = reconcile()
    assert status == 1
    assert Counter(line["step"] for line in lines[:-1]) == {
        "events": 4,
        "sessions": 1,
        "intents": 1,
        "charges": 1,
        "balance transactions": 2,
    }
    assert {line["outcome"] for line in lines[:-1]} == {"found"}
    assert changing_rows() == before
    assert not Reconciliation.objects.exists()


def test_fees_are_posted_and_stripes_balance_is_ours(live: Live) -> None:
    an_eventful_day(live, a_campaign())
    reconcile("--apply")
    balance = live.sandbox.stripe("GET", "/v1/balance")
    at_stripe = sum(row["amount"] for side in ("available", "pending") for row in balance[side])
    assert ledger.balance("stripe:usd") == at_stripe
    assert ledger.balance("fees:usd") == sum(row["fee"] for row in live.sandbox.objects("balance_transaction"))
    assert list(check_books()) == []


def test_a_run_stops_at_its_limit_and_goes_on_where_it_was(live: Live) -> None:
    told, dropped = a_campaign(), a_campaign()
    an_eventful_day(live, told)
    live.sandbox.post("misbehaviour", act="drop", share=1)
    an_eventful_day(live, dropped)
    status, lines = reconcile("--apply", "--limit", "7")
    assert (status, lines[-1]["mended"], lines[-1]["stopped"]) == (1, 7, True)
    assert Counter(line["outcome"] for line in lines[:-1])["mended"] == 7
    mended = 7
    while lines[-1]["stopped"]:
        status, lines = reconcile("--apply", "--limit", "40")
        assert lines[-1]["mended"] <= 40
        mended += lines[-1]["mended"]
    live.run_tasks()
    assert rows(dropped) == rows(told)
    run = Reconciliation.objects.get()
    assert (run.finished_at is not None, run.step, run.cursor) == (True, "transfers", None)
    assert nothing_differs(*reconcile("--apply"))
    assert mended == StripeEvent.objects.filter(source="pull").count() + BalanceTransaction.objects.count()


def test_an_interrupted_run_goes_on_and_asks_for_nothing_twice(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = a_campaign()
    live.sandbox.post("misbehaviour", act="drop", share=1)
    an_eventful_day(live, campaign)
    look, looked = Objects.look, []

    def look_until_killed(self: Objects, page: Any) -> Any:
        looked.append(self.name)
        if self.name == "charges":
            raise KeyboardInterrupt
        return look(self, page)

    monkeypatch.setattr(Objects, "look", look_until_killed)
    with pytest.raises(KeyboardInterrupt):
        reconcile("--apply")
    assert (Reconciliation.objects.get().step, looked) == ("intents", ["sessions", "intents", "charges"])
    monkeypatch.setattr(Objects, "look", look)
    status, lines = reconcile("--apply")
    assert (status, {line["step"] for line in lines[:-1]}) == (1, {"balance transactions"})
    assert Reconciliation.objects.get().finished_at is not None
    live.run_tasks()
    assert list(check_books()) == []
    assert nothing_differs(*reconcile("--apply"))


def test_the_place_is_kept_page_by_page(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    live.sandbox.post("misbehaviour", act="drop", share=1)
    an_eventful_day(live, a_campaign())
    monkeypatch.setattr(stripe_gateway, "PAGE", 10)
    mend, mended = MissedEvents.mend, []

    def mend_three_pages(self: MissedEvents, things: Any) -> Any:
        mended.append([thing["id"] for thing in things])
        if len(mended) == 4:
            raise KeyboardInterrupt
        return mend(self, things)

    monkeypatch.setattr(MissedEvents, "mend", mend_three_pages)
    with pytest.raises(KeyboardInterrupt):
        reconcile("--apply")
    assert Reconciliation.objects.get().cursor == mended[2][-1]
    assert StripeEvent.objects.count() == sum(len(page) for page in mended[:3]) > 10
    monkeypatch.setattr(MissedEvents, "mend", mend)
    _, lines = reconcile("--apply")
    assert [line["subject"] for line in lines[: len(mended[3])]] == mended[3]
    assert nothing_differs(*reconcile("--apply"))


def test_stripe_that_limits_our_rate_is_waited_for(
    live: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(stripe_gateway.time, "sleep", pauses.append)
    live.give_and_pay(campaign_id=a_campaign())
    live.sandbox.post("faults", status=429, count=3, path="/v1/events", should_retry=False)
    status, lines = reconcile()
    assert (status, len(pauses)) == (1, 3)
    said = [f"Stripe limits our rate; trying again in {pause} s." for pause in pauses]
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("Stripe limits")] == said
    assert {line["step"] for line in lines[:-1]} == {"balance transactions"}


def test_each_wait_for_a_stripe_that_fails_is_said_on_stderr(
    live: Live, monkeypatch: pytest.MonkeyPatch, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(stripe_gateway.time, "sleep", pauses.append)
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    live.sandbox.post("faults", status=500, count=4, path="/v1/charges")
    status, lines = reconcile()
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Stripe does")]
    assert said == [f"Stripe does not answer; trying again in {pause} s." for pause in (1, 2, 4, 8)]
    assert (pauses, status, lines[-1]["clean"]) == ([1, 2, 4, 8], 0, True)


def test_stripe_that_stays_away_ends_the_run_with_2_and_the_next_goes_on(
    live: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stripe_gateway.time, "sleep", lambda seconds: None)
    live.sandbox.post("misbehaviour", act="drop", share=1)
    live.give_and_pay(campaign_id=a_campaign())
    live.sandbox.post("faults", status=429, share=1, path="/v1/refunds", should_retry=False)
    status, lines = reconcile("--apply")
    assert (status, {line["outcome"] for line in lines}) == (2, {"mended"})
    assert "start it again to go on" in capsys.readouterr().err
    live.sandbox.http.delete(f"{live.sandbox.url}/_sandbox/faults", timeout=20)
    status, lines = reconcile("--apply")
    assert (status, {line["step"] for line in lines[:-1]}) == (1, {"balance transactions"})


# -- money at Stripe besides gifts ------------------------------------------------------------------------
def test_a_payout_goes_to_the_bank_with_what_it_paid_out(live: Live) -> None:
    live.give_and_pay(campaign_id=a_campaign(), amount=100, card="4000000000000077")
    payout = live.sandbox.post("payouts")
    live.sandbox.advance(2 * 24 * 3600)
    reconcile("--apply")
    assert (Payout.objects.get().status, Payout.objects.get().pk) == ("paid", payout["id"])
    assert (ledger.balance("bank:usd"), ledger.balance("stripe:usd")) == (9680, 0)
    assert set(BalanceTransaction.objects.values_list("payout", flat=True)) == {payout["id"]}
    assert list(check_books()) == []
    assert nothing_differs(*reconcile("--apply"))


def test_a_payout_that_fails_comes_back(live: Live) -> None:
    live.give_and_pay(campaign_id=a_campaign(), amount=100, card="4000000000000077")
    payout = live.sandbox.post("payouts")
    reconcile("--apply")
    assert (Payout.objects.get().status, ledger.balance("bank:usd"), ledger.balance("stripe:usd")) == ("in_transit", 9680, 0)
    live.sandbox.post(f"payouts/{payout['id']}/resolve", outcome="failed")
    _, lines = reconcile("--apply")
    assert [line["step"] for line in lines[:-1]] == ["balance transactions", "payouts"]
    assert (Payout.objects.get().status, Payout.objects.get().failure_code) == ("failed", "account_closed")
    assert (ledger.balance("bank:usd"), ledger.balance("stripe:usd")) == (0, 9680)
    assert Transfer.objects.filter(key=f"payout-reversal:{payout['id']}").count() == 1
    assert list(check_books()) == []


def test_what_stripe_converts_goes_through_two_legs(live: Live) -> None:
    live.sandbox.post("settings", settlement_currencies=["usd"])
    campaign = a_campaign(currency="eur")
    paid = live.give_and_pay(campaign_id=campaign, amount=100, currency="eur")
    live.sandbox.post("refunds", payment_intent=paid["payment_intent"]["id"], amount=4000)
    live.flush()
    reconcile("--apply")
    assert live.total(campaign) == ("60.00", 1, 1)
    # 100 EUR became 110 USD, 40 EUR went back as 44 USD; 2.9 % of 110 + 0.30 was the fee.
    assert [ledger.balance(f"stripe:{c}") for c in ("eur", "usd")] == [0, 11000 - 4400 - 349]
    assert [ledger.balance(f"fx:{c}") for c in ("eur", "usd")] == [6000, -6600]
    assert ledger.balance("fees:usd") == 349
    keys = Transfer.objects.filter(key__startswith="fx:").values_list("key", flat=True)
    rows = BalanceTransaction.objects.order_by("created_at", "pk")
    assert sorted(keys) == sorted(f"fx:{row.pk}:{leg}" for row in rows for leg in ("in", "out"))
    assert {row.exchange_rate for row in rows} == {"1.1"}
    assert list(check_books()) == []
    assert nothing_differs(*reconcile("--apply"))


@pytest.mark.parametrize(("options", "is_told"), [([], True), (["--until", "now"], False)])
def test_where_nothing_was_compared_it_says_what_was_left_out(live: Live, options: list[str], is_told: bool) -> None:
    out = StringIO()
    call_command("reconcile", *options, stdout=out)
    assert "0 objects compared; nothing differs." in out.getvalue()
    assert ("The last 15 minutes are left out; --until now takes them in." in out.getvalue()) is is_told
