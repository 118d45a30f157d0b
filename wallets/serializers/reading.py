"""What is asked and answered where wallets are only looked at."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

KINDS = ("top_up", "refund", "dispute", "repayment", "spend", "reversal", "hold", "release", "adjustment")
STATUSES = (
    "open",
    "processing",
    "failed",
    "paid",
    "partially_refunded",
    "refunded",
    "disputed",
    "canceled",
    "expired",
)


class WhichWalletSerializer(serializers.Serializer[Any]):
    currency = serializers.CharField(max_length=3, required=False, help_text="Which wallet; the first where left out.")


class StatementQuerySerializer(WhichWalletSerializer):
    since = serializers.DateTimeField(required=False, help_text="Booked then or later: 2026-11-01T00:00:00Z")
    until = serializers.DateTimeField(required=False, help_text="Booked before then.")


class DaysSerializer(serializers.Serializer[Any]):
    since = serializers.DateField(required=False, help_text="The first day, in UTC.")
    until = serializers.DateField(required=False, help_text="The last day, in UTC.")


# -- answers ---------------------------------------------------------------------------------------------
class TopUpRuleShownSerializer(serializers.Serializer[Any]):
    enabled = serializers.BooleanField(help_text="Off while it is paused.")
    below = serializers.CharField()
    amount = serializers.CharField()
    daily_limit = serializers.CharField()
    paused_reason = serializers.CharField(allow_null=True)


class WalletShownSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    currency = serializers.CharField()
    balance = serializers.CharField(help_text="What may be spent; major units.")
    held = serializers.CharField(help_text="Set aside by holds; not in the balance.")
    owed = serializers.CharField(help_text="After a refund or dispute of money that was spent; repaid from the next top-up.")
    is_blocked = serializers.BooleanField(help_text="Nothing can be spent.")
    blocked_reason = serializers.CharField(allow_null=True)
    low_balance = serializers.CharField(allow_null=True, help_text="The admins are told below this.")
    is_low = serializers.BooleanField()
    auto_top_up = TopUpRuleShownSerializer(allow_null=True)


class WalletsSerializer(serializers.Serializer[Any]):
    organization_id = serializers.CharField()
    balance = serializers.CharField(help_text="Of the first wallet, or of the one asked for.")
    currency = serializers.CharField()
    wallets = WalletShownSerializer(many=True)


class StatementEntrySerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    occurred_at = serializers.DateTimeField(help_text="When it happened; of a payment, Stripe's time.")
    booked_at = serializers.DateTimeField(help_text="When it reached the wallet. The statement stands in this order.")
    kind = serializers.ChoiceField(KINDS)
    amount = serializers.CharField(help_text="Major units; negative where it left the wallet.")
    balance_after = serializers.CharField()
    currency = serializers.SerializerMethodField()
    description = serializers.CharField()
    payment_id = serializers.CharField(allow_null=True)
    stripe_id = serializers.CharField(allow_null=True, help_text="The payment intent, refund or dispute that it comes from.")

    def get_currency(self, entry: Any) -> str:
        return str(entry.amount.currency.upper())


class TopUpPaymentSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    status = serializers.ChoiceField(STATUSES)
    amount = serializers.CharField(help_text="Major units.")
    refunded = serializers.CharField()
    currency = serializers.CharField()
    created_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
    receipt_url = serializers.URLField(allow_null=True)
    failure_message = serializers.CharField(allow_null=True, help_text="Of the latest try; null once it is paid.")
    is_automatic = serializers.BooleanField()
    can_be_finished = serializers.BooleanField(help_text="A page may go on with it: see its client secret.")


class DayOfPaymentsSerializer(serializers.Serializer[Any]):
    day = serializers.DateField()
    currency = serializers.CharField()
    attempts = serializers.IntegerField(help_text="Begun on this day.")
    paid = serializers.IntegerField(help_text="Of the attempts, by now.")
    failed = serializers.IntegerField(help_text="Of the attempts; some may still be paid.")
    conversion = serializers.CharField(allow_null=True, help_text="Paid of the attempts in percent: 66.7")
    volume = serializers.CharField(help_text="Paid on this day, before refunds; major units.")
    refunded = serializers.CharField(help_text="Given back on this day, whenever it was paid.")


class PaymentStatisticsSerializer(serializers.Serializer[Any]):
    organization_id = serializers.CharField()
    since = serializers.DateField()
    until = serializers.DateField()
    statistics = DayOfPaymentsSerializer(many=True)
