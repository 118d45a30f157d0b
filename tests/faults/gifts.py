"""Gifts that are paid at the sandbox, and what our rows say of them."""

from __future__ import annotations

from dataclasses import dataclass

from campaigns.models import TOTALS, Campaign, CampaignTally
from donations.giving import Gift, give
from donations.models import Donation
from donations.tests.factories import CampaignFactory
from payments.models import Payment, Transfer
from payments.settlement import settle_objects
from tests.live import Sandbox
from tests.working import run_worker

AMOUNT_MINOR = 2500


@dataclass(frozen=True)
class Given:
    """A gift to a campaign of its own."""

    campaign: Campaign
    donation: str
    payment: str
    session: str

    @property
    def intent(self) -> str:
        return str(Payment.objects.get(pk=self.payment).payment_intent)

    def books(self) -> tuple[str, list[str], dict[str, int]]:
        """State of the donation, kinds of its transfers, and the campaign's tally."""
        tally = CampaignTally.objects.filter(campaign=self.campaign)
        totals = {name: sum(getattr(slot, name) for slot in tally) for name in TOTALS}
        keys = Transfer.objects.filter(payment=self.payment).values_list("key", flat=True)
        kinds = sorted(key.split(":")[0] for key in keys)
        return Donation.objects.get(pk=self.donation).state, kinds, {name: total for name, total in totals.items() if total}


def started(campaign: Campaign | None = None, *, email: str = "ada@example.org") -> Given:
    """A gift whose donor stands before the checkout page."""
    campaign = campaign or CampaignFactory()
    begun = give(Gift(amount=AMOUNT_MINOR // 100, campaign_id=campaign.pk, email=email), user=None, idempotency=None)
    payment = Payment.objects.get(checkout_session=begun.session_id)
    return Given(campaign, begun.donation_id, payment.pk, begun.session_id)


def paid_at_stripe(sandbox: Sandbox, campaign: Campaign | None = None, *, email: str = "ada@example.org") -> Given:
    """A gift that Stripe knows to be paid, and we do not yet."""
    given = started(campaign, email=email)
    sandbox.post(f"checkout_sessions/{given.session}/pay", email=email, name="Ada")
    return given


def settled(sandbox: Sandbox, campaign: Campaign | None = None, *, work: bool = True) -> Given:
    """A gift that is paid and booked here; with `work`, its receipt has gone out too."""
    given = paid_at_stripe(sandbox, campaign)
    session = sandbox.stripe("GET", f"/v1/checkout/sessions/{given.session}", **{"expand[]": "payment_intent.latest_charge"})
    settle_objects([session])
    if work:
        run_worker()
    return given
