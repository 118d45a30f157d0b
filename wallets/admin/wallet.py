"""Wallets: a list of what each has, holds and owes, and a page that tells one wallet's story."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.models import Organization, User
from conventions.admin_showing import change_url, link, list_url, moment, pill
from conventions.charts import Chart
from conventions.errors import InvalidInput
from payments.admin.showing import money
from payments.money import Money
from wallets.adjusting import propose
from wallets.admin import story
from wallets.admin.acting import Act, Acting, ReasonForm
from wallets.admin.adjustments import signed
from wallets.admin.lists import OfWallets
from wallets.admin.movements import WalletCurrencyFilter
from wallets.amounts import with_amounts
from wallets.blocking import block, unblock
from wallets.charting import top_up_charts
from wallets.models import PaymentMethod, TopUp, Wallet
from wallets.statistics import of_wallet

DAYS_DRAWN = 30


class StandingFilter(admin.SimpleListFilter):
    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [
            ("owing", "owes money"),
            ("blocked", "blocked by staff"),
            ("paused", "does not top up by itself any more"),
            ("low", "low"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted: dict[str, dict[str, Any]] = {
            "owing": {"owed_since__isnull": False},
            "blocked": {"blocked_at__isnull": False},
            "paused": {"top_up_paused_at__isnull": False},
            "low": {"is_low": True},
        }
        return queryset.filter(**wanted.get(self.value() or "", {}))


# -- acts -------------------------------------------------------------------------------------------------
def _block(wallet: Wallet, actor: User, asked: dict[str, Any]) -> str:
    block(wallet_id=wallet.pk, actor=actor, reason=asked["reason"])
    return "The wallet is blocked: nothing is spent or held until somebody unblocks it."


def _unblock(wallet: Wallet, actor: User, asked: dict[str, Any]) -> str:
    unblock(wallet_id=wallet.pk, actor=actor, reason=asked["reason"])
    return (
        "The wallet can be spent again." if wallet.owed_since is None else "Unblocked; it stays shut until what is owed is paid."
    )


BLOCK = Act(
    name="block",
    title="Block…",
    permission="wallets.block_wallet",
    form=ReasonForm,
    refused=lambda wallet, _: "This wallet is blocked already." if wallet.blocked_at else "",
    told=lambda wallet: (
        f"Nothing of the wallet of “{wallet.organization.name}” will be spent or held, and it will not top itself up. Holds that "
        "exist may still be captured, and money may still come in."
    ),
    do=_block,
)
UNBLOCK = Act(
    name="unblock",
    title="Unblock…",
    permission="wallets.block_wallet",
    form=ReasonForm,
    refused=lambda wallet, _: "" if wallet.blocked_at else "This wallet is not blocked by staff.",
    told=lambda wallet: f"Blocked since {moment(wallet.blocked_at)}: {wallet.blocked_reason}",
    do=_unblock,
)


class AdjustForm(ReasonForm):
    direction = forms.ChoiceField(
        choices=[("add", "Add to the wallet"), ("take", "Take from the wallet")],
        widget=forms.RadioSelect,
        initial="add",
        label="Act",
    )
    amount = forms.CharField(max_length=20)
    field_order = ("direction", "amount", "reason")

    def __init__(self, row: Wallet, *args: Any, **kwargs: Any) -> None:
        super().__init__(row, *args, **kwargs)
        self.fields["amount"].help_text = f"In {row.currency.upper()}."

    def clean_amount(self) -> int:
        """Minor units."""
        try:
            asked = Money.parse(self.cleaned_data["amount"], self.row.currency)
        except InvalidInput as error:
            raise forms.ValidationError(error.message, code=error.code) from error
        if asked.amount_minor <= 0:
            raise forms.ValidationError("Write an amount of more than zero.", code="amount_too_small")
        return asked.amount_minor


def _propose(wallet: Wallet, actor: User, asked: dict[str, Any]) -> str:
    amount_minor = asked["amount"] if asked["direction"] == "add" else -asked["amount"]
    propose(wallet=wallet, amount_minor=amount_minor, reason=asked["reason"], actor=actor)
    return "Proposed. Nothing has moved yet: somebody else of the staff has to approve it."


PROPOSE = Act(
    name="adjust",
    title="Propose an adjustment…",
    permission="wallets.propose_walletadjustment",
    form=AdjustForm,
    refused=lambda *_: "",
    told=lambda wallet: (
        f"The wallet of “{wallet.organization.name}” has {money(wallet.balance_minor, wallet.currency)}. What you propose moves "
        "no money before somebody else approves it."
    ),
    do=_propose,
)


@admin.register(Wallet)
class WalletAdmin(Acting, OfWallets):
    acts = (PROPOSE, BLOCK, UNBLOCK)
    change_form_template = "admin/wallets/wallet/change_form.html"
    list_display = ("organization_name", "currency_code", "balance", "held", "owed", "standing", "made")
    list_filter = (StandingFilter, WalletCurrencyFilter)
    found_by = {
        "wallet": "pk",
        "topup": "top_ups",
        "spend": "spends",
        "hold": "holds",
        "reversal": "spends__reversals",
        "adjustment": "adjustments",
        "notice": "notices",
        "method": "organization__payment_methods",
        "pm": "organization__payment_methods__stripe_id",
        "cus": "organization__stripe_customer",
    }
    fields = ("id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_amounts(super().get_queryset(request))

    def of_payments(self, queryset: QuerySet[Any], payments: list[str]) -> QuerySet[Any]:
        wallets = TopUp.objects.filter(payment__in=payments).order_by().values_list("wallet", flat=True)
        return queryset.filter(pk__in=list(wallets))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        return self.get_queryset(request).select_related("organization").filter(pk=object_id).first()

    # -- the page -----------------------------------------------------------------------------------------
    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        wallet = context["original"]
        organization = f"“{wallet.organization.name}”"
        context.update(
            {
                "title": f"Wallet of {organization} in {wallet.currency.upper()}",
                "subtitle": wallet.pk,
                "figures": _figures(wallet),
                "notices": _notices(wallet),
                "charts": _charts(request, wallet),
                "settings": _settings(wallet),
                "tables": story.tables(wallet),
                "lists": _lists(request, wallet),
            }
        )
        return super().render_change_form(request, context, *args, **kwargs)

    # -- the list -----------------------------------------------------------------------------------------
    @admin.display(description="organization")
    def organization_name(self, wallet: Wallet) -> str:
        return wallet.organization.name

    @admin.display(description="currency")
    def currency_code(self, wallet: Wallet) -> str:
        return wallet.currency.upper()

    @admin.display(description="balance")
    def balance(self, wallet: Any) -> str:
        return money(wallet.balance_minor, wallet.currency)

    @admin.display(description="held")
    def held(self, wallet: Any) -> str:
        return money(wallet.held_minor, wallet.currency) if wallet.held_minor else "–"

    @admin.display(description="owed")
    def owed(self, wallet: Any) -> str:
        return money(wallet.owed_minor, wallet.currency) if wallet.owed_minor else "–"

    @admin.display(description="standing")
    def standing(self, wallet: Wallet) -> SafeString:
        return standing_pill(wallet)


def standing_pill(wallet: Wallet) -> SafeString:
    if wallet.owed_since:
        return pill("failed", "owes money")
    if wallet.blocked_at:
        return pill("failed", "blocked")
    if wallet.top_up_paused_at:
        return pill("paused", "top-ups paused")
    return pill("pending", "low") if wallet.is_low else pill("paid", "open")


def _figures(wallet: Any) -> list[tuple[str, SafeString | str]]:
    figures: list[tuple[str, SafeString | str]] = [
        ("Balance", money(wallet.balance_minor, wallet.currency)),
        ("Held", money(wallet.held_minor, wallet.currency)),
        ("Owed", money(wallet.owed_minor, wallet.currency)),
        ("Standing", standing_pill(wallet)),
    ]
    adjusted_minor = story.adjusted_minor(wallet)
    return [*figures, ("Adjusted in all", signed(adjusted_minor, wallet.currency))] if adjusted_minor else figures


def _charts(request: HttpRequest, wallet: Wallet) -> list[Chart]:
    """Its top-ups of the last days, from the view that its organization's API reads; UTC."""
    if not request.user.has_perm("wallets.view_topup"):
        return []
    today = timezone.now().astimezone(UTC).date()
    days = [today - timedelta(days=n) for n in range(DAYS_DRAWN - 1, -1, -1)]
    return top_up_charts(days, of_wallet(wallet, days[0], today), wallet.currency, url=list_url(TopUp, q=wallet.pk))


