"""The stand-in for Stripe.js in Chromium: a page of another origin, written as for the real one."""

import os
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import stripe
from playwright.sync_api import Browser, ConsoleMessage, FrameLocator, Page, expect, sync_playwright

from sandbox.tests.conftest import Control, types_of

pytestmark = pytest.mark.browser
SHOP = Path(__file__).with_name("shop.html").read_text()
AXE = Path(__file__).parents[2] / "tests" / "browser" / "vendor" / "axe.min.js"
VISA, DECLINED, ASKS, INCOMPLETE = "4242424242424242", "4000000000000002", "4000002760003184", "42424242"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        assert os.environ.get("REQUIRE_BROWSER") != "1", "REQUIRE_BROWSER=1, but no Chromium was found"
        pytest.skip("no Chromium was found (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def shop(control: Control) -> Iterator[str]:
    """The page's own address: another port than the sandbox's, with a policy as strict as a shop would have."""
    policy = (
        f"default-src 'none'; script-src 'self' 'unsafe-inline' {control.url}; frame-src {control.url}; connect-src {control.url}"
    )

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(SHOP.replace("/stripe.js", f"{control.url}/v3/").encode())

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Page]:
    """Whatever the page's scripts or its policy complain of fails the test; a refused call is what some tests are about."""
    complaints: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    context = chromium.new_context(locale="en-US", reduced_motion="reduce")
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.on("console", said)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


def intent(client: stripe.StripeClient, currency: str = "usd") -> stripe.PaymentIntent:
    customer = client.v1.customers.create({"name": "Ada"}).id
    return client.v1.payment_intents.create(
        {"amount": 2500, "currency": currency, "customer": customer, "metadata": {"secret": "of the server"}}
    )


def fields(tab: Page) -> FrameLocator:
    return tab.frame_locator("iframe[title='Secure payment input frame']")


def fill(tab: Page, card: str) -> None:
    expect(tab.get_by_role("status")).to_have_text("ready")
    fields(tab).get_by_label("Card number").fill(card)
    fields(tab).get_by_label("Expiration date").fill("12 / 40")
    fields(tab).get_by_label("Security code").fill("123")


def pay(tab: Page) -> None:
    tab.get_by_role("button", name="Pay").click()


def test_payment_succeeds_without_leaving_the_page(tab: Page, shop: str, client: stripe.StripeClient) -> None:
    made = intent(client)
    tab.goto(f"{shop}?secret={made.client_secret}")
    fill(tab, VISA)
    pay(tab)
    expect(tab.get_by_role("status")).to_have_text("succeeded")
    assert client.v1.payment_intents.retrieve(made.id).amount_received == 2500


def test_payment_leads_to_the_return_address(tab: Page, shop: str, client: stripe.StripeClient) -> None:
    made = intent(client)
    tab.goto(f"{shop}?secret={made.client_secret}&redirect=always")
    fill(tab, VISA)
    pay(tab)
    tab.wait_for_url(
        f"{shop}thanks?payment_intent={made.id}&payment_intent_client_secret={made.client_secret}&redirect_status=succeeded"
    )


def test_decline_is_told_as_stripe_tells_it_and_another_card_pays(tab: Page, shop: str, client: stripe.StripeClient) -> None:
    made = intent(client)
    tab.goto(f"{shop}?secret={made.client_secret}")
    fill(tab, DECLINED)
    pay(tab)
    expect(tab.get_by_role("status")).to_have_text("card_error card_declined generic_decline: Your card was declined.")
    fields(tab).get_by_label("Card number").fill(VISA)
    pay(tab)
    expect(tab.get_by_role("status")).to_have_text("succeeded")
    assert types_of(client).count("charge.failed") == 1


def test_incomplete_card_is_named_and_nothing_is_sent(tab: Page, shop: str, client: stripe.StripeClient) -> None:
    made = intent(client)
    tab.goto(f"{shop}?secret={made.client_secret}")
    fill(tab, INCOMPLETE)
    pay(tab)
    expect(tab.get_by_role("status")).to_have_text("validation_error incomplete_number -: Your card number is incomplete.")
    expect(fields(tab).get_by_label("Card number")).to_have_attribute("aria-invalid", "true")
    expect(fields(tab).locator("#number-problem")).to_have_text("Your card number is incomplete.")
    assert types_of(client) == ["customer.created", "payment_intent.created"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("Complete authentication", re.compile("^succeeded$")),
        ("Fail authentication", re.compile("^invalid_request_error payment_intent_authentication_failure")),
    ],
)
def test_challenge_is_answered_in_a_window_of_the_page(
    tab: Page, shop: str, client: stripe.StripeClient, answer: str, outcome: re.Pattern[str]
) -> None:
    made = intent(client)
    tab.goto(f"{shop}?secret={made.client_secret}")
    fill(tab, ASKS)
    pay(tab)
    bank = tab.get_by_role("dialog", name="3D Secure authentication").frame_locator("iframe")
    bank.get_by_role("button", name=answer).click()
    expect(tab.get_by_role("status")).to_have_text(outcome)
    expect(tab.get_by_role("dialog")).to_have_count(0)


