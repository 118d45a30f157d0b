"""The body of a wallet's settings."""

from __future__ import annotations

from rest_framework import serializers

from conventions.serializers import AmountField, StrictSerializer


class TopUpRuleSerializer(StrictSerializer):
    below = AmountField(help_text="Top up when less than this is left.")
    amount = AmountField(help_text="How much to take each time.")
    daily_limit = AmountField(help_text="The most to take in any 24 hours.")


class WalletSettingsSerializer(StrictSerializer):
    currency = serializers.CharField(max_length=3, required=False, help_text="Which wallet; the first where left out.")
    low_balance = AmountField(required=False, allow_null=True, help_text="Tell the admins below this; null: never.")
    auto_top_up = TopUpRuleSerializer(required=False, allow_null=True, help_text="Null: no more; sent anew it begins anew.")
