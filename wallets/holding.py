"""Holds: an amount set aside now, captured in whole or in part later, or given back."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from accounts.models import User
from conventions.errors import NotFound
from conventions.trying_again import in_transaction
from payments import ledger
from payments.checkout import fingerprint
from payments.models import LedgerAccount
from payments.money import Money
from wallets import levelling, low_balance
from wallets.errors import HoldEnded, MoreThanHeld
from wallets.levelling import Cause
from wallets.models import Wallet, WalletHold, WalletSpend
from wallets.spending import check_amount, check_same, check_spendable, move, revenue_account

LIVES = timedelta(days=7)
LIVES_AT_MOST = timedelta(days=30)
MOST_A_SWEEP = 500
State = WalletHold.State


def authorize(
    *, wallet: Wallet, money: Money, description: str, key: str, actor: User | None, lives: timedelta = LIVES
) -> tuple[WalletHold, bool]:
    """Set an amount aside; the hold of this key, and whether it is new. Refuses as `spending.spend` does."""
    check_amount(money, wallet)
    request = {"amount_minor": money.amount_minor, "currency": money.currency, "description": description}
    asked = fingerprint({**request, "lives_s": int(lives.total_seconds())})

    def work() -> tuple[WalletHold, bool]:
        locked, balance_minor = levelling.lock_one(wallet.pk)
        known = WalletHold.objects.filter(wallet=wallet, idempotency_key=key).first()
        if known is not None:
            check_same(known, asked)
            return known, False
        check_spendable(locked, balance_minor, money)
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
        low_balance.went_down(locked, balance_minor - money.amount_minor)
        return hold, True

    return in_transaction(work, what="a hold")


def capture(*, hold_id: str, money: Money | None, actor: User | None) -> WalletSpend:
    """Spend a hold, or `money` of it; the rest goes back to the wallet. The same capture again changes nothing.

    Raises NotFound, MoreThanHeld, and HoldEnded when it was captured otherwise, released, or is past its time.
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
            raise MoreThanHeld(f"The hold is {hold.money.display()}.")
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


def release(*, hold_id: str) -> WalletHold:
    """Give a hold back to its wallet. Releasing it again changes nothing; raises NotFound, and HoldEnded once captured."""
    return _give_back(hold_id, State.RELEASED)


def expire_due() -> int:
    """Give back the holds whose time is over; returns how many."""
    due = WalletHold.objects.filter(state=State.AUTHORIZED, expires_at__lte=timezone.now()).order_by("expires_at")
    return sum(_give_back(pk, State.EXPIRED).state == State.EXPIRED for pk in due.values_list("pk", flat=True)[:MOST_A_SWEEP])


def _give_back(hold_id: str, ended_as: WalletHold.State) -> WalletHold:
    wallet = _wallet_of(hold_id)

    def work() -> WalletHold:
        levelling.lock_one(wallet.pk)
        hold = WalletHold.objects.get(pk=hold_id)
        if hold.state == State.AUTHORIZED:
            _end(hold, wallet, ended_as)
        elif hold.state == State.CAPTURED and ended_as == State.RELEASED:
            raise HoldEnded("This hold was captured; give the spend back instead.")
        return hold

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
