"""What stands behind a payment's story, as tables that link to each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from conventions.admin_showing import link, list_url, moment, pill
from payments.admin.showing import money
from payments.admin.story import Story
from payments.models import BalanceTransaction, Dispute, LedgerAccount, Payout, Refund, StripeCall, StripeEvent, Transfer

Cell = SafeString | str


@dataclass(frozen=True, kw_only=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    # The list of all of them, where only the first are shown here.
    rest_url: str = ""


def tables(story: Story) -> list[Table]:
    """Refunds, disputes and balance transactions only where there are any; transfers, calls and events always."""
    pk = story.payment.pk

    def rest(part: str, url: str) -> str:
        return url if part in story.cut else ""

    found = []
    if story.refunds:
        found.append(_refunds(story, rest("refunds", list_url(Refund, q=pk))))
    if story.disputes:
        found.append(_disputes(story, rest("disputes", list_url(Dispute, q=pk))))
    found.append(_transfers(story, rest("transfers", list_url(Transfer, q=pk))))
    if story.balance:
        found.append(_balance(story, rest("balance", list_url(BalanceTransaction, q=pk))))
    found.append(_calls(story, rest("calls", list_url(StripeCall, q=pk))))
    found.append(_events(story, rest("events", list_url(StripeEvent, q=pk))))
    return found


def refund_state(refund: Refund) -> SafeString:
    return pill("unsent", "not yet sent") if is_unsent(refund) else pill(refund.status)


def is_unsent(refund: Refund) -> bool:
    """Committed by us, and Stripe has not answered yet."""
    return refund.stripe_id is None and refund.status == "pending"


def _refunds(story: Story, rest_url: str) -> Table:
    rows = [
        (
            moment(r.created_at),
            money(r.amount_minor, r.currency),
            refund_state(r),
            link(Refund, r.pk, r.stripe_id or r.pk),
            r.reason.replace("_", " ") or "–",
            str(r.requested_by or "–"),
            r.note or "–",
        )
        for r in story.refunds
    ]
    columns = ("Made", "Amount", "Status", "Refund", "Reason", "By", "Note")
    return Table(title="Refunds", columns=columns, rows=rows, rest_url=rest_url)


def _disputes(story: Story, rest_url: str) -> Table:
    rows = [
        (
            moment(d.opened_at),
            money(d.amount_minor, d.currency),
            pill(d.status),
            link(Dispute, d.pk, d.stripe_id),
            d.reason.replace("_", " ") or "–",
            moment(d.evidence_due_at),
        )
        for d in story.disputes
    ]
    columns = ("Opened", "Amount", "Status", "Dispute", "Reason", "Evidence due")
    return Table(title="Disputes", columns=columns, rows=rows, rest_url=rest_url)


def _transfers(story: Story, rest_url: str) -> Table:
    rows = [
        (
            moment(t.occurred_at),
            money(t.amount_minor, t.currency),
            link(LedgerAccount, t.debit_id),
            link(LedgerAccount, t.credit_id),
            link(Transfer, t.pk, t.key),
        )
        for t in story.transfers
    ]
    columns = ("Occurred", "Amount", "Debit", "Credit", "Key")
    return Table(title="Transfers in the books", columns=columns, rows=rows, rest_url=rest_url)


def _balance(story: Story, rest_url: str) -> Table:
    rows = [
        (
            moment(b.created_at),
            money(b.amount_minor, b.currency),
            money(b.fee_minor, b.currency) if b.fee_minor else "–",
            money(b.net_minor, b.currency),
            link(BalanceTransaction, b.pk, b.type.replace("_", " ")),
            link(Payout, b.payout),
        )
        for b in story.balance
    ]
    columns = ("Made at Stripe", "Amount", "Fee", "Net", "Balance transaction", "Payout")
    return Table(title="In Stripe's own books", columns=columns, rows=rows, rest_url=rest_url)


def _calls(story: Story, rest_url: str) -> Table:
    rows = [
        (
            moment(c.created_at),
            link(StripeCall, c.pk, c.operation),
            str(c.attempt),
            moment(c.answered_at),
            c.error or "–",
        )
        for c in story.calls
    ]
    columns = ("Planned", "Call", "Attempt", "Answered", "Error")
    return Table(title="Calls to Stripe", columns=columns, rows=rows, rest_url=rest_url)


def _events(story: Story, rest_url: str) -> Table:
    rows = [
        (moment(e.created_at), link(StripeEvent, e.pk, e.type), pill(e.state), e.object_id, e.source, e.last_error or "–")
        for e in story.events
    ]
    columns = ("Made at Stripe", "Event", "State", "About", "Came by", "Last error")
    return Table(title="Events from Stripe", columns=columns, rows=rows, rest_url=rest_url)
