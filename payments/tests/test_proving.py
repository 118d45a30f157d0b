"""check_books: clean books are clean, and each kind of broken row is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from donations.models import Donation
from donations.tests.factories import CampaignFactory, pending_donation
from payments import ledger
from payments.models import LedgerAccount, Payment, Refund
from payments.proving import check_books
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db


@contextmanager
def unguarded() -> Iterator[None]:
    """Without the triggers that guard the books, as somebody with full access to the database could be."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
            yield
            cursor.execute("SET LOCAL session_replication_role = origin")
            return
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'payments_%'")
        triggers = list(cursor.fetchall())
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        yield
        for _, sql in triggers:
            cursor.execute(sql)


@pytest.fixture
def corrupt() -> Callable[[str], None]:
    def run(statement: str) -> None:
        with unguarded(), connection.cursor() as cursor:
            cursor.execute(statement)
            assert cursor.rowcount > 0, "the corruption changed nothing"

    return run


@pytest.fixture
def story(db: None) -> Story:
    """A gift of 25 dollars of which 7 were refunded, whose dispute was won."""
    story = Story(pending_donation().payment)
    for event in [*story.succeeded(), *story.refunded("a", 700, at=100, in_all=700), *story.disputed("won")]:
        settle_events([event], source="webhook")
    return story


TRANSFER = "id, key, debit_id, credit_id, amount_minor, currency, payment_id, source, occurred_at, posted_at, memo"
COPY = (
    f"INSERT INTO payments_transfer ({TRANSFER}) SELECT 'transfer_x', 'extra', %s, %s FROM payments_transfer WHERE memo = 'paid'"
)
ORPHANED = "amount_minor, currency, {payment}, source, occurred_at, posted_at, memo"
BROKEN = {
    "refunded sum": ("UPDATE payments_payment SET refunded_minor = 600", "{pay} says 600 was refunded, its refunds say 700"),
    "disputed sum": ("UPDATE payments_payment SET disputed_minor = 1", "{pay} says 1 is disputed, its disputes say 0"),
    "missing transfer": ("DELETE FROM payments_transfer WHERE memo = 'paid'", "{pay} lacks the transfer paid:{pay}"),
    "missing refund transfer": ("DELETE FROM payments_transfer WHERE memo = 'refund'", "{pay} lacks the transfer refund:{re}"),
    "transfer of nobody": (
        "UPDATE payments_transfer SET payment_id = NULL WHERE memo = 'refund'",
        "{pay} lacks the transfer refund:{re}",
    ),
    "extra transfer": (
        COPY % ("debit_id", f"credit_id, {ORPHANED.format(payment='payment_id')}"),
        "{pay} has the transfer extra, which no fact calls for",
    ),
    "refund that vanished": ("DELETE FROM payments_refund", "{pay} has the transfer refund:{re}, which no fact calls for"),
    "dispute that vanished": (
        "DELETE FROM payments_dispute",
        "{pay} has the transfer dispute:{dp}:withdrawn, which no fact calls for",
    ),
    "changed transfer": (
        "UPDATE payments_transfer SET amount_minor = 701 WHERE memo = 'refund'",
        "{pay}: the transfer refund:{re} is ('{campaign_account}', 'stripe:usd', 701), "
        "its facts call for ('{campaign_account}', 'stripe:usd', 700)",
    ),
    "changed payment": (
        "UPDATE payments_payment SET amount_minor = 2600",
        "{donation} is 2500 usd, its payment {pay} is not",
    ),
    "unknown account": (
        "UPDATE payments_transfer SET debit_id = 'nowhere:usd' WHERE memo = 'paid'",
        "transfers name the account nowhere:usd, which does not exist",
    ),
    "deleted account": (
        "DELETE FROM payments_ledgeraccount WHERE code = 'stripe:usd'",
        "transfers name the account stripe:usd, which does not exist",
    ),
    "money of no payment": (
        COPY % ("debit_id", f"credit_id, {ORPHANED.format(payment='NULL')}"),
        "{campaign}: the ledger says 4300, its donations say 1800",
    ),
    "donation's amount": (
        "UPDATE donations_donation SET amount_minor = 2600",
        "{donation} is 2600 usd, its payment {pay} is not",
    ),
    "donation's currency": ("UPDATE donations_donation SET currency = 'eur'", "{donation} is 2500 eur, its payment {pay} is not"),
    "donation's state": (
        "UPDATE donations_donation SET state = 'disputed'",
        "{donation} is disputed, but its payment {pay} makes it partially_refunded",
    ),
    "donation's time": (
        "UPDATE donations_donation SET paid_at = '2001-01-01 00:00:00+00:00'",
        "{donation} was paid at 2001-01-01 00:00:00+00:00, but its payment {pay} at {paid_at}",
    ),
    "tally's last gift": (
        "UPDATE campaigns_campaigntally SET last_donation_at = '2001-01-01 00:00:00+00:00'",
        "{campaign}: the tally says that the last gift was made at 2001-01-01 00:00:00+00:00, its donations say {given_at}",
    ),
    "payment's subject": (
        "UPDATE payments_payment SET subject_id = 'donation_other'",
        "{pay} names donation_other as its subject, not {donation}",
    ),
    "supporter gone": ("DELETE FROM donations_supporter", "{campaign}: 0 supporters, but 1 distinct donors"),
    "supporter's count": (
        "UPDATE donations_supporter SET count = 2",
        "supporter {donor} of {campaign} has (2, 1800), the donations say (1, 1800)",
    ),
    "supporter's total": (
        "UPDATE donations_supporter SET total_minor = 1",
        "supporter {donor} of {campaign} has (1, 1), the donations say (1, 1800)",
    ),
    "donation without donor": (
        "UPDATE donations_donation SET donor_id = NULL",
        "{campaign}: 1 supporters, but 0 distinct donors",
    ),
    "tally gone": ("DELETE FROM campaigns_campaigntally", "{campaign}: the tally says donations = 0, its donations say 1"),
} | {
    f"tally's {name}": (
        f"UPDATE campaigns_campaigntally SET {name} = {name} + 1 WHERE id = (SELECT min(id) FROM campaigns_campaigntally)",
        f"{{campaign}}: the tally says {name} = {true + 1}, its donations say {true}",
    )
    for name, true in {"raised_minor": 2500, "refunded_minor": 700, "disputed_minor": 0, "donations": 1, "donors": 1}.items()
}  # fmt: skip


