"""An error that is kept or shown tells what went wrong, and nothing about people."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from accounts.tests.factories import staff_with
from backoffice.roles import ROLES
from conventions.admin_showing import change_url
from conventions.failures import told
from conventions.scrubbing import scrubbed
from donations.tests.factories import payment_of, pending_donation
from payments import inbox
from payments.models import Payment, StripeCall, StripeEvent
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def story() -> Story:
    story = Story(payment_of(pending_donation(email="ada@example.org")))
    settle_events(story.succeeded(), source="webhook")
    Payment.objects.update(customer_name="Ada Lovelace", customer_email="ada@example.org")
    return story


@pytest.fixture
def refused(story: Story) -> IntegrityError:
    """What the database says of a payment that was refunded beyond its amount; PostgreSQL quotes its row."""
    with pytest.raises(IntegrityError) as raised, transaction.atomic():
        Payment.objects.update(refunded_minor=-1)
    return raised.value


def test_an_error_of_the_database_names_its_constraint_and_no_person(refused: IntegrityError) -> None:
    text = told(refused)
    assert text.startswith("IntegrityError: ")
    assert "constraint" in text
    assert "payment_" in text
    assert "Ada" not in text
    assert "ada@" not in text


def test_an_error_of_the_database_is_without_the_row_in_logs_too(refused: IntegrityError) -> None:
    assert "Ada" not in scrubbed(f"Traceback …\n{refused}")


def test_an_event_that_failed_keeps_no_person(story: Story, refused: IntegrityError) -> None:
    event = story.event("charge.updated", story.charge(), 9)
    inbox.record_failure(event, refused, source="webhook")
    assert StripeEvent.objects.get(pk=event.id).last_error == told(refused)


def test_other_errors_are_told_without_addresses_and_keys_and_are_cut() -> None:
    assert told(ValueError("ada@example.org has sk_test_abc")) == "ValueError: a***@example.org has sk_test_***"
    assert told(TimeoutError()) == "TimeoutError"
    assert len(told(ValueError("x" * 9000))) == 500
    assert told(ValueError("odd \x00\ud800text")) == "ValueError: odd text"


@pytest.mark.parametrize(("role", "seen"), [("support", [False, False]), ("finance", [True, True])])
def test_a_payments_page_quotes_errors_only_for_who_may_open_what_failed(
    role: str, seen: list[bool], client: Client, story: Story
) -> None:
    StripeEvent.objects.filter(type="charge.updated").update(state="failed", last_error="quoted of the event")
    StripeCall.objects.create(
        key="k", operation="refund", subject_id=story.payment.pk, params={}, error_status=402, error="quoted of the call"
    )
    client.force_login(staff_with(*(name for name in ROLES[role] if not name.startswith("djstripe"))))

    answer = client.get(change_url(Payment, story.payment.pk))

    page = answer.content.decode()
    assert [f"quoted of the {what}" in page for what in ("event", "call")] == seen
    (failed,) = [step for _, step in answer.context["steps"] if step.kind == "event" and step.tone == "bad"]
    assert failed.what == "Event charge.updated"
