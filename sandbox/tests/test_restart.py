"""What survives: everything with --data, even a killed process; nothing without."""

from pathlib import Path

import stripe

from sandbox.tests.conftest import KEY, Control, Starter, donation, plain


def client_of(control: Control, transport: stripe.RequestsClient) -> stripe.StripeClient:
    return stripe.StripeClient(KEY, base_addresses={"api": control.url}, http_client=transport)


def test_killed_sandbox_remembers_all_it_answered(start: Starter, tmp_path: Path) -> None:
    arguments = ("--data", str(tmp_path / "sandbox.db"), "--seed", "3")
    transport = stripe.RequestsClient(timeout=20)
    process, before = start(*arguments)
    client = client_of(before, transport)
    paid = before.pay(donation(client, metadata={"k": "v"}))
    waiting = before.pay(donation(client, currency="eur"), iban="AT321904300235473204", name="Ada", email="a@example.org")
    first = before.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k").json()
    before.post("clock/advance", seconds=10)
    events = before.api("GET", "/v1/events?limit=100").json()
    process.kill()
    process.wait(timeout=10)

    after = start(*arguments)[1]
    again = client_of(after, transport)
    session = again.v1.checkout.sessions.retrieve(paid["session"]["id"], {"expand": ["line_items"]})
    assert (session.payment_status, plain(session.metadata)) == ("paid", {"k": "v"})
    assert session.line_items is not None
    assert session.line_items.data[0].description == "Gift"
    assert after.api("GET", "/v1/events?limit=100").json() == events
    assert after.api("POST", "/v1/customers", {"name": "Ada"}, Idempotency_Key="k").json() == first
    assert after.get("healthz")["ahead_s"] == 10
    after.post("clock/advance", seconds=200)
    assert again.v1.checkout.sessions.retrieve(waiting["session"]["id"]).payment_status == "paid"
    transport.close()  # type: ignore[no-untyped-call]


def test_sandbox_without_data_starts_empty(start: Starter) -> None:
    first = start()[1]
    first.api("POST", "/v1/customers", {"name": "Ada"})
    assert start()[1].api("GET", "/v1/customers").json()["data"] == []


def test_same_seed_makes_the_same_ids(start: Starter) -> None:
    made = [start("--seed", "5")[1].api("POST", "/v1/customers", {"name": "Ada"}).json()["id"] for _ in range(2)]
    assert made[0] == made[1]
