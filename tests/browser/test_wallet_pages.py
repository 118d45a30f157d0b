"""The pages of organizations, by day and by night, on a phone and on a desk: usable by all, and readable without scripts."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts.models import Membership, Role, User
from accounts.tests.factories import PASSWORD
from tests.browser.conftest import NewContext, listen
from tests.browser.test_pages import AXE, RULES, RUN_AXE, SIZES, WIDER_THAN_IT_IS
from tests.browser.wallet_steps import COLLEAGUE, School, enter, school, statement_shows
from tests.live import Live
from wallets import blocking
from wallets.models import TopUp, Wallet

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

__all__ = ["school"]


@pytest.fixture
def busy_school(school: School) -> School:
    """A school with everything that its pages can show: two currencies, lines of several pages, cards, rules, people."""
    school.top_up("250", save=True)
    school.top_up("40", method="pm_card_mastercard", save=True)
    school.top_up("30", currency="eur")
    for number in range(1, 12):
        school.spend(f"{number}.50", delivery(number))
    school.hold("35", "Truck")
    school.change(low_balance="20", auto_top_up={"below": "10", "amount": "50", "daily_limit": "100"})
    school.live.register(COLLEAGUE, PASSWORD)
    school.live.register("mary@example.org", PASSWORD, name="Mary " + "Somerville" * 6)
    for email, role in ((COLLEAGUE, Role.MEMBER), ("mary@example.org", Role.ADMIN)):
        Membership.objects.create(organization_id=school.id, user=User.objects.get(email=email), role=role)
    invitation = {"email": "a.colleague.of.a.very.long.name.indeed@subdomain.example.org", "role": "admin"}
    school.live.post(f"/api/organizations/{school.id}/invitations", 201, invitation, token=school.token)
    return school


def delivery(number: int) -> str:
    return f"Chalk and paper of a very long name, delivery {number} " + "x" * 60


def states(tab: Page, school: School) -> Any:
    """Each page in each of its states, by name, once it is drawn."""
    tab.goto("/organizations")
    yield "organizations"
    tab.goto(school.members_page)
    yield "members"
    tab.get_by_role("button", name="Remove grace@example.org").click()
    expect(tab.locator("#sure")).to_be_visible()
    yield "members, sure"
    tab.goto(school.page)
    expect(tab.locator("#top-up-submit")).to_be_enabled()
    yield "wallet"
    tab.locator(".another summary").click()
    tab.locator("#rule-limit").fill("1")
    tab.locator("#rule-submit").click()
    expect(tab.locator("#rule-limit + .field-error")).to_be_visible()
    tab.locator("#amount").fill("0.01")
    tab.locator("#top-up-submit").click()
    expect(tab.locator("#amount + .field-error")).to_be_visible()
    tab.locator("#saving-start").click()
    expect(tab.locator("#method-submit")).to_be_enabled()
    yield "wallet, mistakes"
    tab.goto(f"{school.page}?currency=chf")
    yield "wallet, none yet"
    tab.locator("#with-another").check()
    tab.locator("#top-up-submit").click()
    expect(tab.locator("#payment-submit")).to_be_enabled()
    yield "wallet, payment"
    made = TopUp.objects.get(currency="chf")
    tab.goto(f"{school.page}?pay={made.payment_id}")
    expect(tab.locator("#payment-submit")).to_be_enabled()
    yield "wallet, to finish"
    tab.goto(f"{school.page}?payment={made.payment_id}")
    yield "wallet, payment asked about"
    paid = TopUp.objects.get(currency="eur")
    tab.goto(f"{school.page}?payment={paid.payment_id}")
    yield "wallet, paid"
    wallet = Wallet.objects.get(currency="usd")
    Wallet.objects.filter(pk=wallet.pk).update(top_up_paused_at=wallet.created_at, top_up_paused_reason="Your card was declined.")
    blocking.block(wallet_id=wallet.pk, reason="being looked at", actor=User.objects.get(email=COLLEAGUE))
    tab.goto(f"{school.page}?before={'x' * 10}")
    expect(tab.locator("#wallet-blocked")).to_be_visible()
    yield "wallet, blocked"


def test_no_page_breaks_a_rule_of_accessibility(new_visit: NewContext, live: Live, busy_school: School) -> None:
    tab = new_visit(bypass_csp=True).new_page()
    enter(tab, live, "/organizations")
    broken: dict[tuple[str, str, str], list[str]] = {}
    for name in states(tab, busy_school):
        tab.evaluate(AXE.read_text())
        for scheme in ("light", "dark"):
            for size, viewport in SIZES.items():
                tab.emulate_media(color_scheme=scheme)
                tab.set_viewport_size(viewport)
                broken[name, scheme, size] = tab.evaluate(RUN_AXE, RULES)
        tab.emulate_media(color_scheme="light")
    assert len(broken) == 44
    assert {where: what for where, what in broken.items() if what} == {}


def test_no_page_complains_or_is_wider_than_the_screen(new_visit: NewContext, live: Live, busy_school: School) -> None:
    tab = new_visit().new_page()
    enter(tab, live, "/organizations")
    heard: list[str] = []
    listen(tab, live, heard)
    too_wide: dict[tuple[str, str], int] = {}
    for name in states(tab, busy_school):
        for size, viewport in SIZES.items():
            tab.set_viewport_size(viewport)
            too_wide[name, size] = tab.evaluate(WIDER_THAN_IT_IS)
    assert {where: by for where, by in too_wide.items() if by} == {}
    assert [said for said in heard if "400 (Bad Request)" not in said] == []


@pytest.mark.parametrize("width", [320, 360, 375])
def test_no_column_of_the_statement_is_cut_on_a_phone(tab: Page, live: Live, busy_school: School, width: int) -> None:
    busy_school.top_up("1234.56")
    tab.set_viewport_size({"width": width, "height": 740})
    enter(tab, live, busy_school.page)
    statement_shows(tab, ["Top-up", "+$1,234.56", "$1,418.06"], older=9)
    assert tab.locator("#statement .table-frame").evaluate("frame => frame.scrollWidth - frame.clientWidth") == 0


def test_what_is_done_to_a_member_stands_beside_their_name_on_a_desk(tab: Page, live: Live, busy_school: School) -> None:
    enter(tab, live, busy_school.members_page)
    rows = tab.locator(":is(#people, #invitations) > li").all()
    assert len(rows) == 4
    for row in rows:
        middles = row.locator("form").evaluate_all(
            "forms => forms.map(form => form.getBoundingClientRect()).map(box => box.y + box.height / 2)"
        )
        assert len(middles) == 2
        assert abs(middles[0] - middles[1]) < 2


def test_member_sees_everything_and_can_act_on_nothing(tab: Page, live: Live, busy_school: School) -> None:
    enter(tab, live, busy_school.page, COLLEAGUE)
    expect(tab.locator("#top-up-not-yours")).to_be_visible()
    expect(tab.locator("#balance-held")).to_have_text("$35.00")
    expect(tab.locator("#method-list li")).to_have_count(2)
    expect(tab.locator("#settings-shown")).to_contain_text("below $10.00, $50.00 each time, at most $100.00 in 24 hours")
    assert [button.inner_text() for button in tab.locator("main button:visible").all()] == []
    tab.goto(busy_school.members_page)
    expect(tab.locator("#people li")).to_have_count(3)
    expect(tab.locator("#invitations")).to_have_count(0)
    assert [button.inner_text() for button in tab.locator("main button:visible").all()] == ["Leave"]


def test_stranger_is_told_that_there_is_no_such_page(tab: Page, live: Live, school: School) -> None:
    live.register("mary@example.org", PASSWORD)
    enter(tab, live, "/organizations", "mary@example.org")
    for path in (school.page, school.members_page, school.page.replace(school.id, "org_nobody")):
        answer = tab.goto(path)
        assert answer is not None
        assert answer.status == 404
        expect(tab.locator("body")).not_to_contain_text("The night school")


def test_statement_is_read_page_by_page_and_without_scripts(new_visit: NewContext, live: Live, busy_school: School) -> None:
    page = new_visit(java_script_enabled=False).new_page()
    enter(page, live, busy_school.page)
    newest = ["Held: Truck", "-$35.00", "$183.50"]
    statement_shows(page, newest, older=9)
    expect(page.locator("#top-up-submit")).to_be_disabled()
    page.locator("#statement-older").click()
    statement_shows(
        page,
        [delivery(2), "-$2.50", "$286.00"],
        [delivery(1), "-$1.50", "$288.50"],
        ["Top-up", "+$40.00", "$290.00"],
        ["Top-up", "+$250.00", "$250.00"],
    )
    expect(page.locator("#statement-older")).to_have_count(0)
    with page.expect_download() as waiting:
        page.locator("#statement-csv").click()
    assert waiting.value.suggested_filename == "statement-usd.csv"
    text = waiting.value.path().read_text()
    assert len(text.splitlines()) == 15
    page.locator("#statement-newest").click()
    statement_shows(page, newest, older=9)
