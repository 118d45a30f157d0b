"""Lots of hours and the sessions that used them: read; a session may be reversed, with a reason."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.audited_admin import staff_of
from conventions.admin_showing import change_url, link, moment, pill
from conventions.errors import DomainError
from payments.admin.acting import may
from payments.admin.lists import ReadOnly
from pricing.admin.purchases import people_matching
from pricing.hour_amounts import hours_text
from pricing.hours import reverse as give_back
from pricing.hours import settle_owed
from pricing.models import HourConsumption, HourLot, HourMovement, PurchaseTransaction, Student

REVERSE, SETTLE = "pricing.consume_hours", "pricing.adjust_hours"


class OwedFilter(admin.SimpleListFilter):
    title = "owed after refunds"
    parameter_name = "owed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [("yes", "refunded, but used or expired before")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(owed_hundredths__gt=0) if self.value() == "yes" else queryset


class LeftFilter(admin.SimpleListFilter):
    title = "hours"
    parameter_name = "left"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [("usable", "to be used"), ("waiting", "of guests, waiting for them")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        left = queryset.filter(remaining_hundredths__gt=0)
        if self.value() == "usable":
            return left.exclude(expires_at__lte=timezone.now())
        return left.filter(student=None) if self.value() == "waiting" else queryset


def lot_state(lot: HourLot) -> SafeString:
    """Its colour and word, as of this moment, whether or not the sweep has written an expiry down."""
    if lot.remaining_hundredths == 0:
        return pill("closed", "used up" if lot.consumed_hundredths else "gone")
    if lot.expires_at and lot.expires_at <= timezone.now():
        return pill("expired")
    return pill("paid", "usable")


def signed(movement: HourMovement) -> str:
    """Its hours as seen from what is left."""
    is_added = (movement.kind == HourMovement.Kind.GRANTED) == (movement.hundredths > 0)
    return f"{'+' if is_added else '−'}{hours_text(abs(movement.hundredths))}"


class SettleForm(forms.Form):
    """`seen_hundredths` is what was owed when the form was shown: a second click, or a refund meanwhile, finds another."""

    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What was done about it: paid, made good, or let be. It stays in the history.",
    )
    seen_hundredths = forms.IntegerField(widget=forms.HiddenInput)


@admin.register(HourLot)
class LotAdmin(ReadOnly):
    """Hours granted at once. What is owed after a refund was used before it: staff decide whether to ask for it, and write
    down that it is settled."""

    change_form_template = "admin/pricing/hourlot/change_form.html"
    list_display = ("made", "student_link", "granted", "left", "owed", "state_pill", "expires", "from_purchase")
    list_filter = (OwedFilter, LeftFilter)
    list_select_related = ("student", "purchase")
    search_help_text = "A whole id (lot_…, purchase_…, user_…) or a whole e-mail address."
    fields = (
        "id",
        "student_link",
        "from_purchase",
        "granted",
        "used",
        "expired",
        "taken_back",
        "withdrawn",
        "left",
        "owed",
        "settled",
        "state_pill",
        "expires",
        "told",
        "made",
        "movements",
    )

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if term.startswith(("lot_", "purchase_")):
            return queryset.filter(**{"pk" if term.startswith("lot_") else "purchase": term})
        found = queryset.filter(student__in=people_matching(term))
        return found | queryset.filter(email=term.lower()) if "@" in term else found

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.settle_view)
        return [path("<path:object_id>/settle/", view, name="pricing_hourlot_settle"), *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        lot = context.get("original")
        if lot is not None and lot.owed_hundredths and may(self, request, SETTLE):
            context["settle_url"] = reverse("admin:pricing_hourlot_settle", args=[quote(lot.pk)])
        return super().render_change_form(request, context, *args, **kwargs)

    def settle_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A view of its own: the operation begins and ends its transaction."""
        if not may(self, request, SETTLE):
            raise PermissionDenied
        lot = HourLot.objects.select_related("student").filter(pk=unquote(object_id)).first()
        if lot is None:
            raise Http404("There is no such lot.")
        back = HttpResponseRedirect(change_url(HourLot, lot.pk))
        form = SettleForm(request.POST or None, initial={"seen_hundredths": lot.owed_hundredths})
        if request.method == "POST" and form.is_valid():
            seen = form.cleaned_data["seen_hundredths"]
            try:
                settle_owed(lot=lot, hundredths=seen, actor=staff_of(request), reason=form.cleaned_data["reason"])
            except DomainError as error:
                self.message_user(request, error.message, messages.ERROR)
            else:
                self.message_user(request, f"{hours_text(seen)} owed hours are settled.", messages.SUCCESS)
            return back
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": lot,
            "title": "Settle owed hours",
            "subtitle": lot.pk,
            "form": form,
            "owed": hours_text(lot.owed_hundredths),
            "back_url": change_url(HourLot, lot.pk),
        }
        return TemplateResponse(request, "admin/pricing/hourlot/settle.html", context)

    @admin.display(description="granted at")
    def made(self, lot: HourLot) -> str:
        return moment(lot.created_at)

    @admin.display(description="student")
    def student_link(self, lot: HourLot) -> SafeString | str:
        if lot.student is not None:
            return link(Student, lot.student_id, lot.student.email)
        return f"{lot.email}, not yet proved" if lot.email else "a guest"

    @admin.display(description="from")
    def from_purchase(self, lot: HourLot) -> SafeString | str:
        return link(PurchaseTransaction, lot.purchase_id, lot.purchase.name) if lot.purchase else "given without a payment"

    @admin.display(description="granted")
    def granted(self, lot: HourLot) -> str:
        return hours_text(lot.granted_hundredths)

    @admin.display(description="used")
    def used(self, lot: HourLot) -> str:
        return hours_text(lot.consumed_hundredths)

    @admin.display(description="expired")
    def expired(self, lot: HourLot) -> str:
        return hours_text(lot.expired_hundredths)

    @admin.display(description="taken back with money")
    def taken_back(self, lot: HourLot) -> str:
        return hours_text(lot.taken_back_hundredths)

    @admin.display(description="taken away by staff")
    def withdrawn(self, lot: HourLot) -> str:
        return hours_text(lot.withdrawn_hundredths)

    @admin.display(description="left")
    def left(self, lot: HourLot) -> str:
        return hours_text(lot.remaining_hundredths)

    @admin.display(description="owed after a refund")
    def owed(self, lot: HourLot) -> str:
        return hours_text(lot.owed_hundredths) if lot.owed_hundredths else "–"

    @admin.display(description="owed once, settled by staff")
    def settled(self, lot: HourLot) -> str:
        return hours_text(lot.settled_hundredths) if lot.settled_hundredths else "–"

    @admin.display(description="state")
    def state_pill(self, lot: HourLot) -> SafeString:
        return lot_state(lot)

    @admin.display(description="expires")
    def expires(self, lot: HourLot) -> str:
        return moment(lot.expires_at)

    @admin.display(description="told of the expiry")
    def told(self, lot: HourLot) -> str:
        return moment(lot.notice_at)

    @admin.display(description="movements")
    def movements(self, lot: HourLot) -> SafeString:
        rows = (
            (moment(m.occurred_at), m.told, signed(m), m.consumption or "–", m.reason or "–")
            for m in lot.movements.select_related("consumption").order_by("pk")[:200]
        )
        body = format_html_join("\n", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", rows)
        return format_html_join("", "<table><tbody>{}</tbody></table>", [(body,)])


class ReverseForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Why the session does not count. It stays in the history.",
    )


