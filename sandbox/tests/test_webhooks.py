"""Events on their way: signed, retried, logged, repeated, and misdelivered on request."""

import json

import stripe

from sandbox.tests.conftest import SECRET, Control, Inbox, donation, payment, types_of

CARD_EVENTS = [
    "charge.succeeded",
    "charge.updated",
    "checkout.session.completed",
    "payment_intent.created",
    "payment_intent.succeeded",
]


def test_delivery_is_signed_and_is_the_listed_event(client: stripe.StripeClient, control: Control, inbox: Inbox) -> None:
    client.v1.customers.create({"email": "ada@example.org"}, {"idempotency_key": "k1"})
    control.post("deliveries/flush")
    headers, body = inbox.received[0]
    event = stripe.Webhook.construct_event(body, headers["Stripe-Signature"], SECRET)
    assert headers["User-Agent"].startswith("Stripe/1.0")
    assert (event.type, event.pending_webhooks, event.api_version) == ("customer.created", 1, "2026-08-26.dahlia")
    assert json.loads(body)["request"]["idempotency_key"] == "k1"
    listed = client.v1.events.retrieve(event.id).to_dict()
    assert listed == json.loads(body) | {"pending_webhooks": 0}


def test_endpoint_hears_only_what_it_wants(client: stripe.StripeClient, control: Control, inbox: Inbox) -> None:
    endpoint = client.v1.webhook_endpoints.list().data[0]
    client.v1.webhook_endpoints.update(endpoint.id, {"enabled_events": ["payment_intent.succeeded"]})
    payment(client)
    control.post("deliveries/flush")
    assert inbox.types == ["payment_intent.succeeded"]


def test_disabled_endpoint_hears_nothing(client: stripe.StripeClient, control: Control, inbox: Inbox) -> None:
    endpoint = client.v1.webhook_endpoints.list().data[0]
    disabled = client.v1.webhook_endpoints.update(endpoint.id, {"disabled": True})
    payment(client)
    control.post("deliveries/flush")
    assert (disabled.status, inbox.types) == ("disabled", [])


def test_secret_is_shown_only_when_the_endpoint_is_made(client: stripe.StripeClient) -> None:
    made = client.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["charge.updated"]})
    assert str(made.secret).startswith("whsec_")
    assert "secret" not in client.v1.webhook_endpoints.retrieve(made.id).to_dict()
    client.v1.webhook_endpoints.delete(made.id)
    assert client.v1.webhook_endpoints.list().data == []


def test_failed_delivery_is_retried_until_it_is_taken(client: stripe.StripeClient, control: Control, inbox: Inbox) -> None:
    inbox.answers = [500, 302]
    client.v1.customers.create({"name": "Ada"})
    control.post("deliveries/flush")
    control.post("clock/advance", seconds=60)
    assert [row["http_status"] for row in control.get("deliveries")["data"]] == [302, 500]
    control.post("clock/advance", seconds=86_400)
    assert [row["attempt"] for row in control.get("deliveries")["data"]] == [3, 2, 1]
    assert len({event["id"] for event in inbox.events}) == 1


def test_retries_end(client: stripe.StripeClient, control: Control, inbox: Inbox) -> None:
    inbox.answers = [500] * 100
    client.v1.customers.create({"name": "Ada"})
    control.post("clock/advance", seconds=86_400)
    assert len(inbox.received) == 4
    undelivered = client.v1.events.list({"delivery_success": False}).data
    assert [event.type for event in undelivered] == ["customer.created"]
    assert client.v1.events.list({"delivery_success": True}).data == []


def test_event_is_sent_again_on_request(client: stripe.StripeClient, control: Control, inbox: Inbox) -> None:
    client.v1.customers.create({"name": "Ada"})
    event = client.v1.events.list().data[0]
    control.post("deliveries/flush")
    control.post(f"events/{event.id}/resend")
    control.post("deliveries/flush")
    row = control.get("deliveries", event=event.id)["data"][0]
    control.post(f"deliveries/{row['id']}/replay")
    control.post("deliveries/flush")
    assert [one["id"] for one in inbox.events] == [event.id] * 3


def test_duplicate_rule_delivers_the_next_events_twice(client: stripe.StripeClient, control: Control, inbox: Inbox) -> None:
    control.post("misbehaviour", act="duplicate", count=2, types=["charge.succeeded", "payment_intent.succeeded"])
    control.pay(donation(client))
    control.post("deliveries/flush")
    assert sorted(inbox.types) == sorted([*CARD_EVENTS, "charge.succeeded", "payment_intent.succeeded"])


def test_drop_rule_hides_an_event_that_the_list_still_has(client: stripe.StripeClient, control: Control, inbox: Inbox) -> None:
    control.post("misbehaviour", act="drop", types=["checkout.session.completed"])
    control.pay(donation(client))
    control.post("clock/advance", seconds=86_400)
    assert sorted(inbox.types) == sorted(set(CARD_EVENTS) - {"checkout.session.completed"})
    assert "checkout.session.completed" in types_of(client)
    assert control.get("deliveries", status="dropped")["total"] == 1


def test_delay_rule_holds_an_event_until_the_clock_gets_there(
    client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    control.post("misbehaviour", act="delay", seconds=500, types=["payment_intent.succeeded"])
    payment(client)
    control.post("deliveries/flush")
    assert "payment_intent.succeeded" not in inbox.types
    control.post("clock/advance", seconds=500)
    assert inbox.types[-1] == "payment_intent.succeeded"


def test_reorder_rule_holds_a_window_and_loses_nothing(client: stripe.StripeClient, control: Control, inbox: Inbox) -> None:
    control.post("misbehaviour", act="reorder", window=5, count=5)
    control.pay(donation(client))
    control.post("deliveries/flush")
    assert sorted(inbox.types) == CARD_EVENTS


def test_share_is_repeatable_by_its_seed(client: stripe.StripeClient, control: Control, inbox: Inbox) -> None:
    def dropped() -> list[str]:
        control.post("reset", seed=11)
        control.post("misbehaviour", act="drop", share=0.5)
        for _ in range(4):
            control.pay(donation(client))
        return [row["event"] for row in control.get("deliveries", status="dropped")["data"]]

    first = dropped()
    assert 0 < len(first) < 20
    assert dropped() == first


def test_events_are_filtered_by_type_and_paged(client: stripe.StripeClient) -> None:
    for _ in range(3):
        payment(client)
    both = {"types": ["charge.succeeded", "payment_intent.succeeded"], "limit": 4}
    page = client.v1.events.list(both)  # type: ignore[arg-type]
    rest = client.v1.events.list(both | {"starting_after": page.data[-1].id})  # type: ignore[arg-type]
    assert (len(page.data), page.has_more, len(rest.data), rest.has_more) == (4, True, 2, False)
    back = client.v1.events.list(both | {"ending_before": rest.data[0].id})  # type: ignore[arg-type]
    assert [event.id for event in back.data] == [event.id for event in page.data]
    assert {event.type for event in client.v1.events.list({"type": "charge.*"}).data} == {"charge.succeeded", "charge.updated"}
