"""Background tasks: nudges that do at once what the tables say must be done. `sweep` heals those that get lost."""

from __future__ import annotations

from django_tasks import task


@task()
def top_up_wallet(wallet_id: str) -> None:
    """Top a wallet up by itself, if that is due."""
    from wallets import automatic  # imported here because what goes down under its limit enqueues this task

    automatic.top_up(wallet_id)


@task()
def send_notices(notice_id: str) -> int:
    """Send what is due of a notice; returns how many messages went."""
    from wallets import telling

    return telling.send(notice_id)


@task()
def detach_leftovers() -> int:
    """Detach the methods of organizations whose only member was erased; returns how many are gone."""
    from wallets import leftovers

    return leftovers.detach()
