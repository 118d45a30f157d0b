"""What the bot answers, without Telegram: taken once, limited, and within what the person may see."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from time_machine import travel

from accounts.tests.factories import UserFactory
from conventions import tenancy
from wallets.models import TelegramCode, TelegramLink, TelegramUpdate
from wallets.telegram import answering, linking
from wallets.telegram.answering import Asked
from wallets.tests.factories import make_organization, make_wallet

pytestmark = pytest.mark.django_db
updates = itertools.count(1)


def ask(chat_id: int, text: str, *, update_id: int | None = None) -> str | None:
    command, *words = text.split()
    asked = Asked(update_id=update_id or next(updates), chat_id=chat_id, command=command.lstrip("/"), words=words)
    return answering.answer(asked)


def test_an_update_that_comes_again_is_not_answered_again() -> None:
    first = ask(7, "/help", update_id=99)
    assert (first is not None, ask(7, "/help", update_id=99), TelegramUpdate.objects.count()) == (True, None, 1)


def test_a_chat_that_sends_too_much_is_told_once_and_holds_up_no_other() -> None:
    with travel("2026-11-21 12:00:00Z", tick=False):
        answers = [ask(7, "/help") for _ in range(25)]
        other = ask(8, "/help")
    assert [answer is not None for answer in answers] == [True] * 21 + [False] * 4
    assert (answers[20], other == answers[0]) == ("Too many messages. Please wait a minute.", True)
    with travel("2026-11-21 12:02:00Z", tick=False):
        assert ask(7, "/help") == answers[0]


def test_each_answer_sees_the_persons_rows_and_nothing_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    user = UserFactory.create()
    organization = make_organization(owner=user)
    make_wallet(organization, "eur", 500)
    TelegramLink.objects.create(user=user, chat_id=7)
    scopes: list[tuple[str, tenancy.Scope]] = []

    def note(name: str, work: Any) -> Any:
        def noted(*args: Any, **options: Any) -> Any:
            scopes.append((name, tenancy.current()))
            return work(*args, **options)

        return noted

    monkeypatch.setattr(answering, "_memberships", note("memberships", answering._memberships))
    monkeypatch.setattr(answering, "_wallets", note("wallets", answering._wallets))
    assert str(ask(7, "/balance")).endswith("EUR: €5.00")
    assert scopes == [
        ("memberships", tenancy.Scope(user=user.pk)),
        ("wallets", tenancy.Scope(user=user.pk, organization=organization.pk)),
    ]


def test_words_that_nobody_expects_are_answered() -> None:
    TelegramLink.objects.create(user=(user := UserFactory.create()), chat_id=7)
    make_organization(owner=user)
    odd = [
        "/organization ²",
        "/organization -1",
        "/topup ٣",
        "/topup NaN",
        "/topup 1 €",
        "/topup " + "9" * 5000,
        "/nothing",
        "x\x00y",
    ]
    answers = [ask(7, text) for text in odd]
    assert all(answers)
    assert TelegramLink.objects.get().organization is None


def test_old_codes_and_updates_are_forgotten() -> None:
    now = timezone.now()
    user, other = UserFactory.create(), UserFactory.create()
    TelegramCode.objects.create(user=user, code_hash="old", expires_at=now - timedelta(days=1, minutes=1))
    TelegramCode.objects.create(user=other, code_hash="new", expires_at=now - timedelta(hours=23))
    TelegramUpdate.objects.create(pk=1, taken_at=now - timedelta(days=2, minutes=1))
    TelegramUpdate.objects.create(pk=2, taken_at=now - timedelta(days=1))
    assert linking.forget_old() == 2
    assert list(TelegramCode.objects.values_list("code_hash", flat=True)) == ["new"]
    assert list(TelegramUpdate.objects.values_list("pk", flat=True)) == [2]
