"""Saved payment methods, and what organizations were told: read only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from conventions.admin_showing import link_by_id, moment, pill, pretty
from payments.admin.lists import ChoiceFilter
from wallets.admin.lists import OfWallets
from wallets.models import Notice, NoticeDelivery, PaymentMethod, TopUp

MOST_DELIVERIES = 100


class AttachedFilter(admin.SimpleListFilter):
    title = "methods"
    parameter_name = "attached"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[Any, str]]:
        return [("yes", "saved"), ("no", "removed")]

    def queryset(self, request: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = {"yes": True, "no": False}.get(self.value() or "")
        return queryset if wanted is None else queryset.filter(detached_at__isnull=wanted)


@admin.register(PaymentMethod)
class PaymentMethodAdmin(OfWallets):
    """Of a card never more than its brand, last four digits and expiry; the rest is at Stripe alone."""

    list_display = ("attached", "shown", "expiry", "state_pill", "organization_link", "stripe_id")
    list_filter = (AttachedFilter,)
    search_help_text = "A whole id (method_…, pm_…, org_…, wallet_…), or part of an organization's name."
    found_by = {"method": "pk", "pm": "stripe_id", "card": "stripe_id", "wallet": "organization__wallets"}
    fields = (
        "id",
        "shown",
        "expiry",
        "state_pill",
        "organization_link",
        "stripe_id",
        "fingerprint",
        "attached",
        "detached",
        "seen",
        "told_of_expiry",
    )

    def of_payments(self, queryset: QuerySet[Any], payments: list[str]) -> QuerySet[Any]:
        organizations = TopUp.objects.filter(payment__in=payments).order_by().values_list("organization", flat=True)
        return queryset.filter(organization__in=list(organizations))

    @admin.display(description="saved")
    def attached(self, method: PaymentMethod) -> str:
        return moment(method.attached_at)

    @admin.display(description="removed")
    def detached(self, method: PaymentMethod) -> str:
        return moment(method.detached_at)

    @admin.display(description="Stripe's last word")
    def seen(self, method: PaymentMethod) -> str:
        return moment(method.seen_at)

    @admin.display(description="told of its expiry")
    def told_of_expiry(self, method: PaymentMethod) -> str:
        return moment(method.expiry_told_at)

    @admin.display(description="method")
    def shown(self, method: PaymentMethod) -> str:
        ends = f" ending in {method.last4}" if method.last4 else ""
        return f"{(method.brand or method.type).replace('_', ' ')}{ends}"

    @admin.display(description="expires")
    def expiry(self, method: PaymentMethod) -> str:
        return f"{method.exp_month:02d}/{method.exp_year}" if method.exp_month and method.exp_year else "–"

    @admin.display(description="state")
    def state_pill(self, method: PaymentMethod) -> SafeString:
        if method.detached_at:
            return pill("canceled", "removed")
        return pill("paid", "default") if method.is_default else pill("open", "saved")


# -- what was told -----------------------------------------------------------------------------------
class KindFilter(ChoiceFilter):
    title = "kind"
    parameter_name = "kind"
    column = "kind"
    values = Notice.Kind.choices


def delivery_pill(delivery: NoticeDelivery) -> SafeString:
    if delivery.sent_at:
        return pill("paid", "sent")
    if delivery.next_attempt_at:
        return pill("pending", "waits")
    return pill("failed", "given up" if delivery.last_error or delivery.attempts else "not sent")


@admin.register(Notice)
class NoticeAdmin(OfWallets):
    """What an organization's owners and admins were told about its money, and how far the telling got."""

    list_display = ("made", "told", "organization_link", "about")
    list_filter = (KindFilter,)
    date_hierarchy = "created_at"
    search_help_text = "A whole id (notice_…, wallet_…, topup_…, org_…), or part of an organization's name."
    found_by = {"notice": "pk", "wallet": "wallet", "topup": "facts__top_up", "user": "deliveries__user"}
    fields = ("id", "told", "organization_link", "wallet_link", "made", "deliveries", "key", "all_facts")

    @admin.display(description="told")
    def told(self, notice: Notice) -> str:
        return notice.kind.replace("_", " ")

    @admin.display(description="about")
    def about(self, notice: Notice) -> SafeString | str:
        named = notice.facts.get("top_up") or notice.facts.get("payment") or notice.wallet_id
        return link_by_id(str(named)) if named else "–"

    @admin.display(description="to whom")
    def deliveries(self, notice: Notice) -> SafeString | str:
        found = NoticeDelivery.objects.filter(notice=notice).select_related("user").order_by("created_at", "pk")
        lines = (
            (delivery_pill(one), one.user, one.channel, moment(one.sent_at), one.last_error) for one in found[:MOST_DELIVERIES]
        )
        return format_html_join("", "<div>{} {} by {} {} {}</div>", lines) or "nobody: it has no owner or admin"

    @admin.display(description="facts")
    def all_facts(self, notice: Notice) -> SafeString:
        return pretty(notice.facts)
