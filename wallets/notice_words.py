"""What a notice says: the amounts, names and links of which its mail and its message are made."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from payments.models import Payment
from payments.money import Money
from wallets.models import Notice, PaymentMethod

Kind = Notice.Kind
DAILY_LIMIT = "daily_limit"


def wallet_link(organization_id: str) -> str:
    """The page on which a person does what a notice asks for."""
    return f"{settings.FRONTEND_URL}/organizations/{organization_id}/wallet"


def context_of(notice: Notice) -> dict[str, Any]:
    """For the templates mail/wallet_<kind>; `subject` is one line."""
    context = {
        "organization": notice.organization.name,
        "at": notice.created_at,
        "link": wallet_link(notice.organization_id),
        "facts": notice.facts,
        "amount": _amount(notice),
        "spendable": _money(notice, "balance_minor"),
        "owed": _money(notice, "owed_minor") if notice.facts.get("owed_minor") else "",
        "card": _card(notice),
    }
    # On one line: a name of several would be taken for a forged header, and no mail would go.
    return context | {"subject": " ".join(_subject(notice, context).splitlines())}


def _subject(notice: Notice, context: dict[str, Any]) -> str:
    amount, organization = context["amount"], context["organization"]
    if notice.kind == Kind.TOPPED_UP:
        return f"{amount} was added to the wallet of {organization}"
    if notice.kind == Kind.TOP_UP_FAILED:
        if notice.facts.get("reason") == DAILY_LIMIT:
            return f"The automatic top-ups of {organization} have reached their daily limit of {amount}"
        return f"The automatic top-up of {organization} did not go through"
    if notice.kind == Kind.AUTHENTICATION_NEEDED:
        return f"Please confirm the top-up of {amount} for {organization}"
    if notice.kind == Kind.LOW_BALANCE:
        return f"{amount} is left in the wallet of {organization}"
    if notice.kind == Kind.MONEY_OWED:
        return f"{organization} owes {amount}, and its wallet is blocked"
    return f"The {context['card']} of {organization} expires soon"


def _amount(notice: Notice) -> str:
    """What the notice is about, exactly; empty where it is about no amount."""
    facts, wallet = notice.facts, notice.wallet
    payment = Payment.objects.filter(pk=facts["payment"]).first() if facts.get("payment") else None
    if payment is not None:
        return payment.money.display()
    named = ("amount_minor", "limit_minor", "balance_minor", "owed_minor")
    minor = next((facts[name] for name in named if facts.get(name) is not None), None)
    if minor is None and wallet is not None and notice.kind in {Kind.TOP_UP_FAILED, Kind.AUTHENTICATION_NEEDED}:
        minor = wallet.top_up_amount_minor
    return "" if minor is None or "currency" not in facts else Money(minor, facts["currency"]).display()


def _money(notice: Notice, fact: str) -> str:
    minor = notice.facts.get(fact)
    return "" if minor is None else Money(minor, notice.facts["currency"]).display()


def _card(notice: Notice) -> str:
    """Such as “Visa ending in 4242”, of what the notice says or of the saved method that it names."""
    facts = notice.facts
    method = PaymentMethod.objects.filter(pk=facts["method"]).first() if facts.get("method") else None
    brand = facts.get("brand") or (method.brand if method else "")
    last4 = facts.get("last4") or (method.last4 if method else "")
    return f"{brand.title() or 'card'} ending in {last4}" if last4 else "saved card"
