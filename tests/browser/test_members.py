"""Who belongs to an organization: invited, given a role, removed."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from accounts.tests.factories import PASSWORD
from tests.browser.conftest import NewContext
from tests.browser.test_account import mailed_link
from tests.browser.wallet_steps import COLLEAGUE, School, enter, is_told, school
from tests.live import Live

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

__all__ = ["school"]


def test_colleague_is_invited_joins_and_is_removed(tab: Page, live: Live, school: School, new_visit: NewContext) -> None:
    live.register(COLLEAGUE, PASSWORD, name="Grace")
    enter(tab, live, school.members_page)
    tab.locator("#invite-email").fill("grace")
    tab.locator("#invite-submit").click()
    expect(tab.locator("#invite-email + .field-error")).to_be_visible()
    tab.locator("#invite-email").fill(COLLEAGUE)
    tab.locator("#invite-submit").click()
    is_told(tab, "The invitation is on its way.")
    expect(tab.locator("#invitations li")).to_contain_text([COLLEAGUE])
    live.run_tasks()

    hers = new_visit().new_page()
    enter(hers, live, "/organizations", COLLEAGUE)
    hers.goto(mailed_link(COLLEAGUE))
    hers.locator("#invitation-submit").click()
    hers.wait_for_url(f"{live.url}{school.page}")
    hers.goto("/organizations")
    expect(hers.locator("#organizations h3")).to_have_text(["The night school"])

    tab.reload()
    expect(tab.locator("#invitations")).to_have_count(0)
    tab.locator("#people li").filter(has_text="Grace").locator("select").select_option("admin")
    tab.get_by_role("button", name="Change the role of Grace").click()
    is_told(tab, "The role is changed.")
    hers.goto(school.page)
    expect(hers.locator("#top-up-submit")).to_be_enabled()

    tab.get_by_role("button", name="Remove Grace").click()
    tab.locator("#sure-yes").click()
    is_told(tab, "Grace is removed.")
    expect(tab.locator("#people li")).to_have_count(1)
    assert hers.goto(school.page).status == 404  # type: ignore[union-attr]


def test_last_owner_is_told_why_they_cannot_leave(tab: Page, live: Live, school: School) -> None:
    enter(tab, live, school.members_page)
    tab.get_by_role("button", name="Leave").click()
    tab.locator("#sure-yes").click()
    expect(tab.locator(".leave-form .form-error")).to_contain_text("An organization always has an owner.")
    tab.locator("#rename").fill("The day school")
    tab.locator("#rename-submit").click()
    is_told(tab, "The name is changed.")
    expect(tab.locator("#organization-name")).to_have_text("The day school")
