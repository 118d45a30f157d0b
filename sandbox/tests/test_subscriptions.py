"""Subscriptions: the first payment, renewals by the clock, failed renewals, changes of plan, the end."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from sandbox import periods
from sandbox.tests.conftest import Control, plain, types_of

HOUR, DAY = 3_600, 86_400


@dataclass
class Shop:
    """A customer, and prices by the month and by the year."""

    client: stripe.StripeClient
    customer: str
    monthly: str
    dearer: str
    yearly: str

    def subscribe(self, **more: Any) -> stripe.Subscription:
        params: Any = {"customer": self.customer, "items": [{"price": self.monthly}], **more}
        return self.client.v1.subscriptions.create(params)

    def again(self, subscription: stripe.Subscription) -> stripe.Subscription:
        return self.client.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice.payments"]})

    def card(self, name: str = "visa", *, default: bool = True) -> str:
        method = self.client.v1.payment_methods.attach(f"pm_card_{name}", {"customer": self.customer}).id
        if default:
            self.client.v1.customers.update(self.customer, {"invoice_settings": {"default_payment_method": method}})
        return method

    def switch(self, subscription: stripe.Subscription, price: str, **more: Any) -> stripe.Subscription:
        item = subscription["items"]["data"][0]["id"]
        params: Any = {"items": [{"id": item, "price": price}], "expand": ["latest_invoice"], **more}
        return self.client.v1.subscriptions.update(subscription.id, params)


@pytest.fixture
def shop(client: stripe.StripeClient) -> Shop:
    product = client.v1.products.create({"name": "Gold"}).id

    def price(amount: int, interval: Any) -> str:
        return client.v1.prices.create(
            {"product": product, "currency": "usd", "unit_amount": amount, "recurring": {"interval": interval}}
        ).id

    customer = client.v1.customers.create({"email": "ada@example.org", "name": "Ada"}).id
    return Shop(client, customer, price(1_000, "month"), price(3_000, "month"), price(10_000, "year"))


def invoice_of(subscription: stripe.Subscription) -> stripe.Invoice:
    assert isinstance(subscription.latest_invoice, stripe.Invoice)
    return subscription.latest_invoice


def intent_of(subscription: stripe.Subscription) -> str:
    payments = invoice_of(subscription).payments
    assert payments is not None
    return str(payments.data[0].payment.payment_intent)


def end_of(subscription: stripe.Subscription) -> int:
    end: int = subscription["items"]["data"][0]["current_period_end"]
    return end


def renew(shop: Shop, control: Control, subscription: stripe.Subscription) -> stripe.Subscription:
    """Move the clock to the period's end and over the hour that a draft waits."""
    now = control.get("healthz")["now"]
    control.post("clock/advance", seconds=end_of(shop.again(subscription)) - now + HOUR)
    return shop.again(subscription)


def latest(client: stripe.StripeClient, kind: str) -> stripe.Event:
    return client.v1.events.list({"type": kind, "limit": 1}).data[0]


def test_first_payment_activates_the_subscription(shop: Shop, client: stripe.StripeClient) -> None:
    waiting = shop.subscribe(
        payment_behavior="default_incomplete",
        payment_settings={"save_default_payment_method": "on_subscription"},
        metadata={"plan": "gold"},
        expand=["latest_invoice.confirmation_secret", "latest_invoice.payments"],
    )
    invoice = invoice_of(waiting)
    assert (waiting.status, invoice.status, invoice.amount_due, invoice.billing_reason) == (
        "incomplete", "open", 1_000, "subscription_create",
    )  # fmt: skip
    details = plain(invoice.parent)["subscription_details"]
    assert details == {"metadata": {"plan": "gold"}, "subscription": waiting.id}
    secret = plain(invoice.confirmation_secret)
    assert (secret["type"], secret["client_secret"].split("_secret_")[0]) == ("payment_intent", intent_of(waiting))

    before = len(types_of(client))
    client.v1.payment_intents.confirm(intent_of(waiting), {"payment_method": "pm_card_visa"})
    assert types_of(client)[before:] == [
        "payment_method.attached", "charge.succeeded", "payment_intent.succeeded", "invoice_payment.paid",
        "invoice.updated", "invoice.paid", "invoice.payment_succeeded", "customer.subscription.updated",
    ]  # fmt: skip
    active = shop.again(waiting)
    assert (active.status, invoice_of(active).status, invoice_of(active).amount_paid) == ("active", "paid", 1_000)
    assert active.default_payment_method is not None
    changed = plain(latest(client, "customer.subscription.updated").data.previous_attributes)
    assert changed == {"status": "incomplete", "default_payment_method": None}


