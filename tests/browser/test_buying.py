"""Buying hours and the product: what a buyer does and sees, from the list of plans to the account."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from accounts.tests.factories import PASSWORD
from payments.money import Money
from pricing import hours
from pricing.models import HourLot, PricingPlan, Product, PurchaseTransaction, Subscription
from pricing.tests.factories import make_plan
from tests.browser.steps import ASKS_FOR_3D_SECURE, DECLINED, VISA, log_in, type_card
from tests.live import Live, a_campaign

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

EMAIL = "ada@example.org"


@pytest.fixture
def five_hours(live: Live) -> PricingPlan:
    return make_plan(name="Five hours", hundredths=500, days=30, price=Money(7500, "eur"))


@pytest.fixture
def monthly(live: Live) -> PricingPlan:
    return make_plan(name="Monthly", hundredths=450, days=None, price=Money(5600, "eur"))


@pytest.fixture
def ada(live: Live) -> User:
    live.register(EMAIL, PASSWORD, name="Ada Lovelace")
    return User.objects.get(email=EMAIL)


def choose(tab: Page, plan: PricingPlan) -> None:
    tab.goto("/pricing")
    tab.locator(f"[data-plan-id='{plan.pk}'] a.plan-buy").click()
    expect(tab.locator("#plan-title")).to_have_text(plan.name)


def enter(tab: Page, live: Live) -> None:
    tab.goto("/login")
    log_in(tab, EMAIL, PASSWORD)
    tab.wait_for_url(f"{live.url}/account")


def go_on(tab: Page, **typed: str) -> None:
    for field, text in typed.items():
        tab.locator(f"#{field.replace('_', '-')}").fill(text)
    tab.locator("#buyer-submit").click()


def thanked(tab: Page, live: Live, words: str) -> None:
    tab.wait_for_url(re.compile(re.escape(f"{live.url}/purchase?payment_intent=pi_")))
    expect(tab.locator("#result-title")).to_have_text("Thank you!")
    expect(tab.locator("#result-hours")).to_have_text(words)


def intents(live: Live) -> list[tuple[Any, Any, Any]]:
    """Every PaymentIntent, the oldest first."""
    return [(one["amount"], one["currency"], one["status"]) for one in live.sandbox.objects("payment_intent")]


def in_the_reader_s_words(moment: Any) -> str:
    return f"{moment:%B %-d, %Y} at {moment:%-I:%M %p}"


def test_guest_buys_hours_and_is_told_when_they_expire(tab: Page, live: Live, five_hours: PricingPlan) -> None:
    choose(tab, five_hours)
    expect(tab.locator("#plan-price")).to_have_text("€75")
    go_on(tab, buyer_name="Ada Lovelace", buyer_email=EMAIL)
    expect(tab.locator("#payment-buyer")).to_have_text(f"Ada Lovelace, {EMAIL}")
    type_card(tab)
    tab.get_by_role("button", name="Pay €75.00", exact=True).click()

    thanked(tab, live, "5 hours")
    [lot] = HourLot.objects.all()
    assert lot.expires_at is not None
    expect(tab.locator("#result-expiry")).to_have_text(in_the_reader_s_words(lot.expires_at))
    expect(tab.locator("#result-guest")).to_be_visible()
    assert (lot.student, lot.email, lot.remaining_hundredths) == (None, EMAIL, 500)
    assert abs(lot.expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)
    live.flush()
    assert HourLot.objects.count() == 1
    assert intents(live) == [(7500, "eur", "succeeded")]


def test_reloaded_page_goes_on_with_the_purchase_that_it_began(tab: Page, live: Live, five_hours: PricingPlan) -> None:
    choose(tab, five_hours)
    for _ in range(2):
        go_on(tab, buyer_name="Ada Lovelace", buyer_email=EMAIL)
        expect(tab.locator("#payment-submit")).to_be_enabled()
        tab.reload()
    assert intents(live) == [(7500, "eur", "requires_payment_method")]
    go_on(tab, buyer_name="Ada Lovelace", buyer_email=EMAIL)
    type_card(tab)
    tab.locator("#payment-submit").click()
    thanked(tab, live, "5 hours")
    choose(tab, five_hours)
    go_on(tab, buyer_name="Ada Lovelace", buyer_email=EMAIL)
    expect(tab.locator("#payment-submit")).to_be_enabled()
    assert intents(live) == [(7500, "eur", "succeeded"), (7500, "eur", "requires_payment_method")]


def test_price_that_changed_since_the_page_was_opened_is_told_before_it_is_paid(
    tab: Page, live: Live, five_hours: PricingPlan
) -> None:
    choose(tab, five_hours)
    five_hours.prices.update(amount_minor=9900)
    go_on(tab, buyer_name="Ada Lovelace", buyer_email=EMAIL)
    expect(tab.locator("#payment-submit")).to_have_text("Pay €99.00")
    expect(tab.locator("#payment-form .form-error")).to_have_text("The price is €99.00 now.")
    assert intents(live) == [(9900, "eur", "requires_payment_method")]


def test_guest_who_leaves_out_name_or_address_is_told_beside_the_field(tab: Page, live: Live, five_hours: PricingPlan) -> None:
    choose(tab, five_hours)
    go_on(tab)
    expect(tab.locator("#buyer-name + .field-error")).to_have_text("Write your name.")
    expect(tab.locator("#buyer-email + .field-error")).to_have_text("Write your e-mail address.")
    go_on(tab, buyer_name="Ada", buyer_email="not an address")
    expect(tab.locator("#buyer-email + .field-error")).to_have_text("Enter a valid email address.")
    expect(tab.locator("#payment-form")).to_be_hidden()
    assert intents(live) == []


def test_hours_of_who_is_logged_in_show_in_the_account(tab: Page, live: Live, five_hours: PricingPlan, ada: User) -> None:
    enter(tab, live)
    expect(tab.locator("#hours-none")).to_be_visible()
    choose(tab, five_hours)
    expect(tab.locator("#buyer-known")).to_contain_text(EMAIL)
    go_on(tab)
    type_card(tab)
    tab.locator("#payment-submit").click()
    thanked(tab, live, "5 hours")
    expect(tab.locator("#result-guest")).to_have_count(0)
    live.flush()
    hours.consume(student=ada, hundredths=150, session_reference="Algebra 1", actor=ada)

    tab.locator("#result-account").click()
    [lot] = HourLot.objects.all()
    assert lot.expires_at is not None
    expect(tab.locator("#hours-remaining")).to_have_text("3.5")
    expect(tab.locator("#hours-next-expiry")).to_have_text(f"{lot.expires_at:%B %-d, %Y}")
    expect(tab.locator("#lots tbody td")).to_have_text(["Five hours", "3.5", "5", f"{lot.expires_at:%B %-d, %Y}"])
    expect(tab.locator("#purchases tr")).to_have_count(1)
    assert tab.locator("#purchases td").all_inner_texts()[1:] == ["Five hours", "5", "€75.00", "Paid", "Receipt"]
    expect(tab.locator("#sessions tr")).to_have_count(1)
    assert tab.locator("#sessions td").all_inner_texts()[1:] == ["Algebra 1", "1.5"]


@pytest.mark.parametrize("width", [320, 360, 390])
def test_no_column_of_the_account_s_tables_is_cut_on_a_phone(
    tab: Page, live: Live, five_hours: PricingPlan, ada: User, width: int
) -> None:
    gift = live.give_and_pay(campaign_id=a_campaign(title="Clean water for the villages"), amount="1234.50", email=EMAIL)
    started = live.post(
        "/api/finances/api/purchase/initiate/", 201, {"plan_id": five_hours.pk}, token=live.log_in(EMAIL, PASSWORD)
    )
    confirm = f"/v1/payment_intents/{started['payment_intent_id']}/confirm"
    live.sandbox.stripe("POST", confirm, payment_method="pm_card_visa", return_url=live.url)
    live.flush()
    hours.consume(student=ada, hundredths=150, session_reference="Algebra, second lesson", actor=ada)
    live.sandbox.stripe("POST", "/v1/refunds", payment_intent=gift["payment_intent"]["id"], amount=1050)
    live.flush()
    tab.set_viewport_size({"width": width, "height": 740})
    enter(tab, live)
    for table in ("#purchases", "#sessions", "#gifts"):
        expect(tab.locator(f"{table} tr")).to_have_count(1)

    assert in_sight(tab, "#purchases tr", width) == [
        ("what", "Five hours"),
        ("number amount", "€75.00"),
        ("when", shown_day(tab, "#purchases")),
        ("number hours", "5"),
        ("receipt", "Receipt"),
        ("state", "Paid"),
    ]
    assert in_sight(tab, "#gifts tr", width) == [
        ("what", "Clean water for the villages"),
        ("number amount", "$1,234.50"),
        ("when", shown_day(tab, "#gifts")),
        ("receipt", "Receipt"),
        ("state", "Partly given back: $10.50"),
    ]
    frames = tab.locator(".table-frame:visible")
    assert frames.evaluate_all("all => all.map(frame => frame.scrollWidth - frame.clientWidth)") == [0, 0, 0, 0]


def shown_day(tab: Page, table: str) -> str:
    return tab.locator(f"{table} time").inner_text()


def in_sight(tab: Page, row: str, width: int) -> list[tuple[str, str]]:
    """The cells of the row that are wholly within the screen's width, as they are read: line by line, from the left."""
    cells = tab.locator(f"{row} td").evaluate_all(
        "all => all.map(cell => [cell.getBoundingClientRect(), cell.className, cell.innerText])"
        "  .map(([box, name, text]) => [Math.round(box.top), box.left, box.right, name, text])"
    )
    return [(name, text) for _, left, right, name, text in sorted(cells) if 0 <= left < right <= width]


