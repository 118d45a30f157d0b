"""Linking one's Telegram chat on the pages; what the bot itself does is in tests/flows/test_telegram.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts.tests.factories import PASSWORD
from tests.browser.wallet_steps import OWNER, enter, is_told
from tests.live import Live
from tests.telegram_stub import NAME, TOKEN, TelegramStub
from wallets.models import TelegramLink
from wallets.telegram import linking

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def bot(settings: Any) -> Iterator[None]:
    stub = TelegramStub()
    settings.TELEGRAM_BOT_TOKEN, settings.TELEGRAM_API_BASE = TOKEN, stub.url
    yield
    stub.close()


def test_chat_is_linked_noticed_by_the_page_and_unlinked(tab: Page, live: Live, bot: None) -> None:
    live.register(OWNER, PASSWORD)
    enter(tab, live, "/account")
    tab.locator("#telegram-link").click()
    address = tab.locator("#telegram-open")
    expect(address).to_have_attribute("href", re.compile(rf"https://t\.me/{NAME}\?start=[\w-]+"))
    code = str(address.get_attribute("href")).partition("start=")[2]
    expect(tab.locator("#telegram-start")).to_have_text(f"/start {code}")
    linking.link_chat(chat_id=7, code=code)
    is_told(tab, "Your Telegram chat is linked.")
    expect(tab.locator("#telegram-linked")).to_be_visible()

    tab.goto("/organizations")
    tab.locator("#telegram-unlink button").click()
    tab.locator("#sure-yes").click()
    is_told(tab, "Your Telegram chat is not linked any more.")
    expect(tab.locator("#telegram-link")).to_be_visible()
    assert not TelegramLink.objects.exists()
