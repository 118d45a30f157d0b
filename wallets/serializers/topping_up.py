"""Bodies and answers of topping up."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from conventions.serializers import AmountField, StrictSerializer


class TopUpSerializer(StrictSerializer):
    organization_id = serializers.CharField(max_length=40)
    amount = AmountField(help_text="Major units, as a number or a string: 100.00")
    currency = serializers.CharField(max_length=3, required=False, help_text="The first wallet's where left out.")
    payment_method_id = serializers.CharField(max_length=40, required=False, help_text="A saved one of `methods`.")
    save_payment_method = serializers.BooleanField(default=False, help_text="For later top-ups, and those by itself.")


class IntentSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    client_secret = serializers.CharField()
    amount = serializers.CharField(help_text="Major units.")
    currency = serializers.CharField()
    status = serializers.CharField(help_text="https://docs.stripe.com/payments/paymentintents/lifecycle")


class TopUpStartedSerializer(serializers.Serializer[Any]):
    payment_intent = IntentSerializer()
    client_secret = serializers.CharField()
    payment_id = serializers.CharField()


class TopUpSecretSerializer(serializers.Serializer[Any]):
    client_secret = serializers.CharField()
    payment_id = serializers.CharField()
