"""What follows when a balance went down: the admins are told, and the wallet may top itself up."""

from __future__ import annotations

from django.utils import timezone

from wallets import notices
from wallets.models import Notice, Wallet
from wallets.tasks import top_up_wallet

NOTED = ("is_low", "top_up_due_at")


def went_down(wallet: Wallet, balance_minor: int) -> None:
    """Call it with the locked wallet and what is left, in the transaction of the spend or hold that took the rest."""
    before = wallet.is_low, wallet.top_up_due_at
    note(wallet, balance_minor)
    if wallet.top_up_below_minor is not None and balance_minor < wallet.top_up_below_minor:
        wallet.top_up_due_at = wallet.top_up_due_at or timezone.now()
    if (wallet.is_low, wallet.top_up_due_at) != before:
        wallet.save(update_fields=NOTED)
    if wallet.top_up_due_at and wallet.tops_up_by_itself:
        top_up_wallet.enqueue(wallet.pk)


def note(wallet: Wallet, balance_minor: int) -> None:
    """Tell once when the balance is below what the admins set, and see when no top-up is due any more; the caller saves
    what is `NOTED`."""
    is_low = wallet.low_balance_minor is not None and balance_minor < wallet.low_balance_minor
    if is_low and not wallet.is_low:
        key = f"low:{wallet.pk}:{timezone.now().isoformat()}"
        notices.tell(wallet, Notice.Kind.LOW_BALANCE, key=key, facts={"balance_minor": balance_minor})
    wallet.is_low = is_low
    if wallet.top_up_below_minor is None or balance_minor >= wallet.top_up_below_minor:
        wallet.top_up_due_at = None
