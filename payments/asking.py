"""Asking Stripe for somebody who waits for the answer: the webhook may not have come yet."""

from __future__ import annotations

import logging
from collections.abc import Callable

from payments.errors import StripeBusy, StripeRefused, StripeUnavailable
from payments.settlement import settle_objects
from payments.stripe_gateway import Json

logger = logging.getLogger(__name__)


def ask_and_settle(fetch: Callable[[str], Json], stripe_id: str) -> Json | None:
    """What Stripe says now of a session or intent, settled; None where it cannot be asked, and our database's word stands.

    Calls Stripe: never inside a transaction.
    """
    try:
        fetched = fetch(stripe_id)
    except (StripeUnavailable, StripeBusy, StripeRefused) as error:
        logger.warning("%s is answered from our database: %s", stripe_id, error)
        return None
    settle_objects([fetched])
    return fetched
