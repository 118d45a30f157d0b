"""Every page, by day and by night, on a phone and on a desk: usable by all, quiet in the console, no wider than it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import User
from accounts.tests.factories import PASSWORD
from pricing import hours
from pricing.models import PlanPrice, Product
from pricing.tests.factories import make_plan
from tests.browser.conftest import DESKTOP, NewContext, listen
from tests.live import Live, a_campaign

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SIZES = {"phone": {"width": 390, "height": 844}, "desktop": DESKTOP}
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN_AXE = """async rules => {
    const found = await axe.run(document, {runOnly: {type: "tag", values: rules}, resultTypes: ["violations"]});
    return found.violations.flatMap(broken => broken.nodes.map(node => `${broken.id}: ${node.target} ${node.failureSummary}`));
}"""
WIDER_THAN_IT_IS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A page: where it is, by what one sees that it has all been drawn, and what is then done on it."""

    path: str
    drawn: str = "h1"
    logged_in: bool = False
    typed: tuple[tuple[str, str], ...] = ()
    pressed: tuple[str, ...] = ()
    then: str = ""


PAGES = {
    "home": Shown(path="/", drawn="#campaigns .card"),
    "campaign": Shown(path="/campaigns/clean-water", drawn="#wall li:nth-child(3)"),
    "campaign, wrong amount": Shown(
        path="/campaigns/clean-water",
        drawn="#wall li:nth-child(3)",
        typed=(("#amount", "0.10"),),
        pressed=("#giving-form summary", "#give"),
        then="#amount + .field-error",
    ),
    "proof": Shown(path="/campaigns/clean-water/proof", drawn="#proof-verdict"),
    "donate": Shown(path="/donate", drawn="#donate-100"),
    "success": Shown(path="/success?session_id={session}", drawn="#result[data-state=completed]"),
    "success, unpaid": Shown(path="/success?session_id={unpaid}", drawn="#result[data-state=pending]"),
    "success, no payment": Shown(path="/success", drawn="#result[data-state=unknown]"),
    "cancel": Shown(path="/cancel", drawn="#try-again"),
    "login": Shown(path="/login", drawn="#login-submit"),
    "login, wrong password": Shown(
        path="/login",
        typed=(("#id_username", "ada@example.org"), ("#id_password", "wrong")),
        pressed=("#login-submit",),
        then="#login-error",
    ),
    "register": Shown(path="/register", drawn="#register-submit"),
    "verify-email": Shown(path="/verify-email?token=some", drawn="#verify-submit"),
    "verify-email, no token": Shown(path="/verify-email", drawn="#resend-submit"),
    "password-reset": Shown(path="/password-reset", drawn="#reset-ask-submit"),
    "password-reset, new one": Shown(path="/password-reset?token=some", drawn="#reset-set-submit"),
    "account": Shown(path="/account", drawn="#gifts tr", logged_in=True, pressed=(".danger summary",), then="#delete-submit"),
    "account, sessions": Shown(path="/account", drawn="#sessions tr", logged_in=True),
    "pricing": Shown(path="/pricing?currency=eur", drawn=".plan.featured"),
    "buy, wrong address": Shown(
        path="/pricing/{package}",
        drawn="#buyer-submit:enabled",
        typed=(("#buyer-name", "Ada"), ("#buyer-email", "ada")),
        pressed=("#buyer-submit",),
        then="#buyer-email + .field-error",
    ),
    "buy, payment": Shown(
        path="/pricing/{package}",
        drawn="#buyer-submit:enabled",
        typed=(("#buyer-name", "Ada"), ("#buyer-email", "ada@example.org")),
        pressed=("#buyer-submit",),
        then="#payment-submit:enabled",
    ),
    "buy, logged in": Shown(path="/pricing/{package}", drawn="#buyer-known", logged_in=True),
    "subscribe, no account": Shown(path="/pricing/{monthly}", drawn="#buy-login"),
    "subscribe, has it": Shown(path="/pricing/{monthly}", drawn="#buy-account", logged_in=True),
    "purchase": Shown(path="/purchase?{paid_intent}", drawn="#result-hours"),
    "purchase, unpaid": Shown(path="/purchase?{open_intent}", drawn="#result-again"),
    "hero-me": Shown(path="/hero-me", drawn="#product-buy:enabled"),
    "hero-me, payment": Shown(path="/hero-me", drawn="#product-buy:enabled", pressed=("#product-buy",), then="#checkout iframe"),
    "hero-me, paid": Shown(path="/hero-me?session_id={product}", drawn="#result[data-state=completed]"),
    "hero-me, no payment": Shown(path="/hero-me?session_id=nonsense", drawn="#result[data-state=unknown]"),
    "documentation": Shown(path="/documentation"),
    "sponsors": Shown(path="/sponsors", drawn=".sponsors li"),
    "404": Shown(path="/nowhere"),
}
# Chromium tells of every answer that is no success.
TOLD = {
    "campaign, wrong amount": ["Failed to load resource: the server responded with a status of 400 (Bad Request)"],
    "404": ["Failed to load resource: the server responded with a status of 404 (Not Found)"],
    "buy, wrong address": ["Failed to load resource: the server responded with a status of 400 (Bad Request)"],
    "hero-me, no payment": ["Failed to load resource: the server responded with a status of 400 (Bad Request)"],
}


