"""Each kind of difference between Stripe and our books: how it is told, and that mending it leaves none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from donations.models import Donation
from donations.tests.factories import CampaignFactory, pending_donation
from payments import inbox, ledger, stripe_gateway
from payments.models import BalanceTransaction, Dispute, Payment, Payout, Refund, StripeEvent, Transfer
from payments.proving import check_books
from payments.reconciliation.comparing import FETCH, SETTLE, TAKE_IN, Objects
from payments.reconciliation.pulling import MissedEvents
from payments.reconciliation.recording import BalanceTransactions, Payouts, record
from payments.reconciliation.running import Run
from payments.reconciliation.unbacked import unbacked_transfers
from payments.reconciliation.windows import NotAMoment, Window, read_moment, read_window
from payments.settlement import settle_events, settle_objects
from payments.tests.stripe_objects import BORN, Story
from payments.tests.test_proving import unguarded

pytestmark = pytest.mark.django_db
Json = dict[str, Any]
BIRTH = datetime.fromtimestamp(BORN, tz=UTC)


@pytest.fixture
def story() -> Story:
    return Story(pending_donation(campaign=CampaignFactory()).payment)


def tell(story: Story) -> None:
    settle_events(story.succeeded(), source="webhook")


def told(step: Any, *page: Json) -> list[tuple[str, str, str]]:
    return [(one.subject, one.what, one.remedy) for one in step.look(page)]


def movement(source: Json, amount: int, fee: int = 0, **fields: Any) -> Json:
    """A balance transaction of an expanded source."""
    return {
        "id": f"txn_{source['id']}_{amount}",
        "object": "balance_transaction",
        "type": "charge",
        "reporting_category": "charge",
        "source": source,
        "amount": amount,
        "fee": fee,
        "net": amount - fee,
        "currency": source.get("currency", "usd"),
        "exchange_rate": None,
        "fee_details": [],
        "created": BORN + 2,
        "available_on": BORN + 172_800,
    } | fields


# -- events -----------------------------------------------------------------------------------------------
def test_an_event_that_never_arrived_is_pulled(story: Story) -> None:
    events = [dict(envelope.event) for envelope in reversed(story.succeeded())]
    step = MissedEvents()
    first = told(step, *events)[0]
    assert first == (events[0]["id"], f"charge.updated of {story.charge_id} never arrived", "apply it")
    assert (len(told(step, *events)), step.mend(events), told(step, *events)) == (4, {}, [])
    assert set(StripeEvent.objects.values_list("source", "state")) == {("pull", "applied")}
    assert Donation.objects.get().state == "paid"


def test_an_event_of_a_type_that_is_not_ours_is_no_difference(story: Story) -> None:
    assert told(MissedEvents(), dict(story.event("customer.created", {"id": "cus_1"}, 1).event)) == []


def test_an_event_that_failed_is_applied_again_and_not_counted_as_delivered_twice(story: Story) -> None:
    event = story.succeeded()[0]
    inbox.record_failure(event, RuntimeError("no"), source="webhook")
    step = MissedEvents()
    what = f"payment_intent.succeeded of {story.intent_id} is failed: RuntimeError: no"
    assert told(step, dict(event.event)) == [(event.id, what, "apply it again")]
    assert step.mend([event.event]) == {}
    assert (StripeEvent.objects.get().state, StripeEvent.objects.get().deliveries) == ("applied", 1)


def test_a_bad_event_fails_alone_and_is_kept(story: Story) -> None:
    good, bad = story.succeeded()[0], story.event("charge.succeeded", {"id": "ch_bad"}, 3)
    errors = MissedEvents().mend([good.event, bad.event])
    assert errors == {bad.id: "KeyError: 'amount'"}
    assert dict(StripeEvent.objects.values_list("id", "state")) == {good.id: "applied", bad.id: "failed"}


# -- objects ----------------------------------------------------------------------------------------------
def test_objects_that_say_what_we_know_do_not_differ(story: Story) -> None:
    tell(story)
    session = story.session("complete", "paid") | {
        "payment_intent": story.intent("succeeded") | {"latest_charge": story.charge()}
    }
    assert told(Objects("sessions"), session) == []
    assert told(Objects("charges"), story.charge()) == []


def test_a_session_that_was_paid_is_settled(story: Story) -> None:
    session = story.session("complete", "paid") | {
        "payment_intent": story.intent("succeeded") | {"latest_charge": story.charge()}
    }
    step = Objects("sessions")
    ((subject, what, remedy),) = told(step, session)
    assert (subject, remedy) == (story.session_id, SETTLE)
    assert what.startswith(f"{story.payment.pk}: status: open → paid, session: nothing → {story.session_id}, ")
    assert (step.mend([session]), told(step, session)) == ({}, [])
    assert Payment.objects.get().paid_at == BIRTH + timedelta(seconds=2)


def test_money_of_nobody_is_taken_in(story: Story) -> None:
    story.metadata = {}
    step, charge = Objects("charges"), story.charge()
    assert told(step, charge) == [(story.charge_id, "$25.00 was paid, and no payment of ours is it", TAKE_IN)]
    assert (step.mend([charge]), told(step, charge)) == ({}, [])
    assert Payment.objects.exclude(pk=story.payment.pk).get().destination_id == "unmatched:usd"


def test_what_strangers_left_unpaid_is_no_difference(story: Story) -> None:
    story.metadata = {}
    assert told(Objects("intents"), story.intent("requires_payment_method", charge=False)) == []


def test_a_refund_that_is_not_known_is_settled(story: Story) -> None:
    tell(story)
    step, refund = Objects("refunds"), story.refund("a", 700, "succeeded", at=100)
    what = f"{story.payment.pk}: a refund of $7.00 (succeeded) is not known"
    assert told(step, refund) == [(refund["id"], what, SETTLE)]
    assert (step.mend([refund]), told(step, refund)) == ({}, [])
    assert Payment.objects.get().refunded_minor == 700


def test_a_refund_that_has_failed_since_is_brought_back(story: Story) -> None:
    tell(story)
    settle_events(story.refunded("a", 700, at=100, in_all=700), source="webhook")
    step, refund = Objects("refunds"), story.refund("a", 700, "failed", at=100)
    ((_, what, _),) = told(step, refund)
    assert "status: succeeded → failed" in what
    assert (step.mend([refund]), told(step, refund)) == ({}, [])
    assert Payment.objects.get().refunded_minor == 0


def test_a_dispute_that_is_not_known_is_settled(story: Story) -> None:
    tell(story)
    step, dispute = Objects("disputes"), story.dispute("needs_response", withdrawn=True)
    assert told(step, dispute)[0][1] == f"{story.payment.pk}: a dispute of $25.00 (needs_response) is not known"
    assert (step.mend([dispute]), told(step, dispute)) == ({}, [])
    assert (Dispute.objects.get().status, Payment.objects.get().disputed_minor) == ("needs_response", 2500)


@pytest.fixture
def asked(story: Story, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The intents that Stripe was asked for; it shows them."""
    ids: list[str] = []

    def show(intent: str) -> Json:
        ids.append(intent)
        return story.intent("succeeded") | {"latest_charge": story.charge()}

    monkeypatch.setattr(stripe_gateway, "retrieve_intent", show)
    return ids


