"""Refunding from the back office: a confirmation page, then the same operations that everything else uses.

These views are no changeform views on purpose: Django's admin wraps those in a transaction, and a refund is
committed first and sent to Stripe outside of any.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from conventions.errors import DomainError, InvalidInput
from payments.admin.evidence import is_unsent
from payments.admin.lists import ModelAdmin
from payments.admin.showing import change_url, money
from payments.errors import CardDeclined, IdempotencyKeyExpired, StripeRefused
from payments.models import Payment, Refund
from payments.money import Money
from payments.refunds import REASONS, request_refund, send_refund

PERMISSION = "payments.refund_payment"
FORM_LIVES_S = 24 * 60 * 60


class RefundForm(forms.Form):
    """`ticket` lets a form be sent once: a second click must not make a second refund. `seen_minor` is what was
    refundable when it was shown: whoever decides on a refund knows of those before it."""

    amount = forms.CharField(max_length=20)
    reason = forms.ChoiceField(
        required=False,
        choices=[("", "none given"), *((reason, reason.replace("_", " ")) for reason in REASONS)],
        help_text="Told to Stripe. “Fraudulent” also blocks the card and the e-mail address there.",
    )
    note = forms.CharField(
        required=False, max_length=500, widget=forms.Textarea(attrs={"rows": 3}), help_text="For staff; the payer never sees it."
    )
    ticket = forms.RegexField(r"^[A-Za-z0-9_-]{20,40}$", widget=forms.HiddenInput)
    seen_minor = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, payment: Payment, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.payment = payment
        self.fields["amount"].help_text = f"In {payment.currency.upper()}; write less to refund a part."

    def clean_amount(self) -> int:
        """Minor units."""
        try:
            amount = Money.parse(self.cleaned_data["amount"], self.payment.currency)
        except InvalidInput as error:
            raise forms.ValidationError(error.message, code=error.code) from error
        if amount.amount_minor <= 0:
            raise forms.ValidationError("Write an amount of more than zero.", code="amount_too_small")
        return amount.amount_minor


def _fresh_form(payment: Payment, left_minor: int, **initial: Any) -> RefundForm:
    amount = str(Money(left_minor, payment.currency))
    ticket = secrets.token_urlsafe(20)
    return RefundForm(payment, initial={"amount": amount, **initial, "ticket": ticket, "seen_minor": left_minor})


if TYPE_CHECKING:
    _Base = ModelAdmin
else:
    _Base = object


class Refunding(_Base):
    """Adds the two views to the admin of payments."""

    def refund_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<path:object_id>/refund/", view(self.refund_view), name="payments_payment_refund"),
            path(
                "<path:object_id>/refunds/<path:refund_id>/send/", view(self.send_again_view), name="payments_payment_send_refund"
            ),
        ]

    def may_refund(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and request.user.has_perm(PERMISSION)

    def refund_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        payment = self._payment(request, object_id)
        left = payment.refundable_minor
        if left <= 0:
            self.message_user(request, "Nothing of this payment can be refunded.", messages.ERROR)
            return _to(payment)
        form = _fresh_form(payment, left)
        if request.method == "POST":
            form = RefundForm(payment, request.POST)
            if form.is_valid():
                refund = self._request(request, payment, left, form.cleaned_data)
                if refund is not None:
                    self._send(request, refund)
                    return _to(payment)
                form = _fresh_form(payment, left, **self._as_written(request))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": payment,
            "title": "Refund",
            "subtitle": payment.pk,
            "form": form,
            "left": money(left, payment.currency),
            "amount": payment.money.display(),
            "payment_url": change_url(Payment, payment.pk),
        }
        return TemplateResponse(request, "admin/payments/payment/refund.html", context)

    def send_again_view(self, request: HttpRequest, object_id: str, refund_id: str) -> HttpResponse:
        payment = self._payment(request, object_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        refund = payment.refunds.filter(pk=unquote(refund_id)).first()
        if refund is None:
            raise Http404("There is no such refund of this payment.")
        if is_unsent(refund):
            self.log_change(request, payment, f"Sent refund {refund.pk} again.")
            self._send(request, refund)
        else:
            self.message_user(request, "Stripe knows this refund already; nothing was sent.", messages.INFO)
        return _to(payment)

    def _payment(self, request: HttpRequest, object_id: str) -> Payment:
        if not self.may_refund(request):
            raise PermissionDenied
        payment = Payment.objects.filter(pk=unquote(object_id)).first()
        if payment is None:
            raise Http404("There is no such payment.")
        return payment

    def _as_written(self, request: HttpRequest) -> dict[str, str]:
        return {name: request.POST.get(name, "") for name in ("amount", "reason", "note")}

    def _request(self, request: HttpRequest, payment: Payment, left_minor: int, asked: dict[str, Any]) -> Refund | None:
        """Commit the refund and who asked for it; None, having told why, when it is refused."""
        if asked["seen_minor"] != left_minor:
            sentence = "What can be refunded has changed since this form was opened. Look again before you refund."
            self.message_user(request, sentence, messages.ERROR)
            return None
        if not cache.add(f"admin-refund:{asked['ticket']}", 1, FORM_LIVES_S):
            self.message_user(request, "This form was sent before; nothing was refunded a second time.", messages.ERROR)
            return None
        assert request.user.is_authenticated  # the admin lets nobody else in
        try:
            refund = request_refund(
                payment_id=payment.pk,
                amount_minor=asked["amount"],
                reason=asked["reason"],
                note=asked["note"],
                requested_by=request.user,
            )
        except DomainError as error:
            self.message_user(request, error.message, messages.ERROR)
            return None
        reason = asked["reason"].replace("_", " ") or "no reason given"
        self.log_change(request, payment, f"Refunded {money(refund.amount_minor, refund.currency)} ({reason}): {refund.pk}.")
        return refund

    def _send(self, request: HttpRequest, refund: Refund) -> None:
        """Send, outside any transaction, and say in a sentence what came of it."""
        amount = money(refund.amount_minor, refund.currency)
        try:
            refund = send_refund(refund)
        except (StripeRefused, CardDeclined) as error:
            self.message_user(request, f"{error.message} The refund of {amount} was refused and is canceled.", messages.ERROR)
        except IdempotencyKeyExpired:
            sentence = f"The refund of {amount} is too old to be sent again safely. Look for it in Stripe's dashboard first."
            self.message_user(request, sentence, messages.ERROR)
        except DomainError as error:
            kept = f"The refund of {amount} is written down and will be sent by the sweep; you can also send it again below."
            self.message_user(request, f"{error.message} {kept}", messages.WARNING)
        else:
            state = {"succeeded": "Refunded", "pending": "Stripe is carrying out the refund of"}.get(refund.status)
            if refund.stripe_id and state:
                self.message_user(request, f"{state} {amount}: {refund.stripe_id}.", messages.SUCCESS)
            else:
                self.message_user(
                    request, f"The refund of {amount} is {refund.status}. {refund.failure_reason}", messages.WARNING
                )


def _to(payment: Payment) -> HttpResponseRedirect:
    return HttpResponseRedirect(change_url(Payment, payment.pk))
