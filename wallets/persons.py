"""A person's data held by wallets: the protocol of `settings.PERSON_DATA`."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from accounts import members
from accounts.errors import SoleOwner
from accounts.models import User
from payments import ledger
from payments.money import Money
from wallets import leftovers
from wallets.models import NoticeDelivery, SpendReversal, TelegramLink, TopUp, Wallet, WalletHold, WalletSpend
from wallets.telegram import linking


def address_proved(user: User) -> None:
    """Nothing: what is a wallet's is its organization's."""


def export(user: User) -> dict[str, Any]:
    """What the person did for organizations, what they were told, and the chat that they linked."""
    top_ups = TopUp.objects.filter(started_by=user).order_by("created_at")
    deliveries = NoticeDelivery.objects.filter(user=user).select_related("notice").order_by("created_at")
    link = TelegramLink.objects.filter(user=user).first()
    return {
        "top_ups": [
            _act(made) | {"state": made.state, "paid_at": made.paid_at and made.paid_at.isoformat()}
            for made in top_ups.iterator(chunk_size=500)
        ],
        "spends": _acts(WalletSpend, user, "description"),
        "holds": _acts(WalletHold, user, "description", "state"),
        "given_back": _acts(SpendReversal, user, "reason"),
        "notices": [
            {
                "id": delivery.pk,
                "organization": delivery.organization_id,
                "about": delivery.notice.kind,
                "channel": delivery.channel,
                "created_at": delivery.created_at.isoformat(),
                "sent_at": delivery.sent_at and delivery.sent_at.isoformat(),
            }
            for delivery in deliveries.iterator(chunk_size=500)
        ],
        "telegram": link and {"chat": link.chat_id, "linked_at": link.linked_at.isoformat()},
    }


def _acts(model: Any, user: User, *names: str) -> list[dict[str, Any]]:
    rows = model.objects.filter(created_by=user).order_by("created_at").iterator(chunk_size=500)
    return [_act(row) | {name: getattr(row, name) for name in names} for row in rows]


def _act(row: Any) -> dict[str, Any]:
    return {
        "id": row.pk,
        "organization": row.organization_id,
        "amount": str(Money(row.amount_minor, row.currency)),
        "currency": row.currency.upper(),
        "created_at": row.created_at.isoformat(),
    }


def erase(user: User) -> None:
    """The chat goes, and nothing more is told; amounts and the books stay. Raises SoleOwner where money would be left to
    nobody. A wallet of nobody charges no card any more, and its cards are detached at Stripe once this has committed."""
    alone = list(members.alone_in(user).order_by("pk").values_list("pk", flat=True))
    _refuse_money_of_nobody(alone)
    never = {"top_up_below_minor": None, "top_up_amount_minor": None, "top_up_daily_limit_minor": None}
    Wallet.objects.filter(organization__in=alone).update(**never)
    leftovers.plan_detaching(alone)
    linking.unlink(user=user)
    told = NoticeDelivery.objects.filter(user=user).filter(~Q(last_error="") | Q(next_attempt_at__isnull=False))
    told.update(next_attempt_at=None, last_error="")


def _refuse_money_of_nobody(organizations: list[str]) -> None:
    wallets = list(Wallet.objects.filter(organization__in=organizations).select_related("organization").order_by("pk"))
    balances = ledger.balances([code for wallet in wallets for code in (wallet.account, wallet.held, wallet.receivable)])
    coming = TopUp.objects.filter(wallet__in=wallets, payment__status="processing").select_related("wallet__organization")
    for made in coming.order_by("pk")[:1]:
        raise SoleOwner(made.wallet.organization.name, holding=f"a top-up of {made.money.display()} on its way")
    for wallet in wallets:
        left = balances.get(wallet.account, 0) + balances.get(wallet.held, 0)
        owed = balances.get(wallet.receivable, 0)
        if left or owed:
            shown = Money(left or owed, wallet.currency).display()
            holding = f"a wallet with {shown}" if left else f"a debt of {shown}"
            raise SoleOwner(wallet.organization.name, holding=holding)
