"""The wallet of an organization: topped up, paid with saved and new cards, and watched."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts.tests.factories import PASSWORD
from tests.browser.steps import ASKS_FOR_3D_SECURE, DECLINED, VISA, type_card
from tests.browser.wallet_steps import School, enter, is_told, school, statement_shows
from tests.live import Live
from wallets.models import PaymentMethod, TopUp, Wallet

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

__all__ = ["school"]
MASTERCARD = "5555555555554444"
RULE = {"below": "20", "amount": "50", "daily_limit": "100"}


def choose(tab: Page, amount: str) -> None:
    """Type an amount, and go on."""
    tab.locator("#amount").fill(amount)
    tab.locator("#top-up-submit").click()


def arrived(tab: Page, amount: str) -> None:
    tab.wait_for_url(re.compile(r"/wallet\?payment=pay_\w+"))
    expect(tab.locator("#payment-result[data-state=paid]")).to_contain_text(f"{amount} is in the wallet. Thank you!")


def answer_the_bank(tab: Page, how: str = "Complete") -> None:
    tab.frame_locator("dialog iframe").get_by_role("button", name=how).click()


def intents(live: Live) -> list[tuple[Any, Any, Any]]:
    """Every PaymentIntent, the oldest first."""
    return [(one["amount"], one["currency"], one["status"]) for one in live.sandbox.objects("payment_intent")]


# -- topping up ------------------------------------------------------------------------------------------
def test_organization_is_made_and_topped_up_with_a_new_card(tab: Page, live: Live) -> None:
    live.register("ada@example.org", PASSWORD)
    enter(tab, live, "/organizations")
    expect(tab.locator("#organizations-none")).to_be_visible()
    tab.locator("#name").fill("The night school")
    tab.locator("#organization-submit").click()
    tab.wait_for_url(re.compile(r"/organizations/org_\w+/wallet"))
    is_told(tab, "Your organization is there.")
    expect(tab.locator("#organization-name")).to_have_text("The night school")
    expect(tab.locator("#balance-available")).to_have_text("$0.00")

    tab.locator("label[for=preset-50]").click()
    tab.locator("#save").check()
    tab.locator("#top-up-submit").click()
    type_card(tab)
    tab.get_by_role("button", name="Pay $50.00", exact=True).click()
    arrived(tab, "$50.00")
    expect(tab.locator("#balance-available")).to_have_text("$50.00")
    statement_shows(tab, ["Top-up", "+$50.00", "$50.00"])
    live.flush()
    tab.reload()
    expect(tab.locator("#method-list strong")).to_have_text(["Visa •••• 4242"])
    statement_shows(tab, ["Top-up", "+$50.00", "$50.00"])
    assert intents(live) == [(5000, "usd", "succeeded")]


def test_saved_card_pays_without_being_typed_again(tab: Page, live: Live, school: School) -> None:
    school.top_up("20", save=True)
    enter(tab, live, school.page)
    tab.locator("label[for=preset-100]").click()
    expect(tab.locator("#save-choice")).to_be_hidden()
    tab.get_by_role("button", name="Pay $100", exact=True).click()
    arrived(tab, "$100.00")
    expect(tab.locator("#balance-available")).to_have_text("$120.00")
    live.flush()
    assert intents(live) == [(2000, "usd", "succeeded"), (10_000, "usd", "succeeded")]
    assert school.methods() == [("4242", True)]


def test_declined_card_is_told_and_another_one_pays(tab: Page, live: Live, school: School) -> None:
    enter(tab, live, school.page)
    choose(tab, "75,50")
    type_card(tab, DECLINED)
    tab.locator("#payment-submit").click()
    told = "Your card was declined. Nothing was charged. You can try another card."
    expect(tab.locator("#payment-form .form-error")).to_have_text(told)
    assert intents(live) == [(7550, "usd", "requires_payment_method")]
    assert Wallet.objects.count() == 1

    type_card(tab, VISA)
    tab.locator("#payment-submit").click()
    arrived(tab, "$75.50")
    live.flush()
    assert school.balance() == "75.50"
    assert intents(live) == [(7550, "usd", "succeeded")]
    assert school.methods() == []


def test_amount_that_is_refused_is_told_at_its_field(tab: Page, live: Live, school: School) -> None:
    enter(tab, live, school.page)
    for amount, sentence in (
        ("0.10", "The smallest amount is $0.50."),
        ("10.001", "Amounts in USD have at most 2 decimals."),
        ("much", "Write the amount as a number such as 25 or 25.50."),
    ):
        choose(tab, amount)
        expect(tab.locator("#amount + .field-error")).to_have_text(sentence)
    expect(tab.locator("#payment-form")).to_be_hidden()
    assert intents(live) == []
    choose(tab, "10")
    type_card(tab)
    expect(tab.locator("#amount + .field-error")).to_have_count(0)


def test_amount_is_changed_before_it_is_paid(tab: Page, live: Live, school: School) -> None:
    enter(tab, live, f"{school.page}?top_up=50.00&currency=eur")
    expect(tab.locator("#amount")).to_have_value("50.00")
    tab.locator("#top-up-submit").click()
    expect(tab.locator("#payment-title")).to_have_text("Top up €50.00")
    tab.locator("#payment-back").click()
    choose(tab, "60")
    expect(tab.locator("#payment-title")).to_have_text("Top up €60.00")
    type_card(tab)
    tab.locator("#payment-submit").click()
    arrived(tab, "€60.00")
    live.flush()
    statement_shows(tab, ["Top-up", "+€60.00", "€60.00"])
    assert sorted(top_up.state for top_up in TopUp.objects.all()) == ["paid", "pending"]


def test_reloaded_page_goes_on_with_the_payment_that_it_began(tab: Page, live: Live, school: School) -> None:
    enter(tab, live, school.page)
    for _ in range(2):
        choose(tab, "40")
        expect(tab.locator("#payment-submit")).to_be_enabled()
        tab.reload()
    assert intents(live) == [(4000, "usd", "requires_payment_method")]
    choose(tab, "40")
    type_card(tab, DECLINED)
    tab.locator("#payment-submit").click()
    expect(tab.locator("#payment-form .form-error")).to_be_visible()
    assert intents(live) == [(4000, "usd", "requires_payment_method")]

    # Paid by its link, which the page that began it does not hear of: the next one is another payment.
    tab.goto(f"{school.page}?pay={TopUp.objects.get().payment_id}")
    type_card(tab)
    tab.locator("#payment-submit").click()
    arrived(tab, "$40.00")
    tab.goto(school.page)
    for done in ([], [(4000, "usd", "succeeded")]):
        choose(tab, "40")
        type_card(tab)
        assert intents(live) == [(4000, "usd", "succeeded"), *done, (4000, "usd", "requires_payment_method")]
        tab.locator("#payment-submit").click()
        arrived(tab, "$40.00")
        tab.goto(school.page)
    live.flush()
    assert school.balance() == "120.00"


def test_bank_that_asks_is_answered_in_the_page(tab: Page, live: Live, school: School) -> None:
    enter(tab, live, school.page)
    choose(tab, "40")
    type_card(tab, ASKS_FOR_3D_SECURE)
    tab.locator("#payment-submit").click()
    answer_the_bank(tab)
    arrived(tab, "$40.00")
    expect(tab.locator("#balance-available")).to_have_text("$40.00")


def test_payment_that_was_left_is_finished_by_its_link(tab: Page, live: Live, school: School) -> None:
    enter(tab, live, school.page)
    choose(tab, "40")
    type_card(tab, DECLINED)
    tab.locator("#payment-submit").click()
    expect(tab.locator("#payment-form .form-error")).to_be_visible()
    live.flush()
    [made] = TopUp.objects.all()

    tab.goto(f"{school.page}?payment={made.payment_id}")
    expect(tab.locator("#payment-result")).to_contain_text("The payment of $40.00 did not work. Your card was declined.")
    tab.locator("#payment-again").click()
    expect(tab.locator("#earlier-label")).to_have_text("Visa •••• 0002")
    expect(tab.locator("#with-other")).to_be_checked()
    type_card(tab, MASTERCARD)
    tab.get_by_role("button", name="Pay $40.00", exact=True).click()
    arrived(tab, "$40.00")
    live.flush()
    assert intents(live) == [(4000, "usd", "succeeded")]

    tab.goto(f"{school.page}?pay={made.payment_id}")
    expect(tab.locator("#payment-result")).to_contain_text("$40.00 is in the wallet.")
    expect(tab.locator("#finish-form")).to_have_count(0)


def test_payment_that_was_declined_is_finished_with_another_saved_card(tab: Page, live: Live, school: School) -> None:
    school.top_up("20", save=True)
    school.top_up("20", method="pm_card_mastercard", save=True)
    enter(tab, live, school.page)
    tab.locator("#with-another").check()
    choose(tab, "40")
    type_card(tab, DECLINED)
    tab.locator("#payment-submit").click()
    expect(tab.locator("#payment-form .form-error")).to_be_visible()
    live.flush()
    made = TopUp.objects.get(amount_minor=4000)

    tab.goto(f"{school.page}?pay={made.payment_id}")
    expect(tab.locator("#payment-submit")).to_be_enabled()
    choices = tab.locator("#method-choice label")
    [default, other] = [last4 for last4, _ in school.methods()]
    expect(choices).to_have_text([re.compile(words) for words in ("Visa .* 0002", default, other, "Another card or way to pay")])
    expect(choices.nth(1).locator("input")).to_be_checked()
    choices.nth(2).locator("input").check()
    expect(tab.locator("#payment-element")).to_be_hidden()
    tab.get_by_role("button", name="Pay $40.00", exact=True).click()
    arrived(tab, "$40.00")
    live.flush()
    assert school.balance() == "80.00"
    assert intents(live)[2:] == [(4000, "usd", "succeeded")]
    paid_with = live.sandbox.objects("payment_intent")[2]["payment_method"]
    assert PaymentMethod.objects.get(stripe_id=paid_with).last4 == other


# -- payment methods -------------------------------------------------------------------------------------
def test_methods_are_added_chosen_and_removed(tab: Page, live: Live, school: School) -> None:
    school.top_up("20", save=True)
    enter(tab, live, school.page)
    tab.locator("#saving-start").click()
    type_card(tab, MASTERCARD, form="method")
    tab.locator("#method-submit").click()
    is_told(tab, "Your payment method is saved.")
    live.flush()
    assert school.methods() == [("4242", True), ("4444", False)]

    tab.get_by_role("button", name="Make default: Mastercard •••• 4444").click()
    is_told(tab, "Mastercard •••• 4444 is the default now.")
    expect(tab.locator("#method-list strong")).to_have_text(["Mastercard •••• 4444", "Visa •••• 4242"])
    live.flush()

    remove = tab.get_by_role("button", name="Remove Mastercard •••• 4444")
    remove.click()
    tab.get_by_role("button", name="Cancel").click()
    expect(remove).to_be_enabled()
    assert school.methods() == [("4444", True), ("4242", False)]
    remove.click()
    tab.locator("#sure-yes").click()
    is_told(tab, "Mastercard •••• 4444 is removed.")
    live.flush()
    assert school.methods() == [("4242", True)]
    assert intents(live) == [(2000, "usd", "succeeded")]


# -- watching the balance --------------------------------------------------------------------------------
def test_automatic_top_up_is_set_and_what_is_wrong_told_at_its_field(tab: Page, live: Live, school: School) -> None:
    school.top_up("40", save=True)
    enter(tab, live, school.page)
    tab.locator("#low-balance").fill("15")
    tab.locator("#low-balance-submit").click()
    is_told(tab, "Saved.")
    expect(tab.locator("#low-balance")).to_have_value("15.00")

    for field, typed in (("below", "20"), ("amount", "50"), ("limit", "10")):
        tab.locator(f"#rule-{field}").fill(typed)
    tab.locator("#rule-submit").click()
    told = "One top-up takes $50.00; the limit of a day cannot be less."
    expect(tab.locator("#rule-limit + .field-error")).to_have_text(told)
    tab.locator("#rule-limit").fill("100")
    tab.locator("#rule-submit").click()
    is_told(tab, "Automatic top-up is on.")
    school.spend("25", "Chalk")
    live.flush()
    tab.reload()
    expect(tab.locator("#balance-available")).to_have_text("$65.00")
    statement_shows(
        tab,
        ["Automatic top-up", "+$50.00", "$65.00"],
        ["Chalk", "-$25.00", "$15.00"],
        ["Top-up", "+$40.00", "$40.00"],
    )
    tab.locator("#rule-off").click()
    is_told(tab, "Automatic top-up is off.")
    expect(tab.locator("#rule-off")).to_have_count(0)
    expect(tab.locator("#low-balance")).to_have_value("15.00")


def test_paused_automatic_top_up_is_finished_with_the_bank_s_question(tab: Page, live: Live, school: School) -> None:
    enter(tab, live, school.page)
    choose(tab, "30")
    tab.locator("#payment-back").click()
    tab.locator("#save").check()
    choose(tab, "30")
    type_card(tab, ASKS_FOR_3D_SECURE)
    tab.locator("#payment-submit").click()
    answer_the_bank(tab)
    arrived(tab, "$30.00")
    live.flush()
    school.change(auto_top_up=RULE)
    school.spend("15", "Chalk")
    live.flush()
    tab.goto(school.page)
    expect(tab.locator("#wallet-paused")).to_contain_text("Automatic top-ups are paused.")
    expect(tab.locator("#balance-available")).to_have_text("$15.00")

    tab.locator("#paused-finish").click()
    expect(tab.locator("#with-earlier")).to_be_checked()
    expect(tab.locator("#earlier-label")).to_have_text("Visa •••• 3184")
    tab.get_by_role("button", name="Pay $50.00", exact=True).click()
    answer_the_bank(tab)
    arrived(tab, "$50.00")
    live.flush()
    tab.goto(school.page)
    expect(tab.locator("#wallet-paused")).to_have_count(0)
    expect(tab.locator("#balance-available")).to_have_text("$65.00")
    assert intents(live).count((5000, "usd", "succeeded")) == 1
