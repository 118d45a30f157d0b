"""Numbers that are compared are of one moment: money that comes in meanwhile does not make a true total look false."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns import tallying
from conventions.snapshot import one_snapshot
from donations.models import Donation
from donations.tests.factories import pending_donation
from payments import ledger
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db(transaction=True)
two_connections = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs two connections to one database")


@pytest.fixture
def elsewhere() -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Does an act on a connection of its own."""
    with ThreadPoolExecutor(1) as thread:
        yield lambda act: thread.submit(act).result(timeout=20)
        thread.submit(lambda: connection.close()).result(timeout=20)


def paid_before(
    act: Callable[..., Any], story: Story, elsewhere: Callable[[Callable[[], Any]], Any], moments: list[str]
) -> Callable[..., Any]:
    """The act, which begins once the story's payment has been made and committed by somebody else."""

    def after_it(*args: Any, **kwargs: Any) -> Any:
        moments.append("paid meanwhile")
        elsewhere(lambda: settle_events(story.succeeded(), source="webhook"))
        return act(*args, **kwargs)

    return after_it


@pytest.mark.parametrize("address", ["/api/campaigns/{}/proof", "/campaigns/{}/proof"])
@pytest.mark.postgres
@two_connections
def test_a_gift_that_comes_while_a_total_is_proved_does_not_disprove_it(
    address: str, client: Client, elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(pending_donation().payment)
    moments: list[str] = []
    slow = paid_before(tallying.prove, story, elsewhere, moments)
    monkeypatch.setattr("campaigns.views.prove", slow)
    monkeypatch.setattr("website.views.prove", slow)
    path = address.format(Donation.objects.get().campaign.slug)

    answer = client.get(path)

    assert moments == ["paid meanwhile"]
    assert answer.status_code == 200
    told = {"net": "0.00", "current_amount": "0.00", "proved": True}
    seen = answer.json() if "api" in path else {**told, "proved": answer.context["proved"]}
    assert {name: seen[name] for name in told} == told


@pytest.mark.postgres
@two_connections
def test_a_gift_that_comes_while_a_total_is_explained_does_not_break_its_sums(
    elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(pending_donation().payment)
    moments: list[str] = []
    monkeypatch.setattr("payments.ledger.balance", paid_before(ledger.balance, story, elsewhere, moments))
    out = StringIO()

    call_command("explain", Donation.objects.get().campaign.slug, stdout=out)  # exits with 1 where a sum does not hold

    assert moments == ["paid meanwhile"]
    assert "✗" not in out.getvalue()


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="of SQLite's one writer")
def test_a_snapshot_does_not_take_the_lock_of_sqlites_one_writer() -> None:
    database: Any = connection
    usual = database.transaction_mode
    with CaptureQueriesContext(connection) as queries, one_snapshot():
        Donation.objects.count()
    assert queries.captured_queries[0]["sql"] == "BEGIN DEFERRED"
    assert database.transaction_mode == usual


def test_a_snapshot_may_be_the_first_thing_that_a_connection_is_used_for(elsewhere: Callable[[Callable[[], Any]], Any]) -> None:
    def look() -> int:
        with one_snapshot():
            return Donation.objects.count()

    assert elsewhere(look) == 0
