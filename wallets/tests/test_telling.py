"""Notices: the words of each kind, to admins only, once each, and one that fails holds up no other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from accounts.leaving import erase_person
from accounts.models import Membership, Organization, Role, User
from accounts.tests.factories import UserFactory
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from wallets import notices, telling
from wallets.models import Notice, NoticeDelivery, TelegramLink, Wallet
from wallets.telegram import messages
from wallets.tests.factories import fund, join, make_method, make_organization, make_wallet, pending_top_up

pytestmark = pytest.mark.django_db
Kind = Notice.Kind


@pytest.fixture
def owner() -> User:
    return UserFactory.create(email_proved_at=timezone.now(), email="ada@example.org")


@pytest.fixture
def organization(owner: User) -> Organization:
    return make_organization(owner=owner, name="Lovelace & Co")


@pytest.fixture
def wallet(organization: Organization) -> Wallet:
    return make_wallet(organization, "jpy")


@pytest.fixture
def sick_mail(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses to which the mail server refuses to send."""
    refused: list[str] = []
    send = EmailMultiAlternatives.send

    def refuse(message: EmailMultiAlternatives, *args: Any, **kwargs: Any) -> int:
        if set(refused) & set(message.to):
            raise OSError(f"no mail to {message.to[0]}")
        return send(message, *args, **kwargs)

    monkeypatch.setattr(EmailMultiAlternatives, "send", refuse)
    return refused


def tell(wallet: Wallet, kind: str = Kind.LOW_BALANCE, *, key: str = "k", **facts: Any) -> Notice:
    notices.tell(wallet, kind, key=key, facts=facts or {"balance_minor": 500})
    return Notice.objects.get(key=key)


def sent_again(notice: Notice, after: timedelta) -> int:
    """What a sweep sends that much later."""
    NoticeDelivery.objects.filter(notice=notice, next_attempt_at__isnull=False).update(next_attempt_at=timezone.now())
    NoticeDelivery.objects.filter(notice=notice).update(created_at=timezone.now() - after)
    return telling.sweep()["notices_sent"]


# -- words --------------------------------------------------------------------------------------------
WORDS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "paid by hand": (
        Kind.TOPPED_UP,
        {"amount_minor": 5_000, "is_automatic": False, "balance_minor": 7_000, "owed_minor": 0},
        "¥5,000 was added to the wallet of Lovelace & Co",
        "¥5,000 was added; ¥7,000 can be spent now.",
    ),
    "paid by itself": (
        Kind.TOPPED_UP,
        {"amount_minor": 5_000, "is_automatic": True, "balance_minor": 7_000, "owed_minor": 0},
        "¥5,000 was added to the wallet of Lovelace & Co",
        "¥5,000 was topped up automatically; ¥7,000 can be spent now.",
    ),
    "paid towards a debt": (
        Kind.TOPPED_UP,
        {"amount_minor": 5_000, "is_automatic": False, "balance_minor": 0, "owed_minor": 300},
        "¥5,000 was added to the wallet of Lovelace & Co",
        "¥5,000 went to what was owed; ¥300 is still owed, and the wallet stays blocked until it is topped up.",
    ),
    "daily limit": (
        Kind.TOP_UP_FAILED,
        {"reason": "daily_limit", "limit_minor": 9_000},
        "The automatic top-ups of Lovelace & Co have reached their daily limit of ¥9,000",
        "so nothing was charged",
    ),
    "no method": (
        Kind.TOP_UP_FAILED,
        {"reason": "There is no saved payment method.", "payment": ""},
        "The automatic top-up of Lovelace & Co did not go through",
        "Nothing was charged: There is no saved payment method.",
    ),
    "low": (Kind.LOW_BALANCE, {"balance_minor": 500}, "¥500 is left in the wallet of Lovelace & Co", "before it runs out"),
    "owed": (
        Kind.MONEY_OWED,
        {"owed_minor": 1_250},
        "Lovelace & Co owes ¥1,250, and its wallet is blocked",
        "¥1,250 is owed.",
    ),
    "expiring": (
        Kind.CARD_EXPIRING,
        {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2026},
        "The Visa ending in 4242 of Lovelace & Co expires soon",
        "12/2026",
    ),
}


