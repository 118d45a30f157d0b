"""A run of reconcile tries to mend no more than it was told, however many ways one thing differs in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from payments import stripe_gateway
from payments.models import BalanceTransaction, Payment
from payments.reconciliation.recording import BalanceTransactions
from payments.reconciliation.running import Run
from payments.reconciliation.windows import Window
from payments.tests.stripe_objects import BORN
from payments.tests.test_reconciling import movement

pytestmark = pytest.mark.django_db
Json = dict[str, Any]
PAGES, PER_PAGE = 2, 10


def charge(name: str) -> Json:
    return {
        "id": f"ch_{name}", "object": "charge", "status": "succeeded", "paid": True, "captured": True, "amount": 500,
        "amount_refunded": 0, "currency": "usd", "payment_intent": f"pi_{name}", "metadata": {}, "billing_details": {},
        "receipt_url": "", "created": BORN,
    }  # fmt: skip


@pytest.fixture(autouse=True)
def _stripe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists twenty balance transactions on two pages. Each differs twice: its charge is not known, nor is it recorded."""
    pages = [[movement(charge(f"{page}x{n}"), 500, 30) for n in range(PER_PAGE)] for page in range(PAGES)]
    after = {None: pages, pages[0][-1]["id"]: pages[1:]}

    def listed(name: str, **asked: Any) -> Any:
        return iter(after[asked["after"]] if name == "balance_transactions" else [])

    monkeypatch.setattr(stripe_gateway, "pages", listed)


def reconciled(limit: int) -> tuple[Counter[str], Run]:
    now = timezone.now()
    run = Run(
        Window(since=now - timedelta(days=9), until=now, asked="9d"), apply=True, limit=limit, on_page=lambda step, count: None
    )
    return Counter(finding.outcome for finding in run.findings()), run


def kept() -> tuple[int, int]:
    return BalanceTransaction.objects.count(), Payment.objects.count()


def test_a_thing_that_differs_twice_counts_once_and_the_limit_holds_on_the_next_page() -> None:
    outcomes, run = reconciled(limit=11)
    assert (kept(), outcomes) == ((11, 11), {"mended": 22, "left": 18})
    assert (run.result.mended, run.result.stopped) == (22, True)


def test_a_limit_that_is_reached_at_the_end_of_a_page_mends_nothing_more() -> None:
    outcomes, run = reconciled(limit=10)
    assert (kept(), outcomes, run.result.stopped) == ((10, 10), {"mended": 20, "left": 20}, True)


def test_runs_one_after_the_other_mend_everything() -> None:
    ends = [(*kept(), run.result.stopped) for _, run in (reconciled(limit=7) for _ in range(4))]
    assert ends == [(7, 7, True), (14, 14, True), (20, 20, False), (20, 20, False)]


def test_things_that_could_not_be_mended_count_towards_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []

    def fail(self: BalanceTransactions, things: Sequence[Json]) -> dict[str, str]:
        given.append(len(things))
        return {str(thing["id"]): "disk full" for thing in things}

    monkeypatch.setattr(BalanceTransactions, "mend", fail)
    outcomes, run = reconciled(limit=12)
    assert (given, outcomes) == ([10, 2], {"failed": 24, "left": 16})
    assert (kept(), run.result.mended, run.result.stopped) == ((0, 0), 0, True)
