"""A student's hours on one page: what was bought, used, expired and is left, and every movement; staff adjust them here."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists, Min, OuterRef, QuerySet, Subquery, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.audited_admin import staff_of
from accounts.models import User
from conventions.admin_showing import change_url, link, list_url, moment, pill
from conventions.errors import Conflict, DomainError, InvalidInput
from payments.admin.acting import may
from payments.admin.evidence import Table
from payments.admin.lists import ReadOnly
from pricing import hours
from pricing.admin.hours import lot_state, signed
from pricing.admin.purchases import people_matching
from pricing.hour_amounts import hours_text, parse_hours
from pricing.models import HourConsumption, HourLot, HourMovement, PurchaseTransaction, Student, Subscription

ADJUST = "pricing.adjust_hours"
FIRST = 100  # of each table; the lists show all


class AdjustForm(forms.Form):
    """`seen_hundredths` is what was left when the form was shown: who adjusts knows what was used meanwhile, and a second
    click finds another balance."""

    direction = forms.ChoiceField(
        choices=[("give", "Give hours"), ("take", "Take hours away")],
        widget=forms.RadioSelect,
        initial="give",
        label="Act",
    )
    hours = forms.CharField(max_length=20, help_text="A number such as 1 or 1.25.")
    expires_on = forms.DateField(
        required=False,
        label="Valid until",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="The last day, in UTC, of hours that are given. Empty: they do not expire.",
    )
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 3}), help_text="It stays in the history.")
    seen_hundredths = forms.IntegerField(widget=forms.HiddenInput)

    def clean_hours(self) -> int:
        """Hundredths."""
        try:
            return parse_hours(self.cleaned_data["hours"])
        except InvalidInput as error:
            raise forms.ValidationError(error.message, code=error.code) from error

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        last_day = cleaned.get("expires_on")
        if last_day and cleaned.get("direction") == "take":
            self.add_error("expires_on", "Only hours that are given have a last day.")
        elif last_day and last_day < timezone.now().date():
            self.add_error("expires_on", "That day is over.")
        return cleaned

    def expires_at(self) -> datetime | None:
        """The end of the last day."""
        last_day = self.cleaned_data["expires_on"]
        return timezone.make_aware(datetime.combine(last_day + timedelta(days=1), time.min)) if last_day else None


@admin.register(Student)
class StudentAdmin(ReadOnly):
    """Lists who has or had hours; a search finds anybody, so that first hours can be given too."""

    change_form_template = "admin/pricing/student/change_form.html"
    list_display = ("email", "name", "bought", "left", "next_expiry")
    search_help_text = "A whole user id (user_…) or a whole e-mail address, also of somebody without hours."
    fields = ("id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        lots = HourLot.objects.filter(student=OuterRef("pk")).order_by()
        live = lots.filter(hours.usable(timezone.now())).values("student")
        return Student.objects.order_by("-pk").annotate(
            bought_hundredths=Subquery(lots.values("student").annotate(sum=Sum("granted_hundredths")).values("sum")),
            left_hundredths=Subquery(live.annotate(sum=Sum("remaining_hundredths")).values("sum")),
            first_expiry=Subquery(live.annotate(first=Min("expires_at")).values("first")),
        )

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        if not search_term.strip():
            return queryset.filter(Exists(HourLot.objects.filter(student=OuterRef("pk")))), False
        return super().get_search_results(request, queryset, search_term)

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(pk__in=people_matching(term))

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.adjust_view)
        return [path("<path:object_id>/adjust/", view, name="pricing_student_adjust"), *super().get_urls()]

    # -- the page -----------------------------------------------------------------------------------------
    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        student: Student = context["original"]
        balance = hours.balance_of(student, now=timezone.now())
        context.update(
            {
                "title": f"Hours of {student.email}",
                "subtitle": student.pk,
                "figures": _figures(balance),
                "tables": [
                    _lots(student, balance),
                    _sessions(student),
                    _movements(student),
                    _subscriptions(student),
                ],
                "purchases_url": list_url(PurchaseTransaction, q=student.pk),
                "user_url": change_url(User, student.pk) if request.user.has_perm("accounts.view_user") else "",
            }
        )
        if may(self, request, ADJUST):
            context["adjust_url"] = reverse("admin:pricing_student_adjust", args=[quote(student.pk)])
        return super().render_change_form(request, context, *args, **kwargs)

    def adjust_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A view of its own: the operation begins and ends its transaction."""
        if not may(self, request, ADJUST):
            raise PermissionDenied
        student = User.objects.filter(pk=unquote(object_id)).first()
        if student is None:
            raise Http404("There is no such student.")
        left = hours.balance_of(student, now=timezone.now()).remaining
        form = AdjustForm(request.POST or None, initial={"seen_hundredths": left})
        if request.method == "POST" and form.is_valid() and self._adjust(request, student, form):
            return HttpResponseRedirect(change_url(Student, student.pk))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": student,
            "title": "Adjust hours",
            "subtitle": student.email,
            "form": form,
            "left": hours_text(left),
            "back_url": change_url(Student, student.pk),
        }
        return TemplateResponse(request, "admin/pricing/student/adjust.html", context)

    def _adjust(self, request: HttpRequest, student: User, form: AdjustForm) -> bool:
        """False, with the reason on the form, where it is refused."""
        asked = form.cleaned_data
        try:
            with transaction.atomic():
                User.objects.select_for_update().get(pk=student.pk)  # one adjustment at a time
                left = hours.balance_of(student, now=timezone.now()).remaining
                if left != asked["seen_hundredths"]:
                    raise Conflict(f"Meanwhile {hours_text(left)} hours are left. Look at them, then open the form again.")
                hours.adjust(
                    student=student,
                    hundredths=asked["hours"] if asked["direction"] == "give" else -asked["hours"],
                    actor=staff_of(request),
                    reason=asked["reason"],
                    expires_at=form.expires_at(),
                )
        except DomainError as error:
            form.add_error(None, error.message)
            return False
        act = "Gave" if asked["direction"] == "give" else "Took away"
        self.message_user(request, f"{act} {hours_text(asked['hours'])} hours.", messages.SUCCESS)
        return True

    # -- the list -----------------------------------------------------------------------------------------
    @admin.display(description="bought or given")
    def bought(self, student: Any) -> str:
        return hours_text(student.bought_hundredths or 0)

    @admin.display(description="left")
    def left(self, student: Any) -> str:
        return hours_text(student.left_hundredths or 0)

    @admin.display(description="next expiry")
    def next_expiry(self, student: Any) -> str:
        return moment(student.first_expiry)