def test_declined_card_is_told_and_another_one_pays(tab: Page, live: Live, five_hours: PricingPlan) -> None:
    choose(tab, five_hours)
    go_on(tab, buyer_name="Ada", buyer_email=EMAIL)
    type_card(tab, DECLINED)
    tab.locator("#payment-submit").click()
    told = "Your card was declined. Nothing was charged. You can try another card."
    expect(tab.locator("#payment-form .form-error")).to_have_text(told)
    assert (HourLot.objects.count(), intents(live)) == (0, [(7500, "eur", "requires_payment_method")])

    type_card(tab, VISA)
    tab.locator("#payment-submit").click()
    thanked(tab, live, "5 hours")
    live.flush()
    assert intents(live) == [(7500, "eur", "succeeded")]
    assert [purchase.state for purchase in PurchaseTransaction.objects.all()] == ["paid"]


def test_bank_that_asks_is_answered_in_the_page(tab: Page, live: Live, five_hours: PricingPlan) -> None:
    choose(tab, five_hours)
    go_on(tab, buyer_name="Ada", buyer_email=EMAIL)
    type_card(tab, ASKS_FOR_3D_SECURE)
    tab.locator("#payment-submit").click()
    tab.frame_locator("dialog iframe").get_by_role("button", name="Complete").click()
    thanked(tab, live, "5 hours")


