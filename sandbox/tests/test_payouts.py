"""Payouts, and conversion into the currency in which the account settles."""

import pytest
import stripe

from sandbox.money import converted
from sandbox.tests.conftest import Control, payment, plain, types_of

DAY = 86_400
AT_ONCE = "pm_card_bypassPending"


def rows_of(client: stripe.StripeClient, payout: str) -> list[tuple[str, int]]:
    listed = client.v1.balance_transactions.list({"payout": payout}).data
    return sorted((str(row.type), row.net) for row in listed)


def test_automatic_payout_takes_all_that_is_available_and_arrives_a_day_later(
    client: stripe.StripeClient, control: Control
) -> None:
    payment(client, AT_ONCE)
    payment(client)  # pending for two days
    made = control.post("payouts")
    assert (made["amount"], made["status"], made["automatic"]) == (1912, "in_transit", True)
    assert rows_of(client, made["id"]) == [("charge", 1912), ("payout", -1912)]
    control.post("clock/advance", seconds=DAY)
    arrived = client.v1.payouts.retrieve(made["id"])
    assert (arrived.status, arrived.reconciliation_status) == ("paid", "completed")
    assert [row.id for row in client.v1.payouts.list({"status": "paid"}).data] == [made["id"]]
    assert [kind for kind in types_of(client) if kind.startswith("payout.")] == [
        "payout.created",
        "payout.paid",
        "payout.updated",
    ]


def test_the_next_payout_takes_only_what_is_new(client: stripe.StripeClient, control: Control) -> None:
    payment(client, AT_ONCE)
    control.post("payouts")
    payment(client, AT_ONCE, amount=5000)
    second = control.post("payouts")
    assert rows_of(client, second["id"]) == [("charge", 4825), ("payout", -4825)]
    control.post("payouts", 400)
    assert client.v1.payouts.list().data[0].id == second["id"]


def test_failed_payout_brings_the_money_back(client: stripe.StripeClient, control: Control) -> None:
    payment(client, AT_ONCE)
    made = control.post("payouts")
    failed = control.post(f"payouts/{made['id']}/resolve", outcome="failed")
    assert (failed["status"], failed["failure_code"]) == ("failed", "account_closed")
    back = client.v1.balance_transactions.retrieve(failed["failure_balance_transaction"])
    assert (back.type, back.amount) == ("payout_failure", 1912)
    assert plain(client.v1.balance.retrieve().available[0])["amount"] == 1912
    control.post(f"payouts/{made['id']}/resolve", 400, outcome="paid")


def test_payout_asked_for_has_its_amount_and_says_nothing_of_what_it_paid_out(
    client: stripe.StripeClient, control: Control
) -> None:
    payment(client, AT_ONCE)
    made = control.post("payouts", amount=1000)
    assert (made["automatic"], made["reconciliation_status"]) == (False, "not_applicable")
    assert rows_of(client, made["id"]) == []
    control.post("payouts", 400, amount=913)


def test_other_currencies_are_converted_where_the_account_does_not_settle_in_them(
    client: stripe.StripeClient, control: Control
) -> None:
    control.post("settings", settlement_currencies=["usd", "gbp"])
    payment(client, currency="eur", amount=1000)
    payment(client, currency="gbp", amount=1000)
    sterling, euros = client.v1.balance_transactions.list().data
    assert (euros.currency, euros.amount, euros.fee, euros.exchange_rate) == ("usd", 1100, 62, 1.1)
    assert (sterling.currency, sterling.amount, sterling.fee, sterling.exchange_rate) == ("gbp", 1000, 59, None)


@pytest.mark.parametrize(
    ("amount", "currency", "into", "expected"),
    [(1000, "eur", "usd", (1100, 1.1)), (-1000, "eur", "usd", (-1100, 1.1)), (500, "jpy", "usd", (325, 0.0065)),
     (1000, "usd", "jpy", (1538, 153.846154)), (5120, "kwd", "usd", (1669, 3.26)), (333, "eur", "gbp", (288, 0.866142))],
)  # fmt: skip
def test_conversion_is_half_up_between_minor_units(amount: int, currency: str, into: str, expected: tuple[int, float]) -> None:
    assert converted(amount, currency, into) == expected
