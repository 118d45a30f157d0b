"""An organization whose customer was deleted at Stripe: its saved methods went with it, and nothing is charged by itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from accounts.models import Organization
from accounts.organizations import lock_organizations
from payments import customers
from payments.models import StripeCall
from wallets import levelling, method_facts, pausing
from wallets.models import Wallet

REASON = "The saved payment methods were removed at Stripe, with the customer that they belonged to. Please save one again."
LONGEST_ID = 60  # of what goes into a notice's key


def lock(deleted: Iterable[str]) -> None:
    """The organizations of these customers, before anything of theirs is locked."""
    found = Organization.objects.filter(stripe_customer__in=set(deleted))
    lock_organizations(list(found.values_list("pk", flat=True)))


def forget(customer: str, *, at: datetime | None = None) -> None:
    """What follows from a deletion that Stripe told as of `at`, or that was found out just now; of a user's customer only that
    they have none any more. Call it in a transaction; again it changes nothing."""
    owner = customers.forget(customer)
    if not isinstance(owner, Organization):
        return
    book = method_facts.lock([owner.pk])[owner.pk]
    method_facts.forget_all(book, at=at)
    wallets = Wallet.objects.filter(organization=owner, top_up_below_minor__isnull=False)
    for wallet, _ in levelling.lock(set(wallets.values_list("pk", flat=True))).values():
        if wallet.tops_up_by_itself:
            pausing.pause(wallet, REASON, key=f"customer:{customer[:LONGEST_ID]}")


def send(organization: Organization, call: StripeCall) -> dict[str, Any]:
    """`customers.send`, with what follows for an organization."""
    return customers.send(organization, call, forgetting=forget)
