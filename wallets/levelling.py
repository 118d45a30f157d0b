"""Keeping a wallet and what its organization owes level: never is there money in the one while something is owed in
the other.

A refund or dispute of a top-up is taken from the receivable account, which may always be charged, and then repaid from
the wallet as far as it goes. What remains is owed: the wallet is blocked until a later credit has repaid it. So a fact
from Stripe is booked in full whatever was spent meanwhile, and in whatever order facts come, the balances end alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db import connection
from django.utils import timezone

from conventions.public_ids import new_public_id
from payments import ledger
from payments.bookkeeping import LEVEL
from payments.ledger import Posting
from payments.models import LedgerAccount
from wallets import low_balance, notices
from wallets.models import Notice, Wallet


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why a wallet is to be made level: said on the transfer that does it."""

    wallet: str
    memo: str
    kind: str = "repayment"  # or "refund" or "dispute": how a statement calls it
    payment: str | None = None


def open_accounts(wallet: Wallet) -> None:
    """The ledger accounts of a wallet; only balance and holds are floored, since what is owed must always be bookable."""
    ledger.open_accounts([wallet.account, wallet.held], kind=LedgerAccount.Kind.LIABILITY, floored=True)
    ledger.open_accounts([wallet.receivable])


def lock(wallets: Collection[str]) -> dict[str, tuple[Wallet, int]]:
    """The wallets with their balances (minor units), locked until the end of the transaction, in order of their accounts.

    The lock is that of the ledger account, which every transfer into or out of it takes as well.
    """
    assert connection.in_atomic_block, "a lock lasts as long as its transaction"
    found = {wallet.account: wallet for wallet in Wallet.objects.filter(pk__in=wallets)}
    accounts = LedgerAccount.objects.select_for_update(no_key=True).filter(code__in=found).order_by("code")
    balances = dict(accounts.values_list("code", "balance_minor"))
    fresh = Wallet.objects.in_bulk([wallet.pk for wallet in found.values()])  # as they are now that nobody else writes
    return {wallet.pk: (fresh[wallet.pk], balances[account]) for account, wallet in found.items()}


def lock_one(wallet: str) -> tuple[Wallet, int]:
    """As `lock`, of a single wallet."""
    return lock([wallet])[wallet]


def level(causes: Iterable[Cause]) -> None:
    """Repay what is owed from the wallet, or give back what was repaid too much; note when something begins or ceases to
    be owed, and when a balance is low."""
    causes = list(causes)
    locked = lock({cause.wallet for cause in causes})
    owed = ledger.balances(wallet.receivable for wallet, _ in locked.values())
    left = {pk: balance for pk, (_, balance) in locked.items()}
    postings = []
    for cause in causes:
        wallet, _ = locked[cause.wallet]
        move = min(owed[wallet.receivable], left[wallet.pk])  # negative: more was repaid than is owed now
        if move:
            postings.append(_posting(cause, wallet, move))
            owed[wallet.receivable] -= move
            left[wallet.pk] -= move
    ledger.post(postings)
    for wallet, _ in locked.values():
        _note(wallet, owed_minor=owed[wallet.receivable], balance_minor=left[wallet.pk])


def _posting(cause: Cause, wallet: Wallet, move: int) -> Posting:
    repaying = move > 0
    return Posting(
        key=f"{LEVEL}{cause.kind}:{new_public_id('transfer')}",
        debit=wallet.account if repaying else wallet.receivable,
        credit=wallet.receivable if repaying else wallet.account,
        amount_minor=abs(move),
        currency=wallet.currency,
        occurred_at=timezone.now(),
        payment_id=cause.payment,
        memo=cause.memo,
    )


def _note(wallet: Wallet, *, owed_minor: int, balance_minor: int) -> None:
    now = timezone.now()
    if owed_minor > 0 and wallet.owed_since is None:
        wallet.owed_since = now
        facts = {"owed_minor": owed_minor}
        notices.tell(wallet, Notice.Kind.MONEY_OWED, key=f"owed:{wallet.pk}:{now.isoformat()}", facts=facts)
    elif owed_minor <= 0:
        wallet.owed_since = None
    low_balance.note(wallet, balance_minor)
    wallet.save(update_fields=["owed_since", *low_balance.NOTED])
