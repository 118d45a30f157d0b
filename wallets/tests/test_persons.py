"""What a person may ask of wallets: everything held about them, and its erasure."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from accounts.errors import SoleOwner
from accounts.leaving import erase_person, export_person
from accounts.models import Role, User
from accounts.tests.factories import UserFactory
from payments import stripe_gateway
from payments.errors import StripeRefused, StripeUnavailable
from payments.models import Payment, StripeCall
from payments.money import Money
from payments.settlement import settle_events
from wallets import holding, leftovers, spending, telling
from wallets.models import Notice, NoticeDelivery, PaymentMethod, TelegramCode, TelegramLink, WalletSpend
from wallets.tests.factories import fund, join, make_method, make_organization, make_wallet, pending_top_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return UserFactory.create(email="ada@example.org", email_proved_at=timezone.now())


def spend(wallet: Any, amount_minor: int, actor: User) -> WalletSpend:
    money = Money(amount_minor, wallet.currency)
    return spending.spend(wallet=wallet, money=money, description="hosting", key=f"k{amount_minor}", actor=actor)[0]


def test_the_export_has_what_the_person_did_and_was_told_and_nobody_elses(ada: User) -> None:
    organization = make_organization(owner=ada)
    eve = join(organization, role=Role.ADMIN)
    wallet = make_wallet(organization, "jpy")
    fund(wallet, 5_000, started_by=ada)
    fund(wallet, 700, started_by=eve)
    spend(wallet, 1_000, ada)
    spend(wallet, 300, eve)
    holding.authorize(wallet=wallet, money=Money(200, "jpy"), description="later", key="h", actor=ada)
    TelegramLink.objects.create(user=ada, chat_id=7)
    TelegramLink.objects.create(user=eve, chat_id=8)
    telling.send(Notice.objects.earliest("created_at").pk)
    held = json.loads(json.dumps(export_person(user=ada)["records"]["wallets"]))
    assert [(one["amount"], one["currency"], one["state"]) for one in held["top_ups"]] == [("5000", "JPY", "paid")]
    assert [(one["amount"], one["description"]) for one in held["spends"]] == [("1000", "hosting")]
    assert [(one["amount"], one["description"], one["state"]) for one in held["holds"]] == [("200", "later", "authorized")]
    assert [(one["about"], one["channel"], one["sent_at"] is not None) for one in held["notices"]] == [
        ("topped_up", "mail", True),
        ("topped_up", "mail", False),
    ]
    assert (held["given_back"], held["telegram"]["chat"]) == ([], 7)
    assert {one["organization"] for rows in (held["top_ups"], held["spends"], held["notices"]) for one in rows} == {
        organization.pk
    }


def test_erasure_unlinks_telegram_and_tells_nothing_more_and_keeps_the_books(ada: User) -> None:
    organization = make_organization()
    join(organization, ada, role=Role.ADMIN)
    wallet = make_wallet(organization, "eur", 5_000)
    spent = spend(wallet, 1_000, ada)
    TelegramLink.objects.create(user=ada, chat_id=7)
    TelegramCode.objects.create(user=ada, code_hash="x", expires_at=timezone.now() + timedelta(minutes=5))
    NoticeDelivery.objects.filter(user=ada).update(last_error="no mail to a***@example.org")
    erase_person(user=ada)
    assert (TelegramLink.objects.count(), TelegramCode.objects.count()) == (0, 0)
    assert list(NoticeDelivery.objects.filter(user=ada).values_list("next_attempt_at", "last_error")) == [(None, "")]
    spent.refresh_from_db()
    assert (spent.amount_minor, spent.created_by_id) == (1_000, ada.pk)


def test_who_is_alone_with_money_is_not_erased(ada: User) -> None:
    wallet = make_wallet(make_organization(owner=ada, name="Lovelace Ltd"), "eur", 500)
    with pytest.raises(SoleOwner, match=r"Lovelace Ltd, which has a wallet with €5\.00\."):
        erase_person(user=ada)
    ada.refresh_from_db()
    assert (ada.email, ada.is_active) == ("ada@example.org", True)
    spend(wallet, 500, ada)
    erase_person(user=ada)
    ada.refresh_from_db()
    assert ada.is_active is False


def test_who_is_alone_with_a_debt_is_not_erased(ada: User) -> None:
    wallet = make_wallet(make_organization(owner=ada), "eur")
    story = fund(wallet, 500)
    spend(wallet, 500, ada)
    settle_events(story.refunded("a", 200, at=100, in_all=200), source="webhook")
    with pytest.raises(SoleOwner, match=r"a debt of €2\.00"):
        erase_person(user=ada)


def test_a_wallet_of_nobody_charges_no_card(ada: User) -> None:
    wallet = make_wallet(make_organization(owner=ada), "eur")
    rule = {"top_up_below_minor": 500, "top_up_amount_minor": 1_000, "top_up_daily_limit_minor": 5_000}
    type(wallet).objects.update(**rule)
    erase_person(user=ada)
    wallet.refresh_from_db()
    assert wallet.tops_up_by_itself is False


def test_who_is_alone_with_money_on_its_way_is_not_erased(ada: User) -> None:
    wallet = make_wallet(make_organization(owner=ada), "eur")
    payment = pending_top_up(wallet, 500)
    Payment.objects.filter(pk=payment.pk).update(status="processing", processing_at=timezone.now())
    with pytest.raises(SoleOwner, match=r"a top-up of €5\.00 on its way"):
        erase_person(user=ada)


def planned() -> list[str]:
    return list(StripeCall.objects.filter(operation=leftovers.DETACH).values_list("subject_id", flat=True))


def test_erasure_plans_to_detach_the_cards_of_nobody_and_calls_nobody(ada: User) -> None:
    """The network is refused in tests: a call would raise."""
    alone, shared, empty = (make_organization(owner=ada) for _ in range(3))
    join(shared, role=Role.OWNER)
    for organization in (alone, shared):
        make_method(organization)
    erase_person(user=ada)
    assert (planned(), PaymentMethod.objects.filter(detached_at=None).count()) == ([alone.pk], 2)
    [task] = DBTaskResult.objects.filter(task_path="wallets.tasks.detach_leftovers")
    assert (task.args_kwargs["args"], empty.pk in planned()) == ([], False)


def test_an_organization_that_was_given_a_member_keeps_what_is_left(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    detached: list[str] = []
    monkeypatch.setattr(stripe_gateway, "detach_method", detached.append)
    organization = make_organization(owner=ada)
    first = make_method(organization)
    erase_person(user=ada)
    join(organization, role=Role.OWNER)
    assert (leftovers.sweep(), detached) == ({"methods_detached": 0}, [])
    organization.memberships.all().delete()
    assert (leftovers.sweep(), detached) == ({"methods_detached": 1}, [first.stripe_id])
    late = make_method(organization)
    assert (leftovers.sweep(), detached) == ({"methods_detached": 1}, [first.stripe_id, late.stripe_id])


def test_an_organization_without_members_that_nobody_erased_keeps_its_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    organization = make_organization()
    make_method(organization)
    organization.memberships.all().delete()
    assert (leftovers.sweep(), PaymentMethod.objects.get().detached_at) == ({"methods_detached": 0}, None)


def test_a_stripe_that_is_down_is_asked_three_times_and_one_refusal_holds_up_no_other(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization = make_organization(owner=ada, stripe_customer="cus_1")
    for _ in range(5):
        make_method(organization, is_default=False)
    erase_person(user=ada)
    answers: list[Exception] = [StripeUnavailable("down")] * 3
    asked: list[str] = []

    def detach(method: str) -> None:
        asked.append(method)
        if answers:
            raise answers.pop()

    monkeypatch.setattr(stripe_gateway, "detach_method", detach)
    monkeypatch.setattr(stripe_gateway, "retrieve", lambda kind, key: {"customer": "cus_1"})
    assert (leftovers.detach(), len(asked)) == (0, 3)
    answers.append(StripeRefused("no"))
    assert (leftovers.detach(), len(asked)) == (4, 8)
    assert (leftovers.detach(), StripeCall.objects.get(operation=leftovers.DETACH).answered_at is not None) == (1, True)
