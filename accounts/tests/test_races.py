from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection
from django_tasks_db.models import DBTaskResult

from accounts import links
from accounts.errors import LinkRefused, RefreshRefused
from accounts.models import User
from accounts.passwords import reset_password
from accounts.registration import register, verify_email
from accounts.signing_in import issue_tokens, refresh_tokens
from accounts.tests import holdings
from accounts.tests.factories import PASSWORD, UserFactory

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgres,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs real row locks"),
]
THREADS = 8


def at_once(act: Callable[[], object], refusal: type[Exception] = LinkRefused) -> int:
    """Do `act` on many threads at the same moment; how many were not refused."""
    barrier = Barrier(THREADS)

    def one(_: int) -> int:
        barrier.wait(timeout=20)
        try:
            act()
        except refusal:
            return 0
        finally:
            connection.close()
        return 1

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(one, range(THREADS)))


def test_one_refresh_token_buys_one_pair():
    refresh = issue_tokens(user=UserFactory.create()).refresh

    assert at_once(lambda: refresh_tokens(refresh=refresh), RefreshRefused) == 1


def test_one_address_makes_one_account_and_one_verification_mail():
    assert at_once(lambda: register(email="ada@example.org", password=PASSWORD)) == THREADS

    assert User.objects.count() == 1
    is_new = [row.args_kwargs["args"][1] for row in DBTaskResult.objects.all()]
    assert sorted(is_new) == [False] * (THREADS - 1) + [True]


def test_one_link_proves_once():
    token = links.make_token(links.VERIFY_EMAIL, UserFactory.create())

    assert at_once(lambda: verify_email(token=token)) == 1
    assert len(holdings.calls) == 1


def test_one_link_changes_the_password_once():
    token = links.make_token(links.RESET_PASSWORD, UserFactory.create())

    assert at_once(lambda: reset_password(token=token, password="quiet-lantern-4410")) == 1
    assert DBTaskResult.objects.count() == 1
