"""What Stripe said of saved methods, merged by rules that no order of arrival can change.

- A method is attached once: the latest time of that counts, the earliest of its end, and detached is never left.
- Of what is shown the latest word counts, by Stripe's clock; of two words of one second the card that is good for longer.
- Which one is the default follows from when each was attached and detached and from what was chosen last: `default_of`.

Whoever writes holds the organization's SavedMethods row (`lock`) and ends with `settle_default`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from payments.facts import moment
from payments.states import earliest, latest
from wallets.models import PaymentMethod, SavedMethods

Json = Mapping[str, Any]
ATTACHED, CHOSEN, DETACHED = range(3)  # in this order within a second
SHOWN = ("type", "brand", "last4", "exp_month", "exp_year", "fingerprint")
MOST_CONSIDERED = 2000
TICK = timedelta(microseconds=1)  # Stripe's times are whole seconds, so nothing of Stripe's lies within


def lock(organizations: Collection[str]) -> dict[str, SavedMethods]:
    """The rows that whoever changes these organizations' methods holds to the end of the transaction."""
    SavedMethods.objects.bulk_create([SavedMethods(organization_id=one) for one in sorted(organizations)], ignore_conflicts=True)
    locked = SavedMethods.objects.select_for_update().filter(pk__in=organizations).order_by("pk")
    return {book.pk: book for book in locked}


# -- one method -------------------------------------------------------------------------------------
def learn(
    organization: str,
    theirs: Json,
    *,
    told_at: datetime | None = None,
    attached_at: datetime | None = None,
    detached_at: datetime | None = None,
) -> None:
    """Take over a method as Stripe showed it; `told_at` is Stripe's time of that, None where it was fetched just now.

    Events are compared with each other by Stripe's clock, never with ours: what was fetched leaves `seen_at` alone.
    """
    ours = PaymentMethod.objects.filter(stripe_id=theirs["id"]).first()
    if ours is None:
        ours = PaymentMethod(organization_id=organization, stripe_id=theirs["id"], attached_at=moment(theirs["created"]))
    if attached_at:
        ours.attached_at = max(ours.attached_at, attached_at)
    if detached_at:
        ours.detached_at, ours.is_default = earliest(ours.detached_at, detached_at), False
    shown = shown_of(theirs)
    if told_at is None or _is_news(ours, shown, told_at):
        if (shown["exp_month"], shown["exp_year"]) != (ours.exp_month, ours.exp_year):
            ours.expiry_told_at = None
        for name, value in shown.items():
            setattr(ours, name, value)
        ours.seen_at = latest(ours.seen_at, told_at)
    ours.save()


def forget(book: SavedMethods, method: PaymentMethod) -> None:
    """It was found to be gone at Stripe: after all that was heard so far, whatever our clock says, until an event tells when."""
    method.detached_at, method.is_default = earliest(method.detached_at, _after_all(book)), False
    method.save(update_fields=["detached_at", "is_default"])


def forget_all(book: SavedMethods, *, at: datetime | None = None) -> None:
    """None is attached any more, since `at` as Stripe told, or since just now."""
    attached = PaymentMethod.objects.filter(organization=book.pk, detached_at=None)
    attached.update(detached_at=at or _after_all(book), is_default=False)


def _after_all(book: SavedMethods) -> datetime:
    """Now, and later than all that was heard of these methods."""
    own = PaymentMethod.objects.filter(organization=book.pk)
    heard = [timezone.now(), *own.order_by("-attached_at").values_list("attached_at", flat=True)[:1]]
    heard += [book.chosen_at] if book.chosen_at else []
    return max(heard)


