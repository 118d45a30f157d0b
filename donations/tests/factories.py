"""Fresh rows only; a later state is reached by the real operation."""

from __future__ import annotations

from typing import Any

import factory

from campaigns.models import Campaign
from donations.models import Donation
from payments import checkout, ledger
from payments.models import Payment
from payments.money import Money


class CampaignFactory(factory.django.DjangoModelFactory[Campaign]):
    class Meta:
        model = Campaign

    title = factory.Sequence(lambda n: f"Campaign {n}")
    slug = factory.Sequence(lambda n: f"campaign-{n}")
    currency = "usd"
    state = "live"
    goal_minor = 500_000


def pending_donation(*, campaign: Campaign | None = None, amount_minor: int = 2500, email: str = "", **fields: Any) -> Donation:
    """A gift as it stands when its donor has been sent to the checkout page."""
    campaign = campaign or CampaignFactory()
    ledger.open_accounts([campaign.account], kind="liability")
    payment, _ = checkout.open_payment(
        purpose="donation",
        destination=campaign.account,
        money=Money(amount_minor, campaign.currency),
        via="checkout",
        user=fields.pop("user", None),
        customer_email=email,
    )
    donation = Donation(campaign=campaign, payment=payment, amount_minor=amount_minor, currency=campaign.currency, **fields)
    payment.subject_id = donation.pk
    payment.save(update_fields=["subject_id"])
    donation.save(force_insert=True)
    return donation


def payment_of(donation: Donation) -> Payment:
    """The donation's payment as the database has it now."""
    return Payment.objects.get(pk=donation.payment_id)
