"""Chromium for the tests of this directory: one browser for all of them, a context of its own for each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.live import Live

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 900}
PATIENCE_MS = 30_000

NewContext = Callable[..., BrowserContext]


# For the package, not the session: while Playwright runs, this thread counts as asynchronous, for Django and for asyncio.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        missing = "no Chromium was found (apt-get install chromium)"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(f"REQUIRE_BROWSER=1, but {missing}")
        pytest.skip(missing)
    expect.set_options(timeout=PATIENCE_MS)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def new_visit(chromium: Browser, live: Live) -> Iterator[NewContext]:
    """A browser that knows nothing yet. It is closed before the tables are emptied, and must have called nobody else."""
    opened: list[BrowserContext] = []
    strangers: list[str] = []

    def watch(request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"} and address.hostname != "127.0.0.1":
            strangers.append(request.url)

    def visit(**options: Any) -> BrowserContext:
        usual = {"viewport": DESKTOP, "locale": "en-US", "timezone_id": "UTC", "reduced_motion": "reduce"}
        context = chromium.new_context(base_url=live.url, **{**usual, **options})
        context.set_default_timeout(PATIENCE_MS)
        context.on("request", watch)
        opened.append(context)
        return context

    yield visit
    for context in opened:
        context.close()
    assert strangers == []


@pytest.fixture
def complaints() -> list[str]:
    """What a console of this site's pages has said: scripts that failed, and what the content security policy stopped."""
    return []


@pytest.fixture
def tab(new_visit: NewContext, live: Live, complaints: list[str]) -> Iterator[Page]:
    """A page under the site's own content security policy. Refusals of the API may be told, nothing else."""
    page = new_visit().new_page()
    listen(page, live, complaints)
    yield page
    assert [said for said in complaints if not said.startswith("Failed to load resource")] == []


def listen(page: Page, live: Live, complaints: list[str]) -> None:
    def said(message: Any) -> None:
        if message.type in {"error", "warning"} and page.url.startswith(live.url):
            complaints.append(message.text)

    page.on("console", said)
    page.on("pageerror", lambda error: complaints.append(f"{error.name}: {error.message}"))
