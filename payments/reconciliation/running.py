"""Going through Stripe's lists: page by page, each compared and, where asked, mended, before the next is fetched.

Memory is that of one page. With `apply` the place reached is stored after each page, so that a run that was interrupted,
or stopped at its limit, goes on there when it is started again with the same window.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from django.utils import timezone

from payments import stripe_gateway
from payments.models import Reconciliation
from payments.reconciliation.comparing import Objects
from payments.reconciliation.differences import Difference, Json, Step
from payments.reconciliation.pulling import MissedEvents
from payments.reconciliation.recording import BalanceTransactions, Payouts
from payments.reconciliation.unbacked import unbacked_transfers

logger = logging.getLogger(__name__)

# In this order: what a later list says of a payment finds the payment known.
STEPS: tuple[Callable[[], Step], ...] = (
    MissedEvents,
    lambda: Objects("sessions"),
    lambda: Objects("intents"),
    lambda: Objects("charges"),
    lambda: Objects("refunds"),
    lambda: Objects("disputes"),
    BalanceTransactions,
    Payouts,
)
LAST_STEP = "transfers"
GOES_ON_FOR = timedelta(days=2)  # a run older than this is not continued: its window is stale


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A difference and what became of it: found (nothing was tried), mended, failed (with `error`), or left."""

    step: str
    subject: str
    what: str
    remedy: str
    outcome: str = "found"
    error: str = ""


@dataclass
class Result:
    """What a run did. `stopped` when it reached its limit and there is more."""

    since: datetime
    until: datetime
    compared: int = 0
    found: int = 0
    mended: int = 0
    went_on: bool = False
    stopped: bool = False


@dataclass(frozen=True, kw_only=True)
class Window:
    """`asked` is how it was asked for: the same words go on with the same unfinished run."""

    since: datetime
    until: datetime
    asked: str


class Run:
    """`findings()` does the work as it is read; `result` says afterwards how it went. `on_page` hears of each page that
    was compared, `on_pause` why it waits."""

    def __init__(
        self,
        window: Window,
        *,
        apply: bool,
        limit: int,
        on_page: Callable[[str, int], None],
        on_pause: Callable[[str], None] = logger.warning,
    ) -> None:
        self.apply, self.limit, self.on_page, self.on_pause = apply, limit, on_page, on_pause
        self.place = _place(window) if apply else None
        since, until = (self.place.since, self.place.until) if self.place else (window.since, window.until)
        self.result = Result(since, until, went_on=bool(self.place and self.place.step))
        self.recorded_all = True
        self.tried = 0  # things that were to be mended, each of which counts towards the limit whatever became of it

    def findings(self) -> Iterator[Finding]:
        for step in self._steps_to_do():
            yield from self._step(step)
            if self.result.stopped:
                return
        if self.recorded_all:  # else every transfer whose balance transaction is still to be recorded would be named
            for difference in unbacked_transfers(since=self.result.since, until=self.result.until):
                self.result.found += 1
                yield self._finding(LAST_STEP, difference, "found")
        if self.place:
            self.place.finished_at = timezone.now()
            self._keep_place(LAST_STEP, None)

    def _steps_to_do(self) -> list[Step]:
        steps = [make() for make in STEPS]
        reached = [step.source for step in steps].index(self.place.step) if self.place and self.place.step else 0
        return steps[reached:]

    def _step(self, step: Step) -> Iterator[Finding]:
        after = self.place.cursor if self.place and self.place.step == step.source else None
        window = {"since": self.result.since, "until": self.result.until}
        for page in stripe_gateway.pages(step.source, **window, after=after, on_pause=self.on_pause, **step.filters()):
            yield from self._page(step, page)
            self.result.compared += len(page)
            self.on_page(step.name, len(page))
            if self.result.stopped:
                return
            self._keep_place(step.source, page[-1]["id"])

    def _page(self, step: Step, page: Sequence[Json]) -> Iterator[Finding]:
        found = step.look(page)
        self.result.found += len(found)
        if not self.apply:
            self.recorded_all &= not (found and step.source == "balance_transactions")
            yield from (self._finding(step.name, one, "found") for one in found)
            return
        todo = self._within_limit(found)
        errors = step.mend(list(todo.values())) if todo else {}
        remaining = {one.subject for one in (step.look(page) if todo else found)}
        for one in found:
            if one.subject not in remaining:
                self.result.mended += 1
                yield self._finding(step.name, one, "mended")
            elif one.remedy and one.thing["id"] not in todo:
                self.result.stopped = True
                yield self._finding(step.name, one, "left")
            elif one.remedy:
                error = errors.get(one.subject) or "it differs still"
                yield replace(self._finding(step.name, one, "failed"), error=error)
            else:
                yield self._finding(step.name, one, "found")

    def _within_limit(self, found: Sequence[Difference]) -> dict[str, Json]:
        """The things to mend, by their ids: a thing that differs in several ways is one, and is mended whole."""
        things = {one.thing["id"]: one.thing for one in found if one.remedy}
        todo = dict(islice(things.items(), max(0, self.limit - self.tried)))
        self.tried += len(todo)
        return todo

    def _finding(self, step: str, difference: Difference, outcome: str) -> Finding:
        return Finding(step=step, subject=difference.subject, what=difference.what, remedy=difference.remedy, outcome=outcome)

    def _keep_place(self, step: str, cursor: str | None) -> None:
        if self.place:
            self.place.step, self.place.cursor = step, cursor
            self.place.found, self.place.mended = self.result.found, self.result.mended
            self.place.save()


def _place(window: Window) -> Reconciliation:
    """The unfinished run over the window that was asked for with the same words, or a new one."""
    fresh_enough = timezone.now() - GOES_ON_FOR
    unfinished = Reconciliation.objects.filter(asked=window.asked, finished_at=None, started_at__gte=fresh_enough)
    return unfinished.order_by("-started_at").first() or Reconciliation.objects.create(
        asked=window.asked, since=window.since, until=window.until
    )
