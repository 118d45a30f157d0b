"""Giving back by staff: a spend, or a hold, with a line in the history that says who did it and why."""

from __future__ import annotations

from accounts import audit
from accounts.models import User
from conventions.errors import NotFound
from conventions.trying_again import in_transaction
from payments.money import Money
from wallets import holding, levelling, spending
from wallets.blocking import said
from wallets.models import SpendReversal, WalletHold


def give_spend_back(*, spend_id: str, money: Money | None, reason: str, key: str, actor: User) -> tuple[SpendReversal, bool]:
    """`spending.reverse`, written down; refuses as that does, and without a reason. The same key again changes nothing."""
    why = said(reason)

    def work() -> tuple[SpendReversal, bool]:
        reversal, is_new = spending.reverse(spend_id=spend_id, money=money, reason=why[:200], key=key, actor=actor)
        if is_new:
            spent = reversal.spend
            spent.refresh_from_db()
            before = {"reversed_minor": spent.reversed_minor - reversal.amount_minor}
            after = {"reversed_minor": spent.reversed_minor, "reversal": reversal.pk}
            audit.record(actor=actor, action="spend.reversed", target=spent, before=before, after=after, reason=why)
        return reversal, is_new

    return in_transaction(work, what="giving a spend back")


def give_hold_back(*, hold_id: str, reason: str, actor: User) -> WalletHold:
    """`holding.release`, written down; refuses as that does, and without a reason. Doing it again changes nothing."""
    why = said(reason)
    wallet_id = WalletHold.objects.filter(pk=hold_id).values_list("wallet", flat=True).first()
    if wallet_id is None:
        raise NotFound("There is no such hold.")

    def work() -> WalletHold:
        levelling.lock_one(wallet_id)  # so that what is told as before was so
        before = WalletHold.objects.values_list("state", flat=True).get(pk=hold_id)
        hold = holding.release(hold_id=hold_id)
        if hold.state != before:
            audit.record(
                actor=actor,
                action="hold.released",
                target=hold,
                before={"state": before},
                after={"state": hold.state, "amount_minor": hold.amount_minor, "currency": hold.currency},
                reason=why,
            )
        return hold

    return in_transaction(work, what="giving a hold back")
