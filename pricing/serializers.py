"""What the pricing routes take and answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from conventions.serializers import (
    ExactNumberField,
    PayersAddressField,
    PersonsTextField,
    StrictSerializer,
    refuse_control_characters,
)
from pricing.hour_amounts import hours_text
from pricing.hours import Balance
from pricing.models import HourConsumption, HourLot, PricingPlan, PurchaseTransaction, Subscription

MOST_METADATA = 20  # Stripe takes 50 in all, of which some are ours


class PlanSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    plan_type = serializers.ChoiceField(choices=PricingPlan.Type.choices)
    hours_included = serializers.CharField(help_text="With two decimals: “5.00”.")
    price_eur = serializers.CharField(allow_null=True)
    validity_days = serializers.IntegerField(allow_null=True)
    is_featured = serializers.BooleanField()
    price_per_hour = serializers.CharField(help_text="Of the default price.")
    currency = serializers.CharField(help_text="Of the default price.")
    prices = serializers.DictField(child=serializers.CharField(), help_text="Price by lower-case currency.")


class StudentInfoSerializer(StrictSerializer):
    name = PersonsTextField(max_length=200, allow_blank=False)
    email = PayersAddressField(max_length=320)


class PurchaseSerializer(StrictSerializer):
    """The body of `purchase/initiate`."""

    plan_id = serializers.IntegerField(min_value=1, max_value=2**31)
    currency = serializers.CharField(min_length=3, max_length=3, required=False, help_text="The plan's default.")
    student_info = StudentInfoSerializer(required=False, help_text="Who buys; required without a log-in.")


class PlanDetailsSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    plan_type = serializers.ChoiceField(choices=PricingPlan.Type.choices)
    hours_included = serializers.CharField()
    validity_days = serializers.IntegerField(allow_null=True)


class PurchaseStartedSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    client_secret = serializers.CharField(help_text="For stripe.js: confirms the payment.")
    payment_intent_id = serializers.CharField()
    transaction_id = serializers.CharField()
    amount = serializers.CharField()
    currency = serializers.CharField()
    plan_details = PlanDetailsSerializer()


class StripeConfigSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    public_key = serializers.CharField()
    api_version = serializers.CharField()
    currency = serializers.CharField()


class LotSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    purchased = serializers.SerializerMethodField()
    remaining = serializers.SerializerMethodField()
    expires_at = serializers.DateTimeField(allow_null=True)

    def get_purchased(self, lot: HourLot) -> str:
        return hours_text(lot.granted_hundredths)

    def get_remaining(self, lot: HourLot) -> str:
        return hours_text(lot.remaining_hundredths)


class BalanceSerializer(serializers.Serializer[Any]):
    """Hours with two decimals. purchased = consumed + expired + returned + remaining."""

    purchased = serializers.CharField()
    consumed = serializers.CharField()
    expired = serializers.CharField()
    returned = serializers.CharField(help_text="Taken back with a refund, or by staff.")
    remaining = serializers.CharField()
    next_expiry = serializers.DateTimeField(allow_null=True)
    lots = LotSerializer(many=True)


def shown_balance(balance: Balance) -> dict[str, Any]:
    names = ("purchased", "consumed", "expired", "remaining")
    return {
        **{name: hours_text(getattr(balance, name)) for name in names},
        "returned": hours_text(balance.taken_back + balance.withdrawn),
        "next_expiry": balance.next_expiry,
        "lots": LotSerializer(balance.lots, many=True).data,
    }


class OwnPurchaseSerializer(serializers.Serializer[PurchaseTransaction]):
    id = serializers.CharField()
    name = serializers.CharField()
    amount = serializers.CharField(source="money")
    currency = serializers.SerializerMethodField()
    hours = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=PurchaseTransaction.State.choices)
    receipt_url = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)

    def get_currency(self, purchase: PurchaseTransaction) -> str:
        return purchase.currency.upper()

    def get_hours(self, purchase: PurchaseTransaction) -> str:
        return hours_text(purchase.hours_hundredths)

    @extend_schema_field({"type": ["string", "null"]})
    def get_receipt_url(self, purchase: PurchaseTransaction) -> str | None:
        return purchase.payment.receipt_url or None


class ConsumptionSerializer(serializers.Serializer[HourConsumption]):
    id = serializers.CharField()
    student_id = serializers.CharField()
    session_reference = serializers.CharField()
    hours = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    reversed_at = serializers.DateTimeField(allow_null=True)

    def get_hours(self, session: HourConsumption) -> str:
        return hours_text(session.hours_hundredths)


@extend_schema_field({"oneOf": [{"type": "number"}, {"type": "string", "maxLength": 20}], "example": "1.50"})
class HoursField(ExactNumberField):
    default_error_messages = {"invalid": "Write hours as a number such as 1 or 1.25."}


class ConsumeSerializer(StrictSerializer):
    student_id = serializers.CharField(max_length=40)
    hours = HoursField(help_text="With at most two decimals.")
    session_reference = PersonsTextField(max_length=100, allow_blank=False, help_text="Of the session; counts once.")


class ReverseSerializer(StrictSerializer):
    reason = PersonsTextField(max_length=500, required=False)


class EmbeddedSessionSerializer(StrictSerializer):
    """The body of `embedded-session`; it may be empty."""

    product = serializers.SlugField(max_length=60, required=False)
    customer_email = PayersAddressField(max_length=320, required=False, allow_blank=True)
    metadata = serializers.DictField(child=serializers.CharField(max_length=500, allow_blank=True), required=False)

    def validate_metadata(self, value: Mapping[str, str]) -> Mapping[str, str]:
        if len(value) > MOST_METADATA:
            raise serializers.ValidationError(f"At most {MOST_METADATA} entries.", code="too_many")
        for name, text in value.items():
            if not 1 <= len(name) <= 40 or "[" in name or "]" in name:
                raise serializers.ValidationError("A name is 1 to 40 characters without brackets.", code="bad_name")
            if name in {"payment", "purpose", "subject"}:
                raise serializers.ValidationError(f"{name!r} is used by this system. Choose another name.", code="reserved")
            refuse_control_characters(name)
            refuse_control_characters(text)
        return value


class PaidPlanSerializer(serializers.Serializer[Any]):
    plan_id = serializers.IntegerField(source="paid_plan_id")
    plan_name = serializers.CharField(source="paid_plan.name")
    until = serializers.DateTimeField(source="changes_at")


class OwnSubscriptionSerializer(serializers.Serializer[Subscription]):
    id = serializers.CharField()
    plan_id = serializers.IntegerField(help_text="The plan that every coming payment buys a month of.")
    plan_name = serializers.CharField(source="plan.name")
    hours_included = serializers.SerializerMethodField(help_text="Of every coming month, as agreed.")
    amount = serializers.SerializerMethodField(help_text="Of every coming month, as agreed.")
    currency = serializers.SerializerMethodField()
    paid_plan = serializers.SerializerMethodField(help_text="The plan of the month that is paid, where it was changed since.")
    state = serializers.ChoiceField(choices=Subscription.State.choices)
    current_period_end = serializers.DateTimeField(allow_null=True)
    cancel_at_period_end = serializers.BooleanField(help_text="Whether it ends with the month that is paid.")
    ended_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()

    def get_hours_included(self, subscription: Subscription) -> str:
        return hours_text(subscription.agreed_hundredths)

    @extend_schema_field({"type": ["string", "null"]})
    def get_amount(self, subscription: Subscription) -> str | None:
        return str(subscription.agreed_price) if subscription.agreed_price else None

    @extend_schema_field(PaidPlanSerializer(allow_null=True))
    def get_paid_plan(self, subscription: Subscription) -> Any:
        return PaidPlanSerializer(subscription).data if subscription.is_changing else None

    def get_currency(self, subscription: Subscription) -> str:
        return subscription.currency.upper()


class SubscriptionActSerializer(StrictSerializer):
    subscription_id = serializers.CharField(max_length=40)
    action = serializers.ChoiceField(choices=["cancel", "resume", "change_plan"])
    plan_id = serializers.IntegerField(min_value=1, max_value=2**31, required=False, help_text="For change_plan.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["action"] == "change_plan" and "plan_id" not in attrs:
            raise serializers.ValidationError({"plan_id": ["Name the plan to change to."]})
        return attrs


class PortalSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(help_text="Stripe's own page for cards and invoices; good for some minutes.")


class ClientSecretSerializer(serializers.Serializer[Any]):
    client_secret = serializers.CharField()


class SessionStateSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["open", "complete", "expired"])
