"""Adjusting: one of the staff proposes to correct a balance, another one decides. Nobody does both, whoever they are.

What is given or taken so stands in the books against `adjustments:<currency>`: its balance is what all of it cost us.
"""

from __future__ import annotations

from django.utils import timezone

from accounts import audit
from accounts.models import User
from conventions.errors import InvalidInput, NotFound
from conventions.trying_again import in_transaction
from payments import ledger
from payments.models import LedgerAccount
from payments.money import Money
from wallets import levelling, low_balance
from wallets.errors import AdjustmentDecided, InsufficientFunds, SecondPersonNeeded
from wallets.levelling import Cause
from wallets.models import Wallet, WalletAdjustment
from wallets.spending import move

MOST_MINOR = 10**12  # no correction is larger; a slip of the finger may be
State = WalletAdjustment.State


def adjustments_account(currency: str) -> str:
    return f"adjustments:{currency}"


def propose(*, wallet: Wallet, amount_minor: int, reason: str, actor: User) -> WalletAdjustment:
    """Ask for `amount_minor` more (negative: less) in the wallet; no money moves. Raises InvalidInput."""
    if not 0 < abs(amount_minor) <= MOST_MINOR:
        raise InvalidInput("The amount must be more than zero, and not larger than any correction is.", field="amount")
    why = audit.reason_given(reason)

    def work() -> WalletAdjustment:
        proposed = WalletAdjustment.objects.create(
            organization_id=wallet.organization_id,
            wallet=wallet,
            amount_minor=amount_minor,
            currency=wallet.currency,
            reason=why,
            proposed_by=actor,
        )
        after = {"wallet": wallet.pk, "amount_minor": amount_minor, "currency": wallet.currency, "state": proposed.state}
        audit.record(actor=actor, action="adjustment.proposed", target=proposed, before={}, after=after, reason=why)
        return proposed

    return in_transaction(work, what="proposing an adjustment")


def approve(*, adjustment_id: str, actor: User) -> WalletAdjustment:
    """Move the money, and repay what is owed from it. Approving again changes nothing.

    Raises NotFound, SecondPersonNeeded, AdjustmentDecided (it was rejected), and InsufficientFunds where more would be
    taken than is there; after each of them nothing has changed.
    """
    wallet = _wallet_of(adjustment_id)
    # An expense: what is given away so is ours to pay, and what is taken back makes it less.
    ledger.open_accounts([adjustments_account(wallet.currency)], kind=LedgerAccount.Kind.EXPENSE)

    def work() -> WalletAdjustment:
        locked, balance_minor = levelling.lock_one(wallet.pk)
        proposed = WalletAdjustment.objects.get(pk=adjustment_id)
        if proposed.state == State.APPROVED:
            return proposed
        after_minor = balance_minor + proposed.amount_minor
        _refuse(proposed, actor)
        if after_minor < 0:
            there, asked = Money(balance_minor, wallet.currency), Money(-proposed.amount_minor, wallet.currency)
            raise InsufficientFunds(f"The wallet has {there.display()}: {asked.display()} cannot be taken away.")
        _decide(proposed, State.APPROVED, actor)
        _post(proposed, locked, after_minor)
        told = {"state": proposed.state, "balance_minor": after_minor}
        before = {"state": State.PROPOSED, "balance_minor": balance_minor}
        audit.record(actor=actor, action="adjustment.approved", target=proposed, before=before, after=told)
        return proposed

    return in_transaction(work, what="approving an adjustment")


def reject(*, adjustment_id: str, actor: User, reason: str = "") -> WalletAdjustment:
    """Let it be. Rejecting again changes nothing. Raises NotFound, SecondPersonNeeded, AdjustmentDecided."""
    wallet = _wallet_of(adjustment_id)

    def work() -> WalletAdjustment:
        levelling.lock_one(wallet.pk)
        proposed = WalletAdjustment.objects.get(pk=adjustment_id)
        if proposed.state == State.REJECTED:
            return proposed
        _refuse(proposed, actor)
        _decide(proposed, State.REJECTED, actor)
        before, after = {"state": State.PROPOSED}, {"state": proposed.state}
        audit.record(
            actor=actor, action="adjustment.rejected", target=proposed, before=before, after=after, reason=reason.strip()
        )
        return proposed

    return in_transaction(work, what="rejecting an adjustment")


def _refuse(proposed: WalletAdjustment, actor: User) -> None:
    if proposed.state != State.PROPOSED:
        raise AdjustmentDecided(f"This adjustment was {proposed.state} already; nothing was changed.")
    if proposed.proposed_by_id == actor.pk:
        raise SecondPersonNeeded("You proposed this adjustment: somebody else has to decide on it.")


def _decide(proposed: WalletAdjustment, state: WalletAdjustment.State, actor: User) -> None:
    proposed.state, proposed.decided_by, proposed.decided_at = state, actor, timezone.now()
    proposed.save(update_fields=["state", "decided_by", "decided_at"])


def _post(proposed: WalletAdjustment, wallet: Wallet, after_minor: int) -> None:
    ours, theirs = adjustments_account(wallet.currency), wallet.account
    gives = proposed.amount_minor > 0
    money = Money(abs(proposed.amount_minor), wallet.currency)
    debit, credit = (ours, theirs) if gives else (theirs, ours)
    move(f"adjustment:{proposed.pk}", debit, credit, money, memo="adjusted by staff")
    if gives:
        levelling.level([Cause(wallet=wallet.pk, memo="repaid from an adjustment")])
    else:
        # A wallet with money owes none: there is nothing to level. Nor is anybody charged for what we took.
        low_balance.note(wallet, after_minor)
        wallet.save(update_fields=low_balance.NOTED)


def _wallet_of(adjustment_id: str) -> Wallet:
    found = WalletAdjustment.objects.select_related("wallet").filter(pk=adjustment_id).first()
    if found is None:
        raise NotFound("There is no such adjustment.")
    return found.wallet
