"""What went into wallets and out of them: top-ups, spends and what was given back of them, holds. Read only, but that
staff give a spend or a hold back."""

from __future__ import annotations

import secrets
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.models import User
from conventions.admin_showing import link, moment, pill
from conventions.errors import InvalidInput
from payments.admin.lists import ChoiceFilter, CurrencyFilter
from payments.admin.showing import money
from payments.models import Payment, Transfer
from payments.money import Money
from wallets import holding, spending
from wallets.admin.acting import Act, Acting, ReasonForm
from wallets.admin.lists import OfWallets
from wallets.models import SpendReversal, TopUp, WalletHold, WalletSpend

GIVE_BACK = "wallets.reverse_walletspend"


class TopUpStateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    column = "state"
    values = TopUp.State.choices


class HowFilter(ChoiceFilter):
    title = "started"
    parameter_name = "automatic"
    column = "is_automatic"
    values = (("True", "by itself"), ("False", "by a person"))


class HoldStateFilter(TopUpStateFilter):
    values = WalletHold.State.choices


class WalletCurrencyFilter(CurrencyFilter):
    """Wallets are filled through Stripe, so its currencies are theirs."""


@admin.register(TopUp)
class TopUpAdmin(OfWallets):
    list_display = ("made", "amount", "state_pill", "organization_link", "how", "payment_link")
    list_filter = (TopUpStateFilter, HowFilter, WalletCurrencyFilter)
    list_select_related = ("organization", "started_by")
    date_hierarchy = "created_at"
    found_by = {"topup": "pk", "wallet": "wallet", "pay": "payment", "user": "started_by"}
    fields = ("id", "amount", "state_pill", "organization_link", "wallet_link", "payment_link", "how", "made", "paid")

    def of_payments(self, queryset: QuerySet[Any], payments: list[str]) -> QuerySet[Any]:
        return queryset.filter(payment__in=payments)

    @admin.display(description="paid")
    def paid(self, made: TopUp) -> str:
        return moment(made.paid_at)

    @admin.display(description="state")
    def state_pill(self, made: TopUp) -> SafeString:
        return pill(made.state)

    @admin.display(description="started")
    def how(self, made: TopUp) -> str:
        return "by itself" if made.is_automatic else f"by {made.started_by}" if made.started_by else "–"

    @admin.display(description="payment")
    def payment_link(self, made: TopUp) -> SafeString | str:
        return link(Payment, made.payment_id)


def transfer_link(key: str) -> SafeString | str:
    found = Transfer.objects.filter(key=key).values_list("pk", flat=True).first()
    return link(Transfer, found, key) if found else "–"


# -- spends ---------------------------------------------------------------------------------------------
class ReverseForm(ReasonForm):
    """`ticket` becomes the Idempotency-Key: a form that is sent twice gives back once."""

    amount = forms.CharField(max_length=20)
    reason = forms.CharField(
        max_length=200,  # what a reversal holds
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="The organization may read it; it stays in the history.",
    )
    ticket = forms.RegexField(r"^[A-Za-z0-9_-]{20,40}$", widget=forms.HiddenInput)
    field_order = ("amount", "reason")

    def __init__(self, row: WalletSpend, *args: Any, **kwargs: Any) -> None:
        left = Money(row.amount_minor - row.reversed_minor, row.currency)
        initial = {"amount": str(left), "ticket": secrets.token_urlsafe(20)}
        super().__init__(row, *args, initial=initial, **kwargs)
        self.fields["amount"].help_text = f"In {row.currency.upper()}; write less to give a part back."

    def clean_amount(self) -> Money:
        try:
            return Money.parse(self.cleaned_data["amount"], self.row.currency)
        except InvalidInput as error:
            raise forms.ValidationError(error.message, code=error.code) from error


def _reverse(spent: WalletSpend, actor: User, asked: dict[str, Any]) -> str:
    key = f"staff:{asked['ticket']}"
    reversal, is_new = spending.reverse(spend_id=spent.pk, money=asked["amount"], reason=asked["reason"], key=key, actor=actor)
    amount = money(reversal.amount_minor, reversal.currency)
    return f"{amount} went back to the wallet." if is_new else f"{amount} had gone back already; nothing was done twice."


REVERSE = Act(
    name="reverse",
    title="Give back…",
    permission=GIVE_BACK,
    form=ReverseForm,
    refused=lambda spent, _: "" if spent.reversed_minor < spent.amount_minor else "This spend was given back in full already.",
    told=lambda spent: (
        f"“{spent.description}” took {spent.money.display()}, of which {money(spent.reversed_minor, spent.currency)} was given "
        "back. What is given back can be spent again at once; if the organization owes money, that is repaid first."
    ),
    do=_reverse,
)


