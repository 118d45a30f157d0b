"""What any product's state machine begins with: payments that wait, are paid, refunded and disputed, and events that come
again."""

from __future__ import annotations

from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from payments.inbox import Envelope
from payments.models import Payment
from payments.proving import check_books
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

# The database is reset inside each example; explaining a failure would trace every line of it.
PROFILE = settings(
    deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
)
pending: Bundle[Story] = Bundle("pending")
paid: Bundle[Story] = Bundle("paid")


class Paying(RuleBasedStateMachine):
    """The product's own machine puts stories into `pending`."""

    pending, paid = pending, paid

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.events: list[Envelope] = []
        self.paid_for: set[str] = set()
        self.clock = 1000

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    def arrive(self, events: list[Envelope]) -> None:
        self.events += events
        for event in events:
            settle_events([event], source="webhook")

    @rule(target=paid, story=consumes(pending))
    def pay(self, story: Story) -> Story:
        self.arrive(story.succeeded())
        self.paid_for.add(story.payment.pk)
        return story

    @rule(story=paid, share=st.integers(1, 100), fails=st.booleans())
    def refund(self, story: Story, share: int, fails: bool) -> None:
        payment = Payment.objects.get(pk=story.payment.pk)
        amount = payment.refundable_minor * share // 100
        if not amount or payment.disputed_minor:
            return
        self.clock += 10
        name, in_all = f"r{self.clock}", payment.refunded_minor + amount
        failed = story.refund_failed(name, amount, at=self.clock)
        self.arrive(failed if fails else story.refunded(name, amount, at=self.clock, in_all=in_all))

    @rule(story=consumes(paid), outcome=st.sampled_from(["won", "lost"]))
    def dispute(self, story: Story, outcome: str) -> None:
        self.arrive(story.disputed(outcome))

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def redeliver(self, data: st.DataObject) -> None:
        for event in data.draw(st.lists(st.sampled_from(self.events), min_size=1, max_size=5)):
            settle_events([event], source="webhook")

    @invariant()
    def books_are_clean(self) -> None:
        assert list(check_books()) == []