def _figures(balance: hours.Balance) -> list[tuple[str, str]]:
    owed = sum(lot.owed_hundredths for lot in balance.lots)
    figures = [
        ("Left", hours_text(balance.remaining)),
        ("Bought or given", hours_text(balance.purchased)),
        ("Used", hours_text(balance.consumed)),
        ("Expired", hours_text(balance.expired)),
        ("Taken back with money", hours_text(balance.taken_back)),
        ("Taken away by staff", hours_text(balance.withdrawn)),
        ("Next expiry", moment(balance.next_expiry)),
    ]
    return [*figures, ("Owed after refunds", hours_text(owed))] if owed else figures


def _lots(student: Student, balance: hours.Balance) -> Table:
    def source(lot: HourLot) -> SafeString | str:
        return link(PurchaseTransaction, lot.purchase_id, lot.purchase.name) if lot.purchase else "given"

    rows = [
        (
            link(HourLot, lot.pk, moment(lot.created_at)),
            source(lot),
            hours_text(lot.granted_hundredths),
            hours_text(lot.remaining_hundredths),
            hours_text(lot.owed_hundredths) if lot.owed_hundredths else "–",
            moment(lot.expires_at),
            lot_state(lot),
        )
        for lot in balance.lots[:FIRST]
    ]
    columns = ("Granted at", "From", "Granted", "Left", "Owed", "Expires", "State")
    rest_url = list_url(HourLot, q=student.pk) if len(balance.lots) > FIRST else ""
    return Table(title="Lots, soonest expiry first", columns=columns, rows=rows, rest_url=rest_url)


def _sessions(student: Student) -> Table:
    found = list(HourConsumption.objects.filter(student=student).select_related("recorded_by").order_by("-pk")[: FIRST + 1])
    rows = [
        (
            link(HourConsumption, session.pk, moment(session.created_at)),
            session.session_reference,
            hours_text(session.hours_hundredths),
            str(session.recorded_by or "–"),
            pill("canceled", "reversed") if session.reversed_at else pill("paid", "used"),
            session.reversal_reason or "–",
        )
        for session in found[:FIRST]
    ]
    columns = ("When", "Session", "Hours", "Recorded by", "State", "Why reversed")
    rest_url = list_url(HourConsumption, q=student.pk) if len(found) > FIRST else ""
    return Table(title="Sessions, newest first", columns=columns, rows=rows, rest_url=rest_url)


def _movements(student: Student) -> Table:
    found = HourMovement.objects.filter(lot__student=student).select_related("actor", "consumption").order_by("-pk")[:FIRST]
    rows = [
        (
            moment(movement.occurred_at),
            movement.told,
            signed(movement),
            link(HourLot, movement.lot_id),
            movement.consumption.session_reference if movement.consumption else "–",
            str(movement.actor or "–"),
            movement.reason or "–",
        )
        for movement in found
    ]
    columns = ("When", "What", "Hours", "Lot", "Session", "By", "Reason")
    title = "Movements, newest first" if len(rows) < FIRST else f"The latest {FIRST} movements"
    return Table(title=title, columns=columns, rows=rows)


def _subscriptions(student: Student) -> Table:
    rows = [
        (
            link(Subscription, one.pk, one.plan.name),
            pill(one.state, one.get_state_display()),
            moment(one.current_period_end),
            "ends then" if one.cancel_at_period_end and one.is_running else "–",
        )
        for one in Subscription.objects.filter(user=student).select_related("plan").order_by("-pk")[:FIRST]
    ]
    return Table(title="Subscriptions", columns=("Plan", "State", "Paid until", ""), rows=rows)
