"""From the body of a PATCH to the operations that change how a wallet watches itself; reading.WalletDetail calls it."""

from __future__ import annotations

from typing import Any

from accounts.models import Organization, User
from conventions.trying_again import in_transaction
from payments.money import Money
from wallets import opening, setting_up
from wallets.models import Wallet
from wallets.setting_up import TopUpRule


def change_settings(*, organization: Organization, body: dict[str, Any], actor: User) -> Wallet:
    """`body` as WalletSettingsSerializer has it; what is not in it stays as it is."""
    currency = opening.currency_of(organization, body.get("currency"))
    rule = _rule(body["auto_top_up"], currency) if body.get("auto_top_up") else None
    asked = body.get("low_balance")
    below = None if asked is None else Money.parse(asked, currency, field="low_balance")

    def change() -> Wallet:
        wallet = changed = opening.open_wallet(organization, currency)
        if "low_balance" in body:
            changed = setting_up.set_low_balance(wallet=wallet, alert_below=below, actor=actor)
        if "auto_top_up" in body:
            changed = setting_up.set_top_up_rule(wallet=wallet, rule=rule, actor=actor)
        return changed

    return in_transaction(change, what="a wallet's settings")  # what is refused changes nothing, not even a half of it


def _rule(asked: dict[str, Any], currency: str) -> TopUpRule:
    names = ("below", "amount", "daily_limit")
    return TopUpRule(**{name: Money.parse(asked[name], currency, field=f"auto_top_up.{name}") for name in names})
