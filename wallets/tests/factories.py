"""Fresh rows of wallets; a later state is reached by the real operation."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from accounts.models import Membership, Organization, Role, User
from accounts.tests.factories import OrganizationFactory, UserFactory
from payments.models import Payment
from payments.money import Money
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from wallets import opening, topping_up
from wallets.models import PaymentMethod, TopUp, Wallet


def make_organization(*, owner: User | None = None, **fields: Any) -> Organization:
    """With `owner`, or somebody new, as its owner."""
    organization = OrganizationFactory.create(**fields)
    join(organization, owner, role=Role.OWNER)
    return organization


def join(organization: Organization, user: User | None = None, *, role: str = Role.MEMBER) -> User:
    """`user`, or somebody new, becomes a member."""
    user = user or UserFactory.create(email_proved_at=timezone.now())
    Membership.objects.create(organization=organization, user=user, role=role)
    return user


def make_wallet(organization: Organization | None = None, currency: str = "eur", balance_minor: int = 0) -> Wallet:
    """Opened and, with `balance_minor`, filled by one paid top-up."""
    wallet = opening.open_wallet(organization or make_organization(), currency)
    if balance_minor:
        fund(wallet, balance_minor)
    return wallet


def pending_top_up(wallet: Wallet, amount_minor: int, *, is_automatic: bool = False, started_by: User | None = None) -> Payment:
    """A committed top-up that nobody has paid yet; no call waits to be sent."""
    payment, _ = topping_up.open_payment(wallet, Money(amount_minor, wallet.currency), user=started_by)
    made = TopUp.objects.create(
        organization_id=wallet.organization_id,
        wallet=wallet,
        payment=payment,
        amount_minor=amount_minor,
        currency=wallet.currency,
        is_automatic=is_automatic,
        started_by=started_by,
    )
    payment.subject_id = made.pk
    payment.save(update_fields=["subject_id"])
    return payment


def fund(wallet: Wallet, amount_minor: int, **fields: Any) -> Story:
    """A top-up that was paid, as Stripe tells it; the story goes on with its refunds and disputes."""
    story = Story(pending_top_up(wallet, amount_minor, **fields))
    settle_events(story.succeeded()[:2], source="webhook")
    story.payment.refresh_from_db()
    return story


def make_method(organization: Organization, *, is_default: bool = True, **fields: Any) -> PaymentMethod:
    """A saved card."""
    number = PaymentMethod.objects.count() + 1
    card: dict[str, Any] = {"type": "card", "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034}
    card |= {"stripe_id": f"pm_{number}", "fingerprint": f"print{number}"}
    return PaymentMethod.objects.create(organization=organization, is_default=is_default, **(card | fields))
