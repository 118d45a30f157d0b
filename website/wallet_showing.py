"""What the page of a wallet shows, in figures and words ready for its templates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone

from accounts.models import Organization
from payments import ledger
from payments.currencies import CURRENCIES
from payments.models import Payment
from payments.money import Money
from wallets import history
from wallets.methods import saved_methods
from wallets.models import PaymentMethod, TopUp, Wallet
from wallets.statement import Entry, booked, entries

LINES_PER_PAGE = 10
TOP_UP_STEPS = (20, 50, 100, 200, 500)
CODE = re.compile("[A-Za-z]{3}", re.ASCII)
AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)
NAMES = {
    "amex": "American Express",
    "jcb": "JCB",
    "unionpay": "UnionPay",
    "sepa_debit": "SEPA debit",
    "us_bank_account": "Bank account",
}
NO_BREAK = "\N{NO-BREAK SPACE}"
OFTEN_USED = ("usd", "eur", "gbp", "chf", "cad", "aud", "jpy", "sek", "nok", "dkk", "pln", "czk", "inr", "brl", "mxn", "sgd")


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """What a wallet has to spend, what is set aside besides, and what its organization owes."""

    wallet: Wallet
    available: Money
    held: Money
    owed: Money


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A saved payment method: “Visa •••• 4242”, “12/34” (empty where it has none); `stripe_id` is what Stripe.js takes."""

    id: str
    stripe_id: str
    label: str
    expiry: str
    is_expired: bool
    is_default: bool


def balances(organization: Organization) -> list[Balance]:
    """Of each of its wallets, the oldest first: two queries."""
    wallets = list(Wallet.objects.filter(organization=organization).order_by("created_at", "pk"))
    found = ledger.balances(code for one in wallets for code in (one.account, one.held, one.receivable))

    def money(wallet: Wallet, code: str) -> Money:
        return Money(found.get(code, 0), wallet.currency)

    return [
        Balance(wallet=one, available=money(one, one.account), held=money(one, one.held), owed=money(one, one.receivable))
        for one in wallets
    ]


def chosen_currency(asked: str, wallets: Sequence[Balance]) -> str:
    """What was asked for, if it can be charged; else that of the first wallet, else the installation's."""
    code = asked.lower() if CODE.fullmatch(asked) else ""
    if code in CURRENCIES:
        return code
    return wallets[0].wallet.currency if wallets else settings.DEFAULT_CURRENCY


def other_currencies(wallets: Sequence[Balance]) -> list[str]:
    """In which a further wallet may be begun, of those that are used most."""
    taken = {one.wallet.currency for one in wallets}
    return [code for code in OFTEN_USED if code not in taken and code in CURRENCIES]


def amount_asked(asked: str) -> str:
    """Of `?top_up=`: an amount as one could have typed it, or nothing."""
    return asked if AMOUNT.fullmatch(asked) else ""


def statement(wallet: Wallet | None, *, before: str) -> tuple[list[Entry], str]:
    """A page of the statement, the newest line first, and what `?before=` is of the next page (empty: there is none)."""
    if wallet is None:
        return [], ""
    rows = booked(wallet)
    if before:
        rows = rows.filter(pk__lt=before)
    found = rows[0 : LINES_PER_PAGE + 1]
    page = found[:LINES_PER_PAGE]
    return entries(wallet, page), page[-1].pk if len(found) > len(page) else ""


def methods(organization: Organization) -> list[Saved]:
    """The default first."""
    return [_saved(one) for one in saved_methods(organization)]


def _saved(method: PaymentMethod) -> Saved:
    name = method.brand or method.type
    digits = f" ••••{NO_BREAK}{method.last4}" if method.last4 else ""
    expiry = f"{method.exp_month:02}/{method.exp_year % 100:02}" if method.exp_month and method.exp_year else ""
    today = timezone.now()
    return Saved(
        id=method.pk,
        stripe_id=method.stripe_id,
        label=(NAMES.get(name) or name.replace("_", " ").capitalize()) + digits,
        expiry=expiry,
        is_expired=bool(expiry) and (method.exp_year, method.exp_month) < (today.year, today.month),
        is_default=method.is_default,
    )


def top_up_paid_by(organization: Organization, payment: str, *, ask_stripe: bool) -> TopUp | None:
    """None where the organization has none of that name. With `ask_stripe` it is settled before it is shown."""
    found = TopUp.objects.select_related("payment").filter(organization=organization, payment=payment.replace("\x00", ""))
    made = found.first() if payment else None
    return history.followed(made.payment_id) if made and ask_stripe else made


def to_finish(wallet: Wallet) -> Payment | None:
    """The automatic top-up that paused the wallet, where a person can still pay it."""
    if wallet.top_up_paused_at is None:
        return None
    last = TopUp.objects.select_related("payment").filter(wallet=wallet, is_automatic=True).order_by("-created_at", "-pk").first()
    return last.payment if last and history.can_be_finished(last.payment) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """When a wallet tells and tops itself up; None where it does not."""

    low_balance: Money | None
    below: Money | None
    amount: Money | None
    daily_limit: Money | None


def rule_of(wallet: Wallet) -> Rule:
    def money(minor: int | None) -> Money | None:
        return None if minor is None else Money(minor, wallet.currency)

    return Rule(
        low_balance=money(wallet.low_balance_minor),
        below=money(wallet.top_up_below_minor),
        amount=money(wallet.top_up_amount_minor),
        daily_limit=money(wallet.top_up_daily_limit_minor),
    )