@pytest.mark.parametrize("name", sorted(WORDS))
def test_each_notice_says_what_happened_how_much_and_what_to_do(wallet: Wallet, name: str) -> None:
    kind, facts, subject, words = WORDS[name]
    facts = {"currency": "jpy", **facts}
    notices.tell_organization(wallet.organization_id, kind, key="k", facts=facts, wallet=wallet)
    assert telling.send(Notice.objects.get().pk) == 1
    [sent] = mail.outbox
    html = str(sent.alternatives[0].content)
    page = f"http://127.0.0.1:8000/organizations/{wallet.organization_id}/wallet"
    assert (sent.to, sent.subject) == (["ada@example.org"], subject)
    assert (str(sent.body).startswith(f"{subject}\n\n"), words in sent.body, f"\n{page}\n" in sent.body) == (True, True, True)
    html_words = html.replace("<strong>", "").replace("</strong>", "")
    assert (words in html_words, f'href="{page}"' in html, "Lovelace &amp; Co" in html, "& Co" in html) == (
        True,
        True,
        True,
        False,
    )


def test_a_failed_automatic_top_up_is_told_with_its_amount_and_reason(wallet: Wallet) -> None:
    make_method(wallet.organization)
    payment = pending_top_up(wallet, 3_000, is_automatic=True)
    settle_events(Story(payment).declined(), source="webhook")
    assert telling.send(Notice.objects.get().pk) == 1
    assert "¥3,000 was not charged: Your card has insufficient funds." in mail.outbox[0].body


def test_a_bank_that_wants_to_ask_is_told_with_the_amount(wallet: Wallet) -> None:
    payment = pending_top_up(wallet, 3_000, is_automatic=True)
    notice = tell(wallet, Kind.AUTHENTICATION_NEEDED, reason="authentication_required", payment=payment.pk)
    telling.send(notice.pk)
    assert mail.outbox[0].subject == "Please confirm the top-up of ¥3,000 for Lovelace & Co"


def test_a_name_of_several_lines_does_not_stop_the_mail(wallet: Wallet) -> None:
    Organization.objects.update(name="Love\nlace")
    telling.send(tell(wallet).pk)
    assert mail.outbox[0].subject == "¥500 is left in the wallet of Love lace"


