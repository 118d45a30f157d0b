"""The sandbox itself: one account's state, its clock, its events, and how it has been told to misbehave."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.clock import Act, Clock
from sandbox.deliveries import Deliveries
from sandbox.events import Cause, Events
from sandbox.faults import Faults
from sandbox.idempotency import Idempotency
from sandbox.ids import Ids
from sandbox.keeper import Keeper
from sandbox.misbehaviour import Misbehaviour
from sandbox.problems import Problem
from sandbox.state import State

ACCOUNT = "acct_1SandboxStandIn0001"


@dataclass(kw_only=True)
class Settings:
    """Changed while running by `POST /_sandbox/settings`, those after `data` at least."""

    seed: int
    public_url: str = "http://127.0.0.1:12111"
    data: Path | None = None
    settle_soon_s: int = 5  # debits that settle "soon", pending refunds, refunds that fail later
    settle_late_s: int = 180
    balance_delay_s: int = 0  # from a charge's success to its balance transaction
    delivery_timeout_s: int = 10
    settlement_currencies: list[str] = field(default_factory=list)  # the first is converted to; empty: nothing is
    retry_after_s: list[int] = field(default_factory=lambda: [2, 10, 60])  # on the sandbox's clock
    invoice_retry_days: list[int] = field(default_factory=lambda: [3, 5, 7])  # from each failed attempt to the next
    after_retries: str = "canceled"  # what a subscription becomes then: canceled | unpaid | past_due


class Box:
    def __init__(self, settings: Settings, acts: dict[str, Callable[["Box", str], None]]) -> None:
        self.settings = settings
        self.acts = acts
        self.keeper = Keeper(settings.data)
        self.clock = Clock(self.keeper)
        self.state = State(self.keeper)
        self.events = Events(self.keeper)
        self.ids = Ids(settings.seed, len(self.state.objects) + len(self.events.by_id))
        self.misbehaviour = Misbehaviour(settings.seed)
        self.faults = Faults(settings.seed)
        self.idempotency = Idempotency(self.keeper)
        self.deliveries = Deliveries(self)
        self.cause = Cause()
        self.settlement_days = {int(act.subject) for act in self.clock.waiting if act.name == "make_available"}

    def emit(self, kind: str, thing: dict[str, object], previous: dict[str, object] | None = None) -> None:
        """Record what just happened to the object, as it is now, and start telling the endpoints."""
        event = self.events.record(
            key=self.ids.new("evt_"),
            kind=kind,
            created=self.clock.now(),
            thing=thing,
            previous=previous,
            cause=self.cause,
            endpoints=self.deliveries.endpoints_for(kind),
        )
        self.deliveries.begin(event)

    def later(self, act: str, subject: str, *, after_s: int = 0) -> None:
        """Do it when the clock gets there; with 0, right after the request that is being answered."""
        self.clock.schedule(act, subject, after_s=after_s)

    def do_now(self, act: str, subject: str) -> None:
        """An act as part of what is being done: its events name the same request."""
        self.acts[act](self, subject)

    def run_due(self) -> None:
        """Acts of the account itself, so the events they cause name no request."""
        while act := self.clock.take_due():
            self.run(act)

    def run(self, act: Act) -> None:
        asked_by, self.cause = self.cause, Cause()
        try:
            self.acts[act.name](self, act.subject)
        except Problem as problem:  # a person was quicker than the clock
            sys.stderr.write(f"sandbox: {act.name} {act.subject}: {problem}\n")
        finally:
            self.cause = asked_by

    def reset(self, *, seed: int | None) -> None:
        """Forget all, and what is still on its way to an endpoint. Without a seed the ids go on where they were, so
        that a receiver that forgets nothing never meets the same event id with another content."""
        if seed is not None:
            self.settings.seed = seed
        self.deliveries.reset()
        self.keeper.forget_everything()
        self.clock.reset()
        self.settlement_days.clear()
        self.state = State(self.keeper)
        self.events = Events(self.keeper)
        if seed is not None:
            self.ids = Ids(seed, 0)
        self.misbehaviour = Misbehaviour(self.settings.seed)
        self.faults = Faults(self.settings.seed)
        self.idempotency = Idempotency(self.keeper)
