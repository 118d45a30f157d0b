"""Holds: an amount set aside now, captured in whole or in part later, or given back."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from accounts import audit
from accounts.models import User
from conventions.errors import NotFound
from conventions.trying_again import in_transaction
from payments import ledger
from payments.checkout import fingerprint
from payments.models import LedgerAccount
from payments.money import Money
from wallets import levelling
from wallets.errors import HoldEnded, MoreThanHeld
from wallets.levelling import Cause
from wallets.models import Wallet, WalletHold, WalletSpend
from wallets.spending import check_amount, move, revenue_account, take_once

LIVES = timedelta(days=7)
LIVES_AT_MOST = timedelta(days=30)
MOST_A_SWEEP = 500
State = WalletHold.State


def authorize(
    *, wallet: Wallet, money: Money, description: str, key: str, actor: User | None, lives: timedelta = LIVES
) -> tuple[WalletHold, bool]:
    """Set an amount aside for as long as `lives`, at most LIVES_AT_MOST; the hold of this key, and whether it is new.

    Refuses as `spending.spend` does.
    """
    check_amount(money, wallet)
    request = {"amount_minor": money.amount_minor, "currency": money.currency, "description": description}
    asked = fingerprint({**request, "lives_s": int(lives.total_seconds())})

    def take() -> WalletHold:
        hold = WalletHold.objects.create(
            organization_id=wallet.organization_id,
            wallet=wallet,
            amount_minor=money.amount_minor,
            currency=money.currency,
            description=description,
            expires_at=timezone.now() + min(lives, LIVES_AT_MOST),
            idempotency_key=key,
            fingerprint=asked,
            created_by=actor,
        )
        move(f"hold:{hold.pk}", wallet.account, wallet.held, money, memo=f"held: {description}")
        return hold

    return take_once(wallet, money, same_key=WalletHold.objects.filter(idempotency_key=key), asked=asked, take=take)


def capture(*, hold_id: str, money: Money | None, actor: User | None) -> WalletSpend:
    """Spend a hold, or `money` of it; the rest goes back to the wallet. The same capture again changes nothing.

    Raises NotFound, InvalidInput (amount, currency), MoreThanHeld, and HoldEnded when it was captured otherwise, released,
    or is past its time.
    """
    wallet = _wallet_of(hold_id)
    ledger.open_accounts([revenue_account(wallet.currency)], kind=LedgerAccount.Kind.INCOME)

    def work() -> WalletSpend:
        levelling.lock_one(wallet.pk)
        hold = WalletHold.objects.get(pk=hold_id)
        taken = money or hold.money
        check_amount(taken, wallet)
        if hold.state == State.CAPTURED and hold.captured_minor == taken.amount_minor:
            return WalletSpend.objects.get(hold=hold)
        if hold.state != State.AUTHORIZED or hold.expires_at <= timezone.now():
            raise HoldEnded("This hold has ended: it was captured, released, or is past its time.")
        if taken.amount_minor > hold.amount_minor:
            held, asked = hold.money.display(), taken.display()
            raise MoreThanHeld(
                f"The hold is {held}, which is less than {asked}: capture at most that, and spend the rest besides."
            )
        spent = WalletSpend.objects.create(
            organization_id=wallet.organization_id,
            wallet=wallet,
            hold=hold,
            amount_minor=taken.amount_minor,
            currency=taken.currency,
            description=hold.description,
            created_by=actor,
        )
        hold.captured_minor = taken.amount_minor
        move(f"capture:{hold.pk}", wallet.held, revenue_account(wallet.currency), taken, memo=hold.description)
        _end(hold, wallet, State.CAPTURED)
        return spent

    return in_transaction(work, what="a capture")


def release(*, hold_id: str, reason: str, actor: User | None) -> WalletHold:
    """Give a hold back to its wallet: the seller's act, with a line in the history that says who did it and why.

    One that was released or has expired stays as it is. Raises InvalidInput without a reason, NotFound, and HoldEnded once
    captured.
    """
    why = audit.reason_given(reason)
    wallet = _wallet_of(hold_id)

    def work() -> WalletHold:
        levelling.lock_one(wallet.pk)
        hold = WalletHold.objects.get(pk=hold_id)
        if hold.state == State.CAPTURED:
            raise HoldEnded("This hold was captured; give the spend back instead.")
        if hold.state == State.AUTHORIZED:
            before = {"state": hold.state}
            _end(hold, wallet, State.RELEASED)
            after = {"state": hold.state, "amount_minor": hold.amount_minor, "currency": hold.currency}
            audit.record(actor=actor, action="hold.released", target=hold, before=before, after=after, reason=why)
        return hold

    return in_transaction(work, what="giving a hold back")


def expire_due() -> int:
    """Give back the holds whose time is over; returns how many."""
    due = WalletHold.objects.filter(state=State.AUTHORIZED, expires_at__lte=timezone.now()).order_by("expires_at")
    return sum(_expire(hold) for hold in list(due.select_related("wallet")[:MOST_A_SWEEP]))


def _expire(due: WalletHold) -> bool:
    """False where somebody ended it between the list and its lock."""

    def work() -> bool:
        levelling.lock_one(due.wallet_id)
        hold = WalletHold.objects.get(pk=due.pk)
        if hold.state != State.AUTHORIZED:
            return False
        _end(hold, due.wallet, State.EXPIRED)
        return True

    return in_transaction(work, what="giving a hold back")


def _end(hold: WalletHold, wallet: Wallet, state: WalletHold.State) -> None:
    rest = Money(hold.amount_minor - hold.captured_minor, hold.currency)
    hold.state, hold.ended_at = state, timezone.now()
    hold.save(update_fields=["state", "ended_at", "captured_minor"])
    if rest.amount_minor:
        what = "rest of a captured hold" if state == State.CAPTURED else f"{state} hold"
        move(f"release:{hold.pk}", wallet.held, wallet.account, rest, memo=f"{what}: {hold.description}")
        levelling.level([Cause(wallet=wallet.pk, memo="repaid from a hold that was given back")])


def _wallet_of(hold_id: str) -> Wallet:
    hold = WalletHold.objects.select_related("wallet").filter(pk=hold_id).first()
    if hold is None:
        raise NotFound("There is no such hold.")
    return hold.wallet