# -- to whom ------------------------------------------------------------------------------------------
def test_an_address_that_was_not_proved_is_sent_nothing(organization: Organization, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(email_proved_at=None)
    Organization.objects.filter(pk=organization.pk).update(name="You won! Visit https://evil.example")
    wallet = make_wallet(organization, "usd")
    assert telling.send(tell(wallet).pk) == 0
    assert (mail.outbox, NoticeDelivery.objects.count()) == ([], 0)


def test_owners_and_admins_are_told_and_members_are_not(wallet: Wallet, organization: Organization) -> None:
    join(organization, UserFactory.create(email_proved_at=timezone.now(), email="bob@example.org"), role=Role.ADMIN)
    join(organization, UserFactory.create(email_proved_at=timezone.now(), email="eve@example.org"))
    assert telling.send(tell(wallet).pk) == 2
    assert sorted(sent.to for sent in mail.outbox) == [["ada@example.org"], ["bob@example.org"]]


@pytest.mark.parametrize("leave", ["leaves", "becomes a member", "is erased", "is shut out"])
def test_who_is_no_admin_any_more_is_not_told(wallet: Wallet, organization: Organization, owner: User, leave: str) -> None:
    join(organization, UserFactory.create(email_proved_at=timezone.now(), email="bob@example.org"), role=Role.OWNER)
    notice = tell(wallet)
    own = Membership.objects.filter(user=owner)
    ways: dict[str, Any] = {
        "leaves": own.delete,
        "becomes a member": lambda: own.update(role=Role.MEMBER),
        "is erased": lambda: erase_person(user=owner),
        "is shut out": lambda: User.objects.filter(pk=owner.pk).update(is_active=False),
    }
    ways[leave]()
    assert telling.send(notice.pk) == 1
    assert [sent.to for sent in mail.outbox] == [["bob@example.org"]]
    delivery = NoticeDelivery.objects.get(user=owner)
    assert (delivery.sent_at, delivery.next_attempt_at) == (None, None)
    assert sent_again(notice, timedelta(hours=1)) == 0


# -- once ---------------------------------------------------------------------------------------------
def test_a_notice_goes_out_once_however_often_it_is_nudged(wallet: Wallet) -> None:
    notice = tell(wallet)
    tell(wallet)
    assert [telling.send(notice.pk) for _ in range(3)] == [1, 0, 0]
    assert (telling.sweep()["notices_sent"], len(mail.outbox), NoticeDelivery.objects.count()) == (0, 1, 1)


def test_the_task_is_enqueued_with_the_notice(wallet: Wallet) -> None:
    notice = tell(wallet)
    [task] = DBTaskResult.objects.filter(task_path="wallets.tasks.send_notices")
    assert task.args_kwargs["args"] == [notice.pk]


def test_a_lost_nudge_is_healed_by_the_sweep(wallet: Wallet) -> None:
    notice = tell(wallet)
    assert telling.sweep()["notices_sent"] == 0  # the worker's, as yet
    assert [sent_again(notice, timedelta(minutes=2)) for _ in range(2)] == [1, 0]
    assert len(mail.outbox) == 1


def test_a_process_that_died_while_sending_is_not_guessed_about(wallet: Wallet) -> None:
    notice = tell(wallet)
    NoticeDelivery.objects.update(claimed_at=timezone.now(), next_attempt_at=None, attempts=1)
    assert (telling.send(notice.pk), sent_again(notice, timedelta(hours=1)), mail.outbox) == (0, 0, [])


def test_one_address_that_is_refused_holds_up_no_other(wallet: Wallet, organization: Organization, sick_mail: list[str]) -> None:
    join(organization, UserFactory.create(email_proved_at=timezone.now(), email="bob@example.org"), role=Role.ADMIN)
    sick_mail.append("ada@example.org")
    notice = tell(wallet)
    assert telling.send(notice.pk) == 1
    waits = NoticeDelivery.objects.get(sent_at=None)
    assert (waits.attempts, waits.last_error) == (1, "OSError: no mail to a***@example.org")
    assert timedelta(seconds=50) < waits.next_attempt_at - timezone.now() <= timedelta(minutes=1)
    sick_mail.clear()
    assert sent_again(notice, timedelta(minutes=5)) == 1
    assert [sent.to for sent in mail.outbox] == [["bob@example.org"], ["ada@example.org"]]


def test_tries_are_bounded_and_further_and_further_apart(wallet: Wallet, sick_mail: list[str]) -> None:
    sick_mail.append("ada@example.org")
    notice = tell(wallet)
    telling.send(notice.pk)
    pauses = []
    for _ in range(5):
        delivery = NoticeDelivery.objects.get()
        pauses.append(delivery.next_attempt_at - timezone.now())
        sent_again(notice, timedelta(hours=1))
    delivery = NoticeDelivery.objects.get()
    assert (delivery.attempts, delivery.next_attempt_at, delivery.sent_at) == (6, None, None)
    assert pauses == sorted(pauses)
    assert pauses[-1] > timedelta(hours=7)


def test_what_could_not_be_sent_for_days_is_not_news_any_more(wallet: Wallet) -> None:
    notice = tell(wallet)
    assert sent_again(notice, timedelta(days=3, minutes=1)) == 0
    delivery = NoticeDelivery.objects.get()
    assert (delivery.next_attempt_at, delivery.last_error, mail.outbox) == (None, "It could not be sent in time.", [])


# -- Telegram -----------------------------------------------------------------------------------------
@pytest.fixture
def telegram(settings: Any, monkeypatch: pytest.MonkeyPatch, owner: User) -> list[Any]:
    """Answers of Telegram's, to be taken one after the other: an error, or a status and body. `owner` has a chat."""
    settings.TELEGRAM_BOT_TOKEN = "110201543:" + "A" * 35
    TelegramLink.objects.create(user=owner, chat_id=7)
    answers: list[Any] = []

    def post(url: str, **call: Any) -> httpx.Response:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer[0], json=answer[1], request=httpx.Request("POST", url))

    monkeypatch.setattr(messages.httpx, "post", post)
    return answers


