"""Assigning from the back office: look for what the money was meant for, say why, and it is moved there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from accounts.audited_admin import staff_of
from conventions.admin_lists import ModelAdmin
from conventions.errors import DomainError
from payments.admin.acting import back_to, may, page_of, payment_to_act_on
from payments.assigning import assign
from payments.fulfilment import Subject, fulfilment_of
from payments.models import Payment
from payments.unmatched import UNMATCHED

PERMISSION = "payments.assign_payment"
LONGEST_SEARCH = 100


class AssignForm(forms.Form):
    """`target` is a purpose and a subject, as the list of choices writes them: `donation:campaign_…`."""

    target = forms.RegexField(r"^[a-z_]{1,30}:[A-Za-z0-9_]{1,40}$", error_messages={"required": "Choose what it was meant for."})
    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="How you know what it was meant for. It stays in the history.",
    )


if TYPE_CHECKING:
    _Base = ModelAdmin
else:
    _Base = object


class Assigning(_Base):
    """Adds the view to the admin of payments."""

    def assign_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.assign_view)
        return [path("<path:object_id>/assign/", view, name="payments_payment_assign")]

    def may_assign(self, request: HttpRequest) -> bool:
        return may(self, request, PERMISSION)

    def assign_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        payment = payment_to_act_on(self, request, object_id, PERMISSION)
        if payment.purpose != UNMATCHED:
            self.message_user(request, "This payment is not unmatched: it belongs to something already.", messages.ERROR)
            return back_to(payment)
        form = AssignForm(request.POST or None)
        if request.method == "POST" and form.is_valid() and self._assign(request, payment, form.cleaned_data):
            return back_to(payment)
        words = request.GET.get("q", "").replace("\x00", "").strip()[:LONGEST_SEARCH]
        context = {
            **page_of(self, request, payment, "Assign"),
            "form": form,
            "words": words,
            "choices": _choices(words, payment),
            "chosen": request.POST.get("target", ""),
        }
        return TemplateResponse(request, "admin/payments/payment/assign.html", context)

    def _assign(self, request: HttpRequest, payment: Payment, asked: dict[str, Any]) -> bool:
        purpose, _, subject = asked["target"].partition(":")
        try:
            assigned = assign(
                payment_id=payment.pk, purpose=purpose, subject_id=subject, actor=staff_of(request), reason=asked["reason"]
            )
        except DomainError as error:
            self.message_user(request, error.message, messages.ERROR)
            return False
        self.message_user(request, f"Assigned {payment.money.display()} as {assigned.subject_id}.", messages.SUCCESS)
        return True


def _choices(words: str, payment: Payment) -> list[tuple[str, Subject, bool]]:
    """What a payment can be assigned to: the form's value, the subject, and whether its currency fits."""
    found: list[tuple[str, Subject, bool]] = []
    for purpose in sorted(settings.PAYMENT_FULFILMENTS):
        fulfilment = fulfilment_of(purpose)
        for subject in fulfilment.find_subjects(words) if fulfilment else []:
            found.append((f"{purpose}:{subject.id}", subject, subject.currency == payment.currency))
    return found
