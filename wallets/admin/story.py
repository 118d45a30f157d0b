"""A wallet's story as tables: what moved, with the balance after each step, and the rows behind it.

Each table is a fixed number of queries and shows the newest of its kind, with a link to the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Model, Sum
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from conventions.admin_showing import link, list_url, moment, pill
from payments.admin.evidence import Table
from payments.admin.showing import money
from payments.bookkeeping import LEVEL
from payments.models import Payment, Transfer
from wallets.admin.adjustments import signed, state_pill
from wallets.models import Notice, NoticeDelivery, SpendReversal, TopUp, Wallet, WalletAdjustment, WalletHold, WalletSpend

FIRST = 50
# Our own rows that stand in the key of their transfer, by the cause that it begins with.
OF_ROWS: dict[str, tuple[type[Model], str]] = {
    "spend": (WalletSpend, "spend"),
    "spend-reversal": (SpendReversal, "given back"),
    "hold": (WalletHold, "hold"),
    "release": (WalletHold, "hold"),
    "capture": (WalletHold, "hold"),
    "adjustment": (WalletAdjustment, "adjustment"),
}


def tables(wallet: Any) -> list[Table]:
    """`wallet` with its amounts (wallets/amounts.py)."""
    return [_moved(wallet), _holds(wallet), _top_ups(wallet), _spends(wallet), _adjustments(wallet), _told(wallet)]


def adjusted_minor(wallet: Wallet) -> int:
    """What staff added in all, less what they took away."""
    approved = WalletAdjustment.objects.filter(wallet=wallet, state=WalletAdjustment.State.APPROVED).order_by()
    return int(approved.aggregate(sum=Sum("amount_minor"))["sum"] or 0)


# -- what moved -------------------------------------------------------------------------------------------
def _moved(wallet: Any) -> Table:
    found = _newest(wallet)
    top_ups = _top_ups_of(found[:FIRST])
    after = wallet.balance_minor
    rows = []
    for transfer in found[:FIRST]:
        change = _change(transfer, wallet.account, grows_by="credit_id")
        rows.append(
            (
                moment(transfer.occurred_at),
                _what(transfer),
                _shown(change, wallet.currency),
                money(after, wallet.currency),
                _shown(_change(transfer, wallet.held, grows_by="credit_id"), wallet.currency),
                _shown(_change(transfer, wallet.receivable, grows_by="debit_id"), wallet.currency),
                _behind(transfer, top_ups),
                link(Transfer, transfer.pk, "level" if transfer.key.startswith(LEVEL) else transfer.key.partition(":")[0]),
            )
        )
        after -= change
    columns = ("Occurred", "What", "Balance", "Then", "Held", "Owed", "For", "In the books")
    title = "What moved, newest first" if len(found) <= FIRST else f"The latest {FIRST} movements"
    rest_url = list_url(Transfer, account=wallet.account) if len(found) > FIRST else ""
    return Table(title=title, columns=columns, rows=rows, rest_url=rest_url)


def _newest(wallet: Wallet) -> list[Transfer]:
    """One more than is shown. Each side by itself: the index of a side serves, that of both together does not exist."""
    accounts = [wallet.account, wallet.held, wallet.receivable]
    sides = (Transfer.objects.filter(debit__in=accounts), Transfer.objects.filter(credit__in=accounts))
    found = {transfer.pk: transfer for side in sides for transfer in side.order_by("-pk")[: FIRST + 1]}
    return sorted(found.values(), key=lambda transfer: transfer.pk, reverse=True)[: FIRST + 1]


def _top_ups_of(transfers: Iterable[Transfer]) -> dict[str, str]:
    payments = {transfer.payment_id for transfer in transfers if transfer.payment_id}
    return dict(TopUp.objects.filter(payment__in=payments).values_list("payment", "pk"))


def _change(transfer: Transfer, account: str, *, grows_by: str) -> int:
    if account not in (transfer.debit_id, transfer.credit_id):
        return 0
    return transfer.amount_minor if getattr(transfer, grows_by) == account else -transfer.amount_minor


def _what(transfer: Transfer) -> str:
    """Its memo, where that tells a wallet's story too: "paid" is the payment's word, and a capture's is its hold's alone."""
    cause = transfer.key.partition(":")[0]
    if cause == "paid":
        return "top-up"
    return f"captured: {transfer.memo}" if cause == "capture" else transfer.memo or cause


def _shown(amount_minor: int, currency: str) -> str:
    return signed(amount_minor, currency) if amount_minor else ""


def _behind(transfer: Transfer, top_ups: dict[str, str]) -> SafeString | str:
    """The rows that it moved for: ours by the key, top-up and payment where it has one."""
    links: list[tuple[SafeString | str]] = []
    cause, _, row = transfer.key.partition(":")
    if cause in OF_ROWS:
        model, label = OF_ROWS[cause]
        links.append((link(model, row, label),))
    if transfer.payment_id:
        if transfer.payment_id in top_ups:
            links.append((link(TopUp, top_ups[transfer.payment_id], "top-up"),))
        links.append((link(Payment, transfer.payment_id, "payment"),))
    return format_html_join(", ", "{}", links) or "–"


# -- the rows ---------------------------------------------------------------------------------------------
def _table(title: str, columns: Sequence[str], model: Any, wallet: Wallet, found: list[Any], rows: list[Any]) -> Table:
    rest_url = list_url(model, q=wallet.pk) if len(found) > FIRST else ""
    return Table(title=title, columns=columns, rows=rows, rest_url=rest_url)


def _holds(wallet: Wallet) -> Table:
    """Those that wait, the one that ends first on top: what has ended stands among what moved."""
    waiting = WalletHold.objects.filter(wallet=wallet, state=WalletHold.State.AUTHORIZED).select_related("created_by")
    found = list(waiting.order_by("expires_at", "pk")[: FIRST + 1])
    rows = [
        (
            link(WalletHold, hold.pk, moment(hold.created_at)),
            money(hold.amount_minor, hold.currency),
            hold.description,
            moment(hold.expires_at),
            str(hold.created_by or "–"),
        )
        for hold in found[:FIRST]
    ]
    return _table("Open holds", ("Made", "Amount", "For", "Expires", "By"), WalletHold, wallet, found, rows)


def _top_ups(wallet: Wallet) -> Table:
    newest = TopUp.objects.filter(wallet=wallet).select_related("started_by").order_by("-created_at", "-pk")
    found = list(newest[: FIRST + 1])
    rows = [
        (
            link(TopUp, made.pk, moment(made.created_at)),
            money(made.amount_minor, made.currency),
            pill(made.state),
            "by itself" if made.is_automatic else str(made.started_by or "–"),
            moment(made.paid_at),
            link(Payment, made.payment_id),
        )
        for made in found[:FIRST]
    ]
    return _table("Top-ups", ("Started", "Amount", "State", "By", "Paid", "Payment"), TopUp, wallet, found, rows)


def _spends(wallet: Wallet) -> Table:
    newest = WalletSpend.objects.filter(wallet=wallet).select_related("created_by").order_by("-pk")
    found = list(newest[: FIRST + 1])
    rows = [
        (
            link(WalletSpend, spent.pk, moment(spent.created_at)),
            money(spent.amount_minor, spent.currency),
            money(spent.reversed_minor, spent.currency) if spent.reversed_minor else "–",
            spent.description,
            str(spent.created_by or "–"),
        )
        for spent in found[:FIRST]
    ]
    return _table("Spends", ("Made", "Amount", "Given back", "For", "By"), WalletSpend, wallet, found, rows)


def _adjustments(wallet: Wallet) -> Table:
    newest = WalletAdjustment.objects.filter(wallet=wallet).select_related("proposed_by", "decided_by").order_by("-pk")
    found = list(newest[: FIRST + 1])
    rows = [
        (
            link(WalletAdjustment, proposed.pk, moment(proposed.created_at)),
            signed(proposed.amount_minor, proposed.currency),
            state_pill(proposed),
            proposed.reason,
            str(proposed.proposed_by),
            str(proposed.decided_by or "–"),
        )
        for proposed in found[:FIRST]
    ]
    columns = ("Proposed", "Amount", "State", "Why", "By", "Decided by")
    return _table("Adjustments", columns, WalletAdjustment, wallet, found, rows)


def _told(wallet: Wallet) -> Table:
    found = list(Notice.objects.filter(wallet=wallet).order_by("-pk")[: FIRST + 1])
    to, sent = Counter[str](), Counter[str]()
    of_these = NoticeDelivery.objects.filter(notice__in=[notice.pk for notice in found]).order_by()
    for notice_id, sent_at in of_these.values_list("notice", "sent_at"):
        to[notice_id] += 1
        sent[notice_id] += sent_at is not None
    rows = [
        (
            link(Notice, notice.pk, moment(notice.created_at)),
            notice.kind.replace("_", " "),
            f"{sent[notice.pk]} of {to[notice.pk]}",
            str(notice.facts.get("reason") or "–"),
        )
        for notice in found[:FIRST]
    ]
    return _table("What its people were told", ("When", "What", "Messages sent", "Why"), Notice, wallet, found, rows)
