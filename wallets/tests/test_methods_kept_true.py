"""What no webhook told of saved payment methods, and cards that end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from accounts.models import Organization, Role
from payments import stripe_gateway
from payments.errors import StripeRefused, StripeUnavailable
from wallets import expiring_cards, refreshing_methods
from wallets.models import Notice, NoticeDelivery, PaymentMethod
from wallets.tests.card_story import CardStory, rows, tell
from wallets.tests.factories import join, make_method, make_organization

pytestmark = pytest.mark.django_db
METHODS = "/api/payments/methods"
NOBODY = "method_01jqz0000000000000000000zz"


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def story(organization: Organization) -> CardStory:
    return CardStory(organization)


# -- what no webhook told ---------------------------------------------------------------------------
def shows(monkeypatch: pytest.MonkeyPatch, *methods: Any, default: str | None = None) -> list[str]:
    """Stripe's list and the customer's default; what is made the default there."""
    told: list[str] = []
    customer = {"invoice_settings": {"default_payment_method": default}}
    monkeypatch.setattr(stripe_gateway, "list_methods", lambda customer: list(methods))
    monkeypatch.setattr(stripe_gateway, "retrieve", lambda kind, key: customer)
    monkeypatch.setattr(stripe_gateway, "set_default_method", lambda method, customer: told.append(method))
    return told


def test_lost_events_are_found_by_asking_and_asked_for_once_a_day(story: CardStory, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(story.attached("a", at=1), story.attached("b", at=2))
    pushed = shows(monkeypatch, story.card("b", exp_year=2044), story.card("c"), default=story.pm("c"))
    assert refreshing_methods.sweep() == {"methods_refreshed": 1}
    assert (rows(story), pushed) == ({"a": "detached", "b": "attached", "c": "default"}, [])
    assert PaymentMethod.objects.get(stripe_id=story.pm("b")).exp_year == 2044
    assert refreshing_methods.sweep() == {"methods_refreshed": 0}
    with time_machine.travel(datetime.now(UTC) + timedelta(days=1, minutes=1)):
        assert refreshing_methods.sweep() == {"methods_refreshed": 1}
    assert rows(story) == {"a": "detached", "b": "attached", "c": "default"}


def test_stripe_is_told_a_default_that_it_does_not_know(story: CardStory, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(story.attached("a", at=1), story.attached("b", at=2))
    assert refreshing_methods.sweep is not None
    pushed = shows(monkeypatch, story.card("a"), story.card("b"))
    refreshing_methods.sweep()
    assert (rows(story), pushed) == ({"a": "default", "b": "attached"}, [story.pm("a")])


def test_what_is_attached_while_stripe_is_asked_is_not_taken_for_detached(
    story: CardStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(story.attached("a", at=1))
    shows(monkeypatch, story.card("a"))

    def meanwhile(customer: str) -> list[Any]:
        tell(story.attached("b", at=2), story.attached("c", at=3), story.detached("a", at=4))
        return [story.card("a")]

    monkeypatch.setattr(stripe_gateway, "list_methods", meanwhile)
    refreshing_methods.sweep()
    assert rows(story) == {"a": "detached", "b": "attached", "c": "default"}


def test_a_choice_that_is_told_while_stripe_is_asked_stands(story: CardStory, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(story.attached("a", at=1), story.attached("b", at=2))
    shows(monkeypatch, default=story.pm("a"))

    def meanwhile(customer: str) -> list[Any]:
        tell(story.chosen("b", at=9))
        return [story.card("a"), story.card("b")]

    monkeypatch.setattr(stripe_gateway, "list_methods", meanwhile)
    refreshing_methods.sweep()
    assert rows(story) == {"a": "attached", "b": "default"}


def test_one_that_stripe_does_not_show_holds_up_no_other_and_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    stories = [CardStory(make_organization()) for _ in range(3)]
    shows(monkeypatch)

    def fails_once(customer: str) -> list[Any]:
        if customer == stories[1].customer:
            raise StripeRefused("There is no such customer.")
        return [next(one for one in stories if one.customer == customer).card("a")]

    monkeypatch.setattr(stripe_gateway, "list_methods", fails_once)
    assert refreshing_methods.sweep() == {"methods_refreshed": 2}
    assert (PaymentMethod.objects.count(), refreshing_methods.due()) == (2, [])
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=11)):
        assert [one.stripe_customer for one in refreshing_methods.due()] == [stories[1].customer]


def test_a_stripe_that_is_down_is_asked_three_times_and_not_fifty(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(6):
        CardStory(make_organization())
    shows(monkeypatch)
    asked: list[str] = []

    def down(customer: str) -> list[Any]:
        asked.append(customer)
        raise StripeUnavailable("Stripe is down.")

    monkeypatch.setattr(stripe_gateway, "list_methods", down)
    assert (refreshing_methods.sweep(), len(asked)) == ({"methods_refreshed": 0}, 3)


# -- cards that end ---------------------------------------------------------------------------------
def on(day: str) -> Any:
    return time_machine.travel(datetime.fromisoformat(f"{day}T12:00:00+00:00"), tick=False)


@pytest.mark.parametrize(
    ("day", "exp_month", "exp_year", "told"),
    [
        ("2027-02-28", 3, 2027, 0),  # good for 31 days more
        ("2027-03-02", 3, 2027, 1),
        ("2027-03-31", 3, 2027, 1),
        ("2027-04-01", 3, 2027, 0),  # over
        ("2026-12-01", 12, 2026, 0),
        ("2026-12-02", 12, 2026, 1),
        ("2026-12-31", 1, 2027, 0),
        ("2027-01-31", 2, 2027, 1),
    ],
)
def test_a_card_is_told_of_in_its_last_thirty_days(
    organization: Organization, day: str, exp_month: int, exp_year: int, told: int
) -> None:
    make_method(organization, exp_month=exp_month, exp_year=exp_year)
    with on(day):
        assert expiring_cards.sweep() == {"cards_expiring": told}
    assert Notice.objects.count() == told


def test_a_card_that_ends_is_told_to_the_admins_once_and_anew_with_a_new_date(
    story: CardStory, organization: Organization
) -> None:
    join(organization, role=Role.ADMIN)
    join(organization)
    tell(story.attached("a", at=1, exp_month=3, exp_year=2027))
    with on("2027-03-20"):
        assert [expiring_cards.sweep()["cards_expiring"] for _ in range(3)] == [1, 0, 0]
    method, notice = PaymentMethod.objects.get(), Notice.objects.get()
    assert (notice.kind, notice.key) == ("card_expiring", f"expiring:{method.pk}:2027-3")
    assert notice.facts == {"brand": "visa", "last4": "4242", "exp_month": 3, "exp_year": 2027}
    assert (NoticeDelivery.objects.count(), method.expiry_told_at is not None) == (2, True)
    tell(story.updated("a", at=9, by_network=True, exp_month=3, exp_year=2029))
    with on("2027-03-21"):
        assert expiring_cards.sweep()["cards_expiring"] == 0
    with on("2029-03-20"):
        assert expiring_cards.sweep()["cards_expiring"] == 1
    assert Notice.objects.count() == 2


def test_nobody_is_told_of_a_card_that_is_gone_or_was_saved_with_its_new_date(story: CardStory) -> None:
    ending = {"exp_month": 3, "exp_year": 2027, "fingerprint": "x"}
    tell(story.attached("a", at=1, **ending), story.attached("b", at=2, fingerprint="x"))
    tell(story.attached("c", at=3, exp_month=3, exp_year=2027), story.detached("c", at=4, exp_month=3, exp_year=2027))
    with on("2027-03-20"):
        assert expiring_cards.sweep() == {"cards_expiring": 0}
        tell(story.detached("b", at=5, fingerprint="x"))
        assert expiring_cards.sweep() == {"cards_expiring": 1}