def test_the_payment_of_an_unknown_refund_is_fetched_first(story: Story, asked: list[str]) -> None:
    step, refund = Objects("refunds"), story.refund("a", 700, "succeeded", at=100)
    assert told(step, refund) == [(refund["id"], "a refund of $7.00 whose payment we do not know", FETCH)]
    assert (step.mend([refund]), told(step, refund), asked) == ({}, [], [story.intent_id])
    assert (Payment.objects.get().status, Payment.objects.get().refunded_minor) == ("paid", 700)


def test_a_refund_of_a_payment_that_is_unpaid_for_us_has_its_payment_fetched(story: Story, asked: list[str]) -> None:
    settle_objects([story.intent("processing", charge=False)])
    step, refund = Objects("refunds"), story.refund("a", 700, "succeeded", at=100)
    assert told(step, refund) == [(refund["id"], f"money of {story.payment.pk} moved, which is processing for us", FETCH)]
    assert (step.mend([refund]), told(step, refund)) == ({}, [])
    assert (Payment.objects.get().status, Refund.objects.count()) == ("paid", 1)


def test_a_refund_in_another_currency_is_for_staff(story: Story) -> None:
    tell(story)
    refund = story.refund("a", 700, "succeeded", at=100) | {"currency": "eur"}
    assert told(Objects("refunds"), refund) == [
        (refund["id"], f"{refund['id']} is in eur, but its payment {story.payment.pk} is in usd", "")
    ]


# -- Stripe's own books -----------------------------------------------------------------------------------
def test_a_fee_is_recorded_and_posted_once(story: Story) -> None:
    tell(story)
    step, row = BalanceTransactions(), movement(story.charge(), 2500, 103)
    assert told(step, row) == [(row["id"], f"charge of {story.charge_id}, $25.00, fee $1.03: not recorded", "record and post it")]
    assert (step.mend([row]), told(step, row)) == ({}, [])
    record([row])
    fee = Transfer.objects.get(key=f"fee:{row['id']}")
    assert (fee.debit_id, fee.credit_id, fee.amount_minor, fee.payment) == ("fees:usd", "stripe:usd", 103, None)
    assert list(check_books()) == []


