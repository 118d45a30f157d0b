"""The bot as a process of its own, and Telegram beside it: linking and asking, each message answered once."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Membership, Role, User
from tests.faults.conftest import environment
from tests.live import ROOT, Live
from tests.telegram_stub import NAME, TOKEN, Refusal, TelegramStub
from wallets.models import TelegramCode, TelegramLink, TelegramUpdate
from wallets.tests.factories import make_organization, make_wallet

CODE = "/api/organizations/telegram-code"
NOT_LINKED = "This chat is not linked to an account."
chats = itertools.count(70_001)


@dataclass
class Bot:
    """`manage.py telegram_bot`, started on first need; its log is everything that it wrote."""

    stub: TelegramStub
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self, env: dict[str, str]) -> None:
        polls = self.stub.polls
        with self.log.open("ab") as log:
            command = [sys.executable, "manage.py", "telegram_bot"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        assert self.stub.wait_for(lambda: self.stub.polls > polls), self.log.read_text()

    def end(self, *, kill: bool = False) -> int:
        assert self.process is not None
        _ = self.process.kill() if kill else self.process.terminate()
        status = self.process.wait(timeout=20)
        self.process = None
        return status


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    stub = TelegramStub()
    bot = Bot(stub, tmp_path_factory.mktemp("telegram") / "log")
    yield bot
    log = bot.log.read_text() if bot.log.exists() else ""
    ended = bot.end() if bot.process else 0
    stub.close()
    assert (ended, TOKEN in log, "Traceback" in log) == (0, False, False), log


@pytest.fixture
def bot_env(live: Live, running: Bot) -> dict[str, str]:
    return environment(
        live.sandbox,
        TELEGRAM_BOT_TOKEN=TOKEN,
        TELEGRAM_API_BASE=running.stub.url,
        FRONTEND_URL=live.url,
        LOG_LEVEL="DEBUG",
        DEFAULT_CURRENCY="usd",
    )


@pytest.fixture
def stub(running: Bot, bot_env: dict[str, str], settings: Any) -> TelegramStub:
    settings.TELEGRAM_BOT_TOKEN, settings.TELEGRAM_API_BASE = TOKEN, running.stub.url
    running.stub.forget()
    if running.process is None:
        running.start(bot_env)
    return running.stub


@pytest.fixture
def chat() -> int:
    return next(chats)


@pytest.fixture
def token(live: Live) -> str:
    return live.register("ada@example.org")


def me(email: str = "ada@example.org") -> User:
    return User.objects.get(email=email)


def linked(live: Live, stub: TelegramStub, chat: int, token: str) -> str:
    """The code with which the chat was linked."""
    code = str(live.post(CODE, 201, None, token=token)["code"])
    assert "is linked to your account now" in stub.ask(chat, f"/start {code}")
    return code


# -- linking ------------------------------------------------------------------------------------------
def test_a_code_links_one_chat_once(live: Live, stub: TelegramStub, chat: int, token: str) -> None:
    assert live.get(CODE, token=token) == {"is_linked": False, "linked_at": None}
    made = live.post(CODE, 201, None, token=token)
    assert made["bot"] == f"https://t.me/{NAME}?start={made['code']}"
    assert "is linked to your account now" in stub.ask(chat, f"/start {made['code']}")
    assert live.get(CODE, token=token)["is_linked"] is True
    other = next(chats)
    assert stub.ask(other, f"/start {made['code']}").startswith("This link is not valid any more. " + NOT_LINKED)
    assert list(TelegramLink.objects.values_list("chat_id", "user")) == [(chat, me().pk)]


def test_the_code_is_kept_as_a_digest_only(live: Live, stub: TelegramStub, token: str) -> None:
    code = live.post(CODE, 201, None, token=token)["code"]
    assert re.fullmatch("[A-Za-z0-9_-]{32}", code)  # what Telegram takes in a link
    assert code not in str(TelegramCode.objects.values().get())


def test_an_expired_code_links_nothing(live: Live, stub: TelegramStub, chat: int, token: str) -> None:
    code = live.post(CODE, 201, None, token=token)["code"]
    assert timedelta(minutes=9) < TelegramCode.objects.get().expires_at - timezone.now() <= timedelta(minutes=10)
    TelegramCode.objects.update(expires_at=timezone.now())
    assert stub.ask(chat, f"/start {code}").startswith("This link is not valid any more.")
    assert TelegramLink.objects.count() == 0


def test_a_new_code_ends_the_one_before(live: Live, stub: TelegramStub, chat: int, token: str) -> None:
    first = live.post(CODE, 201, None, token=token)["code"]
    second = live.post(CODE, 201, None, token=token)["code"]
    assert stub.ask(chat, f"/start {first}").startswith("This link is not valid any more.")
    assert "is linked" in stub.ask(chat, f"/start {second}")


def test_another_chat_takes_the_place_of_the_first(live: Live, stub: TelegramStub, chat: int, token: str) -> None:
    linked(live, stub, chat, token)
    other = next(chats)
    linked(live, stub, other, token)
    assert stub.ask(chat, "/balance").startswith(NOT_LINKED)
    assert list(TelegramLink.objects.values_list("chat_id", flat=True)) == [other]


def test_a_chat_that_another_person_links_is_theirs(live: Live, stub: TelegramStub, chat: int, token: str) -> None:
    linked(live, stub, chat, token)
    linked(live, stub, chat, live.register("eve@example.org"))
    assert list(TelegramLink.objects.values_list("chat_id", "user")) == [(chat, me("eve@example.org").pk)]


def test_unlinking_by_the_bot_and_by_the_api(live: Live, stub: TelegramStub, chat: int, token: str) -> None:
    linked(live, stub, chat, token)
    assert stub.ask(chat, "/unlink") == "This chat is not linked any more, and you are told nothing here."
    assert stub.ask(chat, "/help").startswith(NOT_LINKED)
    linked(live, stub, chat, token)
    waiting = live.post(CODE, 201, None, token=token)["code"]
    assert live.ask("DELETE", CODE, headers={"Authorization": f"Bearer {token}"}).status_code == 204
    assert stub.ask(chat, "/balance").startswith(NOT_LINKED)
    assert stub.ask(chat, f"/start {waiting}").startswith("This link is not valid any more.")


def test_codes_are_for_who_is_logged_in_and_where_there_is_a_bot(live: Live, token: str, settings: Any) -> None:
    assert [live.ask(method, CODE).status_code for method in ("GET", "POST", "DELETE")] == [401, 401, 401]
    assert live.post(CODE, 409, None, token=token)["code"] == "telegram_off"
    settings.TELEGRAM_BOT_TOKEN = TOKEN
    assert live.post(CODE, 502, None, token=token)["code"] == "telegram_unavailable"
    assert TelegramCode.objects.count() == 0


def test_codes_are_limited(live: Live, stub: TelegramStub, token: str, settings: Any) -> None:
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"login": "2/m"}
    asked = [live.ask("POST", CODE, headers={"Authorization": f"Bearer {token}"}).status_code for _ in range(4)]
    assert asked == [201, 201, 429, 429]


# -- a chat that is nobody's ------------------------------------------------------------------------------
@pytest.mark.parametrize("text", ["/start", "/balance", "/history", "/topup 50", "/organization", "/unlink", "/help", "hello"])
def test_a_chat_that_is_not_linked_learns_how_to_link_and_nothing_else(
    live: Live, stub: TelegramStub, chat: int, text: str
) -> None:
    page = f"Log in at {live.url}/account and open the link to Telegram there."
    assert stub.ask(chat, text) == f"{NOT_LINKED} {page}"


def test_groups_are_not_answered(live: Live, stub: TelegramStub, chat: int, token: str) -> None:
    linked(live, stub, chat, token)
    code = live.post(CODE, 201, None, token=token)["code"]
    for text in ("/balance", f"/start {code}", "hello"):
        stub.say(-chat, text, kind="supergroup")
    stub.ask(chat, "/help")  # answered after them
    assert stub.sent_to(-chat) == []
    assert TelegramLink.objects.get().chat_id == chat


def test_a_person_who_was_erased_or_shut_out_is_not_answered(live: Live, stub: TelegramStub, chat: int, token: str) -> None:
    linked(live, stub, chat, token)
    User.objects.update(is_active=False)
    assert stub.ask(chat, "/organization").startswith(NOT_LINKED)


# -- asking -------------------------------------------------------------------------------------------
def test_the_balance_is_exact_in_each_currency(live: Live, stub: TelegramStub, chat: int, token: str) -> None:
    linked(live, stub, chat, token)
    assert stub.ask(chat, "/balance") == "You are not in any organization."
    organization = make_organization(owner=me(), name="Lovelace Ltd")
    assert stub.ask(chat, "/balance") == "Lovelace Ltd\nThere is no wallet yet; the first top-up makes one."
    make_wallet(organization, "jpy", 5_000)
    wallet = make_wallet(organization, "kwd", 5_120)
    assert stub.ask(chat, "/balance") == "Lovelace Ltd\nJPY: ¥5,000\nKWD: KWD\N{NO-BREAK SPACE}5.120"
    held = {"amount": "1", "currency": "kwd", "description": "x"}
    live.post(f"/api/wallets/{organization.pk}/holds", 201, held, token=token, key="h")
    assert stub.ask(chat, "/balance").endswith("KWD: KWD\N{NO-BREAK SPACE}4.120\nKWD: KWD\N{NO-BREAK SPACE}1.000 held besides")
    assert wallet.organization_id == organization.pk


def test_a_link_to_top_up_names_the_amount_and_nothing_is_started(live: Live, stub: TelegramStub, chat: int, token: str) -> None:
    linked(live, stub, chat, token)
    organization = make_organization(owner=me(), name="Lovelace Ltd")
    page = f"{live.url}/organizations/{organization.pk}/wallet"
    assert stub.ask(chat, "/topup 50") == f"Top up Lovelace Ltd by $50.00:\n{page}?top_up=50.00&currency=usd"
    make_wallet(organization, "eur")
    assert stub.ask(chat, "/topup 50").endswith("?top_up=50.00&currency=eur")
    assert stub.ask(chat, f"/topup@{NAME} 5000 JPY").endswith("by ¥5,000:\n" + f"{page}?top_up=5000&currency=jpy")
    assert organization.top_ups.count() == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "Write how much: /topup 50"),
        ("fifty", "Write the amount as a number such as 25 or 25.50."),
        ("-5", "The smallest amount is $0.50."),
        ("0.10", "The smallest amount is $0.50."),
        ("50.001", "Amounts in USD have at most 2 decimals."),
        ("1e12", "That amount is too large."),
        ("50 xyz", "'xyz' is not a currency that can be charged."),
    ],
)
def test_an_amount_is_refused_as_the_api_refuses_it(
    live: Live, stub: TelegramStub, chat: int, token: str, words: str, told: str
) -> None:
    linked(live, stub, chat, token)
    make_organization(owner=me())
    assert stub.ask(chat, f"/topup {words}".strip()) == told


def test_a_member_sees_but_does_not_top_up(live: Live, stub: TelegramStub, chat: int, token: str) -> None:
    linked(live, stub, chat, token)
    organization = make_organization(name="Lovelace Ltd")
    Membership.objects.create(organization=organization, user=me(), role=Role.MEMBER)
    make_wallet(organization, "eur", 1_000)
    assert stub.ask(chat, "/balance") == "Lovelace Ltd\nEUR: €10.00"
    assert stub.ask(chat, "/topup 50") == "Only owners and admins of the organization may do this."


def test_the_history_is_the_last_ten_movements(live: Live, stub: TelegramStub, chat: int, token: str) -> None:
    linked(live, stub, chat, token)
    organization = make_organization(owner=me(), name="Lovelace Ltd")
    assert stub.ask(chat, "/history") == "Lovelace Ltd\nNothing has moved yet."
    make_wallet(organization, "eur", 10_000)
    assert re.fullmatch(r"Lovelace Ltd\n\d{4}-\d\d-\d\d \+€100\.00 Top-up: €100\.00", stub.ask(chat, "/history"))
    today = f"{timezone.now():%Y-%m-%d}"
    for number in range(1, 11):
        body = {"amount": f"{number}.00", "description": f"session {number}"}
        live.post(f"/api/wallets/{organization.pk}/spend", 201, body, token=token, key=f"k{number}")
    lines = stub.ask(chat, "/history").splitlines()
    left = {number: 100 - number * (number + 1) // 2 for number in range(1, 11)}
    spent = [f"{today} -€{number}.00 session {number}: €{left[number]}.00" for number in range(10, 0, -1)]
    assert lines == ["Lovelace Ltd", *spent]


def test_who_is_in_two_organizations_chooses(live: Live, stub: TelegramStub, chat: int, token: str) -> None:
    linked(live, stub, chat, token)
    babbage, lovelace = (make_organization(owner=me(), name=name) for name in ("Babbage & Co", "Lovelace Ltd"))
    make_wallet(babbage, "eur", 100)
    make_wallet(lovelace, "eur", 200)
    theirs = make_wallet(make_organization(name="Clara's"), "eur", 300)
    listed = "1. Babbage & Co (owner)\n2. Lovelace Ltd (owner)\n\nChoose one by its number: /organization 1"
    assert [stub.ask(chat, text) for text in ("/organization", "/balance", "/history", "/topup 5")] == [listed] * 4
    assert stub.ask(chat, "/organization 3").startswith("There is no such number.\n\n1. Babbage")
    assert stub.ask(chat, f"/organization {theirs.organization_id}").startswith("There is no such number.")
    assert stub.ask(chat, "/organization 2") == "You ask about Lovelace Ltd now."
    assert stub.ask(chat, "/balance") == "Lovelace Ltd\nEUR: €2.00"
    assert "2. Lovelace Ltd (owner) – chosen" in stub.ask(chat, "/organization")
    Membership.objects.filter(organization=lovelace, user=me()).delete()
    assert stub.ask(chat, "/balance") == "Babbage & Co\nEUR: €1.00"


# -- the process ----------------------------------------------------------------------------------------
def test_a_bot_that_starts_again_answers_what_came_meanwhile_and_nothing_twice(
    live: Live, stub: TelegramStub, running: Bot, bot_env: dict[str, str], chat: int
) -> None:
    stub.ask(chat, "one")
    assert running.end() == 0
    missed = stub.say(chat, "two")
    running.start(bot_env)
    assert stub.wait_for(lambda: len(stub.sent_to(chat)) == 2)
    running.end(kill=True)
    stub.tell_again(missed)
    running.start(bot_env)
    stub.ask(other := next(chats), "three")
    assert (len(stub.sent_to(chat)), len(stub.sent_to(other))) == (2, 1)
    assert TelegramUpdate.objects.filter(pk=missed).count() == 1


@pytest.mark.parametrize(
    ("token", "told"),
    [("", "TELEGRAM_BOT_TOKEN is not set"), (TOKEN[:-1] + "x", "Telegram refuses TELEGRAM_BOT_TOKEN")],
    ids=["none", "another's"],
)
def test_without_a_good_token_the_command_says_what_to_set(live: Live, bot_env: dict[str, str], token: str, told: str) -> None:
    command = [sys.executable, "manage.py", "telegram_bot"]
    env = bot_env | {"TELEGRAM_BOT_TOKEN": token}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, told in done.stderr, TOKEN[:-1] in done.stderr + done.stdout) == (2, True, False), done.stderr


@pytest.mark.parametrize("refusal", [(401, "Unauthorized"), (404, "Not Found")], ids=["revoked", "deleted"])
def test_a_token_that_is_refused_while_the_bot_runs_ends_it_with_a_clear_message(
    live: Live, stub: TelegramStub, running: Bot, chat: int, refusal: tuple[int, str]
) -> None:
    stub.ask(chat, "one")
    assert running.process is not None
    before = len(running.log.read_text())
    stub.refusals += [Refusal("getUpdates", *refusal)] * 3
    stub.say(chat, "two")  # ends the poll that waits
    status, running.process = running.process.wait(timeout=30), None
    log = running.log.read_text()[before:]
    assert (status, "Telegram refuses TELEGRAM_BOT_TOKEN" in log, "Traceback" in log, TOKEN in log) == (2, True, False, False)
    assert len(stub.sent_to(chat)) == 2  # what had come before was answered
    assert len(stub.refusals) == 2  # asked once, and not again


def test_a_bot_that_only_cannot_reach_telegram_goes_on(live: Live, stub: TelegramStub, running: Bot, chat: int) -> None:
    stub.ask(chat, "one")
    stub.refusals += [Refusal("getUpdates", 502, "Bad Gateway")]
    assert stub.ask(chat, "two").startswith(NOT_LINKED)
    assert stub.ask(chat, "three").startswith(NOT_LINKED)
    assert (running.process is not None and running.process.poll(), stub.refusals) == (None, [])
