"""What the bot answers: each command is a function from who asks, and the words behind the command, to a text.

Everything here is as the person sees it through the API: the same memberships, the same roles, the same refusals. A chat
that nobody linked learns how to link one, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.utils import timezone
from django_ratelimit.core import get_usage

from accounts.models import Membership, Organization
from accounts.organizations import organization_for
from conventions import tenancy
from conventions.errors import DomainError
from conventions.insert_or_add import insert_or_add
from payments import ledger
from payments.money import Money, check_currency
from wallets import opening, statement
from wallets.models import TelegramLink, TelegramUpdate, Wallet
from wallets.notice_words import wallet_link
from wallets.telegram import linking

MESSAGES = "20/m"  # of one chat
LINES = 10  # of the history
LONGEST_WORD = 100  # of what is taken from a message
TOO_MANY = "Too many messages. Please wait a minute."
BROKEN = "Something went wrong on our side. Please try again later."
HELP = """/balance – what the wallet has
/topup 50 – a link that tops it up by 50 (/topup 50 eur in another currency)
/history – the last ten movements
/organization – choose the organization that you ask about
/unlink – forget this chat
/help – this list

You are told here when a top-up arrives or fails and when the balance is low, if you are an owner or admin."""


class Refused(DomainError):
    """What cannot be answered as it was asked; its message is the answer."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A message in a private chat: `/topup 50 eur` has the command "topup" and the words "50" and "eur"."""

    update_id: int
    chat_id: int
    command: str
    words: Sequence[str]


def answer(asked: Asked) -> str | None:
    """The text to send back; None where nothing is to be sent: the message was taken before, or the chat sends too many."""
    row = {"id": asked.update_id, "taken_at": timezone.now()}
    if not insert_or_add(TelegramUpdate, [row], key=["id"], returning=["id"]):
        return None
    usage = get_usage(None, group="telegram", key=lambda _group, _request: str(asked.chat_id), rate=MESSAGES, increment=True)
    if usage and usage["should_limit"]:
        return TOO_MANY if usage["count"] == usage["limit"] + 1 else None
    with tenancy.nothing():
        try:
            return _answer(asked)
        except DomainError as refused:
            return refused.message


def _answer(asked: Asked) -> str:
    words = [word[:LONGEST_WORD] for word in asked.words]
    with tenancy.everything():  # who asks is not known yet
        if asked.command == "start" and words:
            return _start(asked.chat_id, words[0])
        link = linking.link_of(asked.chat_id)
    if link is None:
        return how_to_link()
    with tenancy.only(user=link.user_id):
        return COMMANDS.get(asked.command, _help)(link, words)


def how_to_link() -> str:
    return (
        f"This chat is not linked to an account. Log in at {settings.FRONTEND_URL}/account and open the link to Telegram there."
    )


def _start(chat_id: int, code: str) -> str:
    if linking.link_chat(chat_id=chat_id, code=code) is None:
        return f"This link is not valid any more. {how_to_link()}"
    return f"This chat is linked to your account now.\n\n{HELP}"


def _help(link: TelegramLink, words: Sequence[str]) -> str:
    return HELP


def _unlink(link: TelegramLink, words: Sequence[str]) -> str:
    linking.unlink(user=link.user)
    return "This chat is not linked any more, and you are told nothing here."


# -- whose wallet ------------------------------------------------------------------------------------
def _memberships(link: TelegramLink) -> list[Membership]:
    own = Membership.objects.filter(user=link.user_id).select_related("organization")
    return list(own.order_by("organization__name", "organization"))


def _organization(link: TelegramLink, words: Sequence[str]) -> str:
    found = _memberships(link)
    if not words:
        return _listed(link, found)
    number = int(words[0]) if words[0].isascii() and words[0].isdigit() else 0
    if not 1 <= number <= len(found):
        raise Refused(f"There is no such number.\n\n{_listed(link, found)}")
    chosen = found[number - 1].organization
    TelegramLink.objects.filter(pk=link.pk).update(organization=chosen)
    return f"You ask about {chosen.name} now."


