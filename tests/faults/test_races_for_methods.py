"""Many at once at one organization's saved methods, on real row locks: always one default, and nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection  # noqa: F401  skipif's condition names it

from accounts.models import Organization, Role, User
from conventions import tenancy
from conventions.errors import NotFound
from payments import stripe_gateway
from payments.errors import StripeRefused
from payments.inbox import Envelope
from payments.settlement import settle_events
from tests.faults.test_races import at_once
from wallets import expiring_cards, methods, refreshing_methods
from wallets.models import Notice, PaymentMethod, Wallet
from wallets.tests.card_story import CardStory
from wallets.tests.factories import join, make_organization, make_wallet

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgres,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs real row locks: SQLite has one writer at a time"),
    pytest.mark.xdist_group("faults-races"),
]


class Remembering:
    """Stripe's side: which method is the default, and what is attached."""

    def __init__(self) -> None:
        self.default = ""
        self.detached: set[str] = set()
        self.guard = threading.Lock()

    def set_default(self, method: str, *, customer: str) -> dict[str, Any]:
        with self.guard:
            self.default = method
        return {}

    def detach(self, method: str) -> dict[str, Any]:
        with self.guard:
            self.detached.add(method)
        return {}


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> Remembering:
    remembering = Remembering()
    monkeypatch.setattr(stripe_gateway, "set_default_method", remembering.set_default)
    monkeypatch.setattr(stripe_gateway, "detach_method", remembering.detach)
    return remembering


@pytest.fixture
def admin() -> User:
    return join(make_organization(), role=Role.ADMIN)


@pytest.fixture
def story(admin: User) -> CardStory:
    story = CardStory(admin.memberships.get().organization)
    for at in range(6):
        settle_events([story.attached(f"c{at}", at=at)], source="webhook")
    return story


def asked(admin: User, act: Callable[..., Any], method: PaymentMethod) -> bool:
    """In the scope of a request; False where it was gone already."""
    with tenancy.only(user=admin.pk, organization=method.organization_id):
        try:
            act(method=PaymentMethod.objects.select_related("organization").get(pk=method.pk), actor=admin)
        except NotFound:
            return False
    return True


def delivered(event: Envelope) -> bool:
    settle_events([event], source="webhook")
    return True


def defaults() -> list[str]:
    return list(PaymentMethod.objects.filter(is_default=True, detached_at=None).values_list("stripe_id", flat=True))


def test_of_many_choices_at_once_one_is_the_default(admin: User, story: CardStory, stripe: Remembering) -> None:
    cards = list(PaymentMethod.objects.all())
    assert all(at_once([partial(asked, admin, methods.set_default, card) for card in cards * 5], threads=16))
    [default] = defaults()
    settle_events([story.chosen("c3", at=600)], source="webhook")
    assert (default in {card.stripe_id for card in cards}, defaults()) == (True, [story.pm("c3")])


def test_choosing_and_removing_at_once_leaves_one_default_among_those_that_stay(
    admin: User, story: CardStory, stripe: Remembering
) -> None:
    cards = list(PaymentMethod.objects.order_by("stripe_id"))
    acts = [partial(asked, admin, methods.set_default, card) for card in cards * 3]
    acts += [partial(asked, admin, methods.remove, card) for card in cards[:4] * 2]
    at_once(acts, threads=16)
    assert stripe.detached == {card.stripe_id for card in cards[:4]}
    assert set(PaymentMethod.objects.filter(detached_at=None)) == set(cards[4:])
    [default] = defaults()
    assert default in {card.stripe_id for card in cards[4:]}