def test_invoice_shows_payments_and_secret_only_where_asked(shop: Shop, client: stripe.StripeClient) -> None:
    waiting = shop.subscribe(payment_behavior="default_incomplete")
    told = latest(client, "invoice.finalized").data.object
    shown = client.v1.invoices.retrieve(str(waiting.latest_invoice)).to_dict()
    assert {"payments", "confirmation_secret"} & (set(plain(told)) | set(shown)) == set()


def test_unpaid_first_invoice_ends_the_subscription_after_23_hours(
    shop: Shop, client: stripe.StripeClient, control: Control
) -> None:
    waiting = shop.subscribe(payment_behavior="default_incomplete")
    control.post("clock/advance", seconds=23 * HOUR - 60)
    assert shop.again(waiting).status == "incomplete"
    control.post("clock/advance", seconds=60)
    over = shop.again(waiting)
    assert (over.status, invoice_of(over).status) == ("incomplete_expired", "void")
    assert client.v1.payment_intents.retrieve(intent_of(over)).cancellation_reason == "void_invoice"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.confirm(intent_of(over), {"payment_method": "pm_card_visa"})


def test_saved_card_pays_at_once(shop: Shop) -> None:
    shop.card()
    assert shop.subscribe().status == "active"


def test_declined_saved_card_leaves_it_incomplete(shop: Shop, client: stripe.StripeClient) -> None:
    shop.card("chargeCustomerFail")
    assert shop.subscribe().status == "incomplete"
    assert types_of(client)[-4:] == [
        "charge.failed",
        "payment_intent.payment_failed",
        "invoice.updated",
        "invoice.payment_failed",
    ]


@pytest.mark.parametrize(("card", "status"), [("chargeCustomerFail", 402), ("authenticationRequired", 402)])
def test_error_if_incomplete_makes_nothing(shop: Shop, client: stripe.StripeClient, card: str, status: int) -> None:
    shop.card(card)
    with pytest.raises(stripe.CardError) as caught:
        shop.subscribe(payment_behavior="error_if_incomplete")
    assert caught.value.http_status == status
    assert client.v1.subscriptions.list({"status": "all"}).data == []
    assert client.v1.invoices.list().data == []


