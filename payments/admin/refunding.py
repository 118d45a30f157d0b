"""Refunding from the back office: a confirmation page, then the same operations that everything else uses.

A refund is committed first and sent to Stripe outside of any transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from accounts.audited_admin import staff_of
from conventions.errors import DomainError, InvalidInput
from payments.admin.acting import back_to, may, page_of, payment_to_act_on
from payments.admin.evidence import is_unsent
from payments.admin.lists import ModelAdmin
from payments.admin.showing import money
from payments.errors import CardDeclined, IdempotencyKeyExpired, StripeRefused
from payments.models import Payment, Refund
from payments.money import Money
from payments.refunds import REASONS, request_refund, send_again, send_refund, why_nothing_is_left

PERMISSION = "payments.refund_payment"
FORM_LIVES_S = 24 * 60 * 60


class RefundForm(forms.Form):
    """`ticket` lets a form be sent once: a second click must not make a second refund. `seen_refundable_minor` is what was
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
    seen_refundable_minor = forms.IntegerField(widget=forms.HiddenInput)

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
    return RefundForm(payment, initial={"amount": amount, **initial, "ticket": ticket, "seen_refundable_minor": left_minor})


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
        return may(self, request, PERMISSION)

    def refund_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        payment = payment_to_act_on(self, request, object_id, PERMISSION)
        left = payment.refundable_minor
        if left <= 0:
            self.message_user(request, why_nothing_is_left(payment), messages.ERROR)
            return back_to(payment)
        form = _fresh_form(payment, left)
        if request.method == "POST":
            form = RefundForm(payment, request.POST)
            if form.is_valid():
                refund = self._request(request, payment, form.cleaned_data)
                if refund is not None:
                    self._send(request, refund, send_refund)
                    return back_to(payment)
                payment.refresh_from_db()  # somebody else may have refunded meanwhile, or a dispute come in
                left = payment.refundable_minor
                if left <= 0:
                    return back_to(payment)
                form = _fresh_form(payment, left, **self._as_written(request))
        context = {**page_of(self, request, payment, "Refund"), "form": form, "left": money(left, payment.currency)}
        return TemplateResponse(request, "admin/payments/payment/refund.html", context)

    def send_again_view(self, request: HttpRequest, object_id: str, refund_id: str) -> HttpResponse:
        payment = payment_to_act_on(self, request, object_id, PERMISSION)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        refund = payment.refunds.filter(pk=unquote(refund_id)).first()
        if refund is None:
            raise Http404("There is no such refund of this payment.")
        if is_unsent(refund):
            self._send(request, refund, lambda unsent: send_again(refund=unsent, actor=staff_of(request)))
        else:
            self.message_user(request, "Stripe knows this refund already; nothing was sent.", messages.INFO)
        return back_to(payment)

    def _as_written(self, request: HttpRequest) -> dict[str, str]:
        return {name: request.POST.get(name, "") for name in ("amount", "reason", "note")}

    def _request(self, request: HttpRequest, payment: Payment, asked: dict[str, Any]) -> Refund | None:
        """Commit the refund and who asked for it; None, having told why, when it is refused."""
        if not cache.add(f"admin-refund:{asked['ticket']}", 1, FORM_LIVES_S):
            self.message_user(request, "This form was sent before; nothing was refunded a second time.", messages.ERROR)
            return None
        try:
            return request_refund(
                payment_id=payment.pk,
                amount_minor=asked["amount"],
                reason=asked["reason"],
                note=asked["note"],
                requested_by=staff_of(request),
                seen_refundable_minor=asked["seen_refundable_minor"],
            )
        except DomainError as error:
            self.message_user(request, error.message, messages.ERROR)
            return None

    def _send(self, request: HttpRequest, refund: Refund, send: Callable[[Refund], Refund]) -> None:
        """Send, outside any transaction, and say in a sentence what came of it."""
        amount = money(refund.amount_minor, refund.currency)
        try:
            refund = send(refund)
        except (StripeRefused, CardDeclined) as error:
            self.message_user(request, f"{error.message} The refund of {amount} was refused and is canceled.", messages.ERROR)
        except IdempotencyKeyExpired:
            sentence = f"The refund of {amount} is too old to be sent again safely. Look for it in Stripe's dashboard first."
            self.message_user(request, sentence, messages.ERROR)
        except DomainError as error:
            refund.refresh_from_db()
            if refund.stripe_id:
                sentence = f"Stripe's answer was lost, but the refund of {amount} was made."
            else:
                sentence = (
                    f"Stripe could not be reached ({error.code}). The refund of {amount} is written down and the sweep sends it: "
                    "do not refund again. To hurry it, press “Send again” below."
                )
            self.message_user(request, sentence, messages.WARNING)
        else:
            state = {"succeeded": "Refunded", "pending": "Stripe is carrying out the refund of"}.get(refund.status)
            if refund.stripe_id and state:
                self.message_user(request, f"{state} {amount}: {refund.stripe_id}.", messages.SUCCESS)
            else:
                self.message_user(
                    request, f"The refund of {amount} is {refund.status}. {refund.failure_reason}", messages.WARNING
                )
