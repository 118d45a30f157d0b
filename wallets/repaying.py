"""Which refunds and disputes a levelling transfer repays.

The transfer says what made it possible (a top-up, say), not what was owed. That follows from the order in which things
were booked: what was owed first is repaid first, and what comes back of a refund or dispute is first of all its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import Case, F, Q, QuerySet, Sum, When, Window

from conventions.chunks import in_chunks
from payments.bookkeeping import ASSIGNED
from payments.models import Transfer

CHUNK = 500


@dataclass
class Part:
    """So much of a transfer, in minor units: positive where it made more be owed, negative where less."""

    of: Transfer
    minor: int

    @property
    def stripe_id(self) -> str:
        """The refund or dispute that it is about; nothing for one that levels."""
        cause, _, rest = self.of.key.removeprefix(f"{ASSIGNED}:").partition(":")
        return "" if cause == "level" else rest.partition(":")[0]


def repaid_by(levels: Iterable[Transfer]) -> dict[str, list[Part]]:
    """By key of a levelling transfer: what it repaid, or, where it gives money back to the wallet, what had come back.

    A few queries for each organization and currency among them.
    """
    by_account: dict[str, set[str]] = defaultdict(set)
    for level in levels:
        by_account[_receivable(level)].add(level.pk)
    found: dict[str, list[Part]] = {}
    for account, pks in by_account.items():
        found |= {booked.key: parts for booked, parts in _evened(account, min(pks), max(pks)) if booked.pk in pks}
    return found


def _receivable(level: Transfer) -> str:
    """What an organization owes: the one of the two accounts that is no wallet."""
    return str(level.debit_id if level.debit_id.startswith("receivable:") else level.credit_id)


def _evened(account: str, first: str, last: str) -> Iterator[tuple[Transfer, list[Part]]]:
    """Each transfer of the account from `first` to `last`, perhaps some before, and what it evened out of earlier ones."""
    waiting: list[Part] = []
    for chunk in in_chunks(_booked(account).filter(pk__gt=_last_even(account, first), pk__lte=last), CHUNK):
        for transfer in chunk:
            signed = transfer.amount_minor if transfer.debit_id == account else -transfer.amount_minor
            yield transfer, _even_out(waiting, Part(of=transfer, minor=signed))


def _last_even(account: str, before: str) -> str:
    """The latest transfer before that one after which nothing was owed, so that nothing waited; none: an empty text."""
    signed = Case(When(debit=account, then=F("amount_minor")), default=-F("amount_minor"))
    sums = _booked(account).filter(pk__lt=before).annotate(owed_minor=Window(Sum(signed), order_by=F("pk").asc()))
    return sums.filter(owed_minor=0).order_by("-pk").values_list("pk", flat=True).first() or ""


def _even_out(waiting: list[Part], booked: Part) -> list[Part]:
    """Take from what waits on the other side (all of `waiting` is on one), and let wait what is left of `booked`."""
    taken: list[Part] = []
    if waiting and (waiting[0].minor > 0) != (booked.minor > 0):
        for part in sorted(waiting, key=lambda part: part.stripe_id != booked.stripe_id):  # else the oldest first
            much = min(abs(part.minor), abs(booked.minor)) * (1 if part.minor > 0 else -1)
            part.minor -= much
            booked.minor += much
            if much:
                taken.append(Part(of=part.of, minor=much))
        waiting[:] = [part for part in waiting if part.minor]
    if booked.minor:
        waiting.append(booked)
    return taken


def _booked(account: str) -> QuerySet[Transfer]:
    return Transfer.objects.filter(Q(debit=account) | Q(credit=account))
