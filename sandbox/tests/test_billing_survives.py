"""Billing across a restart, and under an idempotency key."""

from pathlib import Path
from typing import Any

from sandbox.tests.conftest import Control, Starter


def post(control: Control, path: str, key: str = "", **params: Any) -> Any:
    headers = {"Idempotency_Key": key} if key else {}
    answer = control.api("POST", f"/v1/{path}", params, **headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def subscribed(control: Control) -> Any:
    product = post(control, "products", name="Gold")["id"]
    default = {"invoice_settings[default_payment_method]": "pm_card_visa"}
    customer = post(control, "customers", payment_method="pm_card_visa", **default)["id"]
    price = post(control, "prices", product=product, currency="usd", unit_amount="900", **{"recurring[interval]": "month"})
    return post(control, "subscriptions", customer=customer, **{"items[0][price]": price["id"]})


def test_subscription_renews_after_a_restart(start: Starter, tmp_path: Path) -> None:
    arguments = ("--data", str(tmp_path / "sandbox.db"), "--seed", "3")
    process, before = start(*arguments)
    made = subscribed(before)
    process.kill()
    process.wait(timeout=10)
    after = start(*arguments)[1]
    after.post("clock/advance", seconds=32 * 86_400)
    invoices = after.api("GET", f"/v1/invoices?subscription={made['id']}").json()["data"]
    assert [(one["status"], one["billing_reason"]) for one in invoices] == [
        ("paid", "subscription_cycle"), ("paid", "subscription_create"),
    ]  # fmt: skip
    lines = after.api("GET", f"/v1/invoices/{invoices[0]['id']}/lines").json()["data"]
    assert [line["amount"] for line in lines] == [900]


def test_same_key_subscribes_once(control: Control) -> None:
    first = subscribed(control)
    params = {"customer": first["customer"], "items[0][price]": first["items"]["data"][0]["price"]["id"]}
    one, again = (post(control, "subscriptions", "the-same", **params) for _ in range(2))
    assert one == again
    assert len(control.api("GET", "/v1/subscriptions").json()["data"]) == 2
