"""How the scope reaches PostgreSQL: with each statement, and gone with its transaction, whoever has the connection next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db import DatabaseError, DataError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization
from accounts.tests.factories import OrganizationFactory
from conventions import tenancy
from conventions.rows import Statement, run
from conventions.snapshot import one_snapshot
from conventions.triggers import ACCESS, ORGANIZATION, USER

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no row-level security"),
]
SETTINGS = ", ".join(f"current_setting('{name}', true)" for name in (ACCESS, USER, ORGANIZATION))


@pytest.fixture(autouse=True)
def stranger() -> Iterator[None]:
    """As a request begins."""
    with tenancy.nothing():
        yield


def told() -> tuple[str, ...]:
    """What the database has been told, as the next statement finds it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {SETTINGS}")
        return tuple(value or "" for value in cursor.fetchone())


def left_behind() -> tuple[str, ...]:
    """What the session itself carries, asked past our cursors as somebody else would who gets the connection."""
    with connection.connection.cursor() as cursor:
        cursor.execute(f"SELECT {SETTINGS}")
        return tuple(value or "" for value in cursor.fetchone())


def organizations() -> list[str]:
    return sorted(Organization.objects.values_list("pk", flat=True))


@pytest.fixture
def two() -> tuple[str, str]:
    with tenancy.everything():
        first, second = sorted(OrganizationFactory.create().pk for _ in range(2))
    return first, second


def test_nothing_is_told_and_nothing_is_seen_until_a_scope_is_entered(two: tuple[str, str]) -> None:
    assert told() == ("", "", "")
    assert organizations() == []


def test_a_single_statement_brings_the_scope_along_and_leaves_nothing(two: tuple[str, str]) -> None:
    with tenancy.everything():
        assert told() == ("system", "", "")
        assert organizations() == list(two)
    with tenancy.only(user="user_1", organization=two[0]):
        assert told() == ("", "user_1", two[0])
        assert organizations() == [two[0]]
        assert left_behind() == ("", "", "")
    assert told() == ("", "", "")
    assert organizations() == []


@pytest.mark.parametrize("end", [transaction.commit, transaction.rollback])
def test_the_settings_are_gone_with_their_transaction(end: Callable[[], None]) -> None:
    transaction.set_autocommit(False)
    try:
        with tenancy.everything():
            assert told() == ("system", "", "")
            assert left_behind() == ("system", "", "")
        end()
        assert left_behind() == ("", "", "")
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)


def test_the_settings_are_gone_after_a_statement_that_failed() -> None:
    with tenancy.everything(), pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")
    assert left_behind() == ("", "", "")
    assert told() == ("", "", "")


def test_a_statement_that_never_left_leaves_no_other_scope_behind(two: tuple[str, str]) -> None:
    """A null character is refused before anything is sent."""
    with transaction.atomic(), tenancy.everything():
        assert organizations() == sorted(two)
        with tenancy.only(organization=two[0]):
            with suppress(ValueError, DataError):
                Organization.objects.filter(name="\x00").count()
            assert organizations() == [two[0]]


def test_a_scope_entered_inside_a_transaction_holds_there_and_ends_with_its_block(two: tuple[str, str]) -> None:
    with transaction.atomic():
        assert organizations() == []
        with tenancy.only(organization=two[0]):
            assert organizations() == [two[0]]
            with tenancy.only(organization=two[1]):
                assert organizations() == [two[1]]
            assert organizations() == [two[0]]
        assert organizations() == []


def see_and_fail(organization: str) -> None:
    with transaction.atomic(), tenancy.only(organization=organization), connection.cursor() as cursor:
        assert organizations() == [organization]
        cursor.execute("SELECT 1 / 0")


def test_a_savepoint_that_is_rolled_back_takes_the_settings_back_and_the_next_statement_tells_them_anew(
    two: tuple[str, str],
) -> None:
    with transaction.atomic():
        with tenancy.only(organization=two[0]):
            with pytest.raises(DatabaseError):
                see_and_fail(two[1])
            assert organizations() == [two[0]]
            with connection.cursor() as cursor:
                cursor.execute("SAVEPOINT by_hand")
                cursor.execute("SELECT 1")
                cursor.execute("rollback to savepoint by_hand")
            assert told() == ("", "", two[0])
        assert told() == ("", "", "")
    assert left_behind() == ("", "", "")


