"""The bot's own process: it asks Telegram for messages, one after another, and sends back what `answering` says."""

from __future__ import annotations

import logging
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections
from telegram import BotCommand, LinkPreviewOptions, Message, Update
from telegram.error import Conflict
from telegram.ext import Application, CommandHandler, ContextTypes, Defaults, MessageHandler, filters

from conventions.failures import told
from wallets.telegram import answering
from wallets.telegram.answering import Asked
from wallets.telegram.messages import LONGEST_TEXT

logger = logging.getLogger(__name__)

LONG_POLL_S = 25
ANSWER_WITHIN_S = 10
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


def run() -> None:
    """Until it is told to stop (SIGTERM, SIGINT). Raises telegram.error.InvalidToken where Telegram knows no such bot;
    while Telegram cannot be reached it goes on trying."""
    application = build()
    application.run_polling(timeout=LONG_POLL_S, bootstrap_retries=-1, allowed_updates=[Update.MESSAGE])


def build() -> Application[Any, Any, Any, Any, Any, Any]:
    builder = Application.builder().token(settings.TELEGRAM_BOT_TOKEN).base_url(f"{settings.TELEGRAM_API_BASE}/bot")
    builder = builder.defaults(Defaults(link_preview_options=LinkPreviewOptions(is_disabled=True)))
    builder = builder.connect_timeout(ANSWER_WITHIN_S).read_timeout(ANSWER_WITHIN_S).write_timeout(ANSWER_WITHIN_S)
    application = builder.get_updates_read_timeout(ANSWER_WITHIN_S).post_init(_show_menu).build()
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
