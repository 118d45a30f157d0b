"""Wallets come into being when money first goes into them."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from accounts.models import Organization
from conventions.errors import InvalidInput
from payments.money import check_currency
from wallets import levelling
from wallets.models import Wallet


def wallet_of(organization: Organization, currency: str | None) -> Wallet | None:
    """The organization's wallet in a currency, or (None) its first. None where there is no such wallet yet.

    Raises InvalidInput for a currency that cannot be charged.
    """
    wallets = Wallet.objects.filter(organization=organization)
    if currency is None:
        return wallets.order_by("created_at", "pk").first()
    return wallets.filter(currency=check_currency(currency)).first()


def currency_of(organization: Organization, currency: str | None) -> str:
    """Of the wallet that `open_wallet` would find or make, without making it."""
    found = wallet_of(organization, currency)
    return found.currency if found else check_currency(currency or settings.DEFAULT_CURRENCY)


def open_wallet(organization: Organization, currency: str | None) -> Wallet:
    """The wallet that `wallet_of` finds, made where there is none; by default in the installation's currency."""
    found = wallet_of(organization, currency)
    if found is not None:
        return found
    code = check_currency(currency or settings.DEFAULT_CURRENCY)
    with transaction.atomic():
        # Of two at once, one inserts; both go on with its row.
        Wallet.objects.bulk_create([Wallet(organization=organization, currency=code)], ignore_conflicts=True)
        wallet = Wallet.objects.get(organization=organization, currency=code)
        levelling.open_accounts(wallet)
    return wallet


def existing_wallet(organization: Organization, currency: str | None) -> Wallet:
    """Raises InvalidInput where there is none."""
    wallet = wallet_of(organization, currency)
    if wallet is None:
        raise InvalidInput("There is no such wallet yet: top it up first.", field="currency", code="no_such_wallet")
    return wallet
