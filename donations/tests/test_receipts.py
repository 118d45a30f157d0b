"""Receipts: one mail for each gift, whoever asks for it and however often, and none that is lost."""

from __future__ import annotations

import threading
from datetime import timedelta
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives
from django.db import connection
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from campaigns.models import Campaign
from donations import fulfilment, receipts
from donations.models import Donation, Receipt
from donations.tests.factories import CampaignFactory, pending_donation
from payments.models import Payment, Transfer
from payments.settlement import settle_events
from payments.sweeping import sweep
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def story(db: None) -> Story:
    return Story(pending_donation(campaign=CampaignFactory(title="A well"), email="ada@example.org").payment)


def pay(story: Story) -> str:
    """The id of the gift, paid a moment ago."""
    settle_events(story.succeeded(), source="webhook")
    Donation.objects.update(paid_at=timezone.now())
    return str(story.payment.subject_id)


def run_tasks() -> int:
    """Run what was enqueued, as the worker would; gives how many tasks there were."""
    rows = list(DBTaskResult.objects.order_by("enqueued_at"))
    for row in rows:
        row.task.call(*row.args_kwargs["args"], **row.args_kwargs["kwargs"])
        row.delete()
    return len(rows)


def test_a_paid_gift_gets_its_receipt_once(story: Story, mailoutbox: list[EmailMultiAlternatives]) -> None:
    donation_id = pay(story)
    assert run_tasks() == 1
    (mail,) = mailoutbox
    assert (mail.to, mail.subject) == (["ada@example.org"], "Your gift of $25.00 to A well")
    assert mail.extra_headers["Message-ID"] == f"<{donation_id}@largesse.receipts>"
    assert "25.00" in mail.body
    assert [kind for _, kind in mail.alternatives] == ["text/html"]
    assert [receipts.send_receipt(donation_id) for _ in range(3)] == [False, False, False]
    settle_events(story.refunded("a", 700, at=100, in_all=700), source="webhook")
    run_tasks()
    Receipt.objects.update(claimed_at=timezone.now() - timedelta(hours=1), sent_at=timezone.now())
    sweep()
    run_tasks()
    assert len(mailoutbox) == 1


def test_nothing_is_mailed_for_a_gift_that_is_not_paid(story: Story, mailoutbox: list[EmailMultiAlternatives]) -> None:
    settle_events(story.declined() + story.expired(), source="webhook")
    sweep()
    assert (run_tasks(), mailoutbox, Receipt.objects.count()) == (0, [], 0)


