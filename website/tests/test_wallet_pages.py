from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accounts.models import Role
from accounts.tests.factories import UserFactory
from payments.money import Money
from wallets import blocking, setting_up, spending
from wallets.models import TelegramLink, Wallet
from wallets.tests.factories import fund, join, make_method, make_organization, make_wallet, pending_top_up
from website.tests.arriving import refund

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return UserFactory.create(email="ada@example.org", name="Ada")


@pytest.fixture
def school(ada):
    return make_organization(owner=ada, name="The night school")


@pytest.fixture
def wallet(school):
    return make_wallet(school, "usd", 5000)


def page_of(client, school, **query):
    response = client.get(f"/organizations/{school.pk}/wallet", query)
    assert response.status_code == 200
    return response


@pytest.mark.parametrize("path", ["/organizations", "/organizations/org_1/wallet", "/organizations/org_1/members"])
def test_stranger_is_asked_to_log_in(client, path):
    response = client.get(path)
    assert response.status_code == 302
    assert response.headers["Location"] == f"/login?next={path}"


@pytest.mark.parametrize("page", ["wallet", "members"])
def test_organization_of_others_does_not_exist(client, school, page):
    client.force_login(UserFactory.create())
    assert client.get(f"/organizations/{school.pk}/{page}").status_code == 404
    assert client.get(f"/organizations/{'x' * 40}/{page}").status_code == 404
    assert client.post(f"/organizations/{school.pk}/{page}").status_code == 405


def test_own_organizations_are_listed_with_the_role_in_each(client, ada, school):
    other = make_organization(name="A choir")
    make_organization(name="Nobody's business")
    join(other, ada, role=Role.MEMBER)
    client.force_login(ada)
    listed = client.get("/organizations").context["memberships"]
    assert [(one.organization.name, one.role) for one in listed] == [("A choir", "member"), ("The night school", "owner")]


def test_page_of_a_wallet_needs_few_queries_and_is_kept_nowhere(client, ada, school, wallet, django_assert_max_num_queries):
    for number in range(12):
        spending.spend(wallet=wallet, money=Money(100, "usd"), description="Chalk", key=str(number), actor=ada)
    make_method(school)
    client.force_login(ada)
    with django_assert_max_num_queries(12):
        response = page_of(client, school)
    assert "no-store" in response.headers["Cache-Control"]
    assert response.context["balance"].available == Money(3800, "usd")
    assert len(response.context["entries"]) == 10
    older = page_of(client, school, before=response.context["older"])
    assert [(entry.kind, entry.balance_after.amount_minor) for entry in older.context["entries"]] == [
        ("spend", 4900 - 100),
        ("spend", 4900),
        ("top_up", 5000),
    ]
    assert older.context["older"] == ""


def test_currency_is_the_one_that_is_asked_for(client, ada, school, wallet):
    make_wallet(school, "eur", 700)
    client.force_login(ada)
    assert page_of(client, school).context["balance"].available == Money(5000, "usd")
    assert page_of(client, school, currency="EUR").context["balance"].available == Money(700, "eur")
    none_yet = page_of(client, school, currency="jpy")
    assert (none_yet.context["currency"], none_yet.context["balance"]) == ("jpy", None)
    assert Wallet.objects.count() == 2
    assert page_of(client, school, currency="zzz").context["currency"] == "usd"


@pytest.mark.parametrize(
    ("asked", "shown"),
    [("50.00", "50.00"), ("7", "7"), ("-5", ""), ("1e3", ""), ('"><script>', ""), ("50,00", ""), ("٥٠", "")],
)
def test_amount_of_a_link_is_filled_in_where_it_is_one(client, ada, school, asked, shown):
    client.force_login(ada)
    assert page_of(client, school, top_up=asked).context["top_up_amount"] == shown


def test_wallet_that_owes_says_how_much_to_top_up(client, ada, school, wallet):
    story = fund(wallet, 2000)
    spending.spend(wallet=wallet, money=Money(6500, "usd"), description="Chalk", key="1", actor=ada)
    refund(story, 2000)
    client.force_login(ada)
    text = page_of(client, school).content.decode()
    assert "owes $15.00, and this wallet is blocked" in text
    assert "?currency=usd&amp;top_up=15.00#top-up" in text


def test_reason_that_staff_wrote_is_not_shown(client, ada, school, wallet):
    blocking.block(wallet_id=wallet.pk, actor=ada, reason="looks like fraud")
    client.force_login(ada)
    text = page_of(client, school).content.decode()
    assert "This wallet was blocked by us" in text
    assert "fraud" not in text
    assert '<strong class="figure" id="balance-available">$50.00</strong> <span id="balance-use">blocked</span>' in text
    assert "to spend</span>" not in text


def test_payment_of_another_organization_is_not_shown(client, ada, school, wallet):
    others = pending_top_up(make_wallet(currency="usd"), 700)
    client.force_login(ada)
    for name in ("pay", "payment"):
        assert page_of(client, school, **{name: others.pk}).context["made"] is None
    own = pending_top_up(wallet, 700)
    assert page_of(client, school, payment=own.pk).context["made"].payment_id == own.pk
    # Never sent to Stripe: there is nothing to go on with.
    assert page_of(client, school, pay=own.pk).context["finishing"] is False


def test_expired_card_cannot_be_chosen(client, ada, school):
    make_method(school, exp_year=2020)
    client.force_login(ada)
    text = page_of(client, school).content.decode()
    assert "expired 12/20" in text
    assert text.count('name="method"') == 1


def test_member_sees_the_rules_but_no_form(client, ada, school, wallet):
    make_method(school)
    rule = setting_up.TopUpRule(below=Money(1000, "usd"), amount=Money(2000, "usd"), daily_limit=Money(4000, "usd"))
    setting_up.set_top_up_rule(wallet=wallet, rule=rule, actor=ada)
    client.force_login(join(school))
    text = page_of(client, school).content.decode()
    assert "below $10.00, $20.00 each time, at most $40.00 in 24 hours" in text
    assert "data-act" not in text
    assert "topping_up.js" not in text


def test_admin_may_change_members_but_no_owner(client, ada, school):
    admin, member = join(school, role=Role.ADMIN), join(school)
    client.force_login(admin)
    response = client.get(f"/organizations/{school.pk}/members")
    assert [(one.user, may_change) for one, may_change in response.context["people"]] == [
        (ada, False),
        (admin, False),
        (member, True),
    ]
    assert response.context["assignable"] == [("member", "Member")]


def test_box_of_telegram_is_there_only_with_a_bot(client, ada, settings):
    client.force_login(ada)
    assert b'id="telegram"' not in client.get("/organizations").content
    settings.TELEGRAM_BOT_TOKEN = "1:token"
    assert b'id="telegram-link"' in client.get("/organizations").content
    TelegramLink.objects.create(user=ada, chat_id=1, linked_at=datetime(2026, 11, 1, tzinfo=UTC))
    assert b'id="telegram-unlink"' in client.get("/account").content
