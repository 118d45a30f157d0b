"""Telling an organization, once, that a card of its will not serve much longer. Registered in `settings.ALSO_SWEPT`."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from conventions.trying_again import in_transaction
from wallets import method_facts, notices
from wallets.models import Notice, PaymentMethod

TELL_BEFORE = timedelta(days=30)
MOST_A_SWEEP = 100


def sweep() -> dict[str, int]:
    told = 0
    for method in list(expiring()[:MOST_A_SWEEP]):
        told += in_transaction(lambda method=method: _tell(method), what="telling of a card's expiry")  # type: ignore[misc]
    return {"cards_expiring": told}


def expiring() -> QuerySet[PaymentMethod]:
    """Cards that end within 30 days and of which nobody was told. A card is good until the end of its month.

    Not where the same card was saved again with its new date: that one is charged instead.
    """
    now = timezone.now()
    this, last = _months(now.year, now.month), _months((now + TELL_BEFORE).year, (now + TELL_BEFORE).month)
    newer = Q(attached_at__gt=OuterRef("attached_at")) | Q(attached_at=OuterRef("attached_at"), pk__gt=OuterRef("pk"))
    same_card = PaymentMethod.objects.filter(
        newer, organization=OuterRef("organization"), type=OuterRef("type"), fingerprint=OuterRef("fingerprint"), detached_at=None
    )
    cards = PaymentMethod.objects.filter(detached_at=None, expiry_told_at=None, exp_month__isnull=False)
    ending = cards.annotate(month=F("exp_year") * 12 + F("exp_month")).filter(month__gte=this, month__lt=last)
    return ending.exclude(Exists(same_card.exclude(fingerprint=""))).order_by("month", "pk")


def _months(year: int, month: int) -> int:
    return year * 12 + month


def _tell(method: PaymentMethod) -> bool:
    """Under the lock, and only if it is as it was found."""
    method_facts.lock([method.organization_id])
    found = PaymentMethod.objects.filter(pk=method.pk, detached_at=None, expiry_told_at=None)
    same = found.filter(exp_month=method.exp_month, exp_year=method.exp_year)
    if not same.update(expiry_told_at=timezone.now()):
        return False
    names = ("brand", "last4", "exp_month", "exp_year")
    notices.tell_organization(
        method.organization_id,
        Notice.Kind.CARD_EXPIRING,
        key=f"expiring:{method.pk}:{method.exp_year}-{method.exp_month}",
        facts={name: getattr(method, name) for name in names},
    )
    return True
