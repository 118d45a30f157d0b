"""Staff are told once: of each dead event, and of each silence; never by two sweeps, never of nothing."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone

from donations.tests.factories import pending_donation
from payments import alerts, inbox
from payments.models import Alert, Payment, StripeEvent
from payments.settlement import settle_events
from payments.sweeping import sweep
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _people(settings: Any) -> None:
    settings.ALERT_EMAILS = ("ops@example.org", "duty@example.org")


def dead_event(story: Story | None = None) -> str:
    """An event that failed twelve times."""
    envelope = (story or Story(pending_donation().payment)).succeeded()[0]
    for _ in range(inbox.MAX_ATTEMPTS):
        inbox.record_failure(envelope, RuntimeError("no such column"), source="webhook")
    return envelope.id


def ago(**units: Any) -> datetime:
    return timezone.now() - timedelta(**units)


def opened(count: int, *, at: datetime) -> None:
    """So many people went to the checkout page then."""
    for number in range(count):
        payment = pending_donation().payment
        Payment.objects.filter(pk=payment.pk).update(created_at=at, checkout_session=f"cs_{payment.pk}_{number}")


def heard(at: datetime) -> str:
    """A webhook that came then."""
    story = Story(pending_donation().payment)
    (envelope,) = story.declined()
    settle_events([envelope], source="webhook")
    StripeEvent.objects.filter(pk=envelope.id).update(received_at=at)
    Payment.objects.filter(pk=story.payment.pk).update(created_at=at - timedelta(minutes=1))
    return envelope.id


# -- dead events ---------------------------------------------------------------------------------------
def test_a_dead_event_is_mailed_once_with_what_is_wrong_and_where_to_look() -> None:
    event = dead_event()
    assert sweep()["alerts"] == 1
    (sent,) = mail.outbox
    assert (sent.subject, sent.to) == ("[Largesse] 1 event could not be applied", ["ops@example.org", "duty@example.org"])
    assert f"payment_intent.succeeded {event} could not be applied in 12 tries: RuntimeError: no such column" in sent.body
    assert "docs/operations.md" in sent.body
    assert "/admin/payments/stripeevent/?state=dead" in sent.body
    Alert.objects.update(claimed_at=ago(days=1))
    assert sweep()["alerts"] == 0
    assert len(mail.outbox) == 1


def test_an_event_that_will_be_tried_again_is_no_alert() -> None:
    envelope = Story(pending_donation().payment).succeeded()[0]
    for _ in range(inbox.MAX_ATTEMPTS - 1):
        inbox.record_failure(envelope, RuntimeError("no"), source="webhook")
    assert StripeEvent.objects.get().state == "failed"
    assert alerts.raise_and_tell() == 0
    assert (Alert.objects.count(), mail.outbox) == (0, [])


def test_many_dead_events_are_one_mail() -> None:
    events = [dead_event() for _ in range(3)]
    assert alerts.raise_and_tell() == 3
    (sent,) = mail.outbox
    assert sent.subject == "[Largesse] 3 events could not be applied"
    assert [event for event in events if event in sent.body] == events


def test_a_mail_names_at_most_so_many_and_counts_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "MOST_NAMED", 1)
    for _ in range(3):
        dead_event()
    alerts.raise_and_tell()
    assert "- and 2 more\n" in mail.outbox[0].body


def test_an_alert_closes_when_its_event_is_applied_and_is_not_mailed_again() -> None:
    story = Story(pending_donation().payment)
    event = dead_event(story)
    alerts.raise_and_tell()
    assert Alert.objects.get().resolved_at is None
    StripeEvent.objects.filter(pk=event).update(state="applied")
    assert alerts.raise_and_tell() == 0
    assert Alert.objects.get().resolved_at is not None
    StripeEvent.objects.filter(pk=event).update(state="dead")
    assert (alerts.raise_and_tell(), len(mail.outbox), Alert.objects.count()) == (0, 1, 1)


def test_an_event_that_died_again_opens_its_alert_again() -> None:
    event = dead_event()
    alerts.raise_and_tell()
    StripeEvent.objects.filter(pk=event).update(state="applied")
    alerts.raise_and_tell()
    StripeEvent.objects.filter(pk=event).update(state="dead")
    alerts.raise_and_tell()
    assert Alert.objects.get().resolved_at is None


# -- mails ---------------------------------------------------------------------------------------------
def test_a_mail_that_failed_is_tried_again_after_its_claim_lapsed(monkeypatch: pytest.MonkeyPatch) -> None:
    dead_event()
    with monkeypatch.context() as patch:
        patch.setattr("django.core.mail.EmailMessage.send", lambda self: (_ for _ in ()).throw(OSError("no route")))
        assert alerts.raise_and_tell() == 0
    alert = Alert.objects.get()
    assert (alert.told_at, alert.last_error) == (None, "OSError: no route")
    assert alerts.raise_and_tell() == 0
    Alert.objects.update(claimed_at=ago(minutes=16))
    assert (alerts.raise_and_tell(), len(mail.outbox)) == (1, 1)
    assert Alert.objects.get().last_error == ""


def test_what_another_run_has_claimed_is_left_to_it() -> None:
    dead_event()
    alerts._raise_dead_events()
    Alert.objects.update(claimed_by="another", claimed_at=timezone.now())
    assert (alerts.raise_and_tell(), mail.outbox) == (0, [])


def test_without_addresses_the_log_tells_once(settings: Any, caplog: Any) -> None:
    settings.ALERT_EMAILS = ()
    event = dead_event()
    assert (alerts.raise_and_tell(), alerts.raise_and_tell(), mail.outbox) == (1, 0, [])
    told = [r.getMessage() for r in caplog.records if r.name == "payments.alerts" and r.levelname == "ERROR"]
    assert len(told) == 1
    assert event in told[0]


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_eight_sweeps_at_once_send_each_event_in_one_mail() -> None:
    events = {dead_event() for _ in range(5)}
    barrier, told = threading.Barrier(8), []

    def go() -> None:
        barrier.wait()
        told.append(alerts.raise_and_tell())
        connection.close()

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(told) == 5
    named = [event for sent in mail.outbox for event in events if event in sent.body]
    assert sorted(named) == sorted(events)


# -- silence -------------------------------------------------------------------------------------------
def test_pages_opened_and_no_webhook_for_an_hour_are_told_once_a_silence() -> None:
    heard(ago(minutes=70))
    opened(3, at=ago(minutes=30))
    assert sweep()["alerts"] == 1
    (sent,) = mail.outbox
    assert sent.subject == "[Largesse] no webhooks from Stripe"
    assert "No webhook came from Stripe since 20" in sent.body
    assert "though people went to Stripe's checkout page meanwhile" in sent.body
    opened(3, at=ago(minutes=20))
    assert (sweep()["alerts"], len(mail.outbox)) == (0, 1)


def test_a_silence_ends_with_the_next_webhook_and_the_next_one_is_told_again() -> None:
    heard(ago(minutes=300))
    opened(3, at=ago(minutes=200))
    alerts.raise_and_tell()
    heard(ago(minutes=90))
    assert alerts.raise_and_tell() == 0
    assert Alert.objects.get().resolved_at is not None
    opened(3, at=ago(minutes=80))
    assert alerts.raise_and_tell() == 1
    assert [alert.resolved_at is None for alert in Alert.objects.order_by("pk")] == [False, True]


@pytest.mark.parametrize(
    ("heard_before", "opened_before", "count"),
    [(59, 30, 3), (70, 30, 2), (70, 5, 3), (70, 75, 3), (70, 30, 0)],
    ids=["heard within the hour", "too few pages", "pages just opened", "pages before the last webhook", "nobody came"],
)
def test_what_proves_no_silence_is_not_told(heard_before: int, opened_before: int, count: int) -> None:
    heard(ago(minutes=heard_before))
    opened(count, at=ago(minutes=opened_before))
    assert (alerts.raise_and_tell(), Alert.objects.count(), mail.outbox) == (0, 0, [])


def test_one_payment_that_was_made_meanwhile_is_proof_enough() -> None:
    """The success page asked Stripe and settled it; its webhook should have come long ago."""
    heard(ago(minutes=70))
    story = Story(pending_donation().payment)
    settle_events(story.succeeded(), source="pull")
    Payment.objects.filter(pk=story.payment.pk).update(created_at=ago(minutes=40), paid_at=ago(minutes=39))
    assert alerts.raise_and_tell() == 1
    assert "though a payment was made meanwhile" in mail.outbox[0].body


def test_an_installation_that_never_heard_a_webhook_is_told_once() -> None:
    opened(3, at=ago(minutes=30))
    assert (alerts.raise_and_tell(), alerts.raise_and_tell(), len(mail.outbox)) == (1, 0, 1)
    assert "No webhook came from Stripe so far" in mail.outbox[0].body


def test_silence_may_be_switched_off(settings: Any) -> None:
    settings.ALERT_SILENCE_S = 0
    opened(3, at=ago(minutes=30))
    assert (alerts.raise_and_tell(), Alert.objects.count()) == (0, 0)