def test_payment_s_page_is_shown_to_its_buyer_only(tab: Page, live: Live, five_hours: PricingPlan) -> None:
    started = live.post(
        "/api/finances/api/purchase/initiate/",
        201,
        {"plan_id": five_hours.pk, "student_info": {"name": "Ada", "email": EMAIL}},
    )
    intent = started["payment_intent_id"]
    tab.goto(f"/purchase?payment_intent={intent}&payment_intent_client_secret={started['client_secret']}")
    expect(tab.locator("#result-title")).to_have_text("Not paid yet")
    expect(tab.locator("#result-again")).to_have_attribute("href", f"/pricing/{five_hours.pk}?currency=eur")
    for stranger in (f"{intent}&payment_intent_client_secret={intent}_secret_guess", intent, "pi_unknown"):
        assert live.ask("GET", f"/purchase?payment_intent={stranger}").status_code == 404


def test_guest_is_asked_to_log_in_before_subscribing(tab: Page, live: Live, monthly: PricingPlan, ada: User) -> None:
    choose(tab, monthly)
    expect(tab.locator("#buyer-form")).to_have_count(0)
    tab.locator("#buy-login").click()
    log_in(tab, EMAIL, PASSWORD)
    tab.wait_for_url(f"{live.url}/pricing/{monthly.pk}?currency=eur")
    expect(tab.locator("#buyer-submit")).to_be_visible()
    assert Subscription.objects.count() == 0