@pytest.fixture
def furnished(live: Live) -> dict[str, str]:
    """A campaign with gifts of all kinds, one of them by somebody with an account; plans, hours and a product."""
    campaign = a_campaign(
        title="Clean water for the villages on the far side of the mountain",
        slug="clean-water",
        summary="Twelve wells, and the people trained to keep them running.",
        story="Every gift shows up here at once.\n\nEvery number can be opened.",
        goal_minor=40_000,
    )
    token = live.register("ada@example.org", PASSWORD, name="Ada")
    dedication = {"kind": "in_memory", "name": "Alan"}
    named = {"donor_name": "Ada " + "Lovelace" * 8, "message": "Keep " + "going" * 20, "dedication": dedication}
    gifts = [
        live.give(campaign_id=campaign, amount=250, email="ada@example.org", **named),
        live.give(campaign_id=campaign, amount="1234.50", email="grace@example.org", donor_name="Grace"),
        live.give(campaign_id=campaign, amount=5, email="x@example.org", anonymous=True),
    ]
    for gift in gifts:
        live.pay(gift, flush=False)
    live.flush()
    unpaid = live.give(campaign_id=campaign, amount=10)
    return {"session": gifts[0]["session_id"], "unpaid": unpaid["session_id"], **bought(live, token)}


def bought(live: Live, token: str) -> dict[str, str]:
    """A package that a guest paid, one that nobody did, the subscription and a session of who has an account, the product."""
    package = make_plan(name="Ten hours", hundredths=1000, days=60, is_featured=True, description="For a subject.")
    PlanPrice.objects.create(plan=package, currency="usd", amount_minor=15_100)
    monthly = make_plan(name="Every month", hundredths=450, days=None, is_featured=True)
    Product.objects.get_or_create(
        sku="hero-me-feelings",
        defaults={"name": "Hero Me Feelings", "description": "A board", "amount_minor": 200, "currency": "usd"},
    )
    guest = {"plan_id": package.pk, "student_info": {"name": "Grace", "email": "grace@example.org"}}
    start = "/api/finances/api/purchase/initiate/"
    paid, unpaid = live.post(start, 201, guest), live.post(start, 201, guest)
    subscribed = live.post(start, 201, {"plan_id": monthly.pk}, token=token)
    for started in (paid, subscribed):
        confirm = f"/v1/payment_intents/{started['payment_intent_id']}/confirm"
        confirmed = live.sandbox.stripe("POST", confirm, payment_method="pm_card_visa", return_url=live.url)
        assert confirmed["status"] == "succeeded", confirmed
    product = live.post("/api/checkout/embedded-session", 200, {})["client_secret"].partition("_secret_")[0]
    live.pay({"session_id": product})
    ada = User.objects.get(email="ada@example.org")
    hours.consume(student=ada, hundredths=150, session_reference="Algebra, " + "long" * 20, actor=ada)
    return {
        "package": str(package.pk),
        "monthly": str(monthly.pk),
        "paid_intent": address_of(paid),
        "open_intent": address_of(unpaid),
        "product": product,
    }


def address_of(started: dict[str, str]) -> str:
    return f"payment_intent={started['payment_intent_id']}&payment_intent_client_secret={started['client_secret']}"