def test_events_requests_and_the_sweep_at_once_agree(
    admin: User, story: CardStory, stripe: Remembering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_gateway, "list_methods", lambda customer: [story.card(f"c{at}") for at in range(1, 6)])
    customer = {"invoice_settings": {"default_payment_method": story.pm("c2")}}
    monkeypatch.setattr(stripe_gateway, "retrieve", lambda kind, key: customer)
    cards = list(PaymentMethod.objects.order_by("stripe_id"))
    events = [story.detached("c0", at=20), story.updated("c1", at=21, exp_month=1), story.attached("c9", at=22)]
    acts = [partial(delivered, event) for event in events * 4]
    acts += [partial(asked, admin, methods.set_default, cards[4])] * 4
    acts += [partial(swept, refreshing_methods.sweep)] * 4
    at_once(acts, threads=16)
    assert len(defaults()) == 1
    gone = set(PaymentMethod.objects.exclude(detached_at=None).values_list("stripe_id", flat=True))
    assert gone - {story.pm("c9")} == {story.pm("c0")}


def swept(sweep: Callable[[], dict[str, int]]) -> int:
    with tenancy.everything():
        return sum(sweep().values())


def test_many_sweeps_at_once_tell_of_a_card_once(admin: User, story: CardStory, monkeypatch: pytest.MonkeyPatch) -> None:
    PaymentMethod.objects.filter(stripe_id=story.pm("c1")).update(exp_year=expiring_cards.timezone.now().year, exp_month=12)
    monkeypatch.setattr(expiring_cards, "TELL_BEFORE", expiring_cards.timedelta(days=366))
    assert sum(at_once([partial(swept, expiring_cards.sweep)] * 16, threads=16)) == 1
    assert Notice.objects.count() == 1


# -- a customer that was deleted at Stripe ------------------------------------------------------------------
class MakesCustomers(Remembering):
    """Stripe after it deleted the organization's customer: one new customer for each key, and nothing for the old one."""

    def __init__(self, gone: str) -> None:
        super().__init__()
        self.gone = gone
        self.made: dict[str, str] = {}

    def create(self, operation: str, params: dict[str, Any], *, idempotency_key: str) -> dict[str, Any]:
        if params.get("customer") == self.gone:
            refused = StripeRefused(f"No such customer: '{self.gone}'")
            refused.code = "resource_missing"
            raise refused
        with self.guard:
            new = self.made.setdefault(idempotency_key, f"{operation.partition('.')[0]}_{len(self.made)}")
        return {"id": new, "client_secret": "x", "customer": params.get("customer")}


def test_many_who_find_out_at_once_that_a_customer_is_gone_make_one(
    admin: User, story: CardStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    stripe = MakesCustomers(story.customer)
    monkeypatch.setattr(stripe_gateway, "create", stripe.create)
    monkeypatch.setattr(stripe_gateway, "retrieve", lambda kind, key: {"id": key, "deleted": key == stripe.gone})
    organization = Organization.objects.get()
    wallet = make_wallet(organization)
    rule = {"top_up_below_minor": 2_000, "top_up_amount_minor": 5_000, "top_up_daily_limit_minor": 50_000}
    Wallet.objects.update(**rule)

    def set_up() -> str:
        with tenancy.only(user=admin.pk, organization=organization.pk):
            own = Organization.objects.get(pk=organization.pk)
            return str(methods.set_up(organization=own, idempotency=None)["customer"])

    deleted = story.customer_deleted(at=600)
    acts: list[Callable[[], Any]] = [set_up] * 24 + [partial(delivered, deleted)] * 4
    acts += [
        partial(delivered, event) for at in range(4) for event in (story.attached(f"late{at}", at=at), story.chosen("c1", at=at))
    ]
    answers = at_once(acts, threads=16)
    [customer] = [new for key, new in stripe.made.items() if "customers.create" in key]
    organization.refresh_from_db()
    wallet.refresh_from_db()
    assert ({str(one) for one in answers[:24]}, organization.stripe_customer) == ({customer}, customer)
    assert (PaymentMethod.objects.filter(detached_at=None).count(), PaymentMethod.objects.filter(is_default=True).count()) == (
        0,
        0,
    )
    assert (wallet.tops_up_by_itself, Notice.objects.count()) == (False, 1)
