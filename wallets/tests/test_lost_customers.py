"""What follows when a customer was deleted at Stripe, whenever and however often it is told."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from accounts.models import Organization
from accounts.tests.factories import UserFactory
from conventions.trying_again import in_transaction
from payments import customers, stripe_gateway
from payments.customers import stripe_customer_of
from payments.errors import CustomerGone, StripeRefused
from payments.models import StripeCall
from payments.settlement import settle_events
from wallets import automatic, lost_customers, method_facts, refreshing_methods
from wallets.models import Notice, PaymentMethod, SavedMethods, TopUp, Wallet
from wallets.tests.card_story import CardStory, rows, tell
from wallets.tests.factories import make_organization, make_wallet
from wallets.tests.test_automatic import unsent

pytestmark = pytest.mark.django_db
RULE = {"top_up_below_minor": 2_000, "top_up_amount_minor": 5_000, "top_up_daily_limit_minor": 50_000}


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def story(organization: Organization) -> CardStory:
    return CardStory(organization)


def customer_now() -> str | None:
    return Organization.objects.get().stripe_customer


def missing(refused_customer: str = "") -> StripeRefused:
    refused = StripeRefused(f"No such customer: '{refused_customer}'")
    refused.code = "resource_missing"
    return refused


# -- events -------------------------------------------------------------------------------------------------
def test_the_cards_go_at_the_time_that_stripe_told(story: CardStory) -> None:
    tell(story.attached("a", at=1), story.attached("b", at=2), story.chosen("b", at=3), story.customer_deleted(at=9))
    assert (customer_now(), rows(story)) == (None, {"a": "detached", "b": "detached"})
    at = story.customer_deleted(at=9).created_at
    assert list(PaymentMethod.objects.values_list("detached_at", "is_default")) == [(at, False)] * 2


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_whatever_order_the_end_is_told_in_nothing_is_attached(story: CardStory, order: tuple[int, ...]) -> None:
    told = [story.attached("a", at=1), story.chosen("a", at=2), story.customer_deleted(at=5), story.detached("a", at=5)]
    tell(*(told[place] for place in order))
    assert (customer_now(), PaymentMethod.objects.filter(detached_at=None).count()) == (None, 0)


def test_one_batch_of_events_ends_as_one_after_the_other(story: CardStory) -> None:
    batch = [story.customer_deleted(at=5), story.attached("a", at=5), story.attached("b", at=1)]
    settle_events(batch, source="pull")
    assert (customer_now(), rows(story)) == (None, {"a": "detached", "b": "detached"})


def test_late_words_of_the_old_customer_change_nothing_of_the_new_one(story: CardStory, organization: Organization) -> None:
    late = [
        story.attached("a", at=1),
        story.attached("b", at=2),
        story.chosen("b", at=3),
        story.updated("a", at=4, exp_month=3, exp_year=2050),
        story.detached("a", at=9),
        story.customer_deleted(at=9),
    ]
    tell(story.attached("a", at=1), story.customer_deleted(at=9))
    new = CardStory(organization, customer="cus_new")
    tell(new.attached("x", at=20), new.attached("y", at=21), new.chosen("y", at=22))
    for order in (late, late[::-1]):
        tell(*order)
        assert (customer_now(), rows(story)) == ("cus_new", {"a": "detached", "x": "attached", "y": "default"})


def test_what_waited_while_the_customer_was_forgotten_attaches_nothing(story: CardStory, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = method_facts.lock

    def waits(organizations: Any) -> Any:
        monkeypatch.setattr(method_facts, "lock", lock)
        lost_customers.forget(story.customer)
        return lock(organizations)

    monkeypatch.setattr(method_facts, "lock", waits)
    tell(story.attached("late", at=1))
    assert (customer_now(), PaymentMethod.objects.count()) == (None, 0)


def test_a_list_that_was_asked_for_before_the_customer_was_forgotten_attaches_nothing(
    story: CardStory, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(customer: str) -> list[Any]:
        tell(story.customer_deleted(at=9))
        return [story.card("a"), story.card("b")]

    tell(story.attached("a", at=1))
    monkeypatch.setattr(stripe_gateway, "retrieve", lambda *_: {"id": story.customer})
    monkeypatch.setattr(stripe_gateway, "list_methods", meanwhile)
    monkeypatch.setattr(stripe_gateway, "set_default_method", lambda *_, **__: pytest.fail("Stripe was told a default"))
    organization.refresh_from_db()
    refreshing_methods.refresh(organization)
    assert (customer_now(), rows(story)) == (None, {"a": "detached"})


def test_each_wallet_that_tops_itself_up_is_paused_and_told_once(story: CardStory, organization: Organization) -> None:
    own, other = (make_wallet(organization, currency) for currency in ("eur", "usd"))
    Wallet.objects.filter(pk=own.pk).update(**RULE)
    strangers = make_wallet(make_organization())
    Wallet.objects.filter(pk=strangers.pk).update(**RULE)
    deleted = story.customer_deleted(at=9)
    tell(deleted, deleted, story.customer_deleted(at=10))
    for wallet in (own, other, strangers):
        wallet.refresh_from_db()
    assert (own.tops_up_by_itself, own.top_up_paused_reason) == (False, lost_customers.REASON)
    assert (other.top_up_paused_at, strangers.tops_up_by_itself) == (None, True)
    notice = Notice.objects.get()
    assert (notice.kind, notice.wallet, notice.facts["reason"]) == ("top_up_failed", own, lost_customers.REASON)


def test_a_pause_that_was_there_keeps_its_reason(story: CardStory, organization: Organization) -> None:
    wallet = make_wallet(organization)
    paused_at = story.customer_deleted(at=1).created_at
    Wallet.objects.update(**RULE, top_up_paused_at=paused_at, top_up_paused_reason="declined")
    tell(story.customer_deleted(at=9))
    wallet.refresh_from_db()
    assert (wallet.top_up_paused_at, wallet.top_up_paused_reason, Notice.objects.count()) == (paused_at, "declined", 0)


def test_the_longest_customer_id_fits_into_the_notices_key(organization: Organization) -> None:
    story = CardStory(organization, customer="cus_" + "x" * 251)
    make_wallet(organization)
    Wallet.objects.update(**RULE)
    tell(story.customer_deleted(at=9))
    assert (customer_now(), Notice.objects.count()) == (None, 1)


def test_a_users_customer_is_forgotten_and_a_strangers_is_nobodys(story: CardStory) -> None:
    user = UserFactory.create(stripe_customer="cus_user")
    tell(CardStory(customer="cus_user").customer_deleted(at=1), CardStory(customer="cus_nobody").customer_deleted(at=1))
    user.refresh_from_db()
    assert (user.stripe_customer, customer_now(), SavedMethods.objects.count()) == (None, story.customer, 0)


# -- made anew ------------------------------------------------------------------------------------------------
@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The customers that Stripe made: key and id, one for each key."""
    made: list[tuple[str, str]] = []

    def create(operation: str, params: Any, *, idempotency_key: str) -> dict[str, Any]:
        if idempotency_key not in dict(made):
            made.append((idempotency_key, f"cus_made{len(made)}"))
        return {"id": dict(made)[idempotency_key]}

    monkeypatch.setattr(stripe_gateway, "create", create)
    return made


