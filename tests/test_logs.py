"""Every line about a request, an event or a payment says which; what must not be in it is not."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from django.test import Client

from config.error_reports import start_reporting
from conventions.log_lines import JsonLines
from donations.tests.factories import pending_donation
from payments import settlement
from payments.models import StripeEvent
from payments.tests.stripe_objects import Story
from payments.tests.test_webhooks import deliver

pytestmark = pytest.mark.django_db


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the process writes, as it writes it in production."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def written(log: io.StringIO, logger: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["logger"] == logger]


@pytest.fixture
def story() -> Story:
    return Story(pending_donation().payment)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> str:
    """Settlement fails once the payment is known, with a message that no log may hold."""
    message = "Key (customer_email)=(ada@example.org) already exists; sk_live_abcdefabcdef card 4242424242424242"

    def write(self: Any) -> list[str]:
        raise ValueError(message)

    monkeypatch.setattr(settlement.Batch, "write", write)
    return message


def test_the_line_about_an_event_that_failed_names_request_event_and_payment(story: Story, broken: str, log: io.StringIO) -> None:
    event = story.event("checkout.session.completed", story.session("complete", "paid"), 5)
    answer = deliver(event.payload)
    assert answer.status_code == 500
    [line] = written(log, "payments.webhooks")
    assert (line["event_id"], line["payment_id"], line["request_id"]) == (event.id, story.payment.pk, answer["X-Request-ID"])
    assert "ValueError: Key (customer_email)=(a***@example.org) already exists; sk_live_*** card ****4242" in line["exc_info"]
    for secret in ("ada@example.org", "sk_live_abc", "4242424242424242"):
        assert secret not in log.getvalue()


def test_the_next_request_knows_nothing_of_the_last(story: Story, broken: str, log: io.StringIO) -> None:
    deliver(story.event("checkout.session.completed", story.session("complete", "paid"), 5).payload)
    first = deliver(b"{}", signature="")["X-Request-ID"]
    [_, line] = written(log, "payments.webhooks")
    assert ("event_id" in line, "payment_id" in line, line["request_id"]) == (False, False, first)


def test_an_event_that_waits_in_the_inbox_is_named_when_it_is_tried_again(story: Story, broken: str, log: io.StringIO) -> None:
    event = story.event("checkout.session.completed", story.session("complete", "paid"), 5)
    deliver(event.payload)
    StripeEvent.objects.update(state="failed")
    with settlement.about(request_id="outside"), pytest.raises(ValueError):
        settlement.settle_stored([event.id])
    logging.getLogger("after").error("now")
    assert written(log, "after")[0].get("event_id") is None


def test_an_id_of_a_trusted_proxy_is_taken_over(client: Client, settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1
    answer = client.get("/healthz", headers={"X-Request-ID": "proxy-0123456789"})
    assert answer["X-Request-ID"] == "proxy-0123456789"


@pytest.mark.parametrize("sent", ["short", "x" * 129, "line\nbreak-12345", "a b c d e f g", "é" * 10])
def test_an_id_of_odd_shape_is_not(sent: str, client: Client, settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1
    assert len(client.get("/healthz", headers={"X-Request-ID": sent})["X-Request-ID"]) == 16


def test_an_id_of_a_stranger_is_not(client: Client) -> None:
    sent = {"X-Request-ID": "stranger-0123456789"}
    first, second = (client.get("/healthz", headers=sent)["X-Request-ID"] for _ in range(2))
    assert "stranger-0123456789" not in {first, second}
    assert first != second


# -- reports of errors ----------------------------------------------------------------------------------------
@pytest.fixture
def reports() -> Iterator[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []

    class Kept(sentry_sdk.transport.Transport):
        def capture_envelope(self, envelope: Any) -> None:
            found.extend(item.payload.json for item in envelope.items if item.type == "event")

    start_reporting("https://key@sentry.invalid/1", environment="test", transport=Kept)
    yield found
    sentry_sdk.init()


def test_a_report_names_the_event_and_holds_nothing_of_people(story: Story, broken: str, reports: list[dict[str, Any]]) -> None:
    event = story.event("checkout.session.completed", story.session("complete", "paid"), 5)
    deliver(event.payload, QUERY_STRING="token=abc", REMOTE_ADDR="203.0.113.9")
    [report] = reports
    assert (report["tags"]["event_id"], report["tags"]["payment_id"]) == (event.id, story.payment.pk)
    assert set(report["request"]) <= {"method", "url"}
    assert "user" not in report
    text = json.dumps(report)
    assert "a***@example.org" in text
    for secret in ("ada@example.org", "Ada@Example.org", "4242424242424242", "sk_live_abc", "203.0.113.9", "token=abc", "whsec_"):
        assert secret not in text
    assert not any("vars" in frame for value in report["exception"]["values"] for frame in value["stacktrace"]["frames"])
