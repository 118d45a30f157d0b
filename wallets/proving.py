"""Proving wallets: every row has its transfer, every transfer its row, and nothing is owed while there is money."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from django.db.models import Model, Q, Sum

from conventions.chunks import in_chunks
from payments import ledger
from payments.bookkeeping import LEVEL
from payments.models import LedgerAccount, Transfer
from payments.states import product_state
from wallets.adjusting import adjustments_account
from wallets.models import SpendReversal, TopUp, Wallet, WalletAdjustment, WalletHold, WalletSpend
from wallets.spending import revenue_account

CHUNK = 500
# What a transfer into or out of a wallet is called for by, as its key begins. `assigned` is money that staff gave to it.
OF_PAYMENTS = frozenset({"paid", "assigned"})
OF_ROWS: dict[str, type[Model]] = {
    "spend": WalletSpend,
    "spend-reversal": SpendReversal,
    "hold": WalletHold,
    "release": WalletHold,
    "adjustment": WalletAdjustment,
}
Wanted = tuple[str, str, str, int]  # key, debit, credit, amount_minor


def check_books() -> Iterator[str]:
    yield from _wallets_are_level()
    yield from _top_ups_follow_their_payments()
    yield from _rows_have_their_transfers()
    yield from _transfers_are_known()


def _wallets_are_level() -> Iterator[str]:
    for chunk in in_chunks(Wallet.objects.all(), CHUNK):
        balances = ledger.balances([code for wallet in chunk for code in (wallet.account, wallet.held, wallet.receivable)])
        accounts = LedgerAccount.objects.in_bulk([code for wallet in chunk for code in (wallet.account, wallet.held)])
        open_holds = WalletHold.objects.filter(wallet__in=chunk, state="authorized").order_by().values_list("wallet")
        held = dict(open_holds.annotate(sum=Sum("amount_minor")))
        for wallet in chunk:
            left, owed = balances.get(wallet.account, 0), balances.get(wallet.receivable, 0)
            if left < 0 or owed < 0 or (left and owed):
                yield f"{wallet.pk} has {left} while {owed} is owed"
            if (owed > 0) != (wallet.owed_since is not None):
                yield f"{wallet.pk} owes {owed}, its row says since {wallet.owed_since}"
            if balances.get(wallet.held, 0) != held.get(wallet.pk, 0):
                yield f"{wallet.pk} holds {balances.get(wallet.held, 0)}, its open holds say {held.get(wallet.pk, 0)}"
            for code in (wallet.account, wallet.held):
                if code not in accounts or not accounts[code].floored:
                    yield f"{wallet.pk} has no floored account {code}"


def _top_ups_follow_their_payments() -> Iterator[str]:
    for chunk in in_chunks(TopUp.objects.select_related("payment", "wallet"), CHUNK):
        for made in chunk:
            payment, wallet = made.payment, made.wallet
            if made.state != product_state(payment) or made.paid_at != payment.paid_at:
                yield f"{made.pk} is {made.state}, its payment {payment.pk} says {product_state(payment)}"
            if (made.amount_minor, made.currency) != (payment.amount_minor, payment.currency):
                yield f"{made.pk} is {made.amount_minor} {made.currency}, its payment {payment.pk} is not"
            if {made.organization_id, payment.organization_id} != {wallet.organization_id}:
                yield f"{made.pk}, its wallet and its payment are not of one organization"
            if (payment.destination_id, payment.returns_from_id) != (wallet.account, wallet.receivable):
                yield f"{made.pk}: its payment {payment.pk} does not go to {wallet.account}"


def _rows_have_their_transfers() -> Iterator[str]:
    for chunk in in_chunks(WalletSpend.objects.all(), CHUNK):
        yield from _moved(chunk, [_of_spend(spent) for spent in chunk])
        reversals = SpendReversal.objects.filter(spend__in=chunk).order_by().values_list("spend")
        sums = dict(reversals.annotate(sum=Sum("amount_minor")))
        for spent in chunk:
            if spent.reversed_minor != sums.get(spent.pk, 0):
                yield f"{spent.pk} says {spent.reversed_minor} was given back, its reversals say {sums.get(spent.pk, 0)}"
    for given_back in in_chunks(SpendReversal.objects.select_related("spend"), CHUNK):
        yield from _moved(given_back, [_of_reversal(reversal) for reversal in given_back])
    for holds in in_chunks(WalletHold.objects.all(), CHUNK):
        yield from _moved(holds, [_of_hold(hold) for hold in holds])
        yield from _moved(holds, [_of_release(hold) for hold in holds])
    for adjustments in in_chunks(WalletAdjustment.objects.all(), CHUNK):
        yield from _moved(adjustments, [_of_adjustment(adjustment) for adjustment in adjustments])


def _moved(rows: Iterable[object], wanted: list[Wanted]) -> Iterator[str]:
    """`wanted` is the key, the accounts and the amount of the transfer of each row; an amount of 0: there must be none."""
    transfers = Transfer.objects.filter(key__in=[key for key, *_ in wanted])
    posted = {t.key: (t.debit_id, t.credit_id, t.amount_minor) for t in transfers}
    for row, (key, debit, credit, amount_minor) in zip(rows, wanted, strict=True):
        due = (debit, credit, amount_minor) if amount_minor else None
        if posted.get(key) != due:
            yield f"{row}: the transfer {key} is {posted.get(key)}, its row calls for {due}"


def _of_spend(spent: WalletSpend) -> Wanted:
    wallet, revenue = _wallet(spent), revenue_account(spent.currency)
    if spent.hold_id:
        return (f"capture:{spent.hold_id}", wallet.held, revenue, spent.amount_minor)
    return (f"spend:{spent.pk}", wallet.account, revenue, spent.amount_minor)


def _of_reversal(reversal: SpendReversal) -> Wanted:
    account = _wallet(reversal.spend).account
    return (f"spend-reversal:{reversal.pk}", revenue_account(reversal.currency), account, reversal.amount_minor)


def _of_hold(hold: WalletHold) -> Wanted:
    return (f"hold:{hold.pk}", _wallet(hold).account, _wallet(hold).held, hold.amount_minor)


def _of_release(hold: WalletHold) -> Wanted:
    rest_minor = hold.amount_minor - hold.captured_minor if hold.ended_at else 0
    return (f"release:{hold.pk}", _wallet(hold).held, _wallet(hold).account, rest_minor)


def _of_adjustment(made: WalletAdjustment) -> Wanted:
    ours, theirs = adjustments_account(made.currency), _wallet(made).account
    amount_minor = abs(made.amount_minor) if made.state == "approved" else 0
    return (f"adjustment:{made.pk}", *((ours, theirs) if made.amount_minor > 0 else (theirs, ours)), amount_minor)


def _wallet(row: WalletSpend | WalletHold | WalletAdjustment) -> Wallet:
    """For the names of its accounts, which need no query."""
    return Wallet(pk=row.wallet_id, organization_id=row.organization_id, currency=row.currency)


# -- every transfer its row ------------------------------------------------------------------------------
def _transfers_are_known() -> Iterator[str]:
    of_wallets = Q(debit__code__startswith="wallet:") | Q(credit__code__startswith="wallet:")
    for chunk in in_chunks(Transfer.objects.filter(of_wallets), CHUNK):
        known = _called_for(chunk)
        for transfer in chunk:
            if transfer.key not in known:
                yield f"the transfer {transfer.key} moves {transfer.amount_minor} of a wallet, which nothing calls for"


def _called_for(transfers: Sequence[Transfer]) -> set[str]:
    """Their keys, of those that a row, a top-up's payment, or what the wallet's own organization owes calls for."""
    named = [(transfer, *transfer.key.partition(":")[::2]) for transfer in transfers]
    found: set[str] = set()
    for cause, model in OF_ROWS.items():
        keys = {rest: transfer.key for transfer, why, rest in named if why == cause}
        found |= {keys[pk] for pk in model._default_manager.filter(pk__in=keys).values_list("pk", flat=True)}
    topped_up = set(TopUp.objects.filter(payment__in=[t.payment_id for t in transfers]).values_list("payment", flat=True))
    found |= {t.key for t, why, _ in named if why in OF_PAYMENTS and t.payment_id in topped_up}
    levelled = {t.key: {t.debit_id, t.credit_id} for t in transfers if t.key.startswith(LEVEL)}
    accounts = {code.split(":")[1] for codes in levelled.values() for code in codes if code.startswith("wallet:")}
    own = [{wallet.account, wallet.receivable} for wallet in Wallet.objects.filter(pk__in=accounts)]
    return found | {key for key, codes in levelled.items() if codes in own}
