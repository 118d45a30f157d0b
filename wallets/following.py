"""What Stripe tells of saved payment methods: the follower of `settings.STRIPE_FOLLOWERS`.

A SetupIntent that succeeded needs no follower: it names a method that `payment_method.attached` shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from accounts.models import Organization
from payments.following import Happened
from wallets import lost_customers, method_facts
from wallets.models import PaymentMethod, SavedMethods

ATTACHED, DETACHED, DEFAULT_CHANGED = "payment_method.attached", "payment_method.detached", "customer.updated"
CUSTOMER_DELETED = "customer.deleted"


def follow(happened: Sequence[Happened]) -> None:
    """Users have customers too, and cards with them: what is no organization's is none of ours, but for a customer that was
    deleted. Nothing happens with a customer after that, whenever it is told."""
    deleted = [one for one in happened if one.type == CUSTOMER_DELETED]
    lost_customers.lock(one.event["data"]["object"]["id"] for one in deleted)
    _follow_methods([one for one in happened if one.type != CUSTOMER_DELETED])
    for one in deleted:
        lost_customers.forget(one.event["data"]["object"]["id"], at=one.created_at)


def _follow_methods(happened: Sequence[Happened]) -> None:
    books = method_facts.lock(set(_owners(happened).values()))
    owners = _owners(happened) if books else {}  # anew: who held the lock may have forgotten a customer
    for one in happened:
        if owners.get(one.id) in books:
            _take_in(one, books[owners[one.id]])
    for book in books.values():
        method_facts.settle_default(book)


def _take_in(one: Happened, book: SavedMethods) -> None:
    theirs = one.event["data"]["object"]
    if one.type == DEFAULT_CHANGED:
        method_facts.choose(book, str(_new_default(one.event["data"])), at=one.created_at)
        return
    attached_at = one.created_at if one.type == ATTACHED else None
    detached_at = one.created_at if one.type == DETACHED else None
    method_facts.learn(book.pk, theirs, told_at=one.created_at, attached_at=attached_at, detached_at=detached_at)


def _owners(happened: Sequence[Happened]) -> dict[str, str]:
    """The organization that each event is about, by the event's id."""
    customers = {one.id: customer for one in happened if (customer := _customer(one))}
    found = Organization.objects.filter(stripe_customer__in=set(customers.values()))
    organizations = {str(customer): pk for customer, pk in found.values_list("stripe_customer", "pk")}
    shown = {one.id: one.event["data"]["object"]["id"] for one in happened if one.type != DEFAULT_CHANGED}
    known = dict(PaymentMethod.objects.filter(stripe_id__in=set(shown.values())).values_list("stripe_id", "organization_id"))
    owners = {pk: organizations.get(customer) for pk, customer in customers.items()}
    owners |= {pk: known[method] for pk, method in shown.items() if method in known}
    return {pk: organization for pk, organization in owners.items() if organization}


def _customer(one: Happened) -> str | None:
    """Whose method an event is about, or whose default changed. A detached method names its customer of before."""
    data = one.event["data"]
    if one.type == DEFAULT_CHANGED:
        return str(data["object"]["id"]) if _new_default(data) else None
    found = data["object"].get("customer") or (data.get("previous_attributes") or {}).get("customer")
    return str(found) if found else None


def _new_default(data: Mapping[str, Any]) -> str | None:
    """What became the default by this change of a customer; None where that stayed, or nothing is the default now."""
    before = (data.get("previous_attributes") or {}).get("invoice_settings") or {}
    now = (data["object"].get("invoice_settings") or {}).get("default_payment_method")
    changed = "default_payment_method" in before and before["default_payment_method"] != now
    return str(now) if now and changed else None
