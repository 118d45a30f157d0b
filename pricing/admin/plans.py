"""Plans with their prices, and products: what staff write. Amounts are major units, hours have at most two decimals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework.serializers import ValidationError as RefusedText

from accounts.audited_admin import AuditedAdmin
from conventions.admin_showing import pill
from conventions.errors import InvalidInput
from conventions.serializers import refuse_control_characters
from payments.money import Money, check_currency
from pricing.hour_amounts import hours_text, parse_hours
from pricing.models import PlanPrice, PricingPlan, Product

if TYPE_CHECKING:
    PlanModelForm = forms.ModelForm[PricingPlan]
    PriceModelForm = forms.ModelForm[PlanPrice]
    ProductModelForm = forms.ModelForm[Product]
    PriceFormSet = forms.BaseInlineFormSet[PlanPrice, PricingPlan, Any]
    Inline = admin.TabularInline[PlanPrice, PricingPlan]
else:
    PlanModelForm = PriceModelForm = ProductModelForm = forms.ModelForm
    PriceFormSet = forms.BaseInlineFormSet
    Inline = admin.TabularInline

AMOUNT_HELP = "As people write it: 75 or 75.00."


def _refused(error: InvalidInput) -> forms.ValidationError:
    return forms.ValidationError(error.message, code=error.code)


def _plain_text(form: Any, *names: str) -> None:
    """The rule of the API, for what staff write here."""
    for name in names:
        try:
            refuse_control_characters(form.cleaned_data.get(name) or "")
        except RefusedText:
            form.add_error(name, forms.ValidationError("Control characters are not allowed.", code="control_characters"))


def _take_amount(form: Any) -> None:
    """Major units into `amount_minor`: exact in the currency and chargeable there, or refused, never rounded."""
    written, currency = form.cleaned_data.get("amount"), form.cleaned_data.get("currency")
    if not written or not currency:  # what is missing or wrong with them is told already
        return
    try:
        money = Money.parse(written, currency)
        money.check_chargeable()
    except InvalidInput as error:
        form.add_error("amount", _refused(error))
    else:
        form.instance.amount_minor = money.amount_minor


def _clean_currency(form: Any) -> str:
    try:
        return check_currency(form.cleaned_data["currency"])
    except InvalidInput as error:
        raise _refused(error) from error


class PriceForm(PriceModelForm):
    """`amount` is major units. A price keeps its currency: Stripe's own price, which subscribers pay, has one for ever."""

    amount = forms.CharField(max_length=20, help_text=AMOUNT_HELP)

    class Meta:
        model = PlanPrice
        fields = ("currency", "is_default")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["amount"] = str(self.instance.money)
            self.fields["currency"].disabled = True

    def clean_currency(self) -> str:
        return _clean_currency(self)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        _take_amount(self)
        return cleaned

    def validate_constraints(self) -> None:
        """Of the rows as they stand now; they are checked together, as they will stand: see below."""


class Prices(PriceFormSet):
    """The rows as they will stand have exactly one default; that a currency stands once, Django sees from the constraint."""

    def clean(self) -> None:
        super().clean()
        rows = [form.cleaned_data for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        defaults = sum(bool(row.get("is_default")) for row in rows)
        if rows and defaults != 1:
            raise forms.ValidationError("Choose one price as the default; others are for who asks for them.", code="one_default")
        if not rows and self.instance.is_active:
            raise forms.ValidationError("A plan on sale needs a price.", code="no_price")


class PriceInline(Inline):
    model = PlanPrice
    form = PriceForm
    formset = Prices
    fields = ("currency", "amount", "is_default")
    extra = 1
    max_num = 30
    ordering = ("pk",)


class PlanForm(PlanModelForm):
    hours = forms.CharField(
        max_length=20, label="Hours included", help_text="A number such as 5 or 1.25; a subscription's, a month."
    )

    class Meta:
        model = PricingPlan
        fields = ("name", "description", "plan_type", "validity_days", "is_active", "is_featured", "display_order")
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial.setdefault("hours", hours_text(self.instance.hours_hundredths))

    def clean_hours(self) -> str:
        try:
            self.instance.hours_hundredths = parse_hours(self.cleaned_data["hours"])
        except InvalidInput as error:
            raise _refused(error) from error
        return str(self.cleaned_data["hours"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        _plain_text(self, "name", "description")
        return cleaned


@admin.register(PricingPlan)
class PlanAdmin(AuditedAdmin):
    """Saving a plan or a price drops the public list when it commits. What was bought keeps what it promised."""

    form = PlanForm
    inlines = (PriceInline,)
    list_display = ("name", "plan_type", "hours", "prices_shown", "validity_days", "sale", "is_featured", "display_order")
    list_filter = ("plan_type", "is_active")
    search_fields = ("name",)
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    actions = None
    fieldsets = (
        (None, {"fields": ("name", "description", "plan_type", "hours", "validity_days")}),
        ("On the list", {"fields": ("is_active", "is_featured", "display_order")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[PricingPlan]:
        return PricingPlan.objects.order_by("display_order", "pk").prefetch_related("prices")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who subscribed to a plan did not buy a package."""
        return () if obj is None else ("plan_type",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was never sold; else it is taken off sale."""
        if obj is not None and (obj.purchases.exists() or obj.subscriptions.exists()):
            return False
        return super().has_delete_permission(request, obj)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Rows are saved one by one, and the database allows one default at every moment: the old one goes first."""
        chosen = [one.instance.pk for one in formset.forms if one.cleaned_data.get("is_default")]
        PlanPrice.objects.filter(plan=form.instance, is_default=True).exclude(pk__in=filter(None, chosen)).update(
            is_default=False
        )
        super().save_formset(request, form, formset, change)

    @admin.display(description="hours")
    def hours(self, plan: PricingPlan) -> str:
        return plan.hours_included

    @admin.display(description="prices")
    def prices_shown(self, plan: PricingPlan) -> str:
        prices = sorted(plan.prices.all(), key=lambda price: (not price.is_default, price.currency))
        return " · ".join(price.money.display() for price in prices) or "none yet"

    @admin.display(description="sale")
    def sale(self, plan: PricingPlan) -> str:
        if plan.is_active and any(price.is_default for price in plan.prices.all()):
            return pill("live", "on sale")
        return pill("closed", "no price" if plan.is_active else "off sale")


class ProductForm(ProductModelForm):
    amount = forms.CharField(max_length=20, label="Price", help_text=AMOUNT_HELP)

    class Meta:
        model = Product
        fields = ("sku", "name", "description", "currency", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            self.initial.setdefault("currency", settings.DEFAULT_CURRENCY)
        else:
            self.initial.setdefault("amount", str(self.instance.money))

    def clean_currency(self) -> str:
        return _clean_currency(self)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        _plain_text(self, "name", "description")
        _take_amount(self)
        return cleaned


@admin.register(Product)
class ProductAdmin(AuditedAdmin):
    form = ProductForm
    list_display = ("name", "sku", "price", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name", "sku")
    ordering = ("name", "pk")
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    actions = None
    fieldsets = ((None, {"fields": ("sku", "name", "description", "currency", "amount", "is_active")}),)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was never sold; else it is taken off sale."""
        if obj is not None and obj.purchases.exists():
            return False
        return super().has_delete_permission(request, obj)

    @admin.display(description="price")
    def price(self, product: Product) -> str:
        return product.money.display()