def _listed(link: TelegramLink, found: list[Membership]) -> str:
    if not found:
        return "You are not in any organization."
    lines = [
        f"{number}. {one.organization.name} ({one.get_role_display().lower()})"
        + (" – chosen" if one.organization_id == link.organization_id else "")
        for number, one in enumerate(found, start=1)
    ]
    return "\n".join([*lines, "", "Choose one by its number: /organization 1"])


def _asked_about(link: TelegramLink, *, administering: bool = False) -> Organization:
    """The chosen organization, or the only one. Raises Refused with the list where there is a choice to make."""
    found = _memberships(link)
    if link.organization_id in {one.organization_id for one in found}:
        return organization_for(link.user, str(link.organization_id), administering=administering)
    if len(found) != 1:
        raise Refused(_listed(link, found))
    return organization_for(link.user, found[0].organization_id, administering=administering)


# -- money -------------------------------------------------------------------------------------------
def _balance(link: TelegramLink, words: Sequence[str]) -> str:
    organization = _asked_about(link)
    with tenancy.only(user=link.user_id, organization=organization.pk):
        wallets = _wallets(organization)
        balances = ledger.balances([code for one in wallets for code in (one.account, one.held, one.receivable)])
        lines = [line for one in wallets for line in _balance_lines(one, balances)]
    return "\n".join([organization.name, *(lines or ["There is no wallet yet; the first top-up makes one."])])


def _balance_lines(wallet: Wallet, balances: dict[str, int]) -> list[str]:
    def shown(code: str) -> str:
        return Money(balances.get(code, 0), wallet.currency).display()

    lines = [f"{wallet.currency.upper()}: {shown(wallet.account)}"]
    if balances.get(wallet.held):
        lines.append(f"{wallet.currency.upper()}: {shown(wallet.held)} held besides")
    if wallet.owed_since:
        lines.append(f"{wallet.currency.upper()}: {shown(wallet.receivable)} owed; blocked until it is topped up")
    elif wallet.blocked_at:
        lines.append(f"{wallet.currency.upper()}: blocked; please contact us")
    return lines


def _wallets(organization: Organization) -> list[Wallet]:
    return list(Wallet.objects.filter(organization=organization).order_by("created_at", "pk"))


def _top_up(link: TelegramLink, words: Sequence[str]) -> str:
    organization = _asked_about(link, administering=True)
    if not words:
        raise Refused("Write how much: /topup 50")
    with tenancy.only(user=link.user_id, organization=organization.pk):
        if len(words) > 1:
            currency = check_currency(words[1])
        else:
            wallet = opening.wallet_of(organization, None)
            currency = wallet.currency if wallet else settings.DEFAULT_CURRENCY
    money = Money.parse(words[0], currency)
    money.check_chargeable()
    query = urlencode({"top_up": str(money), "currency": currency})
    return f"Top up {organization.name} by {money.display()}:\n{wallet_link(organization.pk)}?{query}"


def _history(link: TelegramLink, words: Sequence[str]) -> str:
    organization = _asked_about(link)
    with tenancy.only(user=link.user_id, organization=organization.pk):
        found = [entry for one in _wallets(organization) for entry in statement.entries(one, statement.booked(one)[0:LINES])]
    newest = sorted(found, key=lambda entry: entry.id, reverse=True)[:LINES]
    return "\n".join([organization.name, *([_line(entry) for entry in newest] or ["Nothing has moved yet."])])


def _line(entry: statement.Entry) -> str:
    """2026-11-21 +€50.00 Top-up: €60.00"""
    sign = "+" if entry.amount.amount_minor > 0 else ""
    return f"{entry.occurred_at:%Y-%m-%d} {sign}{entry.amount.display()} {entry.description}: {entry.balance_after.display()}"


COMMANDS: dict[str, Callable[[TelegramLink, Sequence[str]], str]] = {
    "balance": _balance,
    "topup": _top_up,
    "history": _history,
    "organization": _organization,
    "unlink": _unlink,
    "help": _help,
}