def by_telegram() -> NoticeDelivery:
    return NoticeDelivery.objects.get(channel="telegram")


@pytest.mark.parametrize(
    ("answer", "is_tried_again"),
    [
        (httpx.ConnectError("no route"), True),
        (httpx.ConnectTimeout("too long"), True),
        ((500, {"ok": False, "description": "Internal Server Error"}), True),
        ((429, {"ok": False, "description": "Too Many Requests", "parameters": {"retry_after": 5}}), True),
        ((401, {"ok": False, "description": "Unauthorized"}), True),
        (httpx.ReadTimeout("too long"), False),
        (httpx.RemoteProtocolError("cut off"), False),
        ((502, ["<html>"]), False),
    ],
)
def test_a_message_is_tried_again_only_where_it_certainly_did_not_go(
    wallet: Wallet, telegram: list[Any], answer: Any, is_tried_again: bool
) -> None:
    telegram.append(answer)
    notice = tell(wallet)
    assert telling.send(notice.pk) == 1  # the mail
    waits = by_telegram()
    assert (waits.sent_at, waits.next_attempt_at is not None) == (None, is_tried_again)
    assert waits.last_error.startswith(("TelegramUnavailable: Telegram", "PerhapsSent: Telegram", "TokenRefused: Telegram"))
    telegram.append((200, {"ok": True, "result": {}}))
    assert sent_again(notice, timedelta(hours=1)) == int(is_tried_again)
    assert (len(mail.outbox), by_telegram().sent_at is not None) == (1, is_tried_again)


@pytest.mark.parametrize("said", [(401, "Unauthorized"), (404, "Not Found")])
def test_a_token_that_telegram_refuses_loses_no_message_however_often_it_is_tried(
    wallet: Wallet, telegram: list[Any], caplog: pytest.LogCaptureFixture, said: tuple[int, str]
) -> None:
    telegram += [(said[0], {"ok": False, "description": said[1]})] * 9
    notice = tell(wallet)
    assert telling.send(notice.pk) == 1  # the mail
    for _ in range(8):
        waits = by_telegram()
        assert (waits.attempts, waits.sent_at, waits.last_error) == (
            0,
            None,
            f"TokenRefused: Telegram answered {said[0]}: {said[1]}",
        )
        assert timedelta(minutes=29) < waits.next_attempt_at - timezone.now() <= timedelta(minutes=30)
        assert sent_again(notice, timedelta(hours=12)) == 0
    critical = [one.getMessage() for one in caplog.records if one.levelname == "CRITICAL"]
    assert critical == [f"Telegram refuses our token: {said[0]} {said[1]}. Check TELEGRAM_BOT_TOKEN."] * 9
    telegram.append((200, {"ok": True, "result": {}}))
    assert sent_again(notice, timedelta(hours=12)) == 1
    assert (by_telegram().attempts, len(mail.outbox), TelegramLink.objects.count()) == (1, 1, 1)


@pytest.mark.parametrize("said", [(403, "Forbidden: bot was blocked by the user"), (400, "Bad Request: chat not found")])
def test_a_chat_that_is_gone_is_unlinked(wallet: Wallet, telegram: list[Any], said: tuple[int, str]) -> None:
    telegram.append((said[0], {"ok": False, "description": said[1]}))
    telling.send(tell(wallet).pk)
    assert (TelegramLink.objects.count(), by_telegram().next_attempt_at, by_telegram().attempts) == (0, None, 1)
    telling.send(tell(wallet, key="later").pk)
    assert NoticeDelivery.objects.filter(channel="telegram").count() == 1


def test_a_chat_that_was_unlinked_since_is_not_told(wallet: Wallet, telegram: list[Any]) -> None:
    notice = tell(wallet)
    TelegramLink.objects.all().delete()
    assert telling.send(notice.pk) == 1
    assert by_telegram().last_error == "No Telegram chat is linked any more."


def test_without_a_bot_there_are_mails_only(wallet: Wallet, owner: User) -> None:
    TelegramLink.objects.create(user=owner, chat_id=7)
    fund(wallet, 5_000)
    assert list(NoticeDelivery.objects.values_list("channel", flat=True)) == ["mail"]
