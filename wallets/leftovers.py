"""Payment methods that nobody can remove any more: their organization's only member was erased.

Erasing writes one line for each such organization into the outbox; a task does the work after it has committed, and
`settings.ALSO_SWEPT` what was left undone. The line stays, so that a method that was being saved in that moment goes as well;
should staff give the organization a member, nothing more of it is touched.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import Organization
from conventions.errors import DomainError
from payments import checkout
from payments.errors import StripeBusy, StripeUnavailable
from payments.models import StripeCall
from wallets import methods
from wallets.models import PaymentMethod
from wallets.tasks import detach_leftovers

logger = logging.getLogger(__name__)

DETACH = "payment_methods.detach"
MOST_A_SWEEP = 100
MOST_SILENT = 3  # without an answer this often in a row Stripe is down


def plan_detaching(organizations: Collection[str]) -> None:
    """Have all saved methods of these organizations detached; in the transaction in which their last member goes."""
    saved = PaymentMethod.objects.filter(organization__in=organizations, detached_at=None)
    having_some = sorted(set(saved.values_list("organization_id", flat=True)))
    for organization in having_some:
        checkout.plan_once(organization, DETACH, {})
    if having_some:
        detach_leftovers.enqueue()


def sweep() -> dict[str, int]:
    return {"methods_detached": detach()}


def detach() -> int:
    """Detach what is left, some at a time; one that Stripe refuses holds up no other. Calls Stripe: never inside a
    transaction. Returns how many are gone now."""
    gone = silent = 0
    for method in list(_left().select_related("organization").order_by("?")[:MOST_A_SWEEP]):
        try:
            methods.detach(method)
        except DomainError as error:
            logger.warning("%s of an organization of nobody is still attached: %s", method.pk, error)
            silent = silent + 1 if isinstance(error, StripeBusy | StripeUnavailable) else 0
            if silent == MOST_SILENT:
                break
            continue
        gone, silent = gone + 1, 0
        if not _left().filter(organization=method.organization_id).exists():
            planned = StripeCall.objects.filter(subject_id=method.organization_id, operation=DETACH, answered_at=None)
            planned.update(answered_at=timezone.now(), answer={"status": "detached"})
    return gone


def _left() -> QuerySet[PaymentMethod]:
    planned = StripeCall.objects.filter(subject_id=OuterRef("pk"), operation=DETACH)
    nobodys = Organization.objects.filter(Exists(planned), memberships=None)
    return PaymentMethod.objects.filter(organization__in=nobodys, detached_at=None)
