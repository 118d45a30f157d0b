"""What a project on dj-stripe writes: a handler of the event, which dj-stripe calls once it has synced it."""

from __future__ import annotations

from typing import Any

from djstripe.event_handlers import djstripe_receiver

from bench.peers.views import record_donation


@djstripe_receiver("checkout.session.completed")
def donation_paid(sender: Any, **kwargs: Any) -> None:
    record_donation(kwargs["event"].data["object"])