def test_a_balance_transaction_shows_a_source_that_is_older_than_the_window(story: Story) -> None:
    tell(story)
    failed = story.refund("a", 700, "failed", at=100)
    back = movement(failed, 700, type="refund_failure", reporting_category="refund_failure")
    out = movement(failed, -700, type="refund", reporting_category="refund")
    step = BalanceTransactions()
    assert [subject for subject, _, _ in told(step, back, out)] == [failed["id"], back["id"], out["id"]]
    assert (step.mend([back, out]), told(step, back, out)) == ({}, [])
    assert sorted(t.key.partition(":")[0] for t in Transfer.objects.all()) == ["paid", "refund", "refund-reversal"]
    assert list(check_books()) == []


def test_amounts_that_were_recorded_otherwise_are_for_staff(story: Story) -> None:
    tell(story)
    row = movement(story.charge(), 2500, 103)
    record([row])
    changed = row | {"fee": 104, "net": 2396}
    what = "fee is $1.03 for us, $1.04 at Stripe, net is $23.97 for us, $23.96 at Stripe"
    assert told(BalanceTransactions(), changed) == [(row["id"], what, "")]


@pytest.mark.parametrize(
    ("kind", "amount", "key", "account"),
    [
        ("stripe_fee", -250, "fee", "fees:usd"),
        ("topup", 5000, "other", "unmatched:usd"),
        ("adjustment", -90, "other", "unmatched:usd"),
    ],
)
def test_what_belongs_to_no_payment_is_posted_all_the_same(kind: str, amount: int, key: str, account: str) -> None:
    row = movement({"id": "x"}, amount, type=kind, reporting_category=kind, id="txn_1") | {"source": None}
    record([row])
    transfer = Transfer.objects.get()
    into, out_of = (transfer.debit_id, transfer.credit_id)[:: 1 if amount > 0 else -1]
    assert (transfer.key, into, out_of, transfer.amount_minor) == (f"{key}:txn_1", "stripe:usd", account, abs(amount))
    assert list(check_books()) == []


def test_a_debit_that_failed_after_it_was_on_the_balance_leaves_only_its_fee(story: Story) -> None:
    settle_events(story.delayed(succeeds=False), source="webhook")
    debit = story.charge() | {"status": "failed", "paid": False}
    record([movement(debit, 2500, 20, type="payment")])
    record([movement(debit, -2500, type="payment_failure_refund", reporting_category="charge_failure")])
    assert (ledger.balance("stripe:usd"), ledger.balance("fees:usd"), ledger.balance("unmatched:usd")) == (-20, 20, 0)
    assert list(check_books()) == []


def test_a_debit_that_failed_and_of_which_we_were_told_that_it_was_paid_is_named(story: Story) -> None:
    tell(story)
    record([movement(story.charge(), 2500, 20, type="payment")])
    back = movement(story.charge(), -2500, type="payment_failure_refund", reporting_category="charge_failure")
    record([back])
    (said,) = check_books()
    assert said.startswith(back["id"])


def test_a_fee_for_a_charge_in_another_currency_is_a_fee_and_no_conversion() -> None:
    charge = Story(Payment(id="pay_of_nobody", amount_minor=5000, currency="eur")).charge()
    record([movement(charge, -30, type="stripe_fee", reporting_category="fee", currency="usd")])
    assert {t.amount_minor for t in Transfer.objects.all()} == {30}
    assert ledger.balance("fees:usd") == 30


def payout(status: str, **fields: Any) -> Json:
    return {
        "id": "po_1", "object": "payout", "amount": 2397, "currency": "usd", "status": status, "automatic": True,
        "failure_code": None, "created": BORN, "arrival_date": BORN + 86_400,
    } | fields  # fmt: skip