def log_in(context: BrowserContext, live: Live) -> None:
    client = Client()
    assert client.login(username="ada@example.org", password=PASSWORD)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live.url}])


def visit(page: Page, shown: Shown, furnished: dict[str, str]) -> None:
    page.goto(shown.path.format(**furnished))
    page.locator(shown.drawn).first.wait_for()
    for field, text in shown.typed:
        page.locator(field).fill(text)
    for button in shown.pressed:
        page.locator(button).click()
    if shown.then:
        page.locator(shown.then).wait_for()


def each_page(
    new_visit: NewContext, live: Live, furnished: dict[str, str], **options: Any
) -> Iterator[tuple[str, Page, list[str]]]:
    """Each page in turn, and what its console said; as a stranger sees it, but the account's in a browser that is logged in."""
    stranger, member = new_visit(**options), new_visit(**options)
    log_in(member, live)
    tabs = {False: stranger.new_page(), True: member.new_page()}
    heard: list[str] = []
    for tab in tabs.values():
        listen(tab, live, heard)
    for name, shown in PAGES.items():
        page = tabs[shown.logged_in]
        visit(page, shown, furnished)
        yield name, page, heard.copy()
        page.goto("about:blank")
        heard.clear()


def test_no_page_breaks_a_rule_of_accessibility(new_visit: NewContext, live: Live, furnished: dict[str, str]) -> None:
    axe = AXE.read_text()
    broken: dict[tuple[str, str, str], list[str]] = {}
    for name, page, _ in each_page(new_visit, live, furnished, bypass_csp=True):
        page.evaluate(axe)
        for scheme in ("light", "dark"):
            for size, viewport in SIZES.items():
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size(viewport)
                broken[name, scheme, size] = page.evaluate(RUN_AXE, RULES)
    assert len(broken) == len(PAGES) * 4
    assert {where: what for where, what in broken.items() if what} == {}


def test_no_page_complains_or_is_wider_than_the_screen(new_visit: NewContext, live: Live, furnished: dict[str, str]) -> None:
    told: dict[str, list[str]] = {}
    too_wide: dict[tuple[str, str], int] = {}
    for name, page, heard in each_page(new_visit, live, furnished):
        for size, viewport in SIZES.items():
            page.set_viewport_size(viewport)
            too_wide[name, size] = page.evaluate(WIDER_THAN_IT_IS)
        told[name] = heard
    assert {where: by for where, by in too_wide.items() if by} == {}
    assert {name: said for name, said in told.items() if said} == TOLD


def test_reference_of_the_api_works_under_the_content_security_policy(tab: Page, complaints: list[str]) -> None:
    tab.goto("/api/docs/")
    expect(tab.locator("#operations-donations-donations_create_checkout_session")).to_be_visible()
    assert complaints == []


def test_reference_of_the_api_is_as_dark_as_the_reader_s_system(tab: Page) -> None:
    def backgrounds() -> list[str]:
        expect(tab.locator("#operations-donations-donations_create_checkout_session")).to_be_visible()
        return [tab.locator(part).evaluate("part => getComputedStyle(part).backgroundColor") for part in ("html", "body")]

    tab.emulate_media(color_scheme="dark")
    tab.goto("/api/docs/")
    assert backgrounds() == ["rgb(28, 32, 34)", "rgb(28, 32, 34)"]
    tab.emulate_media(color_scheme="light")  # while the page is open
    assert backgrounds() == ["rgba(0, 0, 0, 0)", "rgb(247, 245, 239)"]


@pytest.mark.parametrize(
    ("path", "field", "button"),
    [
        ("/register", "#password", "#register-submit"),
        ("/password-reset?token=some", "#password", "#reset-set-submit"),
        ("/donate", "#email", "#give"),
        ("/pricing/{package}", "#buyer-email", "#buyer-submit"),
    ],
)
def test_form_whose_script_has_not_run_puts_nothing_into_the_address(
    new_visit: NewContext, live: Live, path: str, field: str, button: str
) -> None:
    page = new_visit(java_script_enabled=False).new_page()
    page.goto(path.format(package=make_plan().pk))
    page.locator(field).fill("hidden@example.org")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    if page.locator(button).is_enabled():
        page.locator(button).click()
        page.wait_for_load_state()
    assert [url for url in [*asked, page.url] if "hidden" in url] == []
