"""Two organizations that have a row of everything an organization may have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from django.utils import timezone

from accounts.models import Invitation, Membership, User
from payments.models import Payment
from payments.money import Money
from payments.settlement import settle_events
from wallets import holding, spending
from wallets.models import (
    Notice,
    NoticeDelivery,
    PaymentMethod,
    SavedMethods,
    SpendReversal,
    TelegramCode,
    TelegramLink,
    Wallet,
    WalletAdjustment,
    WalletHold,
    WalletSpend,
)
from wallets.tests.factories import fund, join, make_method, make_organization, make_wallet

_numbers = count(1)


@dataclass(frozen=True)
class Tenant:
    """An organization, its people, and one row of each kind; its ids are what others must never find."""

    id: str
    owner: User
    member: User
    membership: Membership  # the member's
    owner_membership: Membership
    wallet: Wallet
    payment: Payment
    spend: WalletSpend
    reversal: SpendReversal
    hold: WalletHold
    method: PaymentMethod
    adjustment: WalletAdjustment
    invitation: Invitation

    @property
    def accounts(self) -> set[str]:
        return {self.wallet.account, self.wallet.held, self.wallet.receivable}


def a_tenant() -> Tenant:
    organization = make_organization()
    owner = organization.memberships.get().user
    member = join(organization)
    wallet = make_wallet(organization, "eur")
    story = fund(wallet, 10_000, started_by=member)
    settle_events([*story.refunded("one", 1_000, at=10, in_all=1_000), *story.disputed("won")], source="webhook")
    spent, _ = spending.spend(wallet=wallet, money=Money(500, "eur"), description="Lesson", key="one", actor=owner)
    back, _ = spending.reverse(spend_id=spent.pk, money=Money(100, "eur"), reason="Too much", key="two", actor=owner)
    hold, _ = holding.authorize(wallet=wallet, money=Money(200, "eur"), description="Booked", key="three", actor=owner)
    return Tenant(
        id=organization.pk,
        owner=owner,
        member=member,
        membership=Membership.objects.get(user=member),
        owner_membership=Membership.objects.get(user=owner),
        wallet=wallet,
        payment=story.payment,
        spend=spent,
        reversal=back,
        hold=hold,
        method=make_method(organization),
        **_written_down(wallet, owner),
    )


def _written_down(wallet: Wallet, owner: User) -> dict[str, Any]:
    organization = wallet.organization
    notice = Notice.objects.create(organization=organization, wallet=wallet, kind="low_balance", key=f"test:{next(_numbers)}")
    NoticeDelivery.objects.create(organization=organization, notice=notice, user=owner, channel="mail")
    SavedMethods.objects.get_or_create(organization=organization)
    TelegramLink.objects.create(user=owner, organization=organization, chat_id=next(_numbers))
    expires_at = timezone.now() + timedelta(days=1)
    TelegramCode.objects.create(user=owner, code_hash=f"digest{next(_numbers)}", expires_at=expires_at)
    return {
        "adjustment": WalletAdjustment.objects.create(
            organization=organization, wallet=wallet, amount_minor=5, currency="eur", reason="A gift", proposed_by=owner
        ),
        "invitation": Invitation.objects.create(
            organization=organization,
            email=f"guest{next(_numbers)}@example.org",
            invited_by=owner,
            expires_at=expires_at,
        ),
    }