def test_each_deletion_gives_the_next_need_a_key_of_its_own(organization: Organization, made: list[tuple[str, str]]) -> None:
    for number in range(3):
        assert [stripe_customer_of(organization) for _ in range(2)] == [f"cus_made{number}"] * 2
        in_transaction(lambda number=number: lost_customers.forget(f"cus_made{number}"), what="test")  # type: ignore[misc]
        organization.refresh_from_db()
        assert organization.stripe_customer is None
    assert [key for key, _ in made] == [f"{organization.pk}:customers.create:{attempt}" for attempt in (1, 2, 3)]


def test_whoever_still_holds_the_old_row_makes_no_second_new_customer(
    organization: Organization, made: list[tuple[str, str]]
) -> None:
    stripe_customer_of(organization)
    in_transaction(lambda: lost_customers.forget("cus_made0"), what="test")
    stale = [Organization.objects.get() for _ in range(3)]
    assert ({stripe_customer_of(one) for one in stale}, len(made)) == ({"cus_made1"}, 2)


def test_a_new_customer_has_the_name_of_now(organization: Organization, made: list[tuple[str, str]]) -> None:
    stripe_customer_of(organization)
    in_transaction(lambda: lost_customers.forget("cus_made0"), what="test")
    Organization.objects.update(name="Renamed")
    stripe_customer_of(Organization.objects.get())
    names = StripeCall.objects.filter(operation=customers.CUSTOMER).order_by("attempt").values_list("params__name", flat=True)
    assert (names[1], names[0] == "Renamed") == ("Renamed", False)


