"""What reconcile says of a difference is words and amounts, not columns."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from donations.tests.factories import pending_donation
from payments.batch import DISPUTE_COLUMNS, PAYMENT_COLUMNS, REFUND_COLUMNS
from payments.models import Payment, Refund
from payments.reconciliation.comparing import WORDS, Objects, word
from payments.reconciliation.recording import AMOUNTS
from payments.settlement import settle_events
from payments.tests.stripe_objects import BORN, Story


@pytest.mark.django_db
def test_what_differs_is_told_in_words_and_amounts() -> None:
    story = Story(pending_donation().payment)
    settle_events(story.succeeded(), source="webhook")
    Payment.objects.update(receipt_url="")
    (difference,) = Objects("charges").look([story.charge(refunded=700)])
    assert difference.what == f"{story.payment.pk}: receipt: not known, refunded at Stripe: $0.00 → $7.00"


@pytest.mark.django_db
def test_a_refund_that_failed_since_is_told_by_what_happened_and_when() -> None:
    story = Story(pending_donation().payment)
    settle_events([*story.succeeded(), *story.refunded("a", 700, at=100, in_all=700)], source="webhook")
    (difference,) = Objects("refunds").look([story.refund("a", 700, "failed", at=100)])
    refund = Refund.objects.get()
    failed = datetime.fromtimestamp(BORN + 100, tz=UTC)
    assert difference.what == (
        f"{refund.pk} of {story.payment.pk}: status: succeeded → failed, "
        f"failed: nothing → {failed:%Y-%m-%d %H:%M:%S}, failure: nothing → lost_or_stolen_card"
    )


def test_every_column_that_can_differ_has_a_name_without_underlines() -> None:
    columns = {*PAYMENT_COLUMNS, *REFUND_COLUMNS, *DISPUTE_COLUMNS, *AMOUNTS}
    assert [column for column in sorted(columns) if "_" in word(column)] == []
    assert set(WORDS) <= columns
