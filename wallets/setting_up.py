"""How a wallet watches itself: when its admins are told, and when it tops itself up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from accounts import audit
from accounts.models import User
from conventions.errors import InvalidInput
from conventions.trying_again import in_transaction
from payments.money import Money
from wallets import levelling, low_balance
from wallets.errors import NoPaymentMethod
from wallets.models import PaymentMethod, Wallet

SETTINGS = ("low_balance_minor", "top_up_below_minor", "top_up_amount_minor", "top_up_daily_limit_minor", "top_up_paused_at")


@dataclass(frozen=True, kw_only=True)
class TopUpRule:
    """Below `below`, take `amount` by the default payment method, at most `daily_limit` in any 24 hours."""

    below: Money
    amount: Money
    daily_limit: Money

    def check(self) -> None:
        """Raises InvalidInput, naming the field."""
        if self.below.amount_minor <= 0:
            raise InvalidInput("Write more than zero.", field="auto_top_up.below", code="amount_too_small")
        self.amount.check_chargeable(field="auto_top_up.amount")
        if self.daily_limit < self.amount:
            message = f"One top-up takes {self.amount.display()}; the limit of a day cannot be less."
            raise InvalidInput(message, field="auto_top_up.daily_limit", code="amount_too_small")


def set_low_balance(*, wallet: Wallet, alert_below: Money | None, actor: User) -> Wallet:
    """Tell the admins once the balance is below this; None: never. Raises InvalidInput."""
    if alert_below is not None and alert_below.amount_minor <= 0:
        raise InvalidInput("Write more than zero.", field="low_balance", code="amount_too_small")

    def change(locked: Wallet) -> None:
        locked.low_balance_minor = alert_below.amount_minor if alert_below else None

    return _change(wallet, change, actor)


def set_top_up_rule(*, wallet: Wallet, rule: TopUpRule | None, actor: User) -> Wallet:
    """Top up by itself from now on, beginning anew where it was paused; None: no more.

    Raises InvalidInput, and NoPaymentMethod where there is no default method to charge.
    """
    if rule is not None:
        rule.check()
        if not PaymentMethod.objects.filter(organization=wallet.organization_id, is_default=True).exists():
            raise NoPaymentMethod("Save a payment method first: it is what an automatic top-up charges.")

    def change(locked: Wallet) -> None:
        locked.top_up_below_minor = rule.below.amount_minor if rule else None
        locked.top_up_amount_minor = rule.amount.amount_minor if rule else None
        locked.top_up_daily_limit_minor = rule.daily_limit.amount_minor if rule else None
        locked.top_up_paused_at, locked.top_up_paused_reason = None, ""

    return _change(wallet, change, actor)


def _change(wallet: Wallet, change: Callable[[Wallet], None], actor: User) -> Wallet:
    """Change, write down who did it, and do at once what the new settings ask for."""

    def work() -> Wallet:
        locked, balance_minor = levelling.lock_one(wallet.pk)
        before = _told(locked)
        change(locked)
        locked.save(update_fields=[*SETTINGS, "top_up_paused_reason"])
        old, new = audit.changes(before, _told(locked))
        if new:
            audit.record(actor=actor, action="wallet.settings_changed", target=locked, before=old, after=new)
        low_balance.went_down(locked, balance_minor)
        return locked

    return in_transaction(work, what="a wallet's settings")


def _told(wallet: Wallet) -> dict[str, object]:
    return {name: getattr(wallet, name) for name in SETTINGS}
