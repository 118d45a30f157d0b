"""What admins hear of their organization's money, by mail and from the bot: once, exactly, and whatever else goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from accounts.models import Membership, Role, User
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from tests.live import Live
from tests.telegram_stub import TOKEN, Refusal, TelegramStub
from wallets.models import Notice, NoticeDelivery, TelegramLink
from wallets.tests.factories import fund, make_organization, make_wallet, pending_top_up

CODE = "/api/organizations/telegram-code"
ADA, EVE = 70_001, 70_002  # their chats


@pytest.fixture
def stub(live: Live, settings: Any) -> Iterator[TelegramStub]:
    running = TelegramStub()
    settings.TELEGRAM_BOT_TOKEN, settings.TELEGRAM_API_BASE = TOKEN, running.url
    yield running
    running.close()


@pytest.fixture
def token(live: Live) -> str:
    return live.register("ada@example.org")


def me(email: str = "ada@example.org") -> User:
    return User.objects.get(email=email)


def link(email: str, chat: int) -> None:
    TelegramLink.objects.create(user=me(email), chat_id=chat)


def notices_to(stub: TelegramStub, chat: int, about: str) -> list[str]:
    return [text for text in stub.sent_to(chat) if about in text]


def test_admins_are_told_once_of_a_top_up_and_a_low_balance_and_members_are_not(
    live: Live, stub: TelegramStub, token: str
) -> None:
    organization = make_organization(owner=me(), name="Lovelace Ltd")
    link("ada@example.org", ADA)
    live.register("eve@example.org")
    link("eve@example.org", EVE)
    Membership.objects.create(organization=organization, user=me("eve@example.org"), role=Role.MEMBER)
    wallet = make_wallet(organization, "jpy")
    type(wallet).objects.update(low_balance_minor=1_000)
    story = fund(wallet, 5_000)
    live.run_tasks()
    page = f"{live.url}/organizations/{organization.pk}/wallet"
    [told] = notices_to(stub, ADA, "was added")
    assert told == (
        "¥5,000 was added to the wallet of Lovelace Ltd\n\n"
        f"¥5,000 was added; ¥5,000 can be spent now. The wallet and its history are here:\n\n{page}"
    )
    body = {"amount": "4500", "currency": "jpy", "description": "hosting"}
    live.post(f"/api/wallets/{organization.pk}/spend", 201, body, token=token, key="k")
    live.post(f"/api/wallets/{organization.pk}/spend", 201, body, token=token, key="k")
    live.run_tasks()
    live.sweep()
    live.run_tasks()
    assert len(notices_to(stub, ADA, "¥500 is left in the wallet of Lovelace Ltd")) == 1
    assert len(notices_to(stub, ADA, "was added")) == 1
    assert [text for text in stub.sent_to(EVE) if "Lovelace" in text] == []
    subjects = [sent.subject for sent in mail.outbox if sent.to == ["ada@example.org"] and "Lovelace" in sent.subject]
    assert subjects == ["¥5,000 was added to the wallet of Lovelace Ltd", "¥500 is left in the wallet of Lovelace Ltd"]
    assert story.payment.status == "paid"


def test_admins_are_told_once_of_an_automatic_top_up_that_failed(live: Live, stub: TelegramStub, token: str) -> None:
    organization = make_organization(owner=me(), name="Lovelace Ltd")
    link("ada@example.org", ADA)
    story = Story(pending_top_up(make_wallet(organization, "jpy"), 3_000, is_automatic=True))
    declined = story.declined()
    for _ in range(2):
        settle_events(declined, source="webhook")
        live.run_tasks()
    live.sweep()
    [told] = notices_to(stub, ADA, "did not go through")
    assert "¥3,000 was not charged: Your card has insufficient funds.\n\nAutomatic top-ups are paused until you finish" in told


def test_who_blocks_the_bot_is_unlinked_and_still_told_by_mail(live: Live, stub: TelegramStub, token: str) -> None:
    organization = make_organization(owner=me(), name="Lovelace Ltd")
    link("ada@example.org", ADA)
    stub.refusals.append(Refusal("sendMessage", 403, "Forbidden: bot was blocked by the user"))
    make_wallet(organization, "eur", 100)
    live.run_tasks()
    assert TelegramLink.objects.count() == 0
    by_mail, by_chat = NoticeDelivery.objects.order_by("channel")
    assert (by_mail.channel, by_mail.sent_at is None, by_mail.attempts) == ("mail", False, 1)
    assert (by_chat.sent_at, by_chat.next_attempt_at, by_chat.attempts) == (None, None, 1)
    assert by_chat.last_error == "The person has stopped the bot; their chat is not linked any more."
    assert live.get(CODE, token=token)["is_linked"] is False


def test_a_message_that_telegram_does_not_take_is_sent_later_and_holds_up_no_mail(
    live: Live, stub: TelegramStub, token: str
) -> None:
    organization = make_organization(owner=me(), name="Lovelace Ltd")
    link("ada@example.org", ADA)
    stub.refusals.append(Refusal("sendMessage", 429, "Too Many Requests: retry after 400", {"retry_after": 400}))
    make_wallet(organization, "eur", 100)
    live.run_tasks()
    assert [sent.subject for sent in mail.outbox if "added" in sent.subject] == ["€1.00 was added to the wallet of Lovelace Ltd"]
    waits = NoticeDelivery.objects.get(channel="telegram")
    assert waits.next_attempt_at - timezone.now() > timedelta(seconds=390)
    assert (waits.last_error.startswith("TelegramUnavailable: Telegram answered 429"), TOKEN in waits.last_error) == (True, False)
    now = timezone.now()
    NoticeDelivery.objects.filter(pk=waits.pk).update(next_attempt_at=now, created_at=now - timedelta(hours=1))
    assert live.sweep()["notices_sent"] == 1
    assert len(notices_to(stub, ADA, "was added")) == 1
    assert Notice.objects.count() == 1