def test_the_mail_is_enqueued_with_the_fact_and_not_without_it(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("payments.inbox.record", breaks)
    with pytest.raises(RuntimeError):
        pay(story)
    assert (DBTaskResult.objects.count(), Transfer.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    "failure", [SMTPServerDisconnected("gone"), SMTPRecipientsRefused({}), ConnectionRefusedError("no"), OSError()]
)
def test_a_mail_that_could_not_be_sent_is_tried_again_by_the_sweep(
    failure: Exception, story: Story, monkeypatch: pytest.MonkeyPatch, mailoutbox: list[EmailMultiAlternatives]
) -> None:
    def fails(self: Any, **_: Any) -> int:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(EmailMultiAlternatives, "send", fails)
        pay(story)
        run_tasks()
    row = Receipt.objects.get()
    assert (row.sent_at, row.attempts) == (None, 1)
    assert row.last_error.startswith(type(failure).__name__)
    assert sweep()["receipts"] == 0
    Receipt.objects.update(claimed_at=timezone.now() - receipts.RETRY_AFTER - timedelta(seconds=1))
    assert sweep()["receipts"] == 1
    run_tasks()
    row.refresh_from_db()
    assert (len(mailoutbox), row.attempts, row.last_error) == (1, 2, "")
    assert row.sent_at is not None
    assert sweep()["receipts"] == 0


def test_after_its_last_try_a_receipt_is_left_to_staff(story: Story, mailoutbox: list[EmailMultiAlternatives]) -> None:
    donation_id = pay(story)
    DBTaskResult.objects.all().delete()
    long_ago = timezone.now() - timedelta(days=1)
    Receipt.objects.create(donation_id=donation_id, claimed_at=long_ago, attempts=receipts.MAX_ATTEMPTS, last_error="x")
    sweep()
    assert (run_tasks(), mailoutbox) == (0, [])


def test_a_claim_of_a_process_that_died_is_not_sent_again_by_itself(
    story: Story, mailoutbox: list[EmailMultiAlternatives]
) -> None:
    """Whether that mail went cannot be known."""
    donation_id = pay(story)
    Receipt.objects.create(donation_id=donation_id, claimed_at=timezone.now() - timedelta(hours=1))
    sweep()
    run_tasks()
    assert mailoutbox == []


def test_a_lost_nudge_is_healed_by_the_sweep(story: Story, mailoutbox: list[EmailMultiAlternatives]) -> None:
    pay(story)
    DBTaskResult.objects.all().delete()
    assert sweep()["receipts"] == 0
    Donation.objects.update(paid_at=timezone.now() - receipts.NUDGE_LOST_AFTER - timedelta(seconds=1))
    assert sweep()["receipts"] == 1
    run_tasks()
    assert len(mailoutbox) == 1


def test_old_gifts_get_no_late_receipt(story: Story, mailoutbox: list[EmailMultiAlternatives]) -> None:
    pay(story)
    DBTaskResult.objects.all().delete()
    Donation.objects.update(paid_at=timezone.now() - receipts.TOO_OLD - timedelta(hours=1))
    assert sweep()["receipts"] == 0


def test_while_the_worker_is_down_the_sweep_does_not_pile_up_tasks(story: Story) -> None:
    pay(story)
    Donation.objects.update(paid_at=timezone.now() - timedelta(hours=1))
    for _ in range(5):
        sweep()
    assert DBTaskResult.objects.count() <= 2


def test_one_mail_that_breaks_does_not_stop_those_of_the_same_batch(mailoutbox: list[EmailMultiAlternatives]) -> None:
    stories = [
        Story(pending_donation(campaign=CampaignFactory(title=title), email=f"{n}@example.org").payment)
        for n, title in enumerate(("Two\nlines", "A well", "A school"))
    ]
    settle_events([event for story in stories for event in story.succeeded()], source="webhook")
    run_tasks()
    assert sorted(mail.to[0] for mail in mailoutbox)[-2:] == ["1@example.org", "2@example.org"]


def test_an_address_that_no_mail_can_be_sent_to_stops_neither_the_others_nor_the_sweep(
    mailoutbox: list[EmailMultiAlternatives],
) -> None:
    addresses = ("two\nlines@example.org", "1@example.org", "2@example.org")
    stories = [Story(pending_donation(email=address).payment) for address in addresses]
    settle_events([event for story in stories for event in story.succeeded()], source="webhook")
    DBTaskResult.objects.all().delete()
    Donation.objects.update(paid_at=timezone.now() - timedelta(hours=1))
    assert sweep()["receipts"] == 2
    assert sorted(mail.to[0] for mail in mailoutbox) == ["1@example.org", "2@example.org"]
    assert Receipt.objects.get(sent_at=None).last_error.startswith("BadHeaderError")


def test_a_mail_server_that_does_not_answer_is_not_waited_for_without_end(settings: Any) -> None:
    assert settings.EMAIL_TIMEOUT is not None
    assert 0 < settings.EMAIL_TIMEOUT <= 30


def test_a_donor_who_becomes_known_later_gets_the_receipt_then(mailoutbox: list[EmailMultiAlternatives]) -> None:
    story = Story(pending_donation().payment)
    intent, charge, session, _ = story.succeeded()
    settle_events([intent, charge], source="webhook")
    assert (run_tasks(), mailoutbox) == (0, [])
    settle_events([session], source="webhook")
    run_tasks()
    assert [mail.to for mail in mailoutbox] == [["ada@example.org"]]


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_sixteen_workers_at_once_send_one_mail(story: Story, mailoutbox: list[EmailMultiAlternatives]) -> None:
    donation_id = pay(story)
    sent: list[bool] = []
    barrier = threading.Barrier(16)

    def work() -> None:
        barrier.wait()
        sent.append(receipts.send_receipt(donation_id))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sorted(sent), len(mailoutbox)) == ([False] * 15 + [True], 1)


def test_a_gift_is_explained_in_one_line(story: Story) -> None:
    campaign = Campaign.objects.get()
    assert fulfilment.explain(story.payment.subject_id) == f"$25.00 to “A well” ({campaign.pk})"


def test_nothing_is_adopted_for_a_campaign_that_does_not_exist() -> None:
    payment = Payment(amount_minor=1, currency="usd")
    assert fulfilment.adopt(payment, "campaign_none") is False
    assert (Payment.objects.count(), Donation.objects.count()) == (0, 0)
