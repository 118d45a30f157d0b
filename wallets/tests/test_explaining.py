"""An organization's money opened up: what may be spent, is held and is owed, each transfer with who is behind it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tests.factories import UserFactory
from payments.explaining import Check, Heading, Line, NothingKnown, explain
from payments.inbox import Envelope
from payments.models import Transfer
from payments.money import Money
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from payments.tests.test_proving import unguarded
from wallets import explaining, holding, spending
from wallets.adjusting import approve, propose, reject
from wallets.models import TopUp, Wallet, WalletHold, WalletSpend
from wallets.tests.factories import fund, join, make_organization, make_wallet

pytestmark = pytest.mark.django_db


@pytest.fixture
def dora() -> User:
    return UserFactory.create(email="dora@kisoro.example")


@pytest.fixture
def fiona() -> User:
    return UserFactory.create(email="fiona@charity.example", is_staff=True)


@pytest.fixture
def maria() -> User:
    return UserFactory.create(email="maria@charity.example", is_staff=True)


@pytest.fixture
def wallet() -> Wallet:
    return make_wallet(make_organization(name="Food bank"))


def tell(events: list[Envelope]) -> None:
    for event in events:
        settle_events([event], source="webhook")


def spend(wallet: Wallet, amount_minor: int, *, key: str = "s", actor: User | None = None) -> WalletSpend:
    money = Money(amount_minor, wallet.currency)
    return spending.spend(wallet=wallet, money=money, description="Seats", key=key, actor=actor)[0]


def hold(wallet: Wallet, amount_minor: int, *, key: str = "h", actor: User | None = None) -> WalletHold:
    money = Money(amount_minor, wallet.currency)
    return holding.authorize(wallet=wallet, money=money, description="A hall", key=key, actor=actor)[0]


def reverse(spent: WalletSpend, amount_minor: int, *, actor: User | None = None) -> str:
    money = Money(amount_minor, spent.currency)
    return spending.reverse(spend_id=spent.pk, money=money, reason="Fewer\ncame.", key="r", actor=actor)[0].pk


def of_kind(kind: Any, name: str) -> list[Any]:
    return [part for part in explain(name, limit=50) if isinstance(part, kind)]


def checks(name: str) -> list[tuple[str, int, bool]]:
    return [(check.what, check.amount_minor, check.holds) for check in of_kind(Check, name)]


def facts(name: str) -> dict[str, str]:
    [heading] = of_kind(Heading, name)
    return {key: value for key, value in heading.facts.items() if key not in {"account", "kind"}}


def who(name: str) -> dict[str, str]:
    """By cause, who is behind the lines of a name."""
    return {line.key.partition(":")[0]: line.who for line in of_kind(Line, name)}


# -- an organization and its wallets ---------------------------------------------------------------------
def test_an_organization_opens_up_as_its_page_shows_it(wallet: Wallet) -> None:
    story = fund(wallet, 5_000)
    spend(wallet, 3_000)
    hold(wallet, 500)
    tell(story.refunded("a", 4_000, at=100, in_all=4_000))
    yen = make_wallet(wallet.organization, "jpy", 900)
    make_wallet(balance_minor=7_000)  # another organization's

    headings = of_kind(Heading, wallet.organization_id)
    assert [(heading.title, heading.facts["account"]) for heading in headings] == [
        (f"available in the EUR wallet of “Food bank” ({wallet.pk})", wallet.account),
        (f"held in the EUR wallet of “Food bank” ({wallet.pk})", wallet.held),
        (f"owed in EUR by “Food bank” ({wallet.organization_id})", wallet.receivable),
        (f"available in the JPY wallet of “Food bank” ({yen.pk})", yen.account),
        (f"held in the JPY wallet of “Food bank” ({yen.pk})", yen.held),
        (f"owed in JPY by “Food bank” ({wallet.organization_id})", yen.receivable),
    ]
    lines = [(line.key.partition(":")[0], line.amount_minor) for line in of_kind(Line, wallet.organization_id)]
    assert lines == [
        *[("paid", 5_000), ("spend", -3_000), ("hold", -500), ("level", -1_500)],
        ("hold", 500),
        *[("refund", 4_000), ("level", -1_500)],
        ("paid", 900),
    ]
    client = APIClient()
    client.force_authenticate(join(wallet.organization))
    shown = client.get(f"/api/wallets/{wallet.organization_id}").json()["wallets"]
    opened = [check for check in of_kind(Check, wallet.organization_id) if check.what.startswith("and ")]
    assert [str(Money(check.amount_minor, check.currency)) for check in opened] == [
        one[name] for one in shown for name in ("balance", "held", "owed")
    ]
    assert [str(Money(check.amount_minor, check.currency)) for check in opened] == ["0.00", "5.00", "25.00", "900", "0", "0"]
    assert all(check.holds for check in of_kind(Check, wallet.organization_id))


def test_a_wallet_opens_up_into_what_may_be_spent_is_held_and_is_owed(wallet: Wallet) -> None:
    fund(wallet, 5_000)
    hold(wallet, 500)
    make_wallet(wallet.organization, "jpy", 900)
    assert checks(wallet.pk) == [
        ("the sum of its 2 transfers is the account's balance", 4_500, True),
        ("and what is shown as its balance", 4_500, True),
        ("the sum of its 1 transfer is the account's balance", 500, True),
        ("and what is shown as held", 500, True),
        ("the sum of its 0 transfers is the account's balance", 0, True),
        ("and what is shown as owed", 0, True),
    ]


def test_stripes_customer_is_the_organization() -> None:
    wallet = make_wallet(make_organization(stripe_customer="cus_food"), balance_minor=700)
    assert list(explain("cus_food", limit=50)) == list(explain(wallet.organization_id, limit=50))


def test_an_organization_that_never_topped_up_says_so() -> None:
    organization = make_organization(name="Quiet choir")
    [only] = explain(organization.pk, limit=50)
    assert only == Heading(title=f"“Quiet choir” ({organization.pk})", facts={"wallets": "none yet: it never topped up"})


@pytest.mark.parametrize("kind", ["org", "cus", "wallet", "spend", "reversal", "hold", "adjustment"])
def test_an_id_of_nothing_is_refused(kind: str, wallet: Wallet) -> None:
    with pytest.raises(NothingKnown):
        list(explain(f"{kind}_01jq0000000000000000000000", limit=50))


@pytest.mark.parametrize(("account", "what"), [("wallet", "its balance"), ("held", "held")])
def test_a_kept_balance_that_is_not_the_sum_is_shown(account: str, what: str, wallet: Wallet) -> None:
    fund(wallet, 5_000)
    hold(wallet, 500)
    with unguarded(), connection.cursor() as cursor:
        statement = "UPDATE payments_ledgeraccount SET balance_minor = balance_minor + 1 WHERE code LIKE %s"
        cursor.execute(statement, [f"{account}:{wallet.pk}:%"])
    assert [check for check in checks(wallet.organization_id) if not check[2]] == [
        (f"and what is shown as {what}", {"wallet": 4_500, "held": 500}[account], False)
    ]


def test_what_is_owed_and_not_shown_as_owed_does_not_hold(wallet: Wallet) -> None:
    story = fund(wallet, 5_000)
    spend(wallet, 5_000)
    tell(story.refunded("a", 4_000, at=100, in_all=4_000))
    Wallet.objects.update(owed_since=None)
    assert [check for check in checks(wallet.pk) if not check[2]] == [("and what is shown as owed", 4_000, False)]


# -- who ---------------------------------------------------------------------------------------------
def test_whoever_spent_held_captured_or_gave_back_is_told(wallet: Wallet, dora: User, fiona: User) -> None:
    fund(wallet, 10_000, started_by=dora)
    reverse(spend(wallet, 3_000, actor=dora), 1_500, actor=fiona)
    holding.capture(hold_id=hold(wallet, 2_500, actor=dora).pk, money=Money(2_000, "eur"), actor=dora)
    member = f"d…@kisoro.example ({dora.pk})"
    assert who(wallet.pk) == {
        "paid": "paid by d…@kisoro.example, signed in",
        "spend": f"spent by {member}",
        "spend-reversal": "given back by fiona@charity.example: Fewer came.",
        "hold": f"held by {member}",
        "capture": f"captured by {member}",
        "release": f"left over: {member} captured less",
    }
    assert who("revenue:wallets:eur") == {
        cause: words for cause, words in who(wallet.pk).items() if cause in {"spend", "spend-reversal", "capture"}
    }


def test_a_hold_that_staff_released_and_one_whose_time_was_over_are_told_apart(wallet: Wallet, fiona: User) -> None:
    fund(wallet, 5_000)
    released, expired = hold(wallet, 500, key="1"), hold(wallet, 700, key="2")
    holding.release(hold_id=released.pk, reason="The chairs\nbroke.", actor=fiona)
    WalletHold.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    assert holding.expire_due() == 1
    assert {line.key: line.who for line in of_kind(Line, wallet.held) if line.key.startswith("release:")} == {
        f"release:{released.pk}": "released by fiona@charity.example: The chairs broke.",
        f"release:{expired.pk}": "automatic: its time was over",
    }
    assert who(released.pk)["hold"] == "held by somebody unknown"


def test_an_adjustment_names_both_who_decided_on_it(wallet: Wallet, fiona: User, maria: User) -> None:
    made = propose(wallet=wallet, amount_minor=700, reason="Charged\ntwice.", actor=fiona)
    approve(adjustment_id=made.pk, actor=maria)
    told = "proposed by fiona@charity.example, approved by maria@charity.example: Charged twice."
    assert who(wallet.pk) == who("adjustments:eur") == {"adjustment": told}


def test_an_automatic_top_up_says_so_and_another_does_not(wallet: Wallet, dora: User) -> None:
    fund(wallet, 5_000, is_automatic=True)
    fund(wallet, 2_000, started_by=dora)
    automatic, asked_for = of_kind(Line, wallet.account)
    where = f"into the wallet of “Food bank” ({wallet.pk}), topped up"
    assert (automatic.who, automatic.product) == (
        f"automatic, by the saved method of {wallet.organization_id}",
        f"€50.00 {where} automatically",
    )
    assert (asked_for.who, asked_for.product) == ("paid by d…@kisoro.example, signed in", f"€20.00 {where} by {dora.pk}")


def test_as_many_queries_for_many_transfers_as_for_few(fiona: User, maria: User) -> None:
    def lively(rounds: int) -> int:
        wallet = make_wallet()
        for number in range(rounds):
            story = fund(wallet, 5_000, is_automatic=True)
            spent = spend(wallet, 3_000, key=f"s{number}")
            first, second = hold(wallet, 500, key=f"a{number}"), hold(wallet, 500, key=f"b{number}")
            tell(story.refunded("a", 2_000, at=100, in_all=2_000))
            spending.reverse(spend_id=spent.pk, money=None, reason="x", key="r", actor=fiona)
            holding.capture(hold_id=first.pk, money=Money(200, "eur"), actor=None)
            holding.release(hold_id=second.pk, reason="x", actor=fiona)
            made = propose(wallet=wallet, amount_minor=100, reason="x", actor=fiona)
            approve(adjustment_id=made.pk, actor=maria)
        transfers = list(Transfer.objects.order_by("pk").filter(pk__gt=before))
        with CaptureQueriesContext(connection) as asked:
            told = explaining.acted(transfers)
        # Of all but the refunds wallets know more than payments does.
        assert {transfer.key for transfer in transfers} - set(told) == {
            transfer.key for transfer in transfers if transfer.key.startswith("refund:")
        }
        return len(asked)

    before = ""
    few = lively(1)
    before = Transfer.objects.order_by("-pk").values_list("pk", flat=True)[0]
    assert lively(4) == few


# -- names of a wallet's own rows ------------------------------------------------------------------------
def test_a_spend_opens_up_with_what_was_given_back_of_it(wallet: Wallet) -> None:
    fund(wallet, 5_000)
    spent = spend(wallet, 3_000)
    spend(wallet, 700, key="another")
    reversal = reverse(spent, 1_000)
    for name in (spent.pk, reversal):
        [heading] = of_kind(Heading, name)
        assert heading.title == f"spend {spent.pk}: €30.00 from the EUR wallet of “Food bank” ({wallet.pk})"
        assert facts(name) == {"for": "Seats"}
        assert [(line.key, line.amount_minor) for line in of_kind(Line, name)] == [
            (f"spend:{spent.pk}", 3_000),
            (f"spend-reversal:{reversal}", -1_000),
        ]
        assert checks(name) == [("the sum of its 2 transfers is what was spent less what was given back", 2_000, True)]


def test_a_hold_opens_up_open_and_captured(wallet: Wallet) -> None:
    fund(wallet, 5_000)
    held = hold(wallet, 2_500)
    assert facts(held.pk) == {"for": "A hall", "until": f"{held.expires_at:%Y-%m-%d %H:%M}"}
    assert checks(held.pk) == [("the sum of its 1 transfer is what of it is still held", 2_500, True)]
    spent = holding.capture(hold_id=held.pk, money=Money(2_000, "eur"), actor=None)
    assert facts(held.pk) == {"for": "A hall", "became": spent.pk}
    assert [(line.key, line.amount_minor) for line in of_kind(Line, held.pk)] == [
        (f"hold:{held.pk}", 2_500),
        (f"capture:{held.pk}", -2_000),
        (f"release:{held.pk}", -500),
    ]
    assert checks(held.pk) == [("the sum of its 3 transfers is what of it is still held", 0, True)]
    assert facts(spent.pk) == {"for": "A hall", "captured from": held.pk}
    assert [line.key for line in of_kind(Line, spent.pk)] == [f"capture:{held.pk}"]


def test_a_spend_whose_row_says_more_than_its_transfers_does_not_hold(wallet: Wallet) -> None:
    fund(wallet, 5_000)
    spent = spend(wallet, 3_000)
    WalletSpend.objects.update(reversed_minor=1)
    assert checks(spent.pk) == [("the sum of its 1 transfer is what was spent less what was given back", 3_000, False)]


def test_an_adjustment_opens_up_in_each_of_its_states(wallet: Wallet, fiona: User, maria: User) -> None:
    fund(wallet, 5_000)
    made = propose(wallet=wallet, amount_minor=-700, reason="Too much.", actor=fiona)
    refused = propose(wallet=wallet, amount_minor=200, reason="Sorry.", actor=fiona)
    proposed = {"why": "Too much.", "proposed by": "fiona@charity.example"}
    assert facts(made.pk) == {**proposed, "decision": "waits for somebody else"}
    assert checks(made.pk) == [("the sum of its 0 transfers is what was approved of it", 0, True)]
    approve(adjustment_id=made.pk, actor=maria)
    [heading] = of_kind(Heading, made.pk)
    assert heading.title == f"adjustment {made.pk}: −€7.00 for the EUR wallet of “Food bank” ({wallet.pk}), approved"
    assert facts(made.pk) == {**proposed, "decision": "approved by maria@charity.example"}
    assert checks(made.pk) == [("the sum of its 1 transfer is what was approved of it", -700, True)]
    reject(adjustment_id=refused.pk, actor=maria, reason="We were right.")
    assert facts(refused.pk)["decision"] == "rejected by maria@charity.example: We were right."
    assert of_kind(Line, refused.pk) == []


def test_a_top_up_leads_to_its_payment(wallet: Wallet) -> None:
    story: Story = fund(wallet, 5_000)
    heading, *_ = of_kind(Heading, TopUp.objects.get().pk)
    assert heading.title == f"payment {story.payment.pk}: €50.00, paid"


def test_a_transfer_tells_who_is_behind_it(wallet: Wallet, fiona: User, maria: User) -> None:
    made = propose(wallet=wallet, amount_minor=700, reason="Sorry.", actor=fiona)
    approve(adjustment_id=made.pk, actor=maria)
    [heading] = explain(f"adjustment:{made.pk}", limit=50)
    assert heading == Heading(
        title=f"transfer adjustment:{made.pk}: €7.00",
        facts={
            "debit": "adjustments:eur",
            "credit": wallet.account,
            "records": "nothing of Stripe's",
            "memo": "adjusted by staff",
            "behind it": "proposed by fiona@charity.example, approved by maria@charity.example: Sorry.",
        },
    )