@admin.register(WalletSpend)
class SpendAdmin(Acting, OfWallets):
    acts = (REVERSE,)
    list_display = ("made", "amount", "given_back", "description", "organization_link", "who")
    list_filter = (WalletCurrencyFilter,)
    list_select_related = ("organization", "created_by")
    date_hierarchy = "created_at"
    found_by = {"spend": "pk", "wallet": "wallet", "hold": "hold", "reversal": "reversals", "user": "created_by"}
    fields = (
        "id",
        "description",
        "amount",
        "given_back",
        "reversals",
        "organization_link",
        "wallet_link",
        "hold_link",
        "who",
        "made",
        "idempotency_key",
        "transfer",
    )

    @admin.display(description="given back")
    def given_back(self, spent: WalletSpend) -> str:
        return money(spent.reversed_minor, spent.currency) if spent.reversed_minor else "–"

    @admin.display(description="by")
    def who(self, spent: WalletSpend) -> str:
        return str(spent.created_by or "–")

    @admin.display(description="captured from")
    def hold_link(self, spent: WalletSpend) -> SafeString | str:
        return link(WalletHold, spent.hold_id)

    @admin.display(description="what was given back")
    def reversals(self, spent: WalletSpend) -> SafeString | str:
        found = spent.reversals.select_related("created_by").order_by("pk")[:50]
        lines = (
            (link(SpendReversal, one.pk, money(one.amount_minor, one.currency)), one.created_by or "–", one.reason)
            for one in found
        )
        return format_html_join("", "<div>{} by {}: {}</div>", lines) or "–"

    @admin.display(description="in the books")
    def transfer(self, spent: WalletSpend) -> SafeString | str:
        return transfer_link(f"capture:{spent.hold_id}" if spent.hold_id else f"spend:{spent.pk}")


@admin.register(SpendReversal)
class ReversalAdmin(OfWallets):
    list_display = ("made", "amount", "spend_link", "reason", "organization_link", "who")
    list_filter = (WalletCurrencyFilter,)
    list_select_related = ("organization", "created_by", "spend")
    found_by = {"reversal": "pk", "spend": "spend", "wallet": "spend__wallet", "user": "created_by"}
    fields = ("id", "amount", "spend_link", "reason", "organization_link", "who", "made", "transfer")

    def of_payments(self, queryset: QuerySet[Any], payments: list[str]) -> QuerySet[Any]:
        return queryset.filter(spend__wallet__top_ups__payment__in=payments)

    @admin.display(description="of the spend")
    def spend_link(self, reversal: SpendReversal) -> SafeString | str:
        return link(WalletSpend, reversal.spend_id, reversal.spend.description)

    @admin.display(description="by")
    def who(self, reversal: SpendReversal) -> str:
        return str(reversal.created_by or "–")

    @admin.display(description="in the books")
    def transfer(self, reversal: SpendReversal) -> SafeString | str:
        return transfer_link(f"spend-reversal:{reversal.pk}")


# -- holds ----------------------------------------------------------------------------------------------
def _release(hold: WalletHold, actor: User, asked: dict[str, Any]) -> str:
    holding.release(hold_id=hold.pk, reason=asked["reason"], actor=actor)
    return f"{hold.money.display()} went back to the wallet."


RELEASE = Act(
    name="release",
    title="Release…",
    permission=GIVE_BACK,
    form=ReasonForm,
    refused=lambda hold, _: "" if hold.state == WalletHold.State.AUTHORIZED else f"This hold was {hold.state} already.",
    told=lambda hold: (
        f"{hold.money.display()} is held for “{hold.description}” until {moment(hold.expires_at)}. Released, it can be spent for "
        "anything else, and whoever wanted to capture it cannot any more."
    ),
    do=_release,
)


@admin.register(WalletHold)
class HoldAdmin(Acting, OfWallets):
    acts = (RELEASE,)
    list_display = ("made", "amount", "state_pill", "expires", "description", "organization_link", "who")
    list_filter = (HoldStateFilter, WalletCurrencyFilter)
    list_select_related = ("organization", "created_by")
    date_hierarchy = "created_at"
    found_by = {"hold": "pk", "wallet": "wallet", "spend": "spend", "user": "created_by"}
    fields = (
        "id",
        "description",
        "amount",
        "state_pill",
        "captured",
        "organization_link",
        "wallet_link",
        "spend_link",
        "who",
        "made",
        "expires",
        "ended",
        "idempotency_key",
        "transfers",
    )

    @admin.display(description="state")
    def state_pill(self, hold: WalletHold) -> SafeString:
        return pill({"authorized": "pending", "captured": "paid"}.get(hold.state, hold.state), hold.state)

    @admin.display(description="captured")
    def captured(self, hold: WalletHold) -> str:
        return money(hold.captured_minor, hold.currency) if hold.captured_minor else "–"

    @admin.display(description="expires")
    def expires(self, hold: WalletHold) -> str:
        return moment(hold.expires_at)

    @admin.display(description="ended")
    def ended(self, hold: WalletHold) -> str:
        return moment(hold.ended_at)

    @admin.display(description="by")
    def who(self, hold: WalletHold) -> str:
        return str(hold.created_by or "–")

    @admin.display(description="became the spend")
    def spend_link(self, hold: WalletHold) -> SafeString | str:
        return link(WalletSpend, WalletSpend.objects.filter(hold=hold).values_list("pk", flat=True).first())

    @admin.display(description="in the books")
    def transfers(self, hold: WalletHold) -> SafeString:
        keys = [f"{cause}:{hold.pk}" for cause in ("hold", "capture", "release")]
        found = Transfer.objects.filter(key__in=keys).order_by("pk").values_list("pk", "key")
        return format_html_join(" ", "{}", ((link(Transfer, pk, key),) for pk, key in found))
