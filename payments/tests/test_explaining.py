"""explain: from any name to its transfers, their Stripe objects and the people behind them; sums that are checked."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from accounts.models import User
from donations import fulfilment
from donations.models import Donation
from donations.tests.factories import CampaignFactory, pending_donation
from payments.explaining import Check, Heading, Line, NothingKnown, Rest, explain
from payments.fulfilment import Total
from payments.models import Refund, Transfer
from payments.reconciliation.recording import record
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from payments.tests.test_proving import unguarded
from payments.tests.test_reconciling import movement

pytestmark = pytest.mark.django_db


@pytest.fixture
def story() -> Story:
    """A gift of 25 dollars with a fee, of which staff gave 7 back."""
    story = Story(pending_donation(campaign=CampaignFactory(slug="water", title="Water")).payment)
    settle_events(story.succeeded(), source="webhook")
    settle_events(story.refunded("a", 700, at=100, in_all=700), source="webhook")
    Refund.objects.update(requested_by=User.objects.create(email="maria@charity.example"))
    record([movement(story.charge(), 2500, 103)])
    return story


def of_kind(kind: Any, name: str, limit: int = 50) -> list[Any]:
    return [part for part in explain(name, limit=limit) if isinstance(part, kind)]


def test_a_campaign_opens_into_transfers_and_people(story: Story) -> None:
    campaign = Donation.objects.get().campaign
    for name in ("water", campaign.pk, campaign.account):
        lines = of_kind(Line, name)
        assert [(line.amount_minor, line.source) for line in lines] == [(2500, story.intent_id), (-700, f"re_{story.number}_a")]
        assert [line.who for line in lines] == ["paid by a…@example.org, a guest", "asked for by maria@charity.example"]
        assert {line.product for line in lines} == {f"$25.00 to “Water” ({campaign.pk})"}
    checks = of_kind(Check, "water")
    assert [(check.amount_minor, check.expected_minor) for check in checks] == [(1800, 1800), (1800, 1800)]


def test_lines_beyond_the_limit_are_summed(story: Story) -> None:
    assert [line.amount_minor for line in of_kind(Line, "water", limit=1)] == [2500]
    assert of_kind(Rest, "water", limit=1) == [Rest(count=1, amount_minor=-700, currency="usd")]
    assert of_kind(Rest, "water", limit=2) == []


@pytest.mark.parametrize("name", ["session", "intent", "charge", "refund", "payment", "donation", "our refund"])
def test_every_name_of_a_payment_leads_to_it(name: str, story: Story) -> None:
    names = {
        "session": story.session_id,
        "intent": story.intent_id,
        "charge": story.charge_id,
        "refund": f"re_{story.number}_a",
        "payment": story.payment.pk,
        "donation": story.payment.subject_id,
        "our refund": Refund.objects.get().pk,
    }
    heading, *_ = of_kind(Heading, names[name])
    assert heading.title == f"payment {story.payment.pk}: $25.00, paid"
    assert [(check.amount_minor, check.holds) for check in of_kind(Check, names[name])] == [(1800, True), (2397, True)]


def test_an_event_and_a_balance_transaction_lead_to_their_payment(story: Story) -> None:
    row = f"txn_{story.charge_id}_2500"
    for name, own in ((f"evt_{story.number}_1", "event"), (row, "balance"), (f"fee:{row}", "transfer")):
        titles = [heading.title for heading in of_kind(Heading, name)]
        assert titles[0].startswith(own)
        assert f"payment {story.payment.pk}: $25.00, paid" in titles


def test_an_account_of_costs_grows_by_debit(story: Story) -> None:
    assert [(line.amount_minor, line.who) for line in of_kind(Line, "fees:usd")] == [(103, "by Stripe")]
    assert [check.holds for check in of_kind(Check, "fees:usd")] == [True]


def test_a_campaign_without_gifts_says_so() -> None:
    CampaignFactory(slug="new")
    (heading,) = explain("new", limit=5)
    assert isinstance(heading, Heading)
    assert "nothing was ever posted to it" in heading.facts["account"]


# -- what products tell ----------------------------------------------------------------------------------
def test_a_total_of_some_transfers_is_their_sum_and_not_the_balance(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    account, paid = str(story.payment.destination_id), f"paid:{story.payment.pk}"
    part = {"title": "the gift", "account": account, "keys": [paid], "shown_as": "what was given", "facts": {"for": "wells"}}
    totals = [Total(**part, shown_minor=2500), Total(**part, shown_minor=2400)]
    monkeypatch.setattr(fulfilment, "totals_of", lambda name: totals if name == "gift" else ())
    one = [
        Heading(title="the gift", facts={"for": "wells", "account": account, "kind": "liability"}),
        *[line for line in of_kind(Line, account) if line.key == paid],
    ]
    what = "the sum of its 1 transfer is what was given"
    assert list(explain("gift", limit=5)) == [
        *[*one, Check(what=what, amount_minor=2500, expected_minor=2500, currency="usd")],
        *[*one, Check(what=what, amount_minor=2500, expected_minor=2400, currency="usd")],
    ]


def test_a_total_without_an_account_is_its_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fulfilment, "totals_of", lambda name: [Total(title="nothing yet", facts={"why": "new"})])
    assert list(explain("gift", limit=5)) == [Heading(title="nothing yet", facts={"why": "new"})]


def test_what_a_product_knows_of_who_acted_counts_for_its_transfers_alone(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    paid = f"paid:{story.payment.pk}"
    asked: list[list[str]] = []

    def acted(transfers: list[Transfer]) -> dict[str, str]:
        asked.append([transfer.key for transfer in transfers])
        return {paid: "by a machine"}

    monkeypatch.setattr(fulfilment, "acted", acted)
    assert [line.who for line in of_kind(Line, "water")] == ["by a machine", "asked for by maria@charity.example"]
    assert asked == [[paid, f"refund:re_{story.number}_a"]]  # once for all of them


@pytest.mark.parametrize("name", ["", "nobody", "pi_none", "evt_none"])
def test_a_name_of_nothing_is_refused(name: str, story: Story) -> None:
    with pytest.raises(NothingKnown):
        list(explain(name, limit=5))


def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("explain", *arguments, stdout=out, stderr=out)
    except SystemExit as stopped:
        return int(str(stopped.code)), out.getvalue()
    return 0, out.getvalue()


def test_the_command_shows_lines_and_sums(story: Story) -> None:
    status, text = run("water")
    assert status == 0
    assert "+$25.00  paid:" in text
    assert "−$7.00  refund:" in text
    assert "✓ $18.00: and what is shown" in text


def test_what_follows_stands_apart_in_text_and_not_in_json(story: Story) -> None:
    row = f"txn_{story.charge_id}_2500"
    titles = [heading.title for heading in of_kind(Heading, row)]
    assert len(titles) == 3  # itself, its payment, and once more where the payment tells of its own
    _, text = run(row)
    lines = text.splitlines()
    assert [lines[number + 1] for number, line in enumerate(lines) if not line] == titles[1:]
    _, said = run(row, "--json")
    assert all(said.splitlines())


def test_a_rest_of_nothing_says_so(story: Story) -> None:
    tell = story.refunded("b", 1800, at=200, in_all=2500)
    settle_events(tell, source="webhook")
    assert "  … and 3 more, together $0.00\n" in run("water", "--limit", "0")[1]


def test_the_command_says_one_json_object_a_line(story: Story) -> None:
    status, text = run("water", "--json", "--limit", "1")
    parts = [json.loads(line) for line in text.splitlines()]
    assert (status, [part["part"] for part in parts]) == (0, ["heading", "line", "rest", "check", "check"])
    assert parts[-1]["holds"] is True


def test_a_sum_that_does_not_hold_is_shown_and_ends_with_1(story: Story) -> None:
    with unguarded(), connection.cursor() as cursor:
        cursor.execute("UPDATE campaigns_campaigntally SET raised_minor = raised_minor + 1 WHERE raised_minor > 0")
    status, text = run("water")
    assert (status, "✗ $18.00, not $18.01: and what is shown. Run check_books." in text) == (1, True)


def test_the_command_exits_with_2_where_nothing_has_that_name() -> None:
    status, text = run("nobody")
    assert (status, "Nothing here is called 'nobody'" in text) == (2, True)
