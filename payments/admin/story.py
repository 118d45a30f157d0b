"""A payment told from beginning to end: what happened in order of time, and everything that stands behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ObjectDoesNotExist

from payments.admin.showing import money
from payments.fulfilment import fulfilment_of
from payments.models import Dispute, Payment, Refund, StripeCall, StripeEvent, Transfer

MOST = 50  # of each kind; the lists show the rest


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that happened to the payment; `tone` is the colour of its mark."""

    at: datetime
    what: str
    tone: str
    detail: str = ""


@dataclass(kw_only=True)
class Story:
    payment: Payment
    product: str
    refundable_minor: int
    steps: list[Step] = field(default_factory=list)
    refunds: Sequence[Refund] = ()
    disputes: Sequence[Dispute] = ()
    transfers: Sequence[Transfer] = ()
    calls: Sequence[StripeCall] = ()
    events: Sequence[StripeEvent] = ()
    # Names of the parts above of which there are more than MOST.
    cut: set[str] = field(default_factory=set)

    @property
    def amount(self) -> str:
        return self._money(self.payment.amount_minor)

    @property
    def refunded(self) -> str:
        return self._money(self.payment.refunded_minor)

    @property
    def disputed(self) -> str:
        return self._money(self.payment.disputed_minor)

    @property
    def net(self) -> str:
        return self._money(self.payment.net_minor)

    @property
    def refundable(self) -> str:
        return self._money(self.refundable_minor)

    def _money(self, minor: int) -> str:
        return money(minor, self.payment.currency)


def tell(payment: Payment) -> Story:
    """Seven queries and the product's own, however much there is to tell."""
    story = Story(payment=payment, product=_product(payment), refundable_minor=payment.refundable_minor)

    def bounded(name: str, rows: Any) -> Any:
        found = list(rows[: MOST + 1])
        if len(found) > MOST:
            story.cut.add(name)
        return found[:MOST]

    story.refunds = bounded("refunds", payment.refunds.select_related("requested_by").order_by("created_at", "pk"))
    story.disputes = bounded("disputes", payment.disputes.order_by("opened_at", "pk"))
    story.transfers = bounded("transfers", payment.transfers.order_by("occurred_at", "pk"))
    subjects = [payment.pk, *(refund.pk for refund in story.refunds)]
    calls = StripeCall.objects.filter(subject_id__in=subjects).defer("params", "answer")
    story.calls = bounded("calls", calls.order_by("created_at", "pk"))
    names = [payment.checkout_session, payment.payment_intent, payment.charge]
    names += [refund.stripe_id for refund in story.refunds]
    names += [dispute.stripe_id for dispute in story.disputes]
    events = StripeEvent.objects.filter(object_id__in=[name for name in names if name]).defer("payload")
    story.events = bounded("events", events.order_by("created_at", "pk"))
    # Stripe's times are whole seconds, ours are finer: what shares a second stays in the order of telling.
    story.steps = sorted(_steps(story), key=lambda step: step.at.replace(microsecond=0))
    return story


def _product(payment: Payment) -> str:
    """What was paid for, in the product's own words; empty where it has none (unmatched money)."""
    fulfilment = fulfilment_of(payment.purpose)
    if fulfilment is None or not payment.subject_id:
        return ""
    try:
        return fulfilment.explain(payment.subject_id)
    except ObjectDoesNotExist:
        return "its product row is missing"


def _steps(story: Story) -> Iterator[Step]:
    payment = story.payment
    failure = " ".join(filter(None, [payment.failure_message, payment.failure_code and f"({payment.failure_code})"]))
    facts = (
        (payment.created_at, "Started", "quiet", f"{story.amount}, by {payment.get_via_display()}"),
        (payment.processing_at, "Processing at the bank", "quiet", ""),
        (payment.failed_at, "Failed", "bad", failure),
        (payment.paid_at, "Paid", "good", story.amount),
        (payment.canceled_at, "Canceled", "bad", ""),
        (payment.expired_at, "Expired", "bad", "The checkout page was not completed."),
    )
    yield from _known(facts)
    for refund in story.refunds:
        amount = money(refund.amount_minor, refund.currency)
        asked = f"{amount}, by {refund.requested_by}" if refund.requested_by else amount
        yield from _known(
            (
                (refund.created_at, "Refund made", "quiet", f"{asked}{f', {refund.reason}' if refund.reason else ''}"),
                (refund.succeeded_at, "Refund succeeded", "good", amount),
                (refund.failed_at, "Refund failed", "bad", f"{amount} {refund.failure_reason}".strip()),
                (refund.canceled_at, "Refund canceled", "bad", f"{amount} {refund.failure_reason}".strip()),
            )
        )
    for dispute in story.disputes:
        amount = money(dispute.amount_minor, dispute.currency)
        yield from _known(
            (
                (dispute.opened_at, "Dispute opened", "bad", f"{amount}, {dispute.reason.replace('_', ' ')}"),
                (dispute.funds_withdrawn_at, "Dispute: funds withdrawn", "bad", amount),
                (dispute.funds_reinstated_at, "Dispute: funds reinstated", "good", amount),
                (dispute.closed_at, "Dispute closed", "quiet", dispute.status.replace("_", " ")),
            )
        )


def _known(facts: Sequence[tuple[datetime | None, str, str, str]]) -> Iterator[Step]:
    for at, what, tone, detail in facts:
        if at is not None:
            yield Step(at=at, what=what, tone=tone, detail=detail)
