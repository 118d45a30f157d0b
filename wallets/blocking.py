"""Blocking: staff stop a wallet from being spent, with a reason, and let it go again. Money may still come in."""

from __future__ import annotations

from django.utils import timezone

from accounts import audit
from accounts.models import User
from conventions.errors import NotFound
from conventions.trying_again import in_transaction
from wallets import levelling
from wallets.models import Wallet


def block(*, wallet_id: str, actor: User, reason: str) -> Wallet:
    """Refuse spends and holds from now on; holds that exist may still be captured. A blocked wallet stays as it is.

    Raises NotFound, and InvalidInput where the reason is missing.
    """
    return _set(wallet_id, actor, reason, is_blocked=True)


def unblock(*, wallet_id: str, actor: User, reason: str) -> Wallet:
    """Let it be spent again, unless it owes money: that block goes by itself. One that is not blocked stays as it is."""
    return _set(wallet_id, actor, reason, is_blocked=False)


def _set(wallet_id: str, actor: User, reason: str, *, is_blocked: bool) -> Wallet:
    why = audit.reason_given(reason)
    if not Wallet.objects.filter(pk=wallet_id).exists():
        raise NotFound("There is no such wallet.")

    def work() -> Wallet:
        # Under the lock of spends: one that saw the wallet open was before, all others find it blocked.
        wallet, _ = levelling.lock_one(wallet_id)
        if (wallet.blocked_at is not None) == is_blocked:
            return wallet
        before = _told(wallet)
        wallet.blocked_at = timezone.now() if is_blocked else None
        wallet.blocked_reason = why if is_blocked else ""
        wallet.save(update_fields=["blocked_at", "blocked_reason"])
        action = "wallet.blocked" if is_blocked else "wallet.unblocked"
        audit.record(actor=actor, action=action, target=wallet, before=before, after=_told(wallet), reason=why)
        return wallet

    return in_transaction(work, what="blocking a wallet")


def _told(wallet: Wallet) -> dict[str, str]:
    return {"blocked_at": wallet.blocked_at.isoformat() if wallet.blocked_at else "", "blocked_reason": wallet.blocked_reason}
