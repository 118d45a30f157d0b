"""What an organization's wallets stand at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from accounts.models import Organization
from conventions.errors import NotFound
from payments import ledger
from payments.models import LedgerAccount
from payments.money import Money, check_currency
from wallets.models import Wallet
from wallets.opening import wallet_of


def wallets_of(organization: Organization, *, currency: str | None) -> dict[str, Any]:
    """All its wallets, and above them the balance of the first or of the one in `currency`.

    Raises InvalidInput for a currency that cannot be charged. An organization that never topped up has no wallet, and 0.
    """
    wallets = list(Wallet.objects.filter(organization=organization).order_by("created_at", "pk"))
    asked = check_currency(currency) if currency else wallets[0].currency if wallets else settings.DEFAULT_CURRENCY
    shown = _shown(wallets)
    balances = {wallet.currency: one["balance"] for wallet, one in zip(wallets, shown, strict=True)}
    return {
        "organization_id": organization.pk,
        "balance": balances.get(asked, str(Money(0, asked))),
        "currency": asked.upper(),
        "wallets": shown,
    }


def wallet_looked_at(organization: Organization, currency: str | None) -> Wallet | None:
    """As `opening.wallet_of`; but raises NotFound for a currency that is none of its wallets'."""
    found = wallet_of(organization, currency or None)
    if found is None and currency:
        raise NotFound("There is no wallet in this currency.")
    return found


def standings(wallets: Sequence[Wallet]) -> list[tuple[int, int, int]]:
    """Of each what may be spent, what is held and what is owed, in minor units: what its people are shown."""
    codes = [code for wallet in wallets for code in (wallet.account, wallet.held)]
    kept = dict(LedgerAccount.objects.filter(pk__in=codes).values_list("pk", "balance_minor"))
    # Only what is owed is summed up, and only where something is: its account has no floor, so no balance is kept of it.
    owed = ledger.balances([wallet.receivable for wallet in wallets if wallet.owed_since])
    return [(kept.get(wallet.account, 0), kept.get(wallet.held, 0), owed.get(wallet.receivable, 0)) for wallet in wallets]


def _shown(wallets: Sequence[Wallet]) -> list[dict[str, Any]]:
    return [_one(wallet, *standing) for wallet, standing in zip(wallets, standings(wallets), strict=True)]


def _one(wallet: Wallet, balance_minor: int, held_minor: int, owed_minor: int) -> dict[str, Any]:
    def text(amount_minor: int | None) -> str | None:
        return None if amount_minor is None else str(Money(amount_minor, wallet.currency))

    rule = {
        "enabled": wallet.tops_up_by_itself,
        "below": text(wallet.top_up_below_minor),
        "amount": text(wallet.top_up_amount_minor),
        "daily_limit": text(wallet.top_up_daily_limit_minor),
        "paused_reason": wallet.top_up_paused_reason or None,
    }
    return {
        "id": wallet.pk,
        "currency": wallet.currency.upper(),
        "balance": text(balance_minor),
        "held": text(held_minor),
        "owed": text(owed_minor),
        "is_blocked": wallet.is_blocked,
        "blocked_reason": _why_blocked(wallet, owed_minor),
        "low_balance": text(wallet.low_balance_minor),
        "is_low": wallet.is_low,
        "auto_top_up": rule if wallet.top_up_below_minor is not None else None,
    }


def _why_blocked(wallet: Wallet, owed_minor: int) -> str | None:
    """For members: what staff wrote to each other about it is not."""
    if wallet.owed_since is not None:
        owed = Money(owed_minor, wallet.currency)
        return f"{owed.display()} is owed after a refund or dispute. It is repaid from what is topped up next."
    return "Blocked by us. Please contact us." if wallet.blocked_at else None
