"""Any permutation, repetition or delay of events about saved cards ends in the same rows, whatever they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from payments.inbox import Envelope
from payments.settlement import settle_events
from wallets.models import PaymentMethod, SavedMethods
from wallets.tests.card_story import CardStory
from wallets.tests.factories import make_organization

pytestmark = pytest.mark.django_db
PROFILE = settings(
    deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
)
COLUMNS = ("stripe_id", "brand", "exp_month", "exp_year", "fingerprint", "is_default", "attached_at", "detached_at", "seen_at")
NAMES, TIMES = ("a", "b", "c", "d"), st.integers(0, 9)


@pytest.fixture
def story(db: None) -> CardStory:
    return CardStory(make_organization())


def tell(batches: Sequence[Sequence[Envelope]]) -> dict[str, Any]:
    """Apply the batches, look, and undo them."""
    with transaction.atomic():
        for batch in batches:
            settle_events(list({envelope.id: envelope for envelope in batch}.values()), source="webhook")
        attached = PaymentMethod.objects.filter(detached_at=None)
        assert PaymentMethod.objects.filter(is_default=True).count() == attached.exists()
        seen = {
            "methods": list(PaymentMethod.objects.order_by("stripe_id").values_list(*COLUMNS)),
            "chosen": list(SavedMethods.objects.values_list("chosen", "chosen_at")),
        }
        transaction.set_rollback(True)
    return seen


@st.composite
def events(draw: st.DrawFn, story: CardStory) -> list[Envelope]:
    """Of four cards, two of which are the same one; many things of one second, some of which cannot be."""
    told: list[Envelope] = []
    for _ in range(draw(st.integers(1, 9))):
        name, at = draw(st.sampled_from(NAMES)), draw(TIMES)
        card = {"fingerprint": "same"} if name in "ab" else {}
        dates = {"exp_month": draw(st.integers(1, 3)), "exp_year": draw(st.integers(2030, 2031))}
        kind = draw(st.sampled_from(["attached", "updated", "renewed", "detached", "chosen", "cleared"]))
        made = {
            "attached": lambda: story.attached(name, at=at, **card, **dates),  # noqa: B023  called at once
            "updated": lambda: story.updated(name, at=at, **card, **dates),  # noqa: B023
            "renewed": lambda: story.updated(name, at=at, by_network=True, **card, **dates),  # noqa: B023
            "detached": lambda: story.detached(name, at=at, **card, **dates),  # noqa: B023
            "chosen": lambda: story.chosen(name, at=at),  # noqa: B023
            "cleared": lambda: story.chosen(None, at=at, instead_of=name),  # noqa: B023
        }
        told.append(made[kind]())
    return told


@settings(PROFILE, max_examples=200)
@given(data=st.data())
def test_any_order_repetition_and_batching_of_cards_ends_in_the_same_rows(story: CardStory, data: st.DataObject) -> None:
    told = data.draw(events(story))
    expected = tell([[event] for event in told])
    shuffled = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=4))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    batches = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    assert tell([batch for batch in batches if batch]) == expected