def test_who_shares_a_connection_in_turns_sees_nothing_of_the_other(two: tuple[str, str]) -> None:
    """As behind PgBouncer, which hands a connection on after each transaction."""
    backend = _backend()
    seen = []
    for turn in range(6):
        with tenancy.only(organization=two[turn % 2]), transaction.atomic():
            seen.append(organizations())
        with transaction.atomic():  # somebody who never said who they are
            seen.append(organizations())
        assert left_behind() == ("", "", "")
    assert seen == [[two[0]], [], [two[1]], []] * 3
    assert _backend() == backend  # the same connection all along


def test_another_thread_begins_with_nothing(two: tuple[str, str]) -> None:
    found: list[Any] = []

    def look() -> None:
        found.extend([tenancy.current(), organizations()])
        connection.close()

    with tenancy.everything():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert found == [tenancy.NOTHING, []]


def test_telling_costs_no_journey_and_no_statement_of_its_own(two: tuple[str, str]) -> None:
    with tenancy.everything(), CaptureQueriesContext(connection) as context:
        organizations()
        with transaction.atomic():
            organizations()
    ahead = "SET LOCAL largesse.\"access\" = 'system'; SELECT"
    sent = [query["sql"] for query in context.captured_queries]
    assert [sql[: len(ahead)] for sql in sent] == [ahead, "BEGIN", ahead, "COMMIT"]


def test_rows_that_travel_together_answer_in_their_order_whatever_goes_ahead_of_them() -> None:
    statements = [Statement("SELECT %s", [number], answers=True) for number in (1, 2)]
    silent = Statement("SET LOCAL lock_timeout = 0", [], answers=False)
    with tenancy.only(user="user_1", organization="org_1"):
        assert run(statements[0], None, statements[1]) == [[(1,)], [], [(2,)]]
        with transaction.atomic():
            assert run(silent, *statements) == [[], [(1,)], [(2,)]]


def test_how_many_rows_were_written_is_told_of_the_statement_itself(two: tuple[str, str]) -> None:
    with tenancy.everything():
        assert Organization.objects.update(name="Other") == 2
        assert Organization.objects.filter(pk=two[0]).delete()[0] == 1


def test_a_snapshot_may_be_taken_within_a_scope(two: tuple[str, str]) -> None:
    """SET TRANSACTION must come before any query; what is told goes ahead of it."""
    with tenancy.everything(), one_snapshot():
        assert organizations() == list(two)


def test_what_refuses_company_goes_alone() -> None:
    """VACUUM and the like run in no transaction, hence not in one message with settings."""
    with tenancy.everything(), connection.cursor() as cursor:
        cursor.execute("VACUUM accounts_organization")


def test_copying_is_told_ahead_within_a_transaction_and_refused_outside(two: tuple[str, str]) -> None:
    with tenancy.everything():
        with (
            transaction.atomic(),
            connection.cursor() as cursor,
            cursor.copy("COPY accounts_organization (id) TO STDOUT") as rows,
        ):
            assert sorted(rows.rows()) == [(pk,) for pk in two]
        with pytest.raises(NotImplementedError, match="Outside of a transaction"), connection.cursor() as cursor:
            cursor.copy("COPY accounts_organization (id) TO STDOUT")


def test_many_parameters_are_told_ahead_within_a_transaction_and_refused_outside(two: tuple[str, str]) -> None:
    rename, names = "UPDATE accounts_organization SET name = %s WHERE id = %s", [("A", two[0]), ("B", two[1])]
    with tenancy.everything():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(rename, names)
        assert sorted(Organization.objects.values_list("name", flat=True)) == ["A", "B"]
        with pytest.raises(NotImplementedError, match="Outside of a transaction"), connection.cursor() as cursor:
            cursor.executemany(rename, names)


def test_server_side_cursors_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="server-side cursor"):
        connection.chunked_cursor()


@pytest.mark.parametrize("text", ["x'; SET LOCAL largesse.access = 'system", "org_1 ", "Org", "org-1", "ü"])
def test_what_is_no_id_never_becomes_part_of_a_statement(text: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        tenancy.only(organization=text)


def _backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])