# -- found out ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("looks", [missing(), {"id": "cus_1", "object": "customer"}], ids=["unknown", "there"])
def test_only_what_stripe_says_was_deleted_is_forgotten(
    story: CardStory, organization: Organization, monkeypatch: pytest.MonkeyPatch, looks: Any
) -> None:
    def look(kind: str, key: str) -> Any:
        if isinstance(looks, Exception):
            raise looks
        return looks

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise missing(story.customer)

    monkeypatch.setattr(stripe_gateway, "retrieve", look)
    monkeypatch.setattr(stripe_gateway, "create", refuse)
    monkeypatch.setattr(stripe_gateway, "list_methods", lambda customer: [story.card("a")])
    monkeypatch.setattr(stripe_gateway, "set_default_method", lambda method, customer: {})
    tell(story.attached("a", at=1))
    call = StripeCall.objects.create(
        key="k:1", operation="setup_intents.create", subject_id="k", params={"customer": story.customer}
    )
    with pytest.raises(StripeRefused, match="No such customer"):
        lost_customers.send(organization, call)
    refreshing_methods.sweep()
    assert (customer_now(), rows(story)) == (story.customer, {"a": "default"})


def test_a_refusal_for_another_reason_is_not_looked_into(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise StripeRefused("no")

    monkeypatch.setattr(stripe_gateway, "create", refuse)
    monkeypatch.setattr(stripe_gateway, "retrieve", lambda *_: pytest.fail("Stripe was asked"))
    call = StripeCall.objects.create(key="k:1", operation="setup_intents.create", subject_id="k", params={"customer": "cus_1"})
    with pytest.raises(StripeRefused, match="no"):
        lost_customers.send(organization, call)


def test_of_two_who_find_it_out_at_once_both_send_the_same_new_call(story: CardStory, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []

    def create(operation: str, params: Any, *, idempotency_key: str) -> dict[str, Any]:
        if params.get("customer") == story.customer:
            raise missing(story.customer)
        keys.append(idempotency_key)
        return {"id": "cus_new" if operation == customers.CUSTOMER else "seti_new"}

    monkeypatch.setattr(stripe_gateway, "create", create)
    monkeypatch.setattr(stripe_gateway, "retrieve", lambda *_: {"deleted": True})
    call = StripeCall.objects.create(
        key="k:1", operation="setup_intents.create", subject_id="k", params={"customer": story.customer}
    )
    first, second = Organization.objects.get(), Organization.objects.get()
    assert [lost_customers.send(one, call)["id"] for one in (first, second)] == ["seti_new"] * 2
    assert keys == [f"{first.pk}:customers.create:1", "k:setup_intents.create:2"]
    assert (customer_now(), StripeCall.objects.filter(subject_id="k").count()) == ("cus_new", 2)


def test_a_charge_of_long_ago_is_looked_for_where_it_was_made(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And given up where Stripe shows nothing of a customer that was deleted."""
    CardStory(organization, customer="cus_new")
    wallet = make_wallet(organization)
    Wallet.objects.update(**RULE)
    made = unsent(wallet, age=automatic.DAY * 2)  # for cus_1
    looked: list[str] = []

    def find(*, customer: str, our_payment: str) -> Any:
        looked.append(customer)
        raise missing(customer)

    monkeypatch.setattr(stripe_gateway, "find_intent", find)
    monkeypatch.setattr(stripe_gateway, "retrieve", lambda *_: {"deleted": True})
    automatic.finish(made)
    assert (looked, TopUp.objects.get().state, customer_now()) == (["cus_1"], "abandoned", "cus_new")


def test_a_charge_of_the_old_customer_leaves_the_new_ones_rule_alone(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause was told when the customer was forgotten; somebody has turned top-ups on again since."""
    CardStory(organization, customer="cus_new")
    wallet = make_wallet(organization)
    Wallet.objects.update(**RULE)
    made = unsent(wallet, age=automatic.UNSENT_AFTER * 2)
    StripeCall.objects.filter(subject_id=made.payment_id).update(params={"customer": "cus_1", "payment_method": "pm_1"})

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise missing("cus_1")

    monkeypatch.setattr(stripe_gateway, "create", refuse)
    monkeypatch.setattr(stripe_gateway, "retrieve", lambda *_: {"deleted": True})
    automatic.finish(TopUp.objects.select_related("payment", "wallet__organization").get())
    wallet.refresh_from_db()
    assert (TopUp.objects.get().state, wallet.tops_up_by_itself, Notice.objects.count()) == ("abandoned", True, 0)
    assert customer_now() == "cus_new"
    assert issubclass(CustomerGone, StripeRefused)
