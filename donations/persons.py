"""A person's data held by donations: the protocol of `settings.PERSON_DATA`."""

from __future__ import annotations

from typing import Any

from accounts.models import User
from donations.models import Donation, Donor
from payments.persons import ERASED_DOMAIN


def donor_of(user: User) -> Donor | None:
    """The user's donor, found by the e-mail address once that is proved."""
    donor = Donor.objects.filter(user=user).first()
    if donor is None and user.email_proved_at:
        address_proved(user)
        donor = Donor.objects.filter(user=user).first()
    return donor


def address_proved(user: User) -> None:
    """Attach what was given as a guest under the address that the user has now proved."""
    if not Donor.objects.filter(user=user).exists():
        Donor.objects.filter(email=user.email, user=None).update(user=user)


def export(user: User) -> dict[str, Any]:
    donor = donor_of(user)
    gifts = Donation.objects.of_user(user).select_related("campaign", "payment").order_by("created_at")
    return {
        "donor": donor
        and {
            "id": donor.pk,
            "email": donor.email,
            "name": donor.name,
            "locale": donor.locale,
            "anonymous_by_default": donor.anonymous_by_default,
        },
        "donations": [
            {
                "id": gift.pk,
                "campaign_id": gift.campaign_id,
                "campaign": gift.campaign.title,
                "amount": str(gift.money),
                "currency": gift.currency.upper(),
                "state": gift.state,
                "anonymous": gift.anonymous,
                "display_name": gift.display_name,
                "message": gift.message,
                "dedication": gift.dedication_name,
                "created_at": gift.created_at.isoformat(),
                "paid_at": gift.paid_at and gift.paid_at.isoformat(),
                "receipt_url": gift.payment.receipt_url,
            }
            for gift in gifts.iterator(chunk_size=500)
        ],
    }


def erase(user: User) -> None:
    """Personal fields go; amounts and the books stay."""
    donor = donor_of(user)
    Donation.objects.filter(pk__in=Donation.objects.of_user(user).values("pk")).update(
        anonymous=True, display_name="", message="", dedication_kind="", dedication_name=""
    )
    if donor is not None:
        Donor.objects.filter(pk=donor.pk).update(user=None, email=f"{donor.pk}{ERASED_DOMAIN}", name="", locale="")
