"""Run the Telegram bot."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = (
        "Answers what people ask the Telegram bot about their organizations' wallets, until it is stopped. Run one, beside "
        "web and worker; a message that came while none ran is answered by the next. Needs TELEGRAM_BOT_TOKEN. Exit status: 0 "
        "stopped, 2 could not run, or Telegram takes the token no more.\n\nExample: manage.py telegram_bot"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.TELEGRAM_BOT_TOKEN:
            message = "TELEGRAM_BOT_TOKEN is not set: write what @BotFather gave for your bot (/newbot) into the environment."
            raise CommandError(message, returncode=2)
        # Imported here: nothing else needs the library, and loading it takes half a second.
        from telegram.error import InvalidToken

        from wallets.telegram import bot

        try:
            bot.run()
        except InvalidToken:
            message = (
                "Telegram refuses TELEGRAM_BOT_TOKEN: it was never the token of a bot, or has been revoked. Ask @BotFather for "
                "the token (/token), write it into the environment of web, worker and bot, and start them again."
            )
            raise CommandError(message, returncode=2) from None  # what it says repeats the token
