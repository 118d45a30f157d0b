"""What waits for somebody of the staff, each with the list that shows it; only what the person may see.

Every count reads an index and stops at MOST: beyond, "more than 99" says all that is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import User
from backoffice.exports.making import State as ExportState
from backoffice.models import Export
from conventions.admin_showing import list_url
from conventions.kept import kept
from donations.models import Receipt
from payments.models import Dispute, LastRun, Payment, Refund, StripeEvent
from payments.money import Money
from payments.unmatched import UNMATCHED
from pricing.models import HourLot
from wallets.amounts import owing
from wallets.models import Wallet, WalletAdjustment

MOST = 99
MOST_NAMED = 5  # rows that a matter names, where it names them
KEPT_S = 60
OVERDUE = timedelta(minutes=10)  # what is younger is likely being done this moment
LOOK_BACK = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Matter:
    """`one` and `many` follow their number. `look`: bad needs somebody now, waiting will be tried again or has a day until
    which it must be done. `names` tells the first few rows, each in a line."""

    key: str
    permission: str
    one: str
    many: str
    why: str
    look: str
    url: Callable[[], str]
    rows: Callable[[], QuerySet[Any]]
    names: Callable[[], list[str]] = list


@dataclass(frozen=True, kw_only=True)
class Found:
    matter: Matter
    number: int
    names: Sequence[str] = ()

    @property
    def told(self) -> str:
        return f"more than {MOST}" if self.number > MOST else str(self.number)

    @property
    def what(self) -> str:
        return self.matter.one if self.number == 1 else self.matter.many


def _events(state: str) -> QuerySet[Any]:
    return StripeEvent.objects.filter(state=state)


def _unmatched() -> QuerySet[Any]:
    found = Payment.objects.filter(purpose=UNMATCHED, paid_at__isnull=False)
    return found.filter(amount_minor__gt=F("refunded_minor") + F("disputed_minor"))


def _unsent_refunds() -> QuerySet[Any]:
    return Refund.objects.filter(status="pending", stripe_id=None, created_at__lt=timezone.now() - OVERDUE)


def _failed_refunds() -> QuerySet[Any]:
    return Refund.objects.filter(status="failed", created_at__gt=timezone.now() - LOOK_BACK)


def _unanswered_disputes() -> QuerySet[Any]:
    """Opened long ago, they are lost; Stripe gives three weeks at most."""
    opened = Dispute.objects.filter(opened_at__gt=timezone.now() - 3 * LOOK_BACK)
    return opened.filter(status__in=["needs_response", "warning_needs_response"], closed_at=None)


def _unsent_receipts() -> QuerySet[Any]:
    return Receipt.objects.filter(sent_at=None, claimed_at__lt=timezone.now() - OVERDUE)


def _owed_hours() -> QuerySet[Any]:
    """Lots whose money went back lately; who was asked long ago and did not answer is no matter of today."""
    since = timezone.now() - LOOK_BACK
    payment = OuterRef("purchase__payment")
    refunds = Refund.objects.filter(payment=payment, created_at__gt=since)
    disputes = Dispute.objects.filter(payment=payment, opened_at__gt=since)
    return HourLot.objects.filter(Exists(refunds) | Exists(disputes), owed_hundredths__gt=0)


def _owing_wallets() -> QuerySet[Any]:
    return Wallet.objects.filter(owed_since__isnull=False)


def _name_owing_wallets() -> list[str]:
    """Who, how much and since when, the longest first."""
    return [
        f"{wallet.organization.name}: {Money(wallet.owed_minor, wallet.currency).display()} since {wallet.owed_since:%Y-%m-%d}"
        for wallet in owing()[:MOST_NAMED]
    ]


def _paused_wallets() -> QuerySet[Any]:
    return Wallet.objects.filter(top_up_paused_at__isnull=False)


def _broken_books() -> QuerySet[Any]:
    return LastRun.objects.filter(name="check_books", found__gt=0)


def _failed_exports() -> QuerySet[Any]:
    return Export.objects.filter(state=ExportState.FAILED, created_at__gt=timezone.now() - timedelta(days=1))


MATTERS = (
    Matter(
        key="books",
        permission="payments.view_transfer",
        one="proof of the books failed: they do not balance",
        many="proofs of the books failed: they do not balance",
        why="check_books names the rows; nothing is lost, but a total may be wrong",
        look="bad",
        url=lambda: "",
        rows=_broken_books,
    ),
    Matter(
        key="dead",
        permission="payments.view_stripeevent",
        one="dead event",
        many="dead events",
        why="tries are used up: mend the cause, then replay",
        look="bad",
        url=lambda: list_url(StripeEvent, state__exact="dead"),
        rows=lambda: _events("dead"),
    ),
    Matter(
        key="disputes",
        permission="payments.view_dispute",
        one="dispute waits for evidence",
        many="disputes wait for evidence",
        why="answered in Stripe's dashboard, before the day they are due",
        look="bad",
        url=lambda: list_url(Dispute, status="needs_response"),
        rows=_unanswered_disputes,
    ),
    Matter(
        key="refunds-failed",
        permission="payments.view_refund",
        one="refund failed, last 30 days",
        many="refunds failed, last 30 days",
        why="the money is back with us, the donor still waits for it",
        look="bad",
        url=lambda: list_url(Refund, status__exact="failed"),
        rows=_failed_refunds,
    ),
    Matter(
        key="unmatched",
        permission="payments.view_payment",
        one="payment belongs to nothing yet",
        many="payments belong to nothing yet",
        why="money that came past us: assign it to a campaign or a wallet, or refund it",
        look="waiting",
        url=lambda: list_url(Payment, purpose=UNMATCHED, status__exact="paid"),
        rows=_unmatched,
    ),
    Matter(
        key="refunds-unsent",
        permission="payments.view_refund",
        one="refund not sent to Stripe",
        many="refunds not sent to Stripe",
        why="sent again every minute; look at the error if they stay",
        look="waiting",
        url=lambda: list_url(Refund, sent="no", status__exact="pending"),
        rows=_unsent_refunds,
    ),
    Matter(
        key="hours-owed",
        permission="pricing.view_hourlot",
        one="hour lot refunded after its hours were used, last 30 days",
        many="hour lots refunded after their hours were used, last 30 days",
        why="the money went back and the hours were gone: ask for it, take other hours, or let it be",
        look="waiting",
        url=lambda: list_url(HourLot, owed="yes"),
        rows=_owed_hours,
    ),
    Matter(
        key="wallets-owing",
        permission="wallets.view_wallet",
        one="wallet owes money",
        many="wallets owe money",
        why="refunded or disputed after it was spent; nothing more is spent before it is repaid: ask for it, or adjust",
        look="bad",
        url=lambda: list_url(Wallet, standing="owing"),
        rows=_owing_wallets,
        names=_name_owing_wallets,
    ),
    Matter(
        key="adjustments",
        permission="wallets.view_walletadjustment",
        one="adjustment waits for a second person",
        many="adjustments wait for a second person",
        why="whoever did not propose them approves or rejects",
        look="waiting",
        url=lambda: list_url(WalletAdjustment, state="proposed"),
        rows=lambda: WalletAdjustment.objects.filter(state=WalletAdjustment.State.PROPOSED),
    ),
    Matter(
        key="wallets-paused",
        permission="wallets.view_wallet",
        one="wallet does not top up by itself any more",
        many="wallets do not top up by themselves any more",
        why="a charge failed; their people were told, and go on by paying or by another card",
        look="waiting",
        url=lambda: list_url(Wallet, standing="paused"),
        rows=_paused_wallets,
    ),
    Matter(
        key="receipts-failed",
        permission="donations.view_receipt",
        one="receipt failed",
        many="receipts failed",
        why="tried again some times; the error says what is wrong with the mail",
        look="waiting",
        url=lambda: list_url(Receipt, sent="failed"),
        rows=lambda: _unsent_receipts().exclude(last_error=""),
    ),
    Matter(
        key="receipts-unknown",
        permission="donations.view_receipt",
        one="receipt may not have gone",
        many="receipts may not have gone",
        why="the process died in the midst of sending: staff may send them once more",
        look="waiting",
        url=lambda: list_url(Receipt, sent="unknown"),
        rows=lambda: _unsent_receipts().filter(last_error=""),
    ),
    Matter(
        key="failed",
        permission="payments.view_stripeevent",
        one="failed event",
        many="failed events",
        why="tried again by themselves; the error says what is wrong",
        look="waiting",
        url=lambda: list_url(StripeEvent, state__exact="failed"),
        rows=lambda: _events("failed"),
    ),
    Matter(
        key="parked",
        permission="payments.view_stripeevent",
        one="event waits for its payment",
        many="events wait for their payment",
        why="for a quarter of an hour at most, then as unmatched money",
        look="waiting",
        url=lambda: list_url(StripeEvent, state__exact="parked"),
        rows=lambda: _events("parked"),
    ),
    Matter(
        key="exports",
        permission="backoffice.export",
        one="export failed, last day",
        many="exports failed, last day",
        why="the export says why",
        look="waiting",
        url=lambda: list_url(Export, state__exact="failed"),
        rows=_failed_exports,
    ),
)


def attention(user: User | AnonymousUser) -> list[Found]:
    """What is not zero and may be seen by the user; counts are at most a minute old."""
    known = kept("front-page:attention", KEPT_S, lambda: {matter.key: _look(matter) for matter in MATTERS})
    seen = [(matter, *known[matter.key]) for matter in MATTERS if user.has_perm(matter.permission)]
    return [Found(matter=matter, number=number, names=names) for matter, number, names in seen if number]


def _look(matter: Matter) -> tuple[int, list[str]]:
    number = matter.rows()[: MOST + 1].count()
    return number, matter.names() if number else []
