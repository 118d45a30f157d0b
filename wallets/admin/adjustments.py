"""Adjustments: proposed on a wallet's page by one of the staff, approved or rejected here by another."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from accounts.models import User
from conventions.admin_showing import link, moment, pill
from payments import ledger
from payments.admin.lists import ChoiceFilter
from payments.admin.showing import money
from payments.models import LedgerAccount
from wallets.adjusting import adjustments_account, approve, reject
from wallets.admin.acting import Act, Acting, ConfirmForm, ReasonForm
from wallets.admin.lists import OfWallets
from wallets.admin.movements import WalletCurrencyFilter, transfer_link
from wallets.models import WalletAdjustment

DECIDE = "wallets.approve_walletadjustment"
State = WalletAdjustment.State


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    column = "state"
    values = State.choices


def signed(amount_minor: int, currency: str) -> str:
    """With its sign, also where something is added."""
    return f"{'+' if amount_minor > 0 else '−'}{money(abs(amount_minor), currency)}"


def state_pill(proposed: WalletAdjustment) -> SafeString:
    looks = {"proposed": "pending", "approved": "paid", "rejected": "canceled"}
    return pill(looks[proposed.state], "waits for somebody else" if proposed.state == State.PROPOSED else proposed.state)


def _refused(proposed: WalletAdjustment, actor: User) -> str:
    if proposed.state != State.PROPOSED:
        return f"This adjustment was {proposed.state} already."
    return "You proposed this adjustment: somebody else has to decide on it." if proposed.proposed_by_id == actor.pk else ""


def _told(proposed: WalletAdjustment) -> str:
    amount = signed(proposed.amount_minor, proposed.currency)
    there = money(ledger.balance(proposed.wallet.account), proposed.currency)
    return (
        f"{proposed.proposed_by} proposes {amount} for the wallet of “{proposed.organization.name}”, which has {there}: "
        f"{proposed.reason}"
    )


def _approve(proposed: WalletAdjustment, actor: User, asked: dict[str, Any]) -> str:
    approve(adjustment_id=proposed.pk, actor=actor)
    return f"The wallet was adjusted by {signed(proposed.amount_minor, proposed.currency)}."


def _reject(proposed: WalletAdjustment, actor: User, asked: dict[str, Any]) -> str:
    reject(adjustment_id=proposed.pk, actor=actor, reason=asked["reason"])
    return "The proposal was rejected; nothing was changed in the wallet."


APPROVE = Act(name="approve", title="Approve…", permission=DECIDE, form=ConfirmForm, refused=_refused, told=_told, do=_approve)
REJECT = Act(name="reject", title="Reject…", permission=DECIDE, form=ReasonForm, refused=_refused, told=_told, do=_reject)


@admin.register(WalletAdjustment)
class AdjustmentAdmin(Acting, OfWallets):
    acts = (APPROVE, REJECT)
    list_display = ("made", "amount", "standing", "reason", "organization_link", "proposer", "decider")
    list_filter = (StateFilter, WalletCurrencyFilter)
    list_select_related = ("organization", "wallet", "proposed_by", "decided_by")
    date_hierarchy = "created_at"
    found_by = {"adjustment": "pk", "wallet": "wallet", "user": "proposed_by"}
    fields = (
        "id",
        "amount",
        "standing",
        "reason",
        "organization_link",
        "wallet_link",
        "proposer",
        "made",
        "decider",
        "decided",
        "transfer",
        "sum_of_all",
    )

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Who proposed it finds no buttons here, and is told why."""
        proposed = context["original"]
        if proposed.state == State.PROPOSED and proposed.proposed_by_id == request.user.pk:
            context["hint"] = "You proposed it; somebody else decides."
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="amount")
    def amount(self, proposed: WalletAdjustment) -> str:
        return signed(proposed.amount_minor, proposed.currency)

    @admin.display(description="state")
    def standing(self, proposed: WalletAdjustment) -> SafeString:
        return state_pill(proposed)

    @admin.display(description="proposed by")
    def proposer(self, proposed: WalletAdjustment) -> str:
        return str(proposed.proposed_by)

    @admin.display(description="decided by")
    def decider(self, proposed: WalletAdjustment) -> str:
        return str(proposed.decided_by or "–")

    @admin.display(description="decided")
    def decided(self, proposed: WalletAdjustment) -> str:
        return moment(proposed.decided_at)

    @admin.display(description="in the books")
    def transfer(self, proposed: WalletAdjustment) -> SafeString | str:
        return transfer_link(f"adjustment:{proposed.pk}")

    @admin.display(description="all adjustments in this currency")
    def sum_of_all(self, proposed: WalletAdjustment) -> SafeString | str:
        """What was given to wallets in excess of what was taken from them: what it cost us."""
        account = LedgerAccount.objects.filter(pk=adjustments_account(proposed.currency)).first()
        if account is None:
            return "none yet"
        return link(LedgerAccount, account.pk, f"{money(ledger.balance(account.pk), account.currency)} given in all")