def test_account_is_debited(tab: Page, shop: str, client: stripe.StripeClient) -> None:
    made = intent(client, currency="eur")
    tab.goto(f"{shop}?secret={made.client_secret}")
    expect(tab.get_by_role("status")).to_have_text("ready")
    fields(tab).get_by_label("SEPA Direct Debit").check()
    fields(tab).get_by_label("IBAN").fill("AT61 1904 3002 3457 3201")
    fields(tab).get_by_label("Full name").fill("Ada")
    fields(tab).get_by_label("Email").fill("ada@example.org")
    pay(tab)
    expect(tab.get_by_role("status")).to_have_text("processing")


def test_card_is_saved_after_its_challenge(tab: Page, shop: str, client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"name": "Ada"}).id
    made = client.v1.setup_intents.create({"customer": customer})
    tab.goto(f"{shop}?secret={made.client_secret}")
    fill(tab, "4000002500003155")
    pay(tab)
    tab.get_by_role("dialog").frame_locator("iframe").get_by_role("button", name="Complete authentication").click()
    expect(tab.get_by_role("status")).to_have_text("succeeded")
    assert [m.card.last4 for m in client.v1.customers.payment_methods.list(customer).data if m.card] == ["3155"]


@pytest.mark.parametrize("call", ["initEmbeddedCheckout", "createEmbeddedCheckoutPage"])
def test_embedded_checkout_tells_the_page_that_it_is_complete(
    tab: Page, shop: str, client: stripe.StripeClient, call: str
) -> None:
    session = embedded(client, redirect_on_completion="never")
    tab.goto(f"{shop}?secret={session.client_secret}&embedded={call}")
    pay_embedded(tab)
    expect(tab.get_by_role("status")).to_have_text("complete")
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_embedded_checkout_leads_to_the_return_address(tab: Page, shop: str, client: stripe.StripeClient) -> None:
    session = embedded(client, return_url=f"{shop}thanks?session_id={{CHECKOUT_SESSION_ID}}")
    tab.goto(f"{shop}?secret={session.client_secret}&embedded=createEmbeddedCheckoutPage")
    pay_embedded(tab)
    tab.wait_for_url(f"{shop}thanks?session_id={session.id}")


def embedded(client: stripe.StripeClient, **more: object) -> stripe.checkout.Session:
    price = {"currency": "usd", "unit_amount": 900, "product_data": {"name": "Book"}}
    params: object = {"mode": "payment", "ui_mode": "embedded_page", "line_items": [{"quantity": 1, "price_data": price}], **more}
    return client.v1.checkout.sessions.create(params)  # type: ignore[arg-type]


def pay_embedded(tab: Page) -> None:
    checkout = tab.frame_locator("iframe[title='Secure checkout']")
    for label, typed in (("E-mail", "ada@example.org"), ("Card number", VISA), ("Expiry (MM / YY)", "12 / 40"),
                         ("Security code", "123"), ("Name", "Ada")):  # fmt: skip
        checkout.get_by_label(label, exact=True).fill(typed)
    checkout.get_by_role("button", name="Pay $9.00").click()


def test_browser_is_not_told_what_is_the_servers(control: Control, client: stripe.StripeClient) -> None:
    made = intent(client)
    path, key = f"{control.url}/v1/payment_intents/{made.id}", "pk_test_" + "a" * 24
    shown = control.http.get(path, params={"key": key, "client_secret": made.client_secret}, timeout=20).json()
    assert (shown["status"], {"customer", "metadata", "latest_charge"} & set(shown)) == ("requires_payment_method", set())
    stranger = control.http.get(path, params={"key": key, "client_secret": f"{made.id}_secret_guessed"}, timeout=20)
    assert stranger.status_code == 404


@pytest.mark.parametrize("theme", ["stripe", "night"])
def test_frame_has_no_accessibility_fault(
    tab: Page, control: Control, shop: str, client: stripe.StripeClient, theme: str
) -> None:
    tab.emulate_media(color_scheme="dark" if theme == "night" else "light")
    tab.goto(f"{shop}?secret={intent(client).client_secret}&theme={theme}")
    expect(tab.get_by_role("status")).to_have_text("ready")
    inside = next(frame for frame in tab.frames if frame.url == f"{control.url}/elements/payment")
    assert inside.locator("html").get_attribute("data-theme") == {"stripe": "light", "night": "dark"}[theme]
    inside.evaluate(f"() => {{ {AXE.read_text()} }}")
    found = inside.evaluate("async () => (await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa']})).violations")
    assert [fault["id"] for fault in found] == []


@pytest.mark.parametrize("path", ["/v3/", "/v3", "/dahlia/stripe.js"])
def test_script_is_served_to_other_origins(control: Control, path: str) -> None:
    answer = control.http.get(control.url + path, timeout=20)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "window.Stripe" in answer.text
