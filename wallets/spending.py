"""Spending: money leaves a wallet for something, at most once per Idempotency-Key, never below zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.models import User
from conventions.errors import InvalidInput, NotFound
from conventions.trying_again import in_transaction
from payments import ledger
from payments.checkout import fingerprint
from payments.errors import IdempotencyKeyReused
from payments.ledger import Posting
from payments.models import LedgerAccount
from payments.money import Money
from wallets import levelling, low_balance
from wallets.errors import InsufficientFunds, MoreThanSpent, WalletBlocked
from wallets.levelling import Cause
from wallets.models import SpendReversal, Wallet, WalletHold, WalletSpend

KEPT_REASON = 200  # characters of it in the row of a reversal; the history has it whole
Taken = TypeVar("Taken", WalletSpend, WalletHold)


def revenue_account(currency: str) -> str:
    return f"revenue:wallets:{currency}"


def spend(*, wallet: Wallet, money: Money, description: str, key: str, actor: User | None) -> tuple[WalletSpend, bool]:
    """The spend of this key, and whether it is new.

    Raises InvalidInput (amount), WalletBlocked, InsufficientFunds, and IdempotencyKeyReused when the key was used for
    something else; after each of them nothing has changed.
    """
    check_amount(money, wallet)
    asked = fingerprint({"amount_minor": money.amount_minor, "currency": money.currency, "description": description})
    ledger.open_accounts([revenue_account(wallet.currency)], kind=LedgerAccount.Kind.INCOME)

    def take() -> WalletSpend:
        spent = WalletSpend.objects.create(
            organization_id=wallet.organization_id,
            wallet=wallet,
            amount_minor=money.amount_minor,
            currency=money.currency,
            description=description,
            idempotency_key=key,
            fingerprint=asked,
            created_by=actor,
        )
        move(f"spend:{spent.pk}", wallet.account, revenue_account(wallet.currency), money, memo=description)
        return spent

    return take_once(wallet, money, same_key=WalletSpend.objects.filter(idempotency_key=key), asked=asked, take=take)


def reverse(*, spend_id: str, money: Money | None, reason: str, key: str, actor: User | None) -> tuple[SpendReversal, bool]:
    """Give a spend back to its wallet: `money` of it, or all that is left; the reversal of this key, and whether it is new.
    The seller's act, never the buyer's, with a line in the history that says who did it and why.

    Raises InvalidInput (reason, amount, currency), NotFound, MoreThanSpent, and IdempotencyKeyReused when the key was used
    for something else; after each of them nothing has changed.
    """
    why = audit.reason_given(reason)
    kept = why[:KEPT_REASON]
    found = WalletSpend.objects.select_related("wallet").filter(pk=spend_id).first()
    if found is None:
        raise NotFound("There is no such spend.")
    wallet = found.wallet
    asked = fingerprint({"amount_minor": money.amount_minor if money else None, "reason": kept})
    if money is not None:
        check_amount(money, wallet)

    def work() -> tuple[SpendReversal, bool]:
        levelling.lock_one(wallet.pk)
        spent = WalletSpend.objects.get(pk=spend_id)
        known = SpendReversal.objects.filter(spend=spent, idempotency_key=key).first()
        if known is not None:
            _check_same(known, asked)
            return known, False
        left = Money(spent.amount_minor - spent.reversed_minor, spent.currency)
        back = money or left
        if not 0 < back.amount_minor <= left.amount_minor:
            if not left.amount_minor:
                raise MoreThanSpent(f"All of this spend, {spent.money.display()}, was given back already: nothing is left of it.")
            raise MoreThanSpent(f"Of this spend {left.display()} can still be given back, which is less than {back.display()}.")
        reversal = SpendReversal.objects.create(
            organization_id=wallet.organization_id,
            spend=spent,
            amount_minor=back.amount_minor,
            currency=back.currency,
            reason=kept,
            idempotency_key=key,
            fingerprint=asked,
            created_by=actor,
        )
        before = {"reversed_minor": spent.reversed_minor}
        spent.reversed_minor += back.amount_minor
        spent.save(update_fields=["reversed_minor"])
        memo = f"reversed: {spent.description}"
        move(f"spend-reversal:{reversal.pk}", revenue_account(wallet.currency), wallet.account, back, memo=memo)
        levelling.level([Cause(wallet=wallet.pk, memo="repaid from a reversed spend")])
        after = {"reversed_minor": spent.reversed_minor, "reversal": reversal.pk}
        audit.record(actor=actor, action="spend.reversed", target=spent, before=before, after=after, reason=why)
        return reversal, True

    return in_transaction(work, what="reversing a spend")


# -- what spending and holding share -------------------------------------------------------------------
def take_once(
    wallet: Wallet, money: Money, *, same_key: QuerySet[Taken], asked: str, take: Callable[[], Taken]
) -> tuple[Taken, bool]:
    """Take money that is there out of a wallet, at most once for a key; the row of the key, and whether it is new.

    `take` makes row and transfer. A row of the organization among `same_key` is the answer instead where its fingerprint is
    `asked`. Raises WalletBlocked, InsufficientFunds, IdempotencyKeyReused.
    """

    def work() -> tuple[Taken, bool]:
        locked, balance_minor = levelling.lock_one(wallet.pk)
        # In any of the organization's wallets: the same key with another currency is another request.
        known = same_key.filter(wallet__organization=wallet.organization_id).first()
        if known is not None:
            _check_same(known, asked)
            return known, False
        _check_spendable(locked, balance_minor, money)
        made = take()
        low_balance.went_down(locked, balance_minor - money.amount_minor)
        return made, True

    return in_transaction(work, what="taking money out of a wallet")


def check_amount(money: Money, wallet: Wallet) -> None:
    if money.currency != wallet.currency:
        message = f"This wallet holds {wallet.currency.upper()}."
        raise InvalidInput(message, field="currency", code="other_currency")
    if money.amount_minor <= 0:
        raise InvalidInput("The amount must be more than zero.", field="amount", code="amount_too_small")


def _check_spendable(wallet: Wallet, balance_minor: int, money: Money) -> None:
    """`balance_minor` is that of the locked wallet."""
    if wallet.owed_since is not None:
        raise WalletBlocked("This wallet is blocked until what is owed after a refund or dispute is topped up.")
    if wallet.blocked_at is not None:
        raise WalletBlocked("This wallet is blocked. Please contact us.")
    if balance_minor < money.amount_minor:
        balance = Money(balance_minor, wallet.currency)
        raise InsufficientFunds(f"The wallet has {balance.display()}, which is less than {money.display()}.")


def _check_same(known: WalletSpend | WalletHold | SpendReversal, asked: str) -> None:
    if known.fingerprint != asked:
        raise IdempotencyKeyReused("This Idempotency-Key was used for another request. Use a new one.")


def move(key: str, debit: str, credit: str, money: Money, *, memo: str) -> None:
    """Post one transfer of our own, in the transaction of the row that it belongs to."""
    assert transaction.get_connection().in_atomic_block, "a row and its transfer commit together"
    posting = Posting(
        key=key,
        debit=debit,
        credit=credit,
        amount_minor=money.amount_minor,
        currency=money.currency,
        occurred_at=timezone.now(),
        memo=memo[:200],
    )
    ledger.post([posting])
