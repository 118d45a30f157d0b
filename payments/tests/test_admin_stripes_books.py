"""Balance transactions, payouts, alerts, runs of reconcile: found by Stripe's ids, linked to what they belong to, read only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from djstripe import models as djstripe

from accounts.models import User
from accounts.tests.factories import PASSWORD, staff_with
from conventions.admin_showing import change_url, list_url
from donations.tests.factories import payment_of, pending_donation
from payments.models import Alert, BalanceTransaction, Payment, Payout, Reconciliation, Refund, Transfer
from payments.reconciliation.recording import record
from payments.settlement import settle_events
from payments.tests.stripe_objects import BORN, Story
from payments.tests.stripes_books import rows_of_stripes_books

pytestmark = pytest.mark.django_db

MODELS: list[Any] = [BalanceTransaction, Payout, Alert, Reconciliation]


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.org", PASSWORD))
    return client


def movement(name: str, source: dict[str, Any] | str, amount: int, **fields: Any) -> dict[str, Any]:
    """A balance transaction as Stripe lists it, of a charge in the same currency unless told."""
    fee = fields.pop("fee", 0)
    part = {"type": "stripe_fee", "amount": fee, "currency": "usd", "description": "Stripe processing fees"}
    return {
        "id": name, "type": "charge", "reporting_category": "charge", "source": source, "amount": amount, "fee": fee,
        "net": amount - fee, "currency": "usd", "fee_details": [part] if fee else [], "exchange_rate": None,
        "created": BORN, "available_on": BORN + 86_400,
    } | fields  # fmt: skip


@pytest.fixture
def story() -> Story:
    """A gift of $25.00, paid, refunded in part, and paid out with the next payout."""
    told = Story(payment_of(pending_donation(amount_minor=2500)))
    settle_events([*told.succeeded(), *told.refunded("a", 500, at=60, in_all=500)], source="webhook")
    back = told.refund("a", 500, "succeeded", at=60)
    refund = movement("txn_back", back, -500, type="refund", reporting_category="refund")
    record([movement("txn_paid", told.charge(), 2500, fee=103), refund], payout="po_1")
    out = movement("txn_out", "po_1", -1897, type="payout", reporting_category="payout", created=BORN + 9)
    record([out, movement("txn_other", "ch_stranger", 700)])
    payout(itemized_at=timezone.now())
    told.payment.refresh_from_db()
    return told


def payout(name: str = "po_1", **fields: Any) -> Payout:
    at = timezone.now()
    usual = {"amount_minor": 1897, "currency": "usd", "status": "paid", "automatic": True, "created_at": at, "arrival_at": at}
    return Payout.objects.create(id=name, **(usual | fields))


def found(client: Client, model: Any, **query: str) -> list[Any]:
    return [row.pk for row in client.get(list_url(model, **query)).context["cl"].result_list]


# -- lists -----------------------------------------------------------------------------------------------
def fill(rows: int, first: int) -> None:
    for number in range(first, first + rows):
        rows_of_stripes_books(number)


@pytest.mark.parametrize(("model", "number"), [(BalanceTransaction, 6), (Payout, 6), (Alert, 5), (Reconciliation, 5)])
def test_a_list_costs_the_same_for_five_rows_as_for_fifty_and_counts_none(
    root: Client, django_assert_num_queries: Any, model: Any, number: int
) -> None:
    fill(5, 0)
    with django_assert_num_queries(number):
        assert len(found(root, model)) == 5
    fill(50, 5)
    with django_assert_num_queries(number), CaptureQueriesContext(connection) as queries:
        many = root.get(list_url(model))

    assert [query["sql"] for query in queries if "COUNT(" in query["sql"].upper()] == []
    assert len(many.context["cl"].result_list) == 50
    assert "50 shown, more follow" in many.content.decode()


def test_balance_transactions_stand_by_stripes_time_the_newest_first(root: Client, story: Story) -> None:
    assert found(root, BalanceTransaction) == ["txn_out", "txn_paid", "txn_other", "txn_back"]
    year = str(BalanceTransaction.objects.get(pk="txn_out").created_at.year)
    assert found(root, BalanceTransaction, created_at__year=year) == ["txn_out", "txn_paid", "txn_other", "txn_back"]
    assert found(root, BalanceTransaction, created_at__year="2020") == []


def test_balance_transactions_are_found_by_whole_ids_of_what_they_belong_to(root: Client, story: Story) -> None:
    of_payment = ["txn_paid", "txn_back"]
    terms = {
        "txn_paid": ["txn_paid"],
        story.charge_id: ["txn_paid"],
        f"re_{story.number}_a": ["txn_back"],
        "po_1": ["txn_out", *of_payment],
        "ch_stranger": ["txn_other"],
        story.payment.pk: of_payment,
        story.intent_id: of_payment,
        story.session_id: of_payment,
        f" {story.payment.customer_email} ": of_payment,
        Refund.objects.get().pk: of_payment,
        "txn_": [],
        story.charge_id[:-1]: [],
        "25.00": [],
        "Ada": [],
    }

    assert {term: found(root, BalanceTransaction, q=term) for term in terms} == terms


def test_payouts_are_found_by_their_id_and_by_what_they_paid_out(root: Client, story: Story) -> None:
    payout("po_2")

    terms = {"po_1": ["po_1"], "txn_paid": ["po_1"], "txn_out": ["po_1"], "txn_other": [], "po_": [], "txn_none": []}

    assert {term: found(root, Payout, q=term) for term in terms} == terms


@pytest.mark.parametrize(
    ("model", "query", "rows"),
    [
        (BalanceTransaction, {"type": "refund"}, 1),
        (BalanceTransaction, {"type": "stripe_fee"}, 0),
        (BalanceTransaction, {"paid_out": "yes"}, 2),
        (BalanceTransaction, {"paid_out": "no"}, 2),
        (BalanceTransaction, {"currency": "usd"}, 4),
        (BalanceTransaction, {"currency": "eur"}, 0),
        (Payout, {"status": "paid"}, 1),
        (Payout, {"status": "failed"}, 1),
        (Payout, {"automatic__exact": "0"}, 1),
        (Payout, {"currency": "eur"}, 1),
        (Alert, {"over": "no"}, 1),
        (Alert, {"over": "yes"}, 1),
        (Alert, {"kind__exact": "silence"}, 1),
        (Alert, {"told": "no"}, 2),
        (Alert, {"told": "yes"}, 0),
        (Alert, {"q": "evt_1"}, 1),
        (Alert, {"q": "evt_"}, 0),
        (Reconciliation, {"finished": "yes"}, 1),
        (Reconciliation, {"finished": "no"}, 1),
        (Reconciliation, {"q": "ch_7"}, 1),
        (Reconciliation, {"q": "30d"}, 1),
        (Reconciliation, {"q": "ch_8"}, 0),
    ],
)
def test_lists_are_narrowed(root: Client, story: Story, model: Any, query: dict[str, str], rows: int) -> None:
    now = timezone.now()
    payout("po_2", status="failed", automatic=False, currency="eur")
    Alert.objects.create(kind="dead_event", subject="evt_1", text="Dead.")
    Alert.objects.create(kind="silence", subject="evt_2", text="Silent.", resolved_at=now)
    Reconciliation.objects.create(asked="30d .. now", since=now - timedelta(days=30), until=now, finished_at=now)
    Reconciliation.objects.create(asked="2026-11-01 .. now", since=now, until=now, step="charges", cursor="ch_7")

    assert len(found(root, model, **query)) == rows


# -- pages -----------------------------------------------------------------------------------------------
def test_a_balance_transaction_leads_to_payment_payout_and_books(root: Client, story: Story) -> None:
    paid = root.get(change_url(BalanceTransaction, "txn_paid")).content.decode()
    back = root.get(change_url(BalanceTransaction, "txn_back")).content.decode()

    for page, key in ((paid, f"paid:{story.payment.pk}"), (paid, "fee:txn_paid"), (back, f"refund:re_{story.number}_a")):
        transfer = Transfer.objects.get(key=key)
        assert f'<a href="{change_url(Transfer, transfer.pk)}">{key}</a>' in page
    for page in (paid, back):
        assert f'href="{change_url(Payment, story.payment.pk)}"' in page
        assert f'href="{change_url(Payout, "po_1")}"' in page
    assert f'href="{list_url(Payment, q=story.charge_id)}"' in paid
    assert f'href="{list_url(Refund, q=f"re_{story.number}_a")}"' in back
    assert "$1.03 Stripe processing fees" in paid
    assert "-$5.00" in back


def test_a_payment_leads_to_its_balance_transactions_and_they_to_what_paid_them_out(root: Client, story: Story) -> None:
    tables = {table.title: table for table in root.get(change_url(Payment, story.payment.pk)).context["tables"]}

    rows = tables["In Stripe's own books"].rows
    assert [row[1:4] for row in rows] == [("-$5.00", "–", "-$5.00"), ("$25.00", "$1.03", "$23.97")]
    assert [str(row[4]) for row in rows] == [
        f'<a href="{change_url(BalanceTransaction, "txn_back")}">refund</a>',
        f'<a href="{change_url(BalanceTransaction, "txn_paid")}">charge</a>',
    ]
    assert {str(row[5]) for row in rows} == {f'<a href="{change_url(Payout, "po_1")}">po_1</a>'}


def test_a_payment_that_was_not_reconciled_yet_has_no_such_table(root: Client) -> None:
    payment = payment_of(pending_donation())
    titles = [table.title for table in root.get(change_url(Payment, payment.pk)).context["tables"]]
    assert titles == ["Transfers in the books", "Calls to Stripe", "Events from Stripe"]


def test_a_transfer_leads_to_what_stripe_recorded_and_is_found_by_it(root: Client, story: Story) -> None:
    fee, out = Transfer.objects.get(key="fee:txn_paid"), Transfer.objects.get(key="payout:po_1")

    assert f'href="{list_url(BalanceTransaction, q="txn_paid")}"' in root.get(change_url(Transfer, fee.pk)).content.decode()
    assert found(root, Transfer, q="txn_paid") == [fee.pk]
    assert found(root, Transfer, q="po_1") == [out.pk]


def test_a_payout_leads_to_what_it_paid_out_and_to_the_books(root: Client, story: Story) -> None:
    page = root.get(change_url(Payout, "po_1")).content.decode()

    assert f'href="{list_url(BalanceTransaction, q="po_1")}"' in page
    assert f'href="{change_url(Transfer, Transfer.objects.get(key="payout:po_1").pk)}"' in page


def test_a_conversion_tells_what_was_converted_and_at_which_rate(root: Client) -> None:
    source = {"id": "ch_pounds", "object": "charge", "amount": 10_000, "currency": "gbp"}
    record([movement("txn_fx", source, 11_800, currency="eur", exchange_rate=1.18)])

    page = root.get(change_url(BalanceTransaction, "txn_fx")).content.decode()

    assert "from £100.00 at 1.18" in page
    assert ["fx:txn_fx:out</a> £100.00" in page, "fx:txn_fx:in</a> €118.00" in page] == [True, True]


def test_stripes_copy_and_our_row_lead_to_each_other(root: Client, story: Story, settings: Any) -> None:
    settings.STRIPE_MIRROR = True
    djstripe.Payout.objects.create(id="po_1", stripe_data={"amount": 1897, "currency": "usd"})

    ours = root.get(change_url(Payout, "po_1")).content.decode()
    copy = root.get(change_url(djstripe.Payout, "po_1")).content.decode()
    without = root.get(change_url(BalanceTransaction, "txn_paid")).content.decode()

    assert f'href="{change_url(djstripe.Payout, "po_1")}"' in ours
    assert f'href="{list_url(Payout, q="po_1")}"' in copy
    assert "/admin/djstripe/" not in without


@pytest.mark.parametrize(
    ("permission", "shown"),
    [
        ("payments.view_transfer", "fee:txn_paid"),
        ("payments.view_payment", "pay_"),
        ("djstripe.view_balancetransaction", "/admin/djstripe/balancetransaction/"),
    ],
)
def test_what_it_leads_to_is_shown_to_who_may_open_it(story: Story, permission: str, shown: str, settings: Any) -> None:
    settings.STRIPE_MIRROR = True
    djstripe.BalanceTransaction.objects.create(id="txn_paid", amount=2500, currency="usd", stripe_data={})

    def content(*permissions: str) -> str:
        client = Client()
        client.force_login(staff_with("payments.view_balancetransaction", *permissions))
        answer = client.get(change_url(BalanceTransaction, "txn_paid"))
        assert answer.status_code == 200
        return answer.content.decode()

    assert [shown in content(permission), shown in content()] == [True, False]


def test_a_payments_page_tells_of_stripes_books_to_who_may_see_them_only(story: Story) -> None:
    client = Client()
    client.force_login(staff_with("payments.view_payment"))

    page = client.get(change_url(Payment, story.payment.pk))

    assert [table.title for table in page.context["tables"] if "Stripe's own" in table.title] == []
    assert "txn_paid" not in page.content.decode()


def test_the_error_that_an_alert_quotes_is_for_who_may_open_the_event() -> None:
    alert = Alert.objects.create(kind="dead_event", subject="evt_1", text="It could not be applied: secret words")

    def content(*permissions: str) -> list[str]:
        client = Client()
        client.force_login(staff_with("payments.view_alert", *permissions))
        urls = (list_url(Alert), change_url(Alert, str(alert.pk)))
        return [answer.content.decode() for url in urls if (answer := client.get(url)).status_code == 200]

    assert ["secret words" in text for text in content("payments.view_stripeevent")] == [True, True]
    assert ["secret words" in text for text in content()] == [False, False]
    assert ["an event that will not be tried again" in text and "evt_1" in text for text in content()] == [True, True]


def test_an_unfinished_run_tells_where_it_stands(root: Client) -> None:
    now = timezone.now()
    run = Reconciliation.objects.create(asked="2d .. now", since=now, until=now, step="charges", cursor="ch_7", found=3, mended=1)

    page = root.get(change_url(Reconciliation, str(run.pk))).content.decode()

    assert [text in page for text in ("not finished", "charges", f'href="{list_url(Payment, q="ch_7")}"')] == [True] * 3


@pytest.mark.parametrize("model", MODELS)
def test_nobody_adds_changes_or_deletes(root: Client, model: Any) -> None:
    fill(1, 0)
    row, before = model.objects.get(), list(model.objects.values())
    url = change_url(model, str(row.pk))
    changes = {"status": "failed", "text": "x", "found": "9", "amount_minor": "1", "asked": "x"}

    answers = [
        root.get(list_url(model) + "add/"),
        root.post(list_url(model) + "add/", changes),
        root.post(url, changes),
        root.post(url.replace("/change/", "/delete/"), {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert list(model.objects.values()) == before
