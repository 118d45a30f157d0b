"""What every act on a payment's page asks first: who may, and on which payment.

Acts are views of their own and no changeform views: Django's admin wraps those in a transaction, and each operation here
begins and ends its own.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseRedirect

from conventions.admin_lists import ModelAdmin
from conventions.admin_showing import change_url
from payments.models import Payment


def may(model_admin: ModelAdmin, request: HttpRequest, permission: str) -> bool:
    """Whoever acts must also be allowed to see what it is done to."""
    return model_admin.has_view_permission(request) and request.user.has_perm(permission)


def payment_to_act_on(model_admin: ModelAdmin, request: HttpRequest, object_id: str, permission: str) -> Payment:
    """The payment of the address; raises PermissionDenied before it says whether there is one, and Http404."""
    if not may(model_admin, request, permission):
        raise PermissionDenied
    payment = Payment.objects.filter(pk=unquote(object_id)).first()
    if payment is None:
        raise Http404("There is no such payment.")
    return payment


def page_of(model_admin: ModelAdmin, request: HttpRequest, payment: Payment, title: str) -> dict[str, Any]:
    """What the template of an act's page needs, besides its own."""
    return {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "original": payment,
        "title": title,
        "subtitle": payment.pk,
        "amount": payment.money.display(),
        "payment_url": change_url(Payment, payment.pk),
    }


def back_to(payment: Payment) -> HttpResponseRedirect:
    return HttpResponseRedirect(change_url(Payment, payment.pk))
