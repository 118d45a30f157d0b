"""A payment told from beginning to end: what happened in order of time, and everything that stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ObjectDoesNotExist

from accounts.models import AuditEntry
from payments.admin.showing import money
from payments.fulfilment import Happening, fulfilment_of
from payments.models import BalanceTransaction, Dispute, Payment, Refund, StripeCall, StripeEvent, Transfer
from payments.unmatched import UNMATCHED

NOT_SHOWN = "failed"
MOST = 50  # of each kind; the lists show the rest


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that happened to the payment; `tone` is the colour of its mark, `kind` what sort of thing it is."""

    at: datetime
    what: str
    tone: str
    detail: str = ""
    kind: str = "fact"  # fact | event | booking | mail | act


@dataclass(kw_only=True)
class Story:
    payment: Payment
    product: str
    refundable_minor: int
    steps: list[Step] = field(default_factory=list)
    refunds: Sequence[Refund] = ()
    disputes: Sequence[Dispute] = ()
    transfers: Sequence[Transfer] = ()
    balance: Sequence[BalanceTransaction] = ()
    calls: Sequence[StripeCall] = ()
    events: Sequence[StripeEvent] = ()
    acts: Sequence[AuditEntry] = ()
    happenings: Sequence[Happening] = ()
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


def tell(payment: Payment, *, may: Callable[[str], bool]) -> Story:
    """Nine queries and the product's own two, however much there is to tell.

    `may` says whether the reader has a permission: that something failed is for everybody who sees the payment, the
    error itself, which may quote what was sent, only for those who may open the event or the call.
    """
    story = Story(payment=payment, product=_product(payment), refundable_minor=payment.refundable_minor)
    fulfilment = fulfilment_of(payment.purpose)
    if fulfilment and payment.subject_id:
        story.happenings = fulfilment.happened(payment.subject_id)

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
    moved = [payment.charge]  # what moved money
    moved += [refund.stripe_id for refund in story.refunds]
    moved += [dispute.stripe_id for dispute in story.disputes]
    names = [payment.checkout_session, payment.payment_intent, *moved]
    if may("payments.view_balancetransaction"):
        balance = BalanceTransaction.objects.filter(source__in=[name for name in moved if name])
        story.balance = bounded("balance", balance.order_by("created_at", "pk"))
    events = StripeEvent.objects.filter(object_id__in=[name for name in names if name]).defer("payload")
    story.events = bounded("events", events.order_by("created_at", "pk"))
    for event in story.events:
        event.last_error = event.last_error if may("payments.view_stripeevent") else event.last_error and NOT_SHOWN
    for call in story.calls:
        call.error = call.error if may("payments.view_stripecall") else call.error and NOT_SHOWN
    told = [payment.pk, payment.subject_id, *(refund.pk for refund in story.refunds), *(event.pk for event in story.events)]
    acts = AuditEntry.objects.filter(target_id__in=[pk for pk in told if pk]).select_related("actor")
    story.acts = bounded("acts", acts.order_by("pk"))
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
    """Everything that is known with its time; what caused something before what followed from it."""
    yield from _facts_of_payment(story)
    yield from _facts_of_refunds(story.refunds)
    yield from _facts_of_disputes(story.disputes)
    for event in story.events:
        tone = "bad" if event.last_error else "quiet"
        detail = " ".join(filter(None, (f"{event.pk}, {event.state}", event.last_error)))
        yield Step(at=event.created_at, what=f"Event {event.type}", tone=tone, detail=detail, kind="event")
    for transfer in story.transfers:
        moved = f"{money(transfer.amount_minor, transfer.currency)}, debit {transfer.debit_id}, credit {transfer.credit_id}"
        yield Step(at=transfer.occurred_at, what=f"Booked: {transfer.memo}", tone="quiet", detail=moved, kind="booking")
    for happening in story.happenings:
        tone = "good" if happening.went_well else "bad"
        yield Step(at=happening.at, what=happening.what, tone=tone, detail=happening.detail, kind="mail")
    for act in story.acts:
        what = act.action.partition(".")[2].replace("_", " ").capitalize()
        why = f": {act.reason}" if act.reason else ""
        yield Step(at=act.at, what=f"Staff: {what}", tone="act", detail=f"by {act.actor or 'the system'}{why}", kind="act")


def _beginning(story: Story) -> tuple[str, str, str]:
    payment = story.payment
    if payment.purpose == UNMATCHED or payment.assigned_at:
        return "Taken in", "quiet", f"{story.amount}, which named nothing of ours"
    return "Started", "quiet", f"{story.amount}, by {payment.get_via_display()}"


def _facts_of_payment(story: Story) -> Iterator[Step]:
    payment = story.payment
    failure = " ".join(filter(None, [payment.failure_message, payment.failure_code and f"({payment.failure_code})"]))
    facts = (
        (payment.created_at, *_beginning(story)),
        (payment.processing_at, "Processing at the bank", "quiet", ""),
        (payment.failed_at, "Failed", "bad", failure),
        (payment.paid_at, "Paid", "good", story.amount),
        (payment.canceled_at, "Canceled", "bad", ""),
        (payment.expired_at, "Expired", "bad", "The checkout page was not completed."),
    )
    yield from _known(facts)


def _facts_of_refunds(refunds: Sequence[Refund]) -> Iterator[Step]:
    for refund in refunds:
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


def _facts_of_disputes(disputes: Sequence[Dispute]) -> Iterator[Step]:
    for dispute in disputes:
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
