"""Staff at the back office of wallets, and wallets for them to look at."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client

from accounts.tests.factories import UserFactory
from conventions.admin_showing import change_url
from payments.money import Money
from payments.tests.stripe_objects import Story
from wallets import holding, notices, spending
from wallets.adjusting import approve, propose
from wallets.models import (
    Notice,
    Wallet,
    WalletSpend,
)
from wallets.tests.factories import fund, make_method, make_organization, make_wallet


def staff(role: str, email: str) -> Client:
    user = UserFactory.create(is_staff=True, email=email)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def spend(wallet: Wallet, amount_minor: int, key: str = "k1") -> WalletSpend:
    money = Money(amount_minor, wallet.currency)
    return spending.spend(wallet=wallet, money=money, description="Posters", key=key, actor=None)[0]


def lively(name: str = "Acme", *, rounds: int = 1) -> tuple[Wallet, Story]:
    """A wallet with some of everything, and the story of its first top-up."""
    wallet = make_wallet(make_organization(name=name))
    story = fund(wallet, 10_000)
    clerk, other = UserFactory.create(), UserFactory.create()
    make_method(wallet.organization)
    for number in range(rounds):
        spent = spend(wallet, 500, key=f"k{number}")
        spending.reverse(spend_id=spent.pk, money=Money(100, "eur"), reason="Late.", key=f"r{number}", actor=clerk)
        money = Money(300, "eur")
        holding.authorize(wallet=wallet, money=money, description="A hall", key=f"h{number}", actor=None)
        adjustment = propose(wallet=wallet, amount_minor=50, reason="Rounded wrongly.", actor=clerk)
        approve(adjustment_id=adjustment.pk, actor=other)
        propose(wallet=wallet, amount_minor=-25, reason="Too much.", actor=clerk)
        notices.tell(wallet, Notice.Kind.LOW_BALANCE, key=f"low:{wallet.pk}:{number}", facts={"balance_minor": 1})
    return wallet, story


def context(answer: Any) -> dict[str, Any]:
    """What the template was given."""
    return dict(answer.context_data)


def post(client: Client, row: Model, act: str, **fields: Any) -> Any:
    return client.post(change_url(type(row), row.pk).replace("/change/", f"/{act}/"), fields)


def told(answer: Any) -> list[str]:
    return [str(message) for message in answer.wsgi_request._messages]
