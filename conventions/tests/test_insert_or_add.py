"""Counters that lose no update: one statement that inserts or adds, alike on both engines."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.models import Campaign, CampaignTally
from conventions.insert_or_add import insert_or_add
from donations.models import Donor, Supporter
from donations.tests.factories import CampaignFactory

pytestmark = pytest.mark.django_db
KEY = ["campaign_id", "slot"]


def row(campaign: Campaign, slot: int = 0, **values: Any) -> dict[str, Any]:
    zero = {"raised_minor": 0, "refunded_minor": 0, "disputed_minor": 0, "donations": 0, "donors": 0, "last_donation_at": None}
    return {"campaign_id": campaign.pk, "slot": slot, **zero, **values}


def test_rows_are_inserted_then_added_to() -> None:
    campaign = CampaignFactory()
    for amount in (100, 20, -7):
        insert_or_add(CampaignTally, [row(campaign, raised_minor=amount)], key=KEY, add=["raised_minor"])
    assert CampaignTally.objects.values_list("raised_minor", flat=True).get() == 113


def test_what_is_not_named_is_left_alone() -> None:
    campaign = CampaignFactory()
    insert_or_add(CampaignTally, [row(campaign, donations=5)], key=KEY)
    insert_or_add(CampaignTally, [row(campaign, donations=9, raised_minor=1)], key=KEY, add=["raised_minor"])
    assert CampaignTally.objects.values_list("donations", "raised_minor").get() == (5, 1)


def test_the_later_time_stays_whatever_the_order() -> None:
    campaign, now = CampaignFactory(), timezone.now()
    for at in (None, now, now - timedelta(days=1), None):
        insert_or_add(CampaignTally, [row(campaign, last_donation_at=at)], key=KEY, latest=["last_donation_at"])
    assert CampaignTally.objects.get().last_donation_at == now


def donor(email: str, name: str, number: int) -> dict[str, Any]:
    blank = {"user_id": None, "locale": "", "anonymous_by_default": False, "created_at": timezone.now()}
    return {"id": f"donor_{number}", "email": email, "name": name, **blank}


def test_a_name_is_filled_in_where_there_is_none_and_never_overwritten() -> None:
    for number, name in enumerate(("", "Ada", "Eve", "")):
        insert_or_add(Donor, [donor("a@example.org", name, number)], key=["email"], fill=["name"])
    assert Donor.objects.values_list("pk", "name").get() == ("donor_0", "Ada")


def test_all_rows_come_back_inserted_or_not_in_one_statement() -> None:
    insert_or_add(Donor, [donor("b@example.org", "B", 1)], key=["email"])
    rows = [donor(f"{letter}@example.org", "", n) for n, letter in enumerate("cab", start=10)]
    with CaptureQueriesContext(connection) as context:
        told = insert_or_add(Donor, rows, key=["email"], fill=["name"], returning=["email", "id"])
    assert dict(told) == {"a@example.org": "donor_11", "b@example.org": "donor_1", "c@example.org": "donor_10"}
    assert len(context.captured_queries) == 1
    assert context.captured_queries[0]["sql"].index("a@example.org") < context.captured_queries[0]["sql"].index("c@example.org")


def test_without_changes_only_new_rows_come_back() -> None:
    rows = [donor("a@example.org", "", 1)]
    assert insert_or_add(Donor, rows, key=["email"], returning=["id"]) == [("donor_1",)]
    assert insert_or_add(Donor, rows, key=["email"], returning=["id"]) == []


def test_no_rows_cost_no_statement() -> None:
    with CaptureQueriesContext(connection) as context:
        assert insert_or_add(Donor, [], key=["email"], returning=["id"]) == []
    assert len(context.captured_queries) == 0


def test_a_column_that_does_not_exist_is_named() -> None:
    with pytest.raises(LookupError, match="Donor has no column 'nmae'"):
        insert_or_add(Donor, [{"nmae": 1}], key=["nmae"])


def test_values_are_parameters_and_never_sql() -> None:
    name = "'); DELETE FROM donations_donor; -- %s %(x)s \""
    insert_or_add(Donor, [donor("a@example.org", name, 1)], key=["email"])
    assert Donor.objects.get().name == name


def test_a_thousand_rows_are_one_statement() -> None:
    rows = [donor(f"{n}@example.org", "", n) for n in range(1000)]
    with CaptureQueriesContext(connection) as context:
        insert_or_add(Donor, rows, key=["email"])
    assert (len(context.captured_queries), Donor.objects.count()) == (1, 1000)


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_sixteen_writers_of_the_same_rows_in_any_order_lose_nothing_and_do_not_deadlock() -> None:
    campaign = CampaignFactory()
    donors = [Donor.objects.create(email=f"{n}@example.org").pk for n in range(8)]
    failures: list[BaseException] = []
    barrier = threading.Barrier(16)

    def write(number: int) -> None:
        rows = [{"campaign_id": campaign.pk, "donor_id": d, "count": 1, "total_minor": 100} for d in donors]
        barrier.wait()
        try:
            for _ in range(10):
                rows = rows[number % 8 :] + rows[: number % 8]
                insert_or_add(Supporter, rows, key=["campaign_id", "donor_id"], add=["count", "total_minor"])
        except Exception as error:
            failures.append(error)
        connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set(Supporter.objects.values_list("count", "total_minor")) == {(160, 16_000)}
