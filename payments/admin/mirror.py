"""The mirror of Stripe (dj-stripe's tables), to be looked at: nothing is added, changed, deleted or synced from here.

Of dj-stripe's models only those stand here that payments/mirror.py keeps. Its API keys, webhook endpoints and their
triggers hold secrets and stay out of the back office.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from djstripe import models as djstripe

from conventions.admin_showing import change_url, moment, pill, pretty
from payments.admin.lists import ReadOnly
from payments.admin.showing import FOUND_IN, money, stripe_link
from payments.mirror import MODELS
from payments.models import Payment

DASHBOARD = "https://dashboard.stripe.com"
PAGES = {
    "payment_intent": "payments",
    "charge": "payments",
    "customer": "customers",
    "payout": "payouts",
    "subscription": "subscriptions",
}
# Rows that dj-stripe's own commands wrote may hold what ours do not.
HIDDEN = frozenset({"client_secret", "secret"})


class MirroredAdmin(ReadOnly):
    list_display = ("id", "made", "amount", "status_pill", "fetched")
    fields = ("id", "made", "amount", "status_pill", "named", "with_us", "at_stripe", "account", "fetched", "document")
    search_help_text = "A whole id, as Stripe writes it."

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(id=term)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """By Stripe's id, which links use, or by the row's number."""
        column = "pk" if object_id.isascii() and object_id.isdigit() else "id"
        return self.get_queryset(request).filter(**{column: object_id}).first()

    @admin.display(description="made at Stripe")
    def made(self, row: Any) -> str:
        return moment(row.created)

    @admin.display(description="fetched")
    def fetched(self, row: Any) -> str:
        return moment(row.djstripe_updated)

    @admin.display(description="amount")
    def amount(self, row: Any) -> str:
        data = row.stripe_data
        minor = data.get("amount", data.get("amount_total"))
        return money(minor, data["currency"]) if isinstance(minor, int) and data.get("currency") else "–"

    @admin.display(description="status")
    def status_pill(self, row: Any) -> SafeString | str:
        status = row.stripe_data.get("payment_status") or row.stripe_data.get("status")
        return pill(str(status)) if status else "–"

    @admin.display(description="account")
    def account(self, row: Any) -> str:
        return row.djstripe_owner_account_id or "–"

    @admin.display(description="belongs to")
    def named(self, row: Any) -> SafeString | str:
        """The rows that this one names, each with a link."""
        keys = [field for field in row._meta.concrete_fields if isinstance(field, models.ForeignKey)]
        links = [
            (change_url(field.related_model, getattr(row, field.attname)), getattr(row, field.attname))
            for field in keys
            if field.related_model in MODELS.values() and getattr(row, field.attname)
        ]
        return format_html_join(" ", '<a href="{}">{}</a>', links) or "–"

    @admin.display(description="with us")
    def with_us(self, row: Any) -> SafeString | str:
        return stripe_link(row.id) if row.id.partition("_")[0] in FOUND_IN else "–"

    @admin.display(description="in Stripe's dashboard")
    def at_stripe(self, row: Any) -> SafeString | str:
        kind = next(kind for kind, model in MODELS.items() if isinstance(row, model))
        return dashboard_link(kind, row.id) or "–"

    @admin.display(description="object")
    def document(self, row: Any) -> SafeString:
        return pretty(_without_secrets(row.stripe_data))


admin.site.register(list(MODELS.values()), MirroredAdmin)


def mirrored_links(payment: Payment) -> list[tuple[str, SafeString]]:
    """Facts for a payment's page: where its objects stand in the mirror, and in Stripe's dashboard. One query."""
    ids = [name for name in (payment.checkout_session, payment.payment_intent, payment.charge) if name]
    kept: dict[str, type[models.Model]] = {}
    if ids and settings.STRIPE_MIRROR:
        shown = (djstripe.Session, djstripe.PaymentIntent, djstripe.Charge)
        first, *rest = (
            model._default_manager.filter(id__in=ids).order_by().values_list("id", models.Value(place))
            for place, model in enumerate(shown)
        )
        kept = {stripe_id: shown[place] for stripe_id, place in first.union(*rest, all=True)}
    links = format_html_join(" ", '<a href="{}">{}</a>', [(change_url(kept[name], name), name) for name in ids if name in kept])
    dashboard = dashboard_link("payment_intent", payment.payment_intent)
    return [(name, value) for name, value in (("Mirrored", links), ("Dashboard", dashboard)) if value]


def mirrored_link(kind: str, stripe_id: str) -> SafeString:
    """To the mirror's row of an object (a key of `MODELS`), empty where it has none. One query."""
    model = MODELS[kind]
    if not settings.STRIPE_MIRROR or not model._default_manager.filter(id=stripe_id).exists():
        return SafeString("")
    return format_html('<a href="{}">{}</a>', change_url(model, stripe_id), stripe_id)


def dashboard_link(kind: str, stripe_id: str | None) -> SafeString:
    """Empty where there is no such page, or where a sandbox answers as Stripe."""
    if not stripe_id or kind not in PAGES or settings.STRIPE_API_BASE:
        return SafeString("")
    mode = "" if settings.STRIPE_LIVE_MODE else "/test"
    url = f"{DASHBOARD}{mode}/{PAGES[kind]}/{stripe_id}"
    return format_html('<a href="{}" rel="noreferrer">{}</a>', url, stripe_id)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(inner) for name, inner in value.items() if name not in HIDDEN}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value
