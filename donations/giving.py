"""Giving: from a click to the address of a checkout page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal

from django.db import transaction

from accounts.models import User
from campaigns.models import Campaign
from conventions.errors import InvalidInput
from donations.errors import CampaignNotLive
from donations.models import Donation, Donor
from payments import checkout, ledger
from payments.checkout import Idempotency
from payments.models import LedgerAccount, Payment
from payments.money import Money, check_currency


@dataclass(frozen=True, kw_only=True)
class Gift:
    """What a person asked to give; `amount` in major units as written."""

    amount: str | int | Decimal
    currency: str | None = None
    campaign_id: str | None = None
    donor_name: str = ""
    email: str = ""
    anonymous: bool | None = None
    message: str = ""
    dedication_kind: str = ""
    dedication_name: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckoutStarted:
    url: str
    session_id: str
    donation_id: str


def give(gift: Gift, *, user: User | None, idempotency: Idempotency | None) -> CheckoutStarted:
    """Commit a pending donation, then open its Checkout Session.

    Raises InvalidInput (amount, currency, campaign), CampaignNotLive, IdempotencyKeyReused, and the errors of
    Stripe; after those, the same call with the same Idempotency-Key goes on where it stopped.
    """
    campaign = _campaign_of(gift)
    money = _money_of(gift, campaign)
    if idempotency is None or not checkout.is_used(idempotency):
        # Not asked of a retry, which gets its first answer whatever has become of the campaign since.
        if not campaign.takes_gifts:
            raise CampaignNotLive(f"“{campaign.title}” is not taking gifts at the moment.")
        money.check_chargeable(minimum=campaign.minimum_minor)
    money.check_chargeable()
    with transaction.atomic(durable=True):
        ledger.open_accounts([campaign.account], kind=LedgerAccount.Kind.LIABILITY)
        payment, is_new = checkout.open_payment(
            purpose="donation",
            destination=campaign.account,
            money=money,
            via=Payment.Via.CHECKOUT,
            user=user,
            customer_email=gift.email or (user.email if user else ""),
            customer_name=gift.donor_name,
            idempotency=idempotency,
            request={**asdict(gift), "amount": None, "currency": None, "campaign_id": campaign.pk},
        )
        if is_new:
            _write_down(gift, campaign, payment, user)
    answer = checkout.open_at_stripe(payment, checkout.SESSION)
    return CheckoutStarted(url=answer["url"], session_id=answer["id"], donation_id=payment.subject_id)


def _write_down(gift: Gift, campaign: Campaign, payment: Payment, user: User | None) -> None:
    donation = Donation(
        campaign=campaign,
        payment=payment,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        anonymous=_anonymous(gift, user),
        display_name=gift.donor_name or (user.name if user else ""),
        message=gift.message,
        dedication_kind=gift.dedication_kind,
        dedication_name=gift.dedication_name,
    )
    checkout.insert_subject(payment, donation)
    params = checkout.session_params(
        payment,
        item_name=f"Donation to {campaign.title}",
        item_description=campaign.summary,
        success_path="/success",
        cancel_path="/cancel",
        submit_type="donate",
    )
    checkout.plan_call(payment.pk, checkout.SESSION, params)


def _campaign_of(gift: Gift) -> Campaign:
    if not gift.campaign_id:
        return Campaign.objects.general_fund()
    campaign = Campaign.objects.public().filter(pk=gift.campaign_id).first()
    if campaign is None:
        raise InvalidInput("There is no such campaign.", field="campaign_id", code="unknown_campaign")
    return campaign


def _money_of(gift: Gift, campaign: Campaign) -> Money:
    currency = check_currency(gift.currency) if gift.currency else campaign.currency
    if currency != campaign.currency:
        message = (
            f"This campaign collects {campaign.currency.upper()}; a gift in {currency.upper()} cannot be added to its total."
        )
        raise InvalidInput(message, field="currency", code="other_currency")
    return Money.parse(gift.amount, currency)


def _anonymous(gift: Gift, user: User | None) -> bool:
    """What was asked; else what a signed-in donor set as their habit."""
    if gift.anonymous is not None:
        return gift.anonymous
    return user is not None and Donor.objects.filter(user=user, anonymous_by_default=True).exists()