def test_subscription_without_a_card_is_refused(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        shop.subscribe()


def test_challenged_first_payment_waits_for_its_customer(shop: Shop, control: Control) -> None:
    shop.card("authenticationRequired")
    waiting = shop.again(shop.subscribe())
    assert waiting.status == "incomplete"
    control.post(f"payment_intents/{intent_of(waiting)}/authenticate", passed=True)
    assert shop.again(waiting).status == "active"


def test_renewal_is_a_draft_for_an_hour_and_then_paid(shop: Shop, client: stripe.StripeClient, control: Control) -> None:
    shop.card()
    first = shop.again(shop.subscribe())
    control.post("clock/advance", seconds=end_of(first) - control.get("healthz")["now"])
    second = shop.again(first)
    draft = invoice_of(second)
    assert (draft.status, draft.billing_reason, draft.id != invoice_of(first).id) == ("draft", "subscription_cycle", True)
    assert second["items"]["data"][0]["current_period_start"] == end_of(first)
    changed = plain(latest(client, "customer.subscription.updated").data.previous_attributes)
    assert (set(changed), changed["latest_invoice"]) == ({"items", "latest_invoice"}, invoice_of(first).id)
    before = len(types_of(client))
    control.post("clock/advance", seconds=HOUR)
    assert types_of(client)[before:] == [
        "invoice.finalized", "payment_intent.created", "charge.succeeded", "payment_intent.succeeded",
        "invoice_payment.paid", "invoice.updated", "invoice.paid", "invoice.payment_succeeded",
    ]  # fmt: skip
    assert (invoice_of(shop.again(first)).status, shop.again(first).status) == ("paid", "active")


def test_a_year_of_renewals_takes_thirteen_payments(shop: Shop, client: stripe.StripeClient, control: Control) -> None:
    shop.card()
    shop.subscribe()
    control.post("clock/advance", seconds=366 * DAY + 2 * HOUR)
    paid = [invoice.amount_paid for invoice in client.v1.invoices.list({"limit": 100, "status": "paid"}).data]
    assert paid == [1_000] * 13
    assert len({invoice.number for invoice in client.v1.invoices.list({"limit": 100}).data}) == 13


def test_failed_renewal_is_retried_and_then_ends_the_subscription(
    shop: Shop, client: stripe.StripeClient, control: Control
) -> None:
    control.post("settings", invoice_retry_days=[1, 2], after_retries="canceled")
    shop.card()
    subscription = shop.subscribe()
    shop.card("chargeCustomerFail")
    late = renew(shop, control, subscription)
    invoice, now = invoice_of(late), control.get("healthz")["now"]
    assert (late.status, invoice.status, invoice.attempt_count, invoice.next_payment_attempt) == (
        "past_due", "open", 1, now + DAY,
    )  # fmt: skip
    assert latest(client, "invoice.payment_failed").data.object["next_payment_attempt"] == now + DAY
    control.post("clock/advance", seconds=DAY)
    assert (invoice_of(shop.again(late)).attempt_count, shop.again(late).status) == (2, "past_due")
    control.post("clock/advance", seconds=2 * DAY)
    over = shop.again(late)
    assert (over.status, invoice_of(over).attempt_count, invoice_of(over).next_payment_attempt) == ("canceled", 3, None)
    assert plain(over.cancellation_details)["reason"] == "payment_failed"
    assert types_of(client)[-1] == "customer.subscription.deleted"
    assert client.v1.charges.list({"customer": shop.customer, "limit": 100}).data[0].status == "failed"


def test_new_card_pays_at_the_next_retry(shop: Shop, control: Control) -> None:
    shop.card()
    subscription = shop.subscribe()
    shop.card("chargeCustomerFail")
    assert renew(shop, control, subscription).status == "past_due"
    shop.card()
    control.post("clock/advance", seconds=3 * DAY)
    assert (shop.again(subscription).status, invoice_of(shop.again(subscription)).status) == ("active", "paid")


def test_unpaid_subscription_bills_no_more_until_it_is_paid(shop: Shop, client: stripe.StripeClient, control: Control) -> None:
    control.post("settings", invoice_retry_days=[], after_retries="unpaid")
    shop.card()
    subscription = shop.subscribe()
    shop.card("chargeCustomerFail")
    owed = renew(shop, control, subscription)
    assert owed.status == "unpaid"
    later = renew(shop, control, subscription)
    assert (later.status, invoice_of(later).status, invoice_of(later).auto_advance) == ("unpaid", "draft", False)
    shop.card()
    client.v1.invoices.pay(invoice_of(later).id)
    assert shop.again(subscription).status == "active"


def test_subscription_ends_with_its_period(shop: Shop, client: stripe.StripeClient, control: Control) -> None:
    shop.card()
    subscription = shop.subscribe()
    ending = client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert (ending.status, ending.cancel_at, ending.cancel_at_period_end) == ("active", end_of(ending), True)
    over = renew(shop, control, subscription)
    assert (over.status, over.ended_at, len(client.v1.invoices.list().data)) == ("canceled", end_of(ending), 1)


def test_resumed_subscription_renews(shop: Shop, client: stripe.StripeClient, control: Control) -> None:
    shop.card()
    subscription = shop.subscribe()
    client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    resumed = client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    assert (resumed.cancel_at, resumed.canceled_at, resumed.cancel_at_period_end) == (None, None, False)
    assert (renew(shop, control, subscription).status, len(client.v1.invoices.list().data)) == ("active", 2)


def test_canceled_subscription_is_over_at_once(shop: Shop, client: stripe.StripeClient, control: Control) -> None:
    shop.card()
    subscription = shop.subscribe()
    over = client.v1.subscriptions.cancel(subscription.id, {"cancellation_details": {"comment": "Too dear"}})
    assert (over.status, plain(over.cancellation_details)["comment"]) == ("canceled", "Too dear")
    control.post("clock/advance", seconds=90 * DAY)
    assert len(client.v1.invoices.list().data) == 1
    assert client.v1.subscriptions.list({"customer": shop.customer}).data == []
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.subscriptions.cancel(subscription.id)


def test_subscription_goes_with_its_customer(shop: Shop, client: stripe.StripeClient, control: Control) -> None:
    shop.card()
    subscription = shop.subscribe()
    client.v1.customers.delete(shop.customer)
    assert shop.again(subscription).status == "canceled"
    control.post("clock/advance", seconds=90 * DAY)
    assert len(client.v1.invoices.list().data) == 1


def test_change_of_plan_waits_as_a_credit_and_a_debit(shop: Shop, client: stripe.StripeClient, control: Control) -> None:
    shop.card()
    subscription = shop.subscribe()
    start, end = subscription["items"]["data"][0]["current_period_start"], end_of(subscription)
    shop.switch(subscription, shop.dearer, proration_date=start + (end - start) // 3)
    pending = client.v1.invoice_items.list({"customer": shop.customer, "pending": True}).data
    assert [item.amount for item in pending] == [2_000, -667]
    assert [item.proration for item in pending] == [True, True]
    invoice = invoice_of(renew(shop, control, subscription))
    assert [line.amount for line in invoice.lines.data] == [-667, 2_000, 3_000]
    assert (invoice.total, invoice.amount_paid) == (4_333, 4_333)
    credited = plain(invoice.lines.data[0].parent)["subscription_item_details"]["proration_details"]["credited_items"]
    assert credited["invoice"] == subscription.latest_invoice


def test_change_of_interval_is_billed_now_and_starts_a_period(shop: Shop, client: stripe.StripeClient) -> None:
    shop.card()
    subscription = shop.subscribe()
    changed = shop.switch(subscription, shop.yearly)
    invoice = invoice_of(changed)
    assert [line.amount for line in invoice.lines.data][-1] == 10_000
    assert (invoice.billing_reason, invoice.status, invoice.total) == ("subscription_update", "paid", invoice.amount_paid)
    assert end_of(changed) - changed["items"]["data"][0]["current_period_start"] in (365 * DAY, 366 * DAY)


def test_credit_of_a_cheaper_plan_is_used_by_the_next_invoices(shop: Shop, client: stripe.StripeClient, control: Control) -> None:
    shop.card()
    params: Any = {"customer": shop.customer, "items": [{"price": shop.dearer}]}
    subscription = client.v1.subscriptions.create(params)
    start = subscription["items"]["data"][0]["current_period_start"]
    cheaper = shop.switch(subscription, shop.monthly, proration_date=start, proration_behavior="always_invoice")
    assert (invoice_of(cheaper).total, invoice_of(cheaper).amount_due, invoice_of(cheaper).status) == (-2_000, 0, "paid")
    assert client.v1.customers.retrieve(shop.customer).balance == -2_000
    second = invoice_of(renew(shop, control, subscription))
    assert (second.total, second.starting_balance, second.ending_balance, second.amount_due) == (1_000, -2_000, -1_000, 0)
    renew(shop, control, subscription)
    fourth = invoice_of(renew(shop, control, subscription))
    assert (fourth.starting_balance, fourth.amount_paid) == (0, 1_000)


def test_change_without_proration_bills_the_new_price_next_time(shop: Shop, control: Control) -> None:
    shop.card()
    subscription = shop.subscribe()
    shop.switch(subscription, shop.dearer, proration_behavior="none")
    assert [line.amount for line in invoice_of(renew(shop, control, subscription)).lines.data] == [3_000]


@pytest.mark.parametrize(
    ("name", "value"), [("trial_period_days", 3), ("discounts", [{"coupon": "x"}]), ("collection_method", "send_invoice")]
)
def test_what_would_change_the_money_is_refused_by_name(shop: Shop, name: str, value: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.subscribe(**{name: value})
    assert caught.value.code == "sandbox_unsupported"


def test_months_are_counted_from_the_anchor() -> None:
    month = {"interval": "month", "interval_count": 1}
    anchor = int(datetime(2027, 1, 31, 12, tzinfo=UTC).timestamp())
    days = [datetime.fromtimestamp(periods.boundary(anchor, month, n), tz=UTC).strftime("%m-%d") for n in range(4)]
    assert days == ["01-31", "02-28", "03-31", "04-30"]


@pytest.mark.parametrize(
    ("amount", "part", "whole", "share"), [(1_000, 1, 3, 333), (1_000, 2, 3, 667), (5, 1, 2, 3), (-5, 1, 2, -3), (7, 0, 9, 0)]
)
def test_share_of_a_period_is_rounded_half_away_from_zero(amount: int, part: int, whole: int, share: int) -> None:
    assert periods.share(amount, part_s=part, whole_s=whole) == share