def _notices(wallet: Any) -> list[str]:
    """What whoever opens the page should know first."""
    told = []
    if wallet.owed_since:
        owed = money(wallet.owed_minor, wallet.currency)
        told.append(
            f"{owed} is owed since {moment(wallet.owed_since)}, after a refund or dispute of money that was spent before."
        )
    if wallet.blocked_at:
        told.append(f"Blocked by staff since {moment(wallet.blocked_at)}: {wallet.blocked_reason}")
    if wallet.top_up_paused_at:
        told.append(f"Does not top up by itself since {moment(wallet.top_up_paused_at)}: {wallet.top_up_paused_reason}")
    return told


def _settings(wallet: Wallet) -> list[tuple[str, SafeString | str]]:
    def amount(minor: int | None) -> str:
        return money(minor, wallet.currency) if minor is not None else "–"

    tops_up = "no"
    if wallet.top_up_below_minor is not None:
        below, by = amount(wallet.top_up_below_minor), amount(wallet.top_up_amount_minor)
        tops_up = f"by {by} when less than {below} is left, at most {amount(wallet.top_up_daily_limit_minor)} in 24 hours"
    return [
        ("Organization", link(Organization, wallet.organization_id, wallet.organization.name)),
        ("Says when low", f"below {amount(wallet.low_balance_minor)}" if wallet.low_balance_minor else "no"),
        ("Tops up by itself", tops_up),
        ("Opened", moment(wallet.created_at)),
    ]


def _lists(request: HttpRequest, wallet: Wallet) -> list[tuple[str, str]]:
    """What is its organization's; its own rows stand on the page."""
    lists = []
    if request.user.has_perm("wallets.view_paymentmethod"):
        lists.append(("Payment methods", list_url(PaymentMethod, q=wallet.organization_id)))
    if request.user.has_perm("accounts.view_organization"):
        lists.append(("The organization", change_url(Organization, wallet.organization_id)))
    return lists