def test_subscription_is_paid_shown_ended_and_taken_up_again(tab: Page, live: Live, monthly: PricingPlan, ada: User) -> None:
    enter(tab, live)
    choose(tab, monthly)
    go_on(tab)
    type_card(tab)
    tab.get_by_role("button", name="Pay €56.00", exact=True).click()
    thanked(tab, live, "4.5 hours")
    live.flush()
    [lot], [subscription] = HourLot.objects.all(), Subscription.objects.all()
    assert (lot.remaining_hundredths, lot.expires_at) == (450, subscription.current_period_end)

    tab.locator("#result-account").click()
    expect(tab.locator("#hours-remaining")).to_have_text("4.5")
    shown = tab.locator(f"[data-subscription-id={subscription.pk}]")
    expect(shown.locator(".badge")).to_have_text("active")
    shown.get_by_role("button", name="End with this month").click()
    expect(tab.locator(".notice.success")).to_have_text("Monthly ends with the paid month. Until then nothing changes.")
    expect(shown.locator(".badge")).to_have_text("ends soon")
    expect(tab.locator("#hours-remaining")).to_have_text("4.5")
    assert [one["cancel_at_period_end"] for one in live.sandbox.objects("subscription")] == [True]

    shown.get_by_role("button", name="Go on after all").click()
    expect(shown.locator(".badge")).to_have_text("active")
    live.flush()
    assert [one["cancel_at_period_end"] for one in live.sandbox.objects("subscription")] == [False]
    choose(tab, monthly)
    expect(tab.locator("#pay-title")).to_have_text("You have this plan")


def test_subscription_is_changed_to_another_plan_and_billed_at_stripe(
    tab: Page, live: Live, monthly: PricingPlan, ada: User
) -> None:
    more = make_plan(name="Monthly, more", hundredths=800, days=None, price=Money(10_400, "eur"))
    enter(tab, live)
    choose(tab, monthly)
    go_on(tab)
    type_card(tab)
    tab.locator("#payment-submit").click()
    thanked(tab, live, "4.5 hours")
    live.flush()
    tab.locator("#result-account").click()
    tab.locator("select[name=plan]").select_option(str(more.pk))
    tab.get_by_role("button", name="Change", exact=True).click()
    told = "From the next payment on you have Monthly, more. Until then you have Monthly, as paid."
    expect(tab.locator(".notice.success")).to_have_text(told)
    expect(tab.locator(".subscription h3")).to_have_text(re.compile(r"^\s*Monthly\s+active\s*$"))
    expect(tab.locator(".subscription .changing")).to_contain_text("Monthly, more begins on")
    [at_stripe] = live.sandbox.objects("subscription")
    assert at_stripe["items"]["data"][0]["price"]["unit_amount"] == 10_400

    tab.locator("#portal").click()
    tab.wait_for_url(re.compile(re.escape(live.sandbox.url)))


def test_product_is_bought_in_the_page_without_a_reload(tab: Page, live: Live) -> None:
    hero_me()
    tab.goto("/hero-me")
    left: list[str] = []
    tab.on("framenavigated", lambda frame: left.append(frame.url) if frame == tab.main_frame else None)
    tab.locator("#product-buy").click()
    checkout = tab.frame_locator("#checkout iframe")
    checkout.locator("[name=email]").fill(EMAIL)
    for field, typed in (("number", VISA), ("expiry", "12 / 34"), ("cvc", "123"), ("name", "Ada")):
        checkout.locator(f"[name={field}]").fill(typed)
    checkout.get_by_role("button", name="Pay $2.00", exact=True).click()
    tab.locator("#result[data-state=completed]").wait_for()
    expect(tab.locator("#result-title")).to_have_text("Thank you!")
    assert left == []
    live.flush()
    [sold] = PurchaseTransaction.objects.all()
    assert (sold.state, sold.email, sold.money) == ("paid", EMAIL, Money(200, "usd"))

    tab.goto(f"/hero-me?session_id={sold.payment.checkout_session}")
    tab.locator("#result[data-state=completed]").wait_for()
    expect(tab.locator("#product-offer")).to_be_hidden()


def test_product_that_is_off_sale_is_not_offered(tab: Page, live: Live) -> None:
    product = hero_me()
    product.is_active = False
    product.save()
    tab.goto("/hero-me")
    expect(tab.locator("#product-none")).to_have_text("This product is not on sale at the moment.")
    expect(tab.locator("#product-buy")).to_have_count(0)


def hero_me() -> Product:
    product, _ = Product.objects.get_or_create(
        sku="hero-me-feelings", defaults={"name": "Hero Me Feelings", "amount_minor": 200, "currency": "usd"}
    )
    return product