def test_a_payout_is_recorded_followed_and_itemized(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(story)
    row = movement(story.charge(), 2500, 103)
    asked: list[tuple[str, Json]] = []

    def pages(name: str, **filters: Any) -> Iterator[list[Json]]:
        asked.append((name, filters))
        yield [row]

    monkeypatch.setattr(stripe_gateway, "pages", pages)
    step = Payouts()
    assert told(step, payout("in_transit")) == [("po_1", "$23.97 to the bank, in_transit, is not recorded", "record it")]
    assert (step.mend([payout("in_transit")]), told(step, payout("in_transit")), asked) == ({}, [], [])
    assert told(step, payout("paid")) == [("po_1", "$23.97: status: in_transit → paid", "record it")]
    assert (step.mend([payout("paid")]), told(step, payout("paid"))) == ({}, [])
    assert asked == [("balance_transactions", {"payout": "po_1"})]
    assert (BalanceTransaction.objects.get().payout, Payout.objects.get().status) == ("po_1", "paid")
    ((_, what, _),) = told(step, payout("failed", failure_code="account_closed"))
    assert what == "$23.97: status: paid → failed account_closed"


def test_a_transfer_that_stripe_knows_nothing_of_is_named(story: Story) -> None:
    tell(story)
    window = {"since": BIRTH - timedelta(days=1), "until": BIRTH + timedelta(days=1)}
    (found,) = unbacked_transfers(**window)
    key = f"paid:{story.payment.pk}"
    assert (found.subject, found.what) == (
        story.intent_id,
        f"{key}: $25.00 is posted, and no balance transaction at Stripe is it",
    )
    assert list(unbacked_transfers(since=window["since"], until=BIRTH + timedelta(minutes=1))) == []
    record([movement(story.charge(), 2500, 103)])
    assert list(unbacked_transfers(**window)) == []


def test_a_transfer_of_another_amount_than_stripes_is_named_by_both_proofs(story: Story) -> None:
    tell(story)
    record([movement(story.charge(), 2400, 103)])
    assert len(list(unbacked_transfers(since=BIRTH - timedelta(days=1), until=BIRTH + timedelta(days=1)))) == 1
    row, key = f"txn_{story.charge_id}_2400", f"paid:{story.payment.pk}"
    assert list(check_books()) == [f"{row} moved 2400 for {story.charge_id}, our transfer {key} says 2500"]


BROKEN = {
    "fee transfer gone": ("DELETE FROM payments_transfer WHERE key LIKE 'fee:%%'", "{txn} lacks the transfer fee:{txn}"),
    "fee changed": (
        "UPDATE payments_transfer SET amount_minor = 99 WHERE key LIKE 'fee:%%'",
        "{txn}: the transfer fee:{txn} is ('fees:usd', 'stripe:usd', 99), Stripe calls for ('fees:usd', 'stripe:usd', 103)",
    ),
    "balance transaction gone": (
        "DELETE FROM payments_balancetransaction",
        "the transfer fee:{txn} names {txn}, which does not call for it",
    ),
    "payment's charge forgotten": (
        "UPDATE payments_payment SET charge = NULL",
        "{txn} moved 2500 for {charge}, of which no transfer of ours tells",
    ),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_check_books_names_what_stripe_does_not_call_for(name: str, story: Story) -> None:
    tell(story)
    row = movement(story.charge(), 2500, 103)
    record([row])
    assert list(check_books()) == []
    statement, sentence = BROKEN[name]
    with unguarded(), connection.cursor() as cursor:
        cursor.execute(statement, [])
    assert sentence.format(txn=row["id"], charge=story.charge_id) in list(check_books())


# -- what the database refuses ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.update(amount_minor=1, net_minor=1 - 103),
        lambda rows: rows.update(created_at=BIRTH),
        lambda rows: rows.update(payout="po_2"),
        lambda rows: rows.update(payout=None),
        lambda rows: rows.delete(),
    ],
)
def test_a_balance_transaction_changes_only_by_its_payout_becoming_known(story: Story, change: Callable[[Any], object]) -> None:
    record([movement(story.charge(), 2500, 103)], payout="po_1")
    before = BalanceTransaction.objects.values().get()
    assert before["payout"] == "po_1"
    with pytest.raises(IntegrityError, match="payments_balancetransaction is append-only"), transaction.atomic():
        change(BalanceTransaction.objects.all())
    assert BalanceTransaction.objects.values().get() == before


# -- the window ---------------------------------------------------------------------------------------------
def test_moments_are_read_as_operators_write_them() -> None:
    now = datetime(2026, 11, 21, 8, tzinfo=UTC)
    assert read_moment("now", now=now) == now
    assert read_moment("30d", now=now) == datetime(2026, 10, 22, 8, tzinfo=UTC)
    assert read_moment("90m", now=now) == datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
    assert read_moment("2026-11-01", now=now) == datetime(2026, 11, 1, tzinfo=UTC)
    offset = read_moment("2026-11-01T08:00+02:00", now=now)
    assert offset == datetime(2026, 11, 1, 6, tzinfo=UTC)
    assert f"{offset:%H:%M}" == "06:00"  # what is told is UTC too


@pytest.mark.parametrize(("since", "until"), [("yesterday", "now"), ("1d", "2d"), ("", "now"), ("1d", "99999999d")])
def test_other_words_are_refused(since: str, until: str) -> None:
    with pytest.raises(NotAMoment):
        read_window(since=since, until=until, now=datetime(2026, 11, 21, tzinfo=UTC))


def test_a_run_of_another_window_does_not_go_on_with_this_ones_place() -> None:
    windows = [Window(since=BIRTH, until=BIRTH + timedelta(days=n), asked=f"{n}") for n in (1, 2, 1)]
    runs = [Run(window, apply=True, limit=1, on_page=lambda step, count: None) for window in windows]
    places = [run.place for run in runs]
    assert places[0] == places[2] != places[1]
