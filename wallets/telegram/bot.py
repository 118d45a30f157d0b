"""The bot's own process: it asks Telegram for messages, one after another, and sends back what `answering` says."""

from __future__ import annotations

import asyncio
import logging
import signal
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections
from telegram import BotCommand, LinkPreviewOptions, Message, Update
from telegram.error import Conflict, InvalidToken
from telegram.ext import Application, CommandHandler, ContextTypes, Defaults, ExtBot, MessageHandler, filters
from telegram.request import HTTPXRequest

from conventions.failures import told
from wallets.telegram import answering
from wallets.telegram.answering import Asked
from wallets.telegram.messages import LONGEST_TEXT

logger = logging.getLogger(__name__)

LONG_POLL_S = 25
ANSWER_WITHIN_S = 10
ANSWERS_AT_ONCE = 8  # handlers run one after another
# Nobody is answered where others read along.
PRIVATE = filters.ChatType.PRIVATE & filters.UpdateType.MESSAGE
MENU = [
    BotCommand("balance", "What the wallet has"),
    BotCommand("topup", "A link that tops it up: /topup 50"),
    BotCommand("history", "The last ten movements"),
    BotCommand("organization", "Choose the organization that you ask about"),
    BotCommand("unlink", "Forget this chat"),
    BotCommand("help", "What can be asked"),
]


class WatchfulBot(ExtBot[None]):
    """Notices a token that Telegram takes no more: the library would end its poll, and its process wait for ever."""

    _is_refused = False  # the library lets only such names be set

    @property
    def is_refused(self) -> bool:
        return self._is_refused

    async def get_updates(self, *args: Any, **kwargs: Any) -> tuple[Update, ...]:
        if self._is_refused:  # the library asks once more when it stops
            return ()
        try:
            return await super().get_updates(*args, **kwargs)
        except InvalidToken:
            self._is_refused = True
            signal.raise_signal(signal.SIGTERM)  # stop as when told to, and answer what came before
            await asyncio.Event().wait()  # until the library, which stops now, ends this poll
            return ()


def run() -> None:
    """Until it is told to stop (SIGTERM, SIGINT). Raises telegram.error.InvalidToken where Telegram knows no such bot, or
    none any more; while Telegram cannot be reached it goes on trying."""
    bot = _bot()
    build(bot).run_polling(timeout=LONG_POLL_S, bootstrap_retries=-1, allowed_updates=[Update.MESSAGE])
    if bot.is_refused:
        raise InvalidToken


def _bot() -> WatchfulBot:
    patient = partial(HTTPXRequest, connect_timeout=ANSWER_WITHIN_S, read_timeout=ANSWER_WITHIN_S, write_timeout=ANSWER_WITHIN_S)
    return WatchfulBot(
        settings.TELEGRAM_BOT_TOKEN,
        base_url=f"{settings.TELEGRAM_API_BASE}/bot",
        request=patient(connection_pool_size=ANSWERS_AT_ONCE),
        get_updates_request=patient(),
        defaults=Defaults(link_preview_options=LinkPreviewOptions(is_disabled=True)),
    )


def build(bot: WatchfulBot) -> Application[Any, Any, Any, Any, Any, Any]:
    application = Application.builder().bot(bot).post_init(_show_menu).build()
    commands = ["start", *answering.COMMANDS]
    application.add_handler(CommandHandler(commands, _on_message, filters=PRIVATE))
    application.add_handler(MessageHandler(PRIVATE, _on_message))
    application.add_error_handler(_on_error)
    return application


async def _show_menu(application: Application[Any, Any, Any, Any, Any, Any]) -> None:
    await application.bot.set_my_commands(MENU)
    logger.info("the bot answers")


async def _on_message(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    message = update.message
    assert message is not None  # PRIVATE lets nothing else through
    text = await sync_to_async(_answer)(update.update_id, message, list(context.args or []))
    if text:
        await message.reply_text(text[:LONGEST_TEXT])


def _answer(update_id: int, message: Message, words: list[str]) -> str | None:
    """In a thread that may use the database, with a connection that may have been closed since the last message."""
    command = (message.text or "").split(maxsplit=1)[:1]
    name = command[0].lstrip("/").partition("@")[0].lower() if command else ""
    close_old_connections()
    try:
        return answering.answer(Asked(update_id=update_id, chat_id=message.chat.id, command=name, words=words))
    except Exception as error:
        logger.exception("message %s could not be answered: %s", update_id, told(error))
        return answering.BROKEN
    finally:
        close_old_connections()


async def _on_error(update: object, context: ContextTypes.DEFAULT_TYPE) -> None:
    """What Telegram or the network refused; the library goes on asking. Its errors name no address."""
    error = context.error
    if isinstance(error, Conflict):
        logger.error("another process asks for this bot's messages: run only one telegram_bot")
    elif error is not None:
        logger.warning("Telegram: %s", told(error))
