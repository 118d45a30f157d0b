"""Pausing a wallet's automatic top-ups, until a person finishes a payment or turns them on again."""

from __future__ import annotations

from django.utils import timezone

from wallets import notices
from wallets.models import Notice, Wallet


def pause(wallet: Wallet, reason: str, *, key: str, kind: str = Notice.Kind.TOP_UP_FAILED, payment: str = "") -> None:
    """Stop topping up by itself and tell the admins why; the caller holds the wallet's lock."""
    wallet.top_up_paused_at, wallet.top_up_paused_reason = timezone.now(), reason[:200]
    wallet.save(update_fields=["top_up_paused_at", "top_up_paused_reason"])
    notices.tell(wallet, kind, key=f"{key}:{wallet.pk}", facts={"reason": reason, "payment": payment})
