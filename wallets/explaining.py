"""What wallets tell `manage.py explain`: the totals that a name of theirs stands for, and who is behind their transfers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from django.db.models import Q, prefetch_related_objects

from accounts.models import AuditEntry, Organization
from payments.bookkeeping import ASSIGNED, LEVEL
from payments.explaining import named, people_behind
from payments.fulfilment import Total
from payments.models import Transfer
from payments.money import Money
from wallets import overview, repaying
from wallets.models import SpendReversal, TopUp, Wallet, WalletAdjustment, WalletHold, WalletSpend
from wallets.repaying import Part
from wallets.spending import revenue_account

MOST_NAMED = 5


# -- totals -----------------------------------------------------------------------------------------
def totals_of(name: str) -> Sequence[Total]:
    """Of an organization (by our id or Stripe's of its customer) or a wallet: what may be spent, is held and is owed, as
    its people are shown it. A spend, hold, reversal or adjustment: what it moved."""
    opened = TOTALS.get(name.partition("_")[0])
    return opened(name) if opened else ()


def _of_organization(name: str) -> Sequence[Total]:
    organization = Organization.objects.filter(Q(pk=name) | Q(stripe_customer=name)).first()
    if organization is None:
        return ()
    wallets = Wallet.objects.filter(organization=organization).select_related("organization").order_by("created_at", "pk")
    return _standings(wallets) or [Total(title=_called(organization), facts={"wallets": "none yet: it never topped up"})]


def _of_wallet(name: str) -> Sequence[Total]:
    return _standings(Wallet.objects.filter(pk=name).select_related("organization"))


def _standings(found: Iterable[Wallet]) -> list[Total]:
    """Three of each wallet, what is shown of it beside its ledger accounts."""
    wallets, totals = list(found), []
    for wallet, (balance_minor, held_minor, owed_minor) in zip(wallets, overview.standings(wallets), strict=True):
        whose, currency = _wallet(wallet), wallet.currency.upper()
        owed = f"owed in {currency} by {_called(wallet.organization)}"
        totals += [
            Total(
                account=wallet.account,
                title=f"available in {whose}",
                shown_minor=balance_minor,
                shown_as="what is shown as its balance",
            ),
            Total(account=wallet.held, title=f"held in {whose}", shown_minor=held_minor, shown_as="what is shown as held"),
            Total(account=wallet.receivable, title=owed, shown_minor=owed_minor, shown_as="what is shown as owed"),
        ]
    return totals


def _of_spend(name: str) -> Sequence[Total]:
    spent = WalletSpend.objects.select_related("wallet__organization").filter(pk=name).first()
    if spent is None:
        return ()
    taken = f"capture:{spent.hold_id}" if spent.hold_id else f"spend:{spent.pk}"
    given_back = [f"spend-reversal:{pk}" for pk in spent.reversals.values_list("pk", flat=True)]
    facts = {"for": spent.description, "captured from": spent.hold_id or ""}
    return [
        Total(
            title=f"spend {spent.pk}: {spent.money.display()} from {_wallet(spent.wallet)}",
            account=revenue_account(spent.currency),
            keys=[taken, *given_back],
            shown_minor=spent.amount_minor - spent.reversed_minor,
            shown_as="what was spent less what was given back",
            facts=_known(facts),
        )
    ]


def _of_reversal(name: str) -> Sequence[Total]:
    spend_id = SpendReversal.objects.filter(pk=name).values_list("spend", flat=True).first()
    return _of_spend(spend_id) if spend_id else ()


def _of_hold(name: str) -> Sequence[Total]:
    hold = WalletHold.objects.select_related("wallet__organization").filter(pk=name).first()
    if hold is None:
        return ()
    became = WalletSpend.objects.filter(hold=hold).values_list("pk", flat=True).first()
    is_open = hold.state == WalletHold.State.AUTHORIZED
    facts = {"for": hold.description, "became": became or "", "until": f"{hold.expires_at:%Y-%m-%d %H:%M}" if is_open else ""}
    return [
        Total(
            title=f"hold {hold.pk}: {hold.money.display()} of {_wallet(hold.wallet)}, {hold.state}",
            account=hold.wallet.held,
            keys=[f"{cause}:{hold.pk}" for cause in ("hold", "capture", "release")],
            shown_minor=hold.amount_minor if is_open else 0,
            shown_as="what of it is still held",
            facts=_known(facts),
        )
    ]


def _of_adjustment(name: str) -> Sequence[Total]:
    found = WalletAdjustment.objects.select_related("wallet__organization", "proposed_by", "decided_by").filter(pk=name)
    made = found.first()
    if made is None:
        return ()
    amount = f"{'+' if made.amount_minor > 0 else '−'}{Money(abs(made.amount_minor), made.currency).display()}"
    decided = f"{made.state} by {named(made.decided_by)}" if made.decided_by else "waits for somebody else"
    if rejected := AuditEntry.objects.filter(target_id=made.pk, action="adjustment.rejected").exclude(reason="").first():
        decided = f"{decided}: {_one_line(rejected.reason)}"
    return [
        Total(
            title=f"adjustment {made.pk}: {amount} for {_wallet(made.wallet)}, {made.state}",
            account=made.wallet.account,
            keys=[f"adjustment:{made.pk}"],
            shown_minor=made.amount_minor if made.state == WalletAdjustment.State.APPROVED else 0,
            shown_as="what was approved of it",
            facts={"why": _one_line(made.reason), "proposed by": named(made.proposed_by), "decision": decided},
        )
    ]


TOTALS: dict[str, Callable[[str], Sequence[Total]]] = {
    "org": _of_organization,
    "cus": _of_organization,
    "wallet": _of_wallet,
    "spend": _of_spend,
    "reversal": _of_reversal,
    "hold": _of_hold,
    "adjustment": _of_adjustment,
}


def _wallet(wallet: Wallet) -> str:
    return f"the {wallet.currency.upper()} wallet of “{wallet.organization.name}” ({wallet.pk})"


def _called(organization: Organization) -> str:
    return f"“{organization.name}” ({organization.pk})"


def _known(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in facts.items() if value}


def _one_line(words: str) -> str:
    return " ".join(words.split())


# -- people -----------------------------------------------------------------------------------------
def acted(transfers: Sequence[Transfer]) -> Mapping[str, str]:
    """By key: who spent, held, captured, released, gave back or adjusted; that a top-up was automatic; and which refunds
    and disputes a levelling transfer repays."""
    rows: dict[str, list[str]] = defaultdict(list)
    for transfer in transfers:
        cause, _, row = transfer.key.partition(":")
        rows[cause].append(row)
    told: dict[str, str] = {}
    for cause, tell in TELLERS.items():
        told |= tell(rows[cause]) if rows[cause] else {}
    levels = [transfer for transfer in transfers if transfer.key.startswith(LEVEL)]
    return told | _levelled(levels) if levels else told


def _paid(payments: Sequence[str]) -> dict[str, str]:
    made = TopUp.objects.filter(payment__in=payments, is_automatic=True)
    return {f"paid:{one.payment_id}": f"automatic, by the saved method of {one.organization_id}" for one in made}


def _spent(pks: Sequence[str]) -> dict[str, str]:
    found = WalletSpend.objects.filter(pk__in=pks).select_related("created_by")
    return {f"spend:{spent.pk}": f"spent by {named(spent.created_by)}" for spent in found}


def _captured(holds: Sequence[str]) -> dict[str, str]:
    found = WalletSpend.objects.filter(hold__in=holds).select_related("created_by")
    return {f"capture:{spent.hold_id}": f"captured by {named(spent.created_by)}" for spent in found}


def _given_back(pks: Sequence[str]) -> dict[str, str]:
    found = SpendReversal.objects.filter(pk__in=pks).select_related("created_by")
    return {f"spend-reversal:{made.pk}": f"given back by {named(made.created_by)}: {_one_line(made.reason)}" for made in found}


def _held(pks: Sequence[str]) -> dict[str, str]:
    found = WalletHold.objects.filter(pk__in=pks).select_related("created_by")
    return {f"hold:{hold.pk}": f"held by {named(hold.created_by)}" for hold in found}


def _released(pks: Sequence[str]) -> dict[str, str]:
    """Whoever let it go: its time, the capture that took less, or one of the staff, who stands in the history."""
    acts = AuditEntry.objects.filter(target_id__in=pks, action="hold.released").select_related("actor")
    by = {act.target_id: f"released by {named(act.actor)}: {_one_line(act.reason)}" for act in acts}
    spends = WalletSpend.objects.filter(hold__in=pks).select_related("created_by")
    by |= {str(spent.hold_id): f"left over: {named(spent.created_by)} captured less" for spent in spends}
    expired = WalletHold.objects.filter(pk__in=pks, state=WalletHold.State.EXPIRED).values_list("pk", flat=True)
    by |= dict.fromkeys(expired, "automatic: its time was over")
    return {f"release:{pk}": by.get(pk, "released by somebody unknown") for pk in pks}


def _adjusted(pks: Sequence[str]) -> dict[str, str]:
    found = WalletAdjustment.objects.filter(pk__in=pks).select_related("proposed_by", "decided_by")
    return {
        f"adjustment:{made.pk}": (
            f"proposed by {named(made.proposed_by)}, approved by {named(made.decided_by)}: {_one_line(made.reason)}"
        )
        for made in found
    }


# By what the key of a transfer begins with: who is behind it, by whole keys, given what follows in them.
TELLERS: dict[str, Callable[[Sequence[str]], dict[str, str]]] = {
    "paid": _paid,
    "spend": _spent,
    "capture": _captured,
    "spend-reversal": _given_back,
    "hold": _held,
    "release": _released,
    "adjustment": _adjusted,
}


# -- what levels a wallet ---------------------------------------------------------------------------
def _levelled(levels: Sequence[Transfer]) -> dict[str, str]:
    repaid = repaying.repaid_by(levels)
    causes = list({part.of.pk: part.of for parts in repaid.values() for part in parts[:MOST_NAMED]}.values())
    prefetch_related_objects(causes, "payment__user")
    behind = people_behind(causes)
    told = {}
    for level in levels:
        does = "repays" if level.debit_id.startswith("wallet:") else "gives back what was repaid for"
        told[level.key] = f"{does} {'; '.join(_parts(repaid[level.key], behind)) or 'nothing that was booked'}"
    return told


def _parts(parts: Sequence[Part], behind: Mapping[str, str]) -> Iterator[str]:
    for part in parts[:MOST_NAMED]:
        what = "dispute" if part.of.key.removeprefix(f"{ASSIGNED}:").startswith("dispute:") else "refund"
        amount = f"{Money(abs(part.minor), part.of.currency).display()} of " if len(parts) > 1 else ""
        yield f"{amount}{what} {part.stripe_id} of {part.of.payment_id} ({behind[part.of.key]})"
    if len(parts) > MOST_NAMED:
        yield f"and {len(parts) - MOST_NAMED} more"
