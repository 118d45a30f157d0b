"""Bodies and answers of saved payment methods."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from conventions.serializers import StrictSerializer
from wallets.models import PaymentMethod


class SetupSerializer(StrictSerializer):
    organization_id = serializers.CharField(max_length=40)


class MethodSerializer(serializers.ModelSerializer[PaymentMethod]):
    """Never more of a card than this."""

    type = serializers.CharField(read_only=True, help_text="Stripe's: `card`, `sepa_debit`, …")
    brand = serializers.CharField(read_only=True, help_text="Of a card; else the bank's name, or empty.")
    last4 = serializers.CharField(read_only=True, help_text="Empty for what has no number.")

    class Meta:
        model = PaymentMethod
        fields = ["id", "type", "brand", "last4", "exp_month", "exp_year", "is_default"]
        read_only_fields = fields


class MethodsSerializer(serializers.Serializer[Any]):
    payment_methods = MethodSerializer(many=True, help_text="The default first, then the newest.")


class DefaultSerializer(serializers.Serializer[Any]):
    payment_method = MethodSerializer()


class SetupIntentSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    client_secret = serializers.CharField()


class SetupStartedSerializer(serializers.Serializer[Any]):
    setup_intent = SetupIntentSerializer()
    client_secret = serializers.CharField(help_text="For `stripe.confirmSetup`.")
