"""Bodies and answers of spends, holds and what is given back."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from conventions.serializers import AmountField, PersonsTextField, StrictSerializer
from wallets.models import SpendReversal, WalletHold, WalletSpend

MOST_SECONDS = 30 * 24 * 3600


class SpendSerializer(StrictSerializer):
    amount = AmountField(help_text="Major units, as a number or a string: 12.50")
    currency = serializers.CharField(max_length=3, required=False, help_text="Which wallet; the first where left out.")
    description = PersonsTextField(max_length=200, allow_blank=False, help_text="What for; shown in the statement.")


class HoldSerializer(SpendSerializer):
    expires_in_s = serializers.IntegerField(min_value=60, max_value=MOST_SECONDS, required=False, help_text="A week unless told.")


class CaptureSerializer(StrictSerializer):
    amount = AmountField(required=False, help_text="All of it where left out; the rest goes back to the wallet.")


class ReversalSerializer(StrictSerializer):
    amount = AmountField(required=False, help_text="All that is left where left out.")
    reason = PersonsTextField(max_length=200, allow_blank=False)


class ReleaseSerializer(StrictSerializer):
    reason = PersonsTextField(max_length=200, allow_blank=False)


class _Moved(serializers.Serializer[Any]):
    id = serializers.CharField()
    amount = serializers.CharField(help_text="Major units.")
    currency = serializers.CharField()
    created_at = serializers.DateTimeField()


class SpentSerializer(_Moved):
    description = serializers.CharField()
    reversed = serializers.CharField(help_text="How much of it was given back.")
    hold_id = serializers.CharField(allow_null=True)


class HeldSerializer(_Moved):
    description = serializers.CharField()
    state = serializers.ChoiceField(choices=WalletHold.State.choices)
    captured = serializers.CharField()
    expires_at = serializers.DateTimeField()


class ReversedSerializer(_Moved):
    spend_id = serializers.CharField()
    reason = serializers.CharField()


def _moved(row: WalletSpend | WalletHold | SpendReversal) -> dict[str, Any]:
    return {"id": row.pk, "amount": str(row.money), "currency": row.currency.upper(), "created_at": row.created_at}


def spent(row: WalletSpend) -> dict[str, Any]:
    back = str(row.money_of(row.reversed_minor))
    return {**_moved(row), "description": row.description, "reversed": back, "hold_id": row.hold_id}


def held(row: WalletHold) -> dict[str, Any]:
    captured = str(row.money_of(row.captured_minor))
    more = {"description": row.description, "state": row.state, "captured": captured, "expires_at": row.expires_at}
    return {**_moved(row), **more}


def reversed_(row: SpendReversal) -> dict[str, Any]:
    return {**_moved(row), "spend_id": row.spend_id, "reason": row.reason}
