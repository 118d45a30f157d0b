"""Purchases and subscriptions: read only, each with its payment or its page at Stripe."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from conventions.admin_showing import link, list_url, moment, pill, pretty
from payments.admin import finding
from payments.admin.lists import ChoiceFilter, CurrencyFilter, ReadOnly
from payments.admin.mirror import dashboard_link
from payments.models import Payment
from pricing.hour_amounts import hours_text
from pricing.models import HourLot, PricingPlan, PurchaseTransaction, Student, Subscription

MOST_FOUND = 1000  # payments or people whose purchases a search lists


def people_matching(term: str) -> list[str]:
    """Ids of the users whom a whole id or a whole e-mail address names."""
    named = Q(email=term.lower()) if "@" in term else Q(pk=term)
    return list(Student.objects.filter(named).order_by().values_list("pk", flat=True)[:MOST_FOUND])


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    column = "state"
    values = PurchaseTransaction.State.choices


class PlanFilter(ChoiceFilter):
    title = "plan"
    parameter_name = "plan"
    column = "plan"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [(str(pk), name) for pk, name in PricingPlan.objects.values_list("pk", "name")[:100]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        return queryset.filter(plan=int(value)) if value.isdecimal() and len(value) < 10 else queryset


@admin.register(PurchaseTransaction)
class PurchaseAdmin(ReadOnly):
    list_display = ("made", "name", "amount", "state_pill", "buyer", "payment_link")
    list_filter = (StateFilter, PlanFilter, CurrencyFilter)
    list_select_related = ("user",)
    date_hierarchy = "created_at"
    search_help_text = finding.HELP
    fields = (
        "id",
        "name",
        "amount",
        "hours",
        "state_pill",
        "buyer",
        "payment_link",
        "subscription_link",
        "lot_link",
        "made",
        "paid",
        "metadata_shown",
    )

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        prefix = term.partition("_")[0]
        if prefix in {"purchase", "subscription", "user"} and finding.is_id(term):
            return queryset.filter(**{"pk" if prefix == "purchase" else prefix: term})
        if "@" in term:
            return queryset.filter(Q(email=term.lower()) | Q(user__in=people_matching(term)))
        payments = Payment.objects.filter(finding.payments_matching(term)).order_by("-pk").values_list("pk", flat=True)
        return queryset.filter(payment__in=list(payments[:MOST_FOUND]))

    @admin.display(description="made")
    def made(self, purchase: PurchaseTransaction) -> str:
        return moment(purchase.created_at)

    @admin.display(description="paid")
    def paid(self, purchase: PurchaseTransaction) -> str:
        return moment(purchase.paid_at)

    @admin.display(description="amount")
    def amount(self, purchase: PurchaseTransaction) -> str:
        return purchase.money.display()

    @admin.display(description="hours")
    def hours(self, purchase: PurchaseTransaction) -> str:
        return hours_text(purchase.hours_hundredths)

    @admin.display(description="state")
    def state_pill(self, purchase: PurchaseTransaction) -> SafeString:
        return pill(purchase.state)

    @admin.display(description="bought by")
    def buyer(self, purchase: PurchaseTransaction) -> SafeString | str:
        if purchase.user is not None:
            return link(Student, purchase.user_id, purchase.user.email)
        return f"{purchase.email}, a guest" if purchase.email else "a guest"

    @admin.display(description="payment")
    def payment_link(self, purchase: PurchaseTransaction) -> SafeString | str:
        return link(Payment, purchase.payment_id)

    @admin.display(description="subscription")
    def subscription_link(self, purchase: PurchaseTransaction) -> SafeString | str:
        return link(Subscription, purchase.subscription_id)

    @admin.display(description="hours granted")
    def lot_link(self, purchase: PurchaseTransaction) -> SafeString | str:
        return link(HourLot, HourLot.objects.filter(purchase=purchase).values_list("pk", flat=True).first())

    @admin.display(description="kept with it")
    def metadata_shown(self, purchase: PurchaseTransaction) -> SafeString | str:
        return pretty(purchase.metadata) if purchase.metadata else "–"


class RunningFilter(StateFilter):
    values = Subscription.State.choices


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnly):
    """What Stripe said last. Subscriptions are ended by who has them, or in Stripe's dashboard."""

    list_display = ("made", "subscriber", "plan", "state_pill", "renews", "at_stripe")
    list_filter = (RunningFilter, PlanFilter)
    list_select_related = ("user", "plan")
    search_help_text = "A whole id (subscription_…, sub_…, user_…) or a whole e-mail address."
    fields = (
        "id",
        "subscriber",
        "plan",
        "agreed",
        "paid_month",
        "state_pill",
        "renews",
        "at_stripe",
        "made",
        "ended",
        "seen",
        "purchases",
    )

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if term.startswith("subscription_"):
            return queryset.filter(pk=term)
        return queryset.filter(stripe_id=term) if term.startswith("sub_") else queryset.filter(user__in=people_matching(term))

    @admin.display(description="made")
    def made(self, subscription: Subscription) -> str:
        return moment(subscription.created_at)

    @admin.display(description="subscriber")
    def subscriber(self, subscription: Subscription) -> SafeString | str:
        return link(Student, subscription.user_id, subscription.user.email)

    @admin.display(description="state")
    def state_pill(self, subscription: Subscription) -> SafeString:
        return pill(subscription.state, subscription.get_state_display())

    @admin.display(description="agreed for each coming month")
    def agreed(self, subscription: Subscription) -> str:
        price = subscription.agreed_price
        return f"{hours_text(subscription.agreed_hundredths)} hours for {price.display() if price else 'what Stripe bills'}"

    @admin.display(description="plan of the paid month")
    def paid_month(self, subscription: Subscription) -> str:
        return f"{subscription.plan_now}, until {moment(subscription.changes_at)}" if subscription.is_changing else "the same"

    @admin.display(description="paid until")
    def renews(self, subscription: Subscription) -> str:
        until = moment(subscription.current_period_end)
        return f"{until}, then it ends" if subscription.cancel_at_period_end and subscription.is_running else until

    @admin.display(description="at Stripe")
    def at_stripe(self, subscription: Subscription) -> SafeString | str:
        return dashboard_link("subscription", subscription.stripe_id) or subscription.stripe_id or "–"

    @admin.display(description="ended")
    def ended(self, subscription: Subscription) -> str:
        return moment(subscription.ended_at)

    @admin.display(description="Stripe's last word")
    def seen(self, subscription: Subscription) -> str:
        return moment(subscription.seen_at)

    @admin.display(description="purchases")
    def purchases(self, subscription: Subscription) -> SafeString:
        count = subscription.purchases.count()
        label = f"{count} purchase{'' if count == 1 else 's'}"
        return format_html('<a href="{}">{}</a>', list_url(PurchaseTransaction, q=subscription.pk), label)
