"""Campaigns: how each stands, and the form in which staff change one. Money is written in major units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from rest_framework.serializers import ValidationError as RefusedText

from accounts.audited_admin import AuditedAdmin
from campaigns.models import Campaign, tallied
from campaigns.serializers import progress_percent
from conventions.admin_showing import list_url, moment, pill
from conventions.errors import InvalidInput
from conventions.serializers import refuse_control_characters
from payments.admin.showing import money
from payments.models import Transfer
from payments.money import Money, check_currency

if TYPE_CHECKING:
    CampaignModelForm = forms.ModelForm[Campaign]
else:
    CampaignModelForm = forms.ModelForm

AMOUNT_HELP = "As people write it: 5000 or 5000.00."


class CampaignForm(CampaignModelForm):
    """`goal` and `minimum` are major units, stored exactly or refused, never rounded."""

    goal = forms.CharField(max_length=20, required=False, help_text=f"{AMOUNT_HELP} Empty: no goal.")
    minimum = forms.CharField(
        max_length=20, required=False, label="Smallest gift", help_text=f"{AMOUNT_HELP} Stripe's own minimum holds besides."
    )

    class Meta:
        model = Campaign
        fields = ("title", "slug", "summary", "story", "image_url", "state", "starts_at", "ends_at", "owner", "currency")
        widgets = {"summary": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        campaign = self.instance
        if "currency" in self.fields:  # fixed once the campaign is made
            self.fields["currency"].initial = settings.DEFAULT_CURRENCY
            self.fields["currency"].help_text = "Three letters, such as usd or eur. It cannot be changed later."
        if not campaign._state.adding:
            self.initial.setdefault("goal", str(campaign.goal) if campaign.goal else "")
            self.initial.setdefault("minimum", str(Money(campaign.minimum_minor, campaign.currency)))

    def clean_currency(self) -> str:
        try:
            return check_currency(self.cleaned_data["currency"])
        except InvalidInput as error:
            raise forms.ValidationError(error.message, code=error.code) from error

    def clean_title(self) -> str:
        return _without_control_characters(self.cleaned_data["title"])

    def clean_summary(self) -> str:
        return _without_control_characters(self.cleaned_data["summary"])

    def clean_story(self) -> str:
        return _without_control_characters(self.cleaned_data["story"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        starts_at, ends_at = cleaned.get("starts_at"), cleaned.get("ends_at")
        if starts_at and ends_at and ends_at <= starts_at:
            self.add_error("ends_at", "The end must be after the start.")
        currency = cleaned.get("currency") or self.instance.currency
        if currency:  # else the currency itself was refused
            goal = self._minor("goal", currency)
            if goal is not None and goal <= 0:
                self.add_error("goal", "The goal must be more than zero.")
            minimum = self._minor("minimum", currency)
            if minimum is not None and minimum < 0:
                self.add_error("minimum", "The minimum cannot be negative.")
            self.instance.goal_minor, self.instance.minimum_minor = goal, minimum or 0
        return cleaned

    def _minor(self, name: str, currency: str) -> int | None:
        """The minor units written in a field; None where it is empty or refused."""
        written = self.cleaned_data.get(name)
        if not written:
            return None
        try:
            return Money.parse(written, currency, field=name).amount_minor
        except InvalidInput as error:
            self.add_error(name, forms.ValidationError(error.message, code=error.code))
            return None


def _without_control_characters(text: str) -> str:
    """The rule of the API, for what staff write here."""
    try:
        refuse_control_characters(text)
    except RefusedText as error:
        raise forms.ValidationError("Control characters are not allowed.", code="control_characters") from error
    return text


@admin.register(Campaign)
class CampaignAdmin(AuditedAdmin):
    form = CampaignForm
    list_display = ("title", "state_pill", "raised", "progress", "goal", "donations", "donors", "ends_at")
    list_filter = ("state", "is_general_fund", "currency")
    search_fields = ("title", "slug", "=id")
    search_help_text = "Part of a title or address, or a whole id (campaign_…)."
    ordering = ("-created_at", "-id")
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    prepopulated_fields = {"slug": ("title",)}
    actions = None
    written = (
        (None, {"fields": ("title", "slug", "state", "summary", "story", "image_url")}),
        ("Money", {"fields": ("currency", "goal", "minimum")}),
        ("When and who", {"fields": ("starts_at", "ends_at", "owner")}),
    )
    shown = (
        (
            "Totals",
            {"fields": ("raised", "progress", "gross", "given_back", "disputed", "donations", "donors", "last_gift", "books")},
        ),
        ("On record", {"fields": ("id", "is_general_fund", "created")}),
    )
    totals = ("raised", "progress", "gross", "given_back", "disputed", "donations", "donors", "last_gift", "books")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        return Campaign.objects.with_totals().order_by(*self.ordering)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.written if obj is None else (*self.written, *self.shown)

    def get_autocomplete_fields(self, request: HttpRequest) -> Any:
        """Who may not see people can search none: see `get_readonly_fields`."""
        return ("owner",) if request.user.has_perm("accounts.view_user") else ()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        people = () if request.user.has_perm("accounts.view_user") else ("owner",)
        return people if obj is None else ("currency", "id", "is_general_fund", "created", *self.totals, *people)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.prepopulated_fields if obj is None else {}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only a draft that nobody has given to; what has moved money stays."""
        if obj is None or obj.is_general_fund or obj.state != Campaign.State.DRAFT or obj.donations.exists():
            return False
        return super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        if not change and obj.owner is None and request.user.is_authenticated:
            obj.owner = request.user
        super().save_model(request, obj, form, change)

    @admin.display(description="state")
    def state_pill(self, campaign: Campaign) -> SafeString:
        return pill(campaign.state)

    @admin.display(description="raised, net")
    def raised(self, campaign: Campaign) -> str:
        return money(_net_minor(campaign), campaign.currency)

    @admin.display(description="of the goal")
    def progress(self, campaign: Campaign) -> SafeString | str:
        percent = progress_percent(_net_minor(campaign), campaign.goal_minor)
        if percent is None:
            return "–"
        shown = percent.removesuffix(".0")
        return format_html('<progress max="100" value="{}" aria-label="{} %"></progress> {} %', percent, shown, shown)

    @admin.display(description="goal")
    def goal(self, campaign: Campaign) -> str:
        return campaign.goal.display() if campaign.goal else "–"

    @admin.display(description="donations")
    def donations(self, campaign: Campaign) -> int:
        return tallied(campaign)["donations"]

    @admin.display(description="donors")
    def donors(self, campaign: Campaign) -> int:
        return tallied(campaign)["donors"]

    @admin.display(description="raised, gross")
    def gross(self, campaign: Campaign) -> str:
        return money(tallied(campaign)["raised_minor"], campaign.currency)

    @admin.display(description="refunded")
    def given_back(self, campaign: Campaign) -> str:
        return money(tallied(campaign)["refunded_minor"], campaign.currency)

    @admin.display(description="held by disputes")
    def disputed(self, campaign: Campaign) -> str:
        return money(tallied(campaign)["disputed_minor"], campaign.currency)

    @admin.display(description="last gift")
    def last_gift(self, campaign: Any) -> str:
        return moment(campaign.total_last_donation_at)

    @admin.display(description="created")
    def created(self, campaign: Campaign) -> str:
        return moment(campaign.created_at)

    @admin.display(description="behind the totals")
    def books(self, campaign: Campaign) -> SafeString:
        """Where the totals can be checked."""
        return format_html(
            '<a href="{}">transfers of {}</a> · <a href="{}">proof</a>',
            list_url(Transfer, account=campaign.account),
            campaign.account,
            reverse("campaign-proof", args=[campaign.pk]),
        )


def _net_minor(campaign: Campaign) -> int:
    totals = tallied(campaign)
    return totals["raised_minor"] - totals["refunded_minor"] - totals["disputed_minor"]