def test_true_books_are_clean(story: Story) -> None:
    assert list(check_books()) == []


def test_no_books_are_clean() -> None:
    assert list(check_books()) == []


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_row_is_named(name: str, story: Story, corrupt: Callable[[str], None]) -> None:
    statement, sentence = BROKEN[name]
    donation = Donation.objects.get()
    names = {
        "pay": donation.payment_id,
        "re": Refund.objects.get().stripe_id,
        "dp": f"dp_{story.number}",
        "donation": donation.pk,
        "donor": donation.donor_id,
        "paid_at": donation.payment.paid_at,
        "given_at": donation.created_at,
        "campaign": donation.campaign_id,
        "campaign_account": donation.campaign.account,
    }
    corrupt(statement)
    assert sentence.format(**names) in list(check_books())


def test_a_gift_moved_to_another_campaign_is_named_for_both(story: Story, corrupt: Callable[[str], None]) -> None:
    campaign, other = Donation.objects.get().campaign, CampaignFactory()
    corrupt(f"UPDATE donations_donation SET campaign_id = '{other.pk}'")
    told = list(check_books())
    assert f"{campaign.pk}: the ledger says 1800, its donations say 0" in told
    assert f"{other.pk}: the ledger says 0, its donations say 1800" in told


def test_a_floored_balance_that_is_no_sum_is_named(story: Story, corrupt: Callable[[str], None]) -> None:
    ledger.open_accounts(["wallet:x:usd"], kind=LedgerAccount.Kind.LIABILITY)
    corrupt("UPDATE payments_ledgeraccount SET floored = CAST(1 AS BOOLEAN), balance_minor = 5 WHERE code = 'wallet:x:usd'")
    assert list(check_books()) == ["wallet:x:usd says its balance is 5, its transfers say 0"]


def test_proving_costs_no_statement_per_payment(story: Story) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as context:
            assert list(check_books()) == []
        return len(context.captured_queries)

    one = cost()
    more = [Story(pending_donation().payment) for _ in range(20)]
    for other in more:
        settle_events(other.succeeded(), source="webhook")
    assert cost() == one


def test_the_command_says_all_is_true_and_exits_with_0(story: Story) -> None:
    out = StringIO()
    call_command("check_books", stdout=out)
    assert out.getvalue() == "The books are clean.\n"


def test_the_command_names_what_is_broken_and_exits_with_1(story: Story, corrupt: Callable[[str], None]) -> None:
    corrupt("UPDATE payments_payment SET disputed_minor = 1")
    out = StringIO()
    with pytest.raises(SystemExit) as stopped:
        call_command("check_books", "--json", stdout=out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert stopped.value.code == 1
    assert lines[0] == {"broken": f"{Payment.objects.get().pk} says 1 is disputed, its disputes say 0"}
    assert lines[-1] == {"clean": False, "broken": len(lines) - 1}