@admin.register(HourConsumption)
class ConsumptionAdmin(ReadOnly):
    """Sessions that used hours, each once. Reversing one puts its hours back into the lots they came from."""

    change_form_template = "admin/pricing/hourconsumption/change_form.html"
    list_display = ("made", "student_link", "session_reference", "hours", "state_pill", "recorded")
    list_select_related = ("student", "recorded_by")
    date_hierarchy = "created_at"
    search_help_text = "A whole id (consumption_…, user_…), a whole session reference or a whole e-mail address."
    fields = (
        "id",
        "student_link",
        "session_reference",
        "hours",
        "state_pill",
        "lots",
        "made",
        "recorded",
        "reversed",
        "reversal_reason",
    )

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if term.startswith("consumption_"):
            return queryset.filter(pk=term)
        people = people_matching(term) if "@" in term or term.startswith("user_") else []
        return queryset.filter(student__in=people) if people else queryset.filter(session_reference=term)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.reverse_view)
        return [path("<path:object_id>/reverse/", view, name="pricing_hourconsumption_reverse"), *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        session = context.get("original")
        if session is not None and session.reversed_at is None and may(self, request, REVERSE):
            context["reverse_url"] = reverse("admin:pricing_hourconsumption_reverse", args=[quote(session.pk)])
        return super().render_change_form(request, context, *args, **kwargs)

    def reverse_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A view of its own: the operation begins and ends its transaction."""
        if not may(self, request, REVERSE):
            raise PermissionDenied
        session = HourConsumption.objects.select_related("student").filter(pk=unquote(object_id)).first()
        if session is None:
            raise Http404("There is no such session.")
        back = HttpResponseRedirect(change_url(HourConsumption, session.pk))
        if session.reversed_at is not None:
            self.message_user(request, "This session is reversed already; nothing was changed.", messages.ERROR)
            return back
        form = ReverseForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            give_back(consumption=session, actor=staff_of(request), reason=form.cleaned_data["reason"])
            told = f"{hours_text(session.hours_hundredths)} hours are back with {session.student.email}."
            self.message_user(request, told, messages.SUCCESS)
            return back
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": session,
            "title": "Reverse",
            "subtitle": session.session_reference,
            "form": form,
            "hours": hours_text(session.hours_hundredths),
            "back_url": change_url(HourConsumption, session.pk),
        }
        return TemplateResponse(request, "admin/pricing/hourconsumption/reverse.html", context)

    @admin.display(description="when")
    def made(self, session: HourConsumption) -> str:
        return moment(session.created_at)

    @admin.display(description="student")
    def student_link(self, session: HourConsumption) -> SafeString | str:
        return link(Student, session.student_id, session.student.email)

    @admin.display(description="hours")
    def hours(self, session: HourConsumption) -> str:
        return hours_text(session.hours_hundredths)

    @admin.display(description="state")
    def state_pill(self, session: HourConsumption) -> SafeString:
        return pill("canceled", "reversed") if session.reversed_at else pill("paid", "used")

    @admin.display(description="recorded by")
    def recorded(self, session: HourConsumption) -> str:
        return str(session.recorded_by or "–")

    @admin.display(description="reversed")
    def reversed(self, session: HourConsumption) -> str:
        return f"{moment(session.reversed_at)} by {session.reversed_by or '–'}" if session.reversed_at else "–"

    @admin.display(description="drawn from")
    def lots(self, session: HourConsumption) -> SafeString | str:
        drawn = session.movements.filter(hundredths__gt=0, kind="consumed").order_by("pk")
        return format_html_join(", ", "{} of {}", ((hours_text(m.hundredths), link(HourLot, m.lot_id)) for m in drawn)) or "–"
