"""What a paid, refunded or disputed payment means for wallets: the protocol of `payments.fulfilment`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Q, QuerySet

from conventions.errors import DomainError
from conventions.public_ids import is_public_id
from payments.errors import StripeBusy, StripeUnavailable
from payments.fulfilment import Happening, PaymentChange, Subject, Total
from payments.ledger import balance
from payments.models import LedgerAccount, Payment, Transfer
from payments.states import product_state
from wallets import automatic, explaining, holding, levelling, notices, proving
from wallets.levelling import Cause
from wallets.models import Notice, NoticeDelivery, TopUp, Wallet

logger = logging.getLogger(__name__)
MOST_SUBJECTS = 20
MOST_SILENT = 3  # without an answer this often in a row Stripe is down, and each waits for timeouts


def settle(changes: Sequence[PaymentChange]) -> None:
    """Bring top-ups in line with their payments, and their wallets level with what is owed."""
    by_payment = {change.payment.pk: change for change in changes}
    found = list(TopUp.objects.select_for_update(of=("self",)).filter(payment__in=by_payment).order_by("pk"))
    for made in found:
        made.payment = by_payment[made.payment_id].payment  # the locked row, not a second look
        made.state = product_state(made.payment)
        made.paid_at = made.payment.paid_at
    TopUp.objects.bulk_update(found, ["state", "paid_at"], batch_size=200)
    levelling.level(cause for made in found for cause in _causes(made, by_payment[made.payment_id]))
    automatic.settle_failures([(made, by_payment[made.payment_id]) for made in found])
    wallets = Wallet.objects.in_bulk([made.wallet_id for made in found])
    for made in found:
        if by_payment[made.payment_id].became_paid:
            wallet = wallets[made.wallet_id]
            stands = {"balance_minor": balance_of(wallet), "owed_minor": balance(wallet.receivable)}
            facts = {"amount_minor": made.amount_minor, "top_up": made.pk, "is_automatic": made.is_automatic, **stands}
            notices.tell(wallet, Notice.Kind.TOPPED_UP, key=f"paid:{made.pk}", facts=facts)


def _causes(made: TopUp, change: PaymentChange) -> Iterable[Cause]:
    moved = (
        (change.became_paid, "repayment", "repaid from a top-up"),
        (change.refunded_delta_minor > 0, "refund", "refund of a top-up"),
        (change.refunded_delta_minor < 0, "refund", "refund of a top-up undone"),
        (change.disputed_delta_minor > 0, "dispute", "top-up disputed"),
        (change.disputed_delta_minor < 0, "dispute", "disputed top-up returned"),
    )
    return (
        Cause(wallet=made.wallet_id, memo=memo, kind=kind, payment=made.payment_id) for happened, kind, memo in moved if happened
    )


def adopt(payment: Payment, subject: str) -> bool:
    """Money that came by a Payment Link whose metadata names a wallet, or that staff assign to one."""
    wallet = Wallet.objects.filter(pk=subject, currency=payment.currency).first()
    if wallet is None:
        return False
    made = TopUp(
        organization_id=wallet.organization_id, wallet=wallet, amount_minor=payment.amount_minor, currency=payment.currency
    )
    payment.subject_id, payment.organization_id = made.pk, wallet.organization_id
    payment.destination_id, payment.returns_from_id = wallet.account, wallet.receivable
    payment.save()
    made.payment = payment
    made.save(force_insert=True)
    return True


def check_books() -> Iterable[str]:
    return proving.check_books()


def sweep() -> dict[str, int]:
    """End holds whose time is over, send charges whose answer never came, top up what is low, resend notices."""
    return {
        "holds_expired": holding.expire_due(),
        "top_ups_sent": _each(automatic.unsent(), automatic.finish),
        "top_ups_made": _each(automatic.due(), automatic.top_up),
    }


def _each(rows: Iterable[Any], work: Callable[[Any], object]) -> int:
    """Do `work` for each row; one that Stripe does not take holds up no other, and a Stripe that is down not the sweep."""
    done = silent = 0
    for row in rows:
        try:
            work(row)
        except (StripeBusy, StripeUnavailable) as error:
            logger.warning("%s waits for the next sweep: %s", row, error)
            silent += 1
            if silent == MOST_SILENT:
                break
            continue
        except DomainError as error:
            logger.warning("%s waits for the next sweep: %s", row, error)
        else:
            done += 1
        silent = 0
    return done


def explain(subject_id: str) -> str:
    made = TopUp.objects.select_related("wallet__organization").get(pk=subject_id)
    how = "automatically" if made.is_automatic else f"by {made.started_by_id or 'somebody unknown'}"
    return f"{made.money.display()} into the wallet of “{made.wallet.organization.name}” ({made.wallet_id}), topped up {how}"


def totals_of(name: str) -> Sequence[Total]:
    return explaining.totals_of(name)


def acted(transfers: Sequence[Transfer]) -> Mapping[str, str]:
    return explaining.acted(transfers)


def balance_of(wallet: Wallet) -> int:
    """What may be spent, in minor units: the balance that the database keeps."""
    return LedgerAccount.objects.values_list("balance_minor", flat=True).get(pk=wallet.account)


def find_subjects(words: str) -> Sequence[Subject]:
    """Wallets by whole id, or by words of their organization's name."""
    named = Q(pk=words) if is_public_id(words, "wallet") else Q(organization__name__icontains=words)
    wallets = Wallet.objects.select_related("organization").filter(named).order_by("-created_at", "-pk")[:MOST_SUBJECTS]
    return [Subject(id=wallet.pk, title=wallet.organization.name, currency=wallet.currency) for wallet in wallets]


def happened(subject_id: str) -> Sequence[Happening]:
    """The mails and messages about a top-up."""
    sent = NoticeDelivery.objects.filter(notice__facts__top_up=subject_id).exclude(claimed_at=None).order_by("created_at")
    return [
        Happening(at=at, what=f"Told by {one.channel}", detail=one.last_error, went_well=one.sent_at is not None)
        for one in sent[:MOST_SUBJECTS]
        if (at := one.sent_at or one.claimed_at)
    ]


def rows_of(payments: Collection[str]) -> Iterable[QuerySet[Any]]:
    made = TopUp.objects.filter(payment__in=payments)
    yield made
    yield Wallet.objects.filter(pk__in=made.values("wallet"))
    yield Notice.objects.filter(wallet__in=made.values("wallet"))
