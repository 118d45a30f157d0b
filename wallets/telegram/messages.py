"""Calls to Telegram's Bot API from the worker and the web process: https://core.telegram.org/bots/api

The bot itself (bot.py) has a library for its conversation. Here one message is sent, and what matters is whether it went.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import httpx
from django.conf import settings
from django.core.cache import cache

from conventions.errors import Conflict, DomainError

logger = logging.getLogger(__name__)

# A token that was revoked, and one that no bot ever had: https://core.telegram.org/bots/api#making-requests
REFUSES_TOKEN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND})
TIMEOUT_S = httpx.Timeout(10, connect=4)
LONGEST_TEXT = 4000  # characters; Telegram takes 4096
NAME_KEPT_FOR_S = 24 * 3600


class TelegramOff(Conflict):
    code = "telegram_off"

    def __init__(self) -> None:
        super().__init__("This site has no Telegram bot.")


class TelegramUnavailable(DomainError):
    """What was asked for was not done. The message never holds the address that was asked: the token is part of it."""

    code = "telegram_unavailable"
    status = HTTPStatus.BAD_GATEWAY


class TokenRefused(TelegramUnavailable):
    """Telegram knows no such bot, or none any more; nothing goes before somebody has changed the token."""


class PerhapsSent(TelegramUnavailable):
    """The answer was lost on its way: asking again might do it twice."""


class ChatGone(TelegramUnavailable):
    """The person has blocked the bot or deleted their account."""


def send(chat_id: int, text: str) -> None:
    """Raises ChatGone, PerhapsSent, TokenRefused, and TelegramUnavailable where it certainly did not go."""
    quiet = {"is_disabled": True}  # no preview: Telegram would fetch the page
    _call("sendMessage", chat_id=chat_id, text=text[:LONGEST_TEXT], link_preview_options=quiet)


def bot_name() -> str:
    """Under which Telegram knows the bot, for links to it. Raises TelegramOff and TelegramUnavailable."""
    if not settings.TELEGRAM_BOT_TOKEN:
        raise TelegramOff
    key = f"telegram-name:{settings.TELEGRAM_BOT_TOKEN.partition(':')[0]}"
    name = cache.get(key)
    if name is None:
        name = str(_call("getMe")["username"])
        cache.set(key, name, NAME_KEPT_FOR_S)
    return str(name)


def _call(method: str, **parameters: Any) -> Any:
    address = f"{settings.TELEGRAM_API_BASE}/bot{settings.TELEGRAM_BOT_TOKEN}/{method}"
    try:
        answer = httpx.post(address, json=parameters, timeout=TIMEOUT_S)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise TelegramUnavailable("Telegram cannot be reached. Please try again later.") from error
    except httpx.HTTPError as error:
        raise PerhapsSent("Telegram did not answer. Please try again later.") from error
    body = _read(answer)
    if body.get("ok"):
        return body["result"]
    said = str(body.get("description", ""))[:200]
    if answer.status_code in REFUSES_TOKEN:
        logger.critical("Telegram refuses our token: %s %s. Check TELEGRAM_BOT_TOKEN.", answer.status_code, said)
        raise TokenRefused(f"Telegram answered {answer.status_code}: {said}")
    if answer.status_code == HTTPStatus.FORBIDDEN or "chat not found" in said:
        raise ChatGone(said)
    refused = TelegramUnavailable(f"Telegram answered {answer.status_code}: {said}")
    refused.retry_after_s = (body.get("parameters") or {}).get("retry_after")
    raise refused


def _read(answer: httpx.Response) -> dict[str, Any]:
    """{"ok": true, "result": …} or {"ok": false, "description": …}; whatever else answers is something in between."""
    try:
        body = answer.json()
    except ValueError as error:
        raise PerhapsSent(f"Telegram answered {answer.status_code} and nothing that can be read.") from error
    if not isinstance(body, dict):
        raise PerhapsSent(f"Telegram answered {answer.status_code} and nothing that can be read.")
    return body
