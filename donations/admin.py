"""Donations, donors, supporters and receipts: read, and where people wrote something, moderated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from rest_framework.serializers import ValidationError as RefusedText

from accounts.audited_admin import staff_of
from campaigns.models import Campaign
from conventions.admin_showing import breakable, change_url, link, link_by_id, list_url, moment, pill
from conventions.errors import DomainError
from conventions.serializers import refuse_control_characters
from donations.models import COUNTED, Donation, Donor, Receipt, Supporter
from donations.receipts import resend_receipt
from payments.admin import finding
from payments.admin.lists import CurrencyFilter, LongList, ReadOnly
from payments.admin.showing import money
from payments.models import Payment

if TYPE_CHECKING:
    DonationModelForm = forms.ModelForm[Donation]
else:
    DonationModelForm = forms.ModelForm

RESEND = "donations.resend_receipt"
LATEST_GIFTS = 50
MOST_FOUND = 1000  # donors or payments whose gifts a search lists
MOST_CAMPAIGNS = 30


class CampaignFilter(admin.SimpleListFilter):
    """`?campaign=<id>`: the newest campaigns, and the chosen one whatever its age."""

    title = "campaign"
    parameter_name = "campaign"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        newest = list(Campaign.objects.order_by("-created_at", "-pk").values_list("pk", "title")[:MOST_CAMPAIGNS])
        chosen = self.value()
        if chosen and chosen not in dict(newest):
            newest += Campaign.objects.filter(pk=chosen).values_list("pk", "title")
        return [(str(pk), title) for pk, title in newest]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(campaign=self.value()) if self.value() else queryset


class DonorFilter(admin.SimpleListFilter):
    """`?donor=<id>`: shown only while it is used."""

    title = "donor"
    parameter_name = "donor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        chosen = self.value()
        return [(chosen, chosen)] if chosen else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(donor=self.value()) if self.value() else queryset


class ModerationForm(DonationModelForm):
    """What a donor wrote for others to read."""

    class Meta:
        model = Donation
        fields = ("anonymous", "display_name", "message", "dedication_kind", "dedication_name")
        widgets = {"message": forms.Textarea(attrs={"rows": 4})}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name in ("display_name", "message", "dedication_name"):
            try:
                refuse_control_characters(cleaned.get(name, ""))
            except RefusedText:
                self.add_error(name, "Control characters are not allowed.")
        if bool(cleaned.get("dedication_kind")) != bool(cleaned.get("dedication_name")):
            self.add_error("dedication_name", "A dedication needs both its kind and a name, or neither.")
        return cleaned


@admin.register(Donation)
class DonationAdmin(LongList):
    form = ModerationForm
    change_form_template = "admin/donations/donation/change_form.html"
    list_display = ("amount", "state_pill", "campaign_link", "donor_link", "anonymous", "made", "id")
    list_filter = ("state", "anonymous", CurrencyFilter, DonorFilter, CampaignFilter)
    list_select_related = ("campaign", "donor")
    date_hierarchy = "created_at"
    search_help_text = finding.HELP
    facts = ("id", "amount", "state_pill", "campaign_link", "donor_link", "payment_link", "receipt_mail", "made", "paid")
    fieldsets = (
        (None, {"fields": facts}),
        (
            "What others see",
            {
                "fields": ("anonymous", "display_name", "message", "dedication_kind", "dedication_name"),
                "description": "Moderation only: an anonymous gift shows its amount and time, whatever is written here.",
            },
        ),
    )
    readonly_fields = facts
    personal_columns = ("display_name", "message", "dedication_name")

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        amount = finding.amount_matching(term)
        if amount is not None:
            return queryset.filter(amount)
        if finding.is_id(term):
            column = {"donation": "pk", "donor": "donor", "campaign": "campaign"}.get(term.partition("_")[0])
            if column:
                return queryset.filter(**{column: term})
            return queryset.filter(payment__in=Payment.objects.filter(finding.payments_matching(term)))
        # Found in its own table each, then by key: a condition over several joined tables would read all of them.
        if "@" in term:
            address = term.lower()
            payments = Payment.objects.filter(customer_email=address).order_by("-pk").values_list("pk", flat=True)
            given = Q(donor__in=list(Donor.objects.filter(email=address).values_list("pk", flat=True)))
            return queryset.filter(given | Q(payment__in=list(payments[:MOST_FOUND])))
        donors = Donor.objects.filter(name__icontains=term).order_by("-pk").values_list("pk", flat=True)
        return queryset.filter(Q(display_name__icontains=term) | Q(donor__in=list(donors[:MOST_FOUND])))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("campaign", "donor")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.resend_view)
        return [path("<path:object_id>/resend-receipt/", view, name="donations_donation_resend"), *super().get_urls()]

    def may_resend(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and request.user.has_perm(RESEND)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        donation = context.get("original")
        if donation and donation.state in COUNTED and donation.donor_id and self.may_resend(request):
            context["resend_url"] = reverse("admin:donations_donation_resend", args=[quote(donation.pk)])
        return super().render_change_form(request, context, *args, **kwargs)

    def resend_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """One button; the mail is sent outside of any transaction, and whether it went is told at once."""
        if not self.may_resend(request):
            raise PermissionDenied
        donation = Donation.objects.filter(pk=unquote(object_id)).first()
        if donation is None:
            raise Http404("There is no such donation.")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            sent = resend_receipt(donation_id=donation.pk, actor=staff_of(request))
        except DomainError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            told = "The receipt was sent again." if sent else "The mail server did not take the receipt; its page says why."
            self.message_user(request, told, messages.SUCCESS if sent else messages.ERROR)
        return HttpResponseRedirect(change_url(Donation, donation.pk))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Donation, form: Any, change: bool) -> None:
        """Only what was edited: a settlement may have written the rest since the form was opened."""
        if form.changed_data:
            obj.save(update_fields=form.changed_data)

    @admin.display(description="amount")
    def amount(self, donation: Donation) -> str:
        return donation.money.display()

    @admin.display(description="state")
    def state_pill(self, donation: Donation) -> SafeString:
        return pill(donation.state)

    @admin.display(description="campaign")
    def campaign_link(self, donation: Donation) -> SafeString | str:
        return link(Campaign, donation.campaign_id, donation.campaign.title)

    @admin.display(description="donor")
    def donor_link(self, donation: Donation) -> SafeString | str:
        return link(Donor, donation.donor_id, str(donation.donor))

    @admin.display(description="payment")
    def payment_link(self, donation: Donation) -> SafeString | str:
        return link(Payment, donation.payment_id)

    @admin.display(description="receipt")
    def receipt_mail(self, donation: Donation) -> SafeString | str:
        receipt = Receipt.objects.filter(pk=donation.pk).first()
        return link(Receipt, receipt.pk, _receipt_state(receipt)) if receipt else "–"

    @admin.display(description="made")
    def made(self, donation: Donation) -> str:
        return moment(donation.created_at)

    @admin.display(description="paid")
    def paid(self, donation: Donation) -> str:
        return moment(donation.paid_at)


@admin.register(Donor)
class DonorAdmin(ReadOnly):
    list_display = ("address", "name", "anonymous_by_default", "user_link", "made")
    list_filter = ("anonymous_by_default",)
    date_hierarchy = "created_at"
    search_help_text = "A whole id (donor_…, user_…), a whole e-mail address, or part of a name."
    fields = ("id", "email", "name", "locale", "anonymous_by_default", "user_link", "made", "gifts")

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if finding.is_id(term):
            return queryset.filter(**{"user" if term.startswith("user_") else "pk": term})
        return queryset.filter(email=term.lower()) if "@" in term else queryset.filter(name__icontains=term)

    @admin.display(description="e-mail")
    def address(self, donor: Donor) -> SafeString:
        return breakable(donor.email)

    @admin.display(description="user")
    def user_link(self, donor: Donor) -> SafeString | str:
        return link_by_id(donor.user_id) if donor.user_id else "–"

    @admin.display(description="since")
    def made(self, donor: Donor) -> str:
        return moment(donor.created_at)

    @admin.display(description="gifts")
    def gifts(self, donor: Donor) -> SafeString:
        """The latest, and where all of them are."""
        latest = donor.donations.select_related("campaign").order_by("-pk")[:LATEST_GIFTS]
        rows = format_html_join(
            "\n",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            ((moment(g.created_at), link(Donation, g.pk, g.money.display()), pill(g.state), g.campaign.title) for g in latest),
        )
        table = format_html('<table class="gifts"><tbody>{}</tbody></table>', rows)
        return format_html(
            '<div>{}<p><a href="{}">All gifts of this donor</a></p></div>', table, list_url(Donation, donor=donor.pk)
        )


@admin.register(Supporter)
class SupporterAdmin(ReadOnly):
    list_display = ("donor_link", "campaign_link", "count", "total")
    list_select_related = ("campaign", "donor")
    list_filter = (CampaignFilter, DonorFilter)
    search_help_text = "A donor's whole id or e-mail address, or a campaign's whole id."
    fields = ("donor_link", "campaign_link", "count", "total")

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if term.startswith("campaign_"):
            return queryset.filter(campaign=term)
        return queryset.filter(donor=term) if finding.is_id(term) else queryset.filter(donor__email=term.lower())

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        return ("count",)

    @admin.display(description="donor")
    def donor_link(self, supporter: Supporter) -> SafeString | str:
        return link(Donor, supporter.donor_id, str(supporter.donor))

    @admin.display(description="campaign")
    def campaign_link(self, supporter: Supporter) -> SafeString | str:
        return link(Campaign, supporter.campaign_id, supporter.campaign.title)

    @admin.display(description="net total")
    def total(self, supporter: Supporter) -> str:
        return money(supporter.total_minor, supporter.campaign.currency)


class SentFilter(admin.SimpleListFilter):
    title = "sent"
    parameter_name = "sent"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [("yes", "sent"), ("failed", "failed"), ("unknown", "claimed, not known whether sent")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "yes":
            return queryset.filter(sent_at__isnull=False)
        if self.value() == "failed":
            return queryset.filter(sent_at=None).exclude(last_error="")
        return queryset.filter(sent_at=None, last_error="") if self.value() == "unknown" else queryset


def _receipt_state(receipt: Receipt) -> str:
    if receipt.sent_at:
        return f"sent {moment(receipt.sent_at)}"
    return "failed" if receipt.last_error else "claimed, not known whether sent"


@admin.register(Receipt)
class ReceiptAdmin(ReadOnly):
    list_display = ("claimed", "state", "donation_link", "attempts", "last_error")
    list_filter = (SentFilter,)
    search_help_text = "A gift's whole id (donation_…)."
    fields = ("donation_link", "state", "claimed", "attempts", "last_error")

    @admin.display(description="donation")
    def donation_link(self, receipt: Receipt) -> SafeString | str:
        return link(Donation, receipt.pk)

    @admin.display(description="state")
    def state(self, receipt: Receipt) -> str:
        return _receipt_state(receipt)

    @admin.display(description="claimed")
    def claimed(self, receipt: Receipt) -> str:
        return moment(receipt.claimed_at)
