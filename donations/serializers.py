"""What the donation routes take and answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from conventions.serializers import AmountField, PayersAddressField, PersonsTextField, StrictSerializer, refuse_control_characters
from donations.models import Donation
from donations.wall import PublicGift


class DedicationSerializer(StrictSerializer):
    kind = serializers.ChoiceField(choices=Donation.Dedication.choices)
    name = PersonsTextField(max_length=200, allow_blank=False)


class GiftSerializer(StrictSerializer):
    """The body of `create-checkout-session`."""

    amount = AmountField(help_text="In major units, with at most the currency's decimals: 50, 25.5, “25.00”.")
    currency = serializers.CharField(
        max_length=3, min_length=3, required=False, help_text="The campaign's, which is the default."
    )
    campaign_id = serializers.CharField(max_length=40, required=False, allow_null=True, help_text="None: the general fund.")
    donor_name = PersonsTextField(max_length=200, required=False)
    email = PayersAddressField(max_length=320, required=False, allow_blank=True)
    anonymous = serializers.BooleanField(required=False, allow_null=True, default=None)
    message = PersonsTextField(max_length=500, required=False, paragraphs=True)
    dedication = DedicationSerializer(required=False, allow_null=True)

    def validate_campaign_id(self, value: str | None) -> str | None:
        refuse_control_characters(value or "")
        return value


class CheckoutStartedSerializer(serializers.Serializer[Any]):
    url = serializers.URLField(help_text="Send the donor there.")
    session_id = serializers.CharField()
    donation_id = serializers.CharField()


class SessionDataSerializer(serializers.Serializer[Any]):
    session_id = serializers.CharField()
    donation_id = serializers.CharField()
    campaign_id = serializers.CharField()
    amount = serializers.CharField()
    currency = serializers.CharField()
    payment_status = serializers.ChoiceField(choices=["completed", "processing", "pending", "failed", "expired", "refunded"])
    receipt_url = serializers.CharField(allow_null=True)
    customer_email = serializers.CharField(allow_null=True)
    payment_intent_id = serializers.CharField(allow_null=True)


class SessionSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    data = SessionDataSerializer()  # type: ignore[assignment]


class PublicDedicationSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=Donation.Dedication.choices)
    name = serializers.CharField()


class PublicGiftSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    amount = serializers.CharField()
    currency = serializers.CharField()
    display_name = serializers.CharField()
    message = serializers.CharField()
    dedication = PublicDedicationSerializer(allow_null=True)
    created_at = serializers.DateTimeField()
    anonymous = serializers.BooleanField()


def shown_gift(gift: PublicGift) -> dict[str, Any]:
    """A gift of the wall as JSON."""
    dedication = {"kind": gift.dedication_kind, "name": gift.dedication_name} if gift.dedication_kind else None
    return {
        "id": gift.id,
        "amount": str(gift.money),
        "currency": gift.money.currency.upper(),
        "display_name": gift.display_name,
        "message": gift.message,
        "dedication": dedication,
        "created_at": gift.created_at,
        "anonymous": gift.anonymous,
    }


class OwnGiftSerializer(serializers.Serializer[Any]):
    """A gift as its giver and staff see it."""

    id = serializers.CharField()
    campaign_id = serializers.CharField()
    campaign_title = serializers.CharField(source="campaign.title")
    campaign_slug = serializers.CharField(source="campaign.slug")
    amount = serializers.CharField(source="money")
    refunded_amount = serializers.SerializerMethodField()
    currency = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=Donation.State.choices)
    anonymous = serializers.BooleanField()
    display_name = serializers.CharField()
    message = serializers.CharField()
    dedication = serializers.SerializerMethodField()
    receipt_url = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)

    def get_refunded_amount(self, gift: Donation) -> str:
        return str(type(gift.money)(gift.payment.refunded_minor, gift.currency))

    def get_currency(self, gift: Donation) -> str:
        return gift.currency.upper()

    @extend_schema_field(PublicDedicationSerializer(allow_null=True))
    def get_dedication(self, gift: Donation) -> dict[str, str] | None:
        return {"kind": gift.dedication_kind, "name": gift.dedication_name} if gift.dedication_kind else None

    @extend_schema_field({"type": ["string", "null"]})
    def get_receipt_url(self, gift: Donation) -> str | None:
        return gift.payment.receipt_url or None


class DonorSerializer(StrictSerializer):
    """The signed-in donor's profile; `email` cannot be changed here."""

    id = serializers.CharField(read_only=True)
    email = serializers.CharField(read_only=True)
    name = PersonsTextField(max_length=200, required=False)
    locale = serializers.RegexField(r"^([a-z]{2,3}(_[A-Z]{2})?)?$", max_length=20, required=False, allow_blank=True)
    anonymous_by_default = serializers.BooleanField(required=False)