def shown_of(theirs: Json) -> dict[str, Any]:
    """https://docs.stripe.com/api/payment_methods/object: what may be shown, of a card or of anything else."""
    details = theirs.get(theirs["type"]) or {}
    last4, month = str(details.get("last4") or ""), details.get("exp_month")
    return {
        "type": theirs["type"][:40],
        "brand": str(details.get("brand") or details.get("bank_name") or "")[:40],
        "last4": last4 if len(last4) <= 4 and last4.isascii() and last4.isdigit() else "",
        "exp_month": month if month and 1 <= month <= 12 else None,
        "exp_year": details.get("exp_year"),
        "fingerprint": str(details.get("fingerprint") or "")[:64],
    }


def _is_news(ours: PaymentMethod, shown: Json, at: datetime) -> bool:
    if ours.seen_at is None or at != ours.seen_at:
        return ours.seen_at is None or at > ours.seen_at
    return _longer(shown) > _longer({name: getattr(ours, name) for name in SHOWN})


def _longer(shown: Json) -> tuple[Any, ...]:
    return (shown["exp_year"] or 0, shown["exp_month"] or 0, *(str(shown[name]) for name in SHOWN))


# -- the default ------------------------------------------------------------------------------------
def choose(book: SavedMethods, stripe_id: str, *, at: datetime) -> None:
    """Stripe said that this method was made the default then. What happened within one second cannot be told apart: all
    who hear of both agree on one, and Stripe is asked by the next sweep."""
    if book.chosen_at is not None and stripe_id != book.chosen and at == book.chosen_at.replace(microsecond=0):
        book.asked_at = None
    if book.chosen_at is None or (at, stripe_id) > (book.chosen_at, book.chosen):
        book.chosen, book.chosen_at = stripe_id, at
    book.save()


def choose_now(book: SavedMethods, method: PaymentMethod) -> None:
    """Stripe answered us that it is the default. Later than all that was heard, earlier than all that will happen: so
    Stripe's event about it finds it chosen already, and one about a later choice goes before it."""
    book.chosen, book.chosen_at = method.stripe_id, max(book.chosen_at or method.attached_at, method.attached_at) + TICK
    book.save()


def settle_default(book: SavedMethods) -> PaymentMethod | None:
    """Mark the default, and no other; returns it."""
    own = PaymentMethod.objects.filter(organization=book.pk)
    since = Q(detached_at=None) | Q(detached_at__gte=book.chosen_at) if book.chosen_at else Q()
    default = default_of(own.filter(since).order_by("-attached_at", "-pk")[:MOST_CONSIDERED], book)
    own.filter(is_default=True).exclude(pk=default and default.pk).update(is_default=False)
    if default is not None and not default.is_default:
        own.filter(pk=default.pk).update(is_default=True)
        default.is_default = True
    return default


def default_of(methods: Iterable[PaymentMethod], book: SavedMethods) -> PaymentMethod | None:
    """The default, by what happened in its order: the first one attached, until another is chosen. Where it is detached,
    the newest other one; where the same card is saved anew, that one, since its expiry is the newer."""
    happened: list[tuple[datetime, int, str, PaymentMethod]] = []
    for one in methods:
        happened.append((one.attached_at, ATTACHED, one.stripe_id, one))
        if book.chosen_at and one.stripe_id == book.chosen:
            happened.append((book.chosen_at, CHOSEN, one.stripe_id, one))
        if one.detached_at:  # by our clock, maybe
            happened.append((max(one.detached_at, one.attached_at), DETACHED, one.stripe_id, one))
    attached: dict[str, PaymentMethod] = {}
    default: PaymentMethod | None = None
    for _, what, stripe_id, one in sorted(happened, key=lambda step: step[:3]):
        if what == ATTACHED:
            attached[stripe_id] = one
            default = one if default is None or default.means == one.means else default
        elif what == CHOSEN:
            default = attached.get(stripe_id, default)
        else:
            del attached[stripe_id]
            default = newest(attached.values()) if default is one else default
    return default


def newest(methods: Iterable[PaymentMethod]) -> PaymentMethod | None:
    return max(methods, key=lambda one: (one.attached_at, one.stripe_id), default=None)
