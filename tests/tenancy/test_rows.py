"""The application's own role with a SQL prompt: what row-level security alone lets it see and write, every filter of the
code left out. Tables are taken from the catalogue, so that a new one cannot be forgotten."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction

from accounts.models import Organization
from conventions import tenancy
from tests.tenancy.tenants import Tenant, a_tenant

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no row-level security"),
]

# What has no column for its organization, and how each of its rows tells it.
OF_PAYMENT = "(SELECT organization_id FROM payments_payment WHERE id = payment_id)"
OF_ACCOUNT = "(SELECT organization_id FROM wallets_wallet WHERE position(id IN {0}) + position(organization_id IN {0}) > 0)"
BY_OTHER_ROWS = {
    "payments_refund": OF_PAYMENT,
    "payments_dispute": OF_PAYMENT,
    "payments_ledgeraccount": OF_ACCOUNT.format("code"),
    "payments_transfer": OF_ACCOUNT.format("(debit_id || credit_id)"),
}
TABLES_OF_ORGANIZATIONS = sorted(
    {
        str(model._meta.db_table)
        for model in apps.get_models()
        if model._meta.managed  # no view
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey) and field.related_model is Organization
    }
)
# A person's own, whichever organization they name.
PERSONAL = {"wallets_telegramlink", "wallets_telegramcode"}
WHOSE = (
    dict.fromkeys(set(TABLES_OF_ORGANIZATIONS) - PERSONAL, "organization_id") | {"accounts_organization": "id"} | BY_OTHER_ROWS
)
# Rows without an organization are nobody's secret: gifts, plans, the accounts of campaigns.
ALSO_WITHOUT = {"payments_payment", "payments_refund", "payments_dispute", "payments_ledgeraccount", "payments_transfer"}


@pytest.fixture
def tenants() -> tuple[Tenant, Tenant]:
    return a_tenant(), a_tenant()


def rows(sql: str, *parameters: object) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def seen(table: str, *, scope: tenancy.Scope) -> dict[str | None, int]:
    """How many rows of each organization a scope sees when it asks for all; as the system tells them apart."""
    with tenancy.within(scope):
        found = [ctid for (ctid,) in rows(f"SELECT ctid::text FROM {table}")]
    whose = rows(f"SELECT {WHOSE[table]}, count(*) FROM {table} WHERE ctid::text = ANY(%s) GROUP BY 1", found)
    return dict(whose)  # type: ignore[arg-type]


# -- the role and its tables -----------------------------------------------------------------------------
def test_the_tests_work_as_an_ordinary_role() -> None:
    assert rows("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user") == [(False, False)]


def test_every_table_with_an_organization_is_isolated_even_from_its_owner() -> None:
    of_columns = rows(
        "SELECT DISTINCT conrelid::regclass::text FROM pg_constraint "
        "WHERE contype = 'f' AND confrelid = 'accounts_organization'::regclass "
        "UNION SELECT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) "
        "WHERE column_name = 'organization_id' AND table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    isolated = rows(
        "SELECT c.relname FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid "
        "WHERE c.relrowsecurity AND c.relforcerowsecurity AND p.polname = c.relname || '_tenancy' AND p.polcmd = '*'"
    )
    assert {table for (table,) in of_columns} == set(TABLES_OF_ORGANIZATIONS)
    assert {table for (table,) in isolated} == set(WHOSE) | PERSONAL, "a migration must isolate_tenants() in each"


def test_views_ask_as_whoever_asks_them_and_not_as_their_owner(tenants: tuple[Tenant, Tenant]) -> None:
    mine, _ = tenants
    views = rows("SELECT relname, reloptions FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace")
    assert [name for name, options in views if options != ["security_invoker=true"]] == []
    showing = rows(
        "SELECT table_name FROM information_schema.columns JOIN information_schema.views USING (table_schema, table_name) "
        "WHERE column_name = 'organization_id' AND table_schema = 'public'"
    )
    assert showing
    for (view,) in showing:
        with tenancy.only(user=mine.owner.pk, organization=mine.id):
            assert set(rows(f"SELECT organization_id FROM {view} WHERE organization_id IS NOT NULL")) == {(mine.id,)}
        with tenancy.nothing():
            assert rows(f"SELECT organization_id FROM {view} WHERE organization_id IS NOT NULL") == []


# -- reading ---------------------------------------------------------------------------------------------
def all_seen(scope: tenancy.Scope) -> dict[str, dict[str | None, int]]:
    return {table: seen(table, scope=scope) for table in sorted(WHOSE)}


def of_organizations(found: dict[str, dict[str | None, int]], *, only: Tenant | None = None) -> dict[str, dict[str | None, int]]:
    """Without the rows that belong to no organization; with `only`, those of one."""
    return {
        table: {pk: number for pk, number in counts.items() if pk is not None and (only is None or pk == only.id)}
        for table, counts in found.items()
    }


def test_who_says_nothing_sees_nothing_of_anybody(tenants: tuple[Tenant, Tenant]) -> None:
    everything = of_organizations(all_seen(tenancy.EVERYTHING))
    rows_of_both = {table for table, counts in everything.items() if set(counts) == {tenant.id for tenant in tenants}}
    assert set(WHOSE) - rows_of_both == set(), "tenants.py must make rows of each"
    assert of_organizations(all_seen(tenancy.NOTHING)) == {table: {} for table in sorted(WHOSE)}


def test_an_organization_sees_all_of_its_own_and_nothing_of_the_other(tenants: tuple[Tenant, Tenant]) -> None:
    everything = all_seen(tenancy.EVERYTHING)
    for tenant in tenants:
        found = all_seen(tenancy.Scope(user=tenant.member.pk, organization=tenant.id))
        assert of_organizations(found) == of_organizations(everything, only=tenant)


def test_only_what_belongs_to_nobody_is_seen_without_an_organization(tenants: tuple[Tenant, Tenant]) -> None:
    unowned = {table: counts.get(None, 0) for table, counts in all_seen(tenancy.EVERYTHING).items()}
    assert {table for table, number in unowned.items() if number} <= ALSO_WITHOUT
    assert {table: counts.get(None, 0) for table, counts in all_seen(tenancy.NOTHING).items()} == unowned


def test_a_guessed_id_finds_nothing(tenants: tuple[Tenant, Tenant]) -> None:
    mine, theirs = tenants
    rows_of_theirs = [theirs.wallet, theirs.payment, theirs.spend, theirs.reversal, theirs.hold, theirs.method]
    for row in [*rows_of_theirs, theirs.adjustment, theirs.invitation, theirs.membership]:
        with tenancy.only(user=mine.owner.pk, organization=mine.id):
            assert type(row)._default_manager.filter(pk=row.pk).first() is None
            assert rows(f"SELECT 1 FROM {row._meta.db_table} WHERE id = %s OR true AND id = %s", row.pk, row.pk) == []


def test_sums_counts_and_joins_tell_nothing_of_the_other(tenants: tuple[Tenant, Tenant]) -> None:
    mine, theirs = tenants
    with tenancy.only(user=mine.owner.pk, organization=mine.id):
        assert rows("SELECT count(*), count(DISTINCT organization_id) FROM wallets_wallet") == [(1, 1)]
        joined = "SELECT DISTINCT w.organization_id FROM payments_transfer t JOIN wallets_wallet w ON t.currency = w.currency"
        assert rows(joined) == [(mine.id,)]
        assert rows("SELECT 1 FROM payments_ledgeraccount WHERE code = ANY(%s)", sorted(theirs.accounts)) == []
        assert len(rows("SELECT 1 FROM payments_ledgeraccount WHERE code = ANY(%s)", sorted(mine.accounts))) == 3


def test_a_person_finds_their_own_organizations_and_memberships_and_nothing_else(tenants: tuple[Tenant, Tenant]) -> None:
    mine, _ = tenants
    with tenancy.only(user=mine.member.pk):
        assert rows("SELECT id FROM accounts_organization") == [(mine.id,)]
        assert rows("SELECT id FROM accounts_membership") == [(mine.membership.pk,)]
        assert rows("SELECT id FROM accounts_invitation") == []
        assert rows("SELECT id FROM wallets_wallet") == []


def test_whoever_started_a_payment_for_an_organization_does_not_see_it_by_that_alone(tenants: tuple[Tenant, Tenant]) -> None:
    mine, _ = tenants
    with tenancy.only(user=mine.member.pk):
        assert rows("SELECT 1 FROM payments_payment WHERE user_id = %s", mine.member.pk) == []


@pytest.mark.parametrize("name", sorted(PERSONAL))
def test_what_is_a_persons_own_is_seen_by_that_person_alone(name: str, tenants: tuple[Tenant, Tenant]) -> None:
    mine, theirs = tenants
    both = sorted([mine.owner.pk, theirs.owner.pk])
    assert rows(f"SELECT user_id FROM {name} ORDER BY user_id") == [(user,) for user in both]
    with tenancy.nothing():
        assert rows(f"SELECT user_id FROM {name}") == []
    for tenant in tenants:
        with tenancy.only(user=tenant.owner.pk, organization=tenant.id):
            assert rows(f"SELECT user_id FROM {name}") == [(tenant.owner.pk,)]
        with tenancy.only(user=tenant.member.pk, organization=tenant.id):
            assert rows(f"SELECT user_id FROM {name}") == []


# -- writing ---------------------------------------------------------------------------------------------
def refuses(sql: str, *parameters: object) -> None:
    with pytest.raises(DatabaseError, match=r"row-level security|: other \w+ is refused"), transaction.atomic():
        change(sql, *parameters)


def change(sql: str, *parameters: object) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


def test_nothing_of_the_other_can_be_changed_or_deleted(tenants: tuple[Tenant, Tenant]) -> None:
    mine, theirs = tenants
    for table, organization in WHOSE.items():
        of_theirs = [ctid for (ctid,) in rows(f"SELECT ctid::text FROM {table} WHERE {organization} = %s", theirs.id)]
        ((column,),) = rows("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 2", table)
        with tenancy.only(user=mine.owner.pk, organization=mine.id):
            assert change(f"UPDATE {table} SET {column} = {column} WHERE ctid::text = ANY(%s)", of_theirs) == 0
            assert change(f"DELETE FROM {table} WHERE ctid::text = ANY(%s)", of_theirs) == 0
        assert of_theirs


def test_nothing_can_be_put_into_an_organization_by_anybody_else(tenants: tuple[Tenant, Tenant]) -> None:
    """A copy of one of its own rows, which would be right in everything else; some triggers refuse it even sooner, since
    what it refers to cannot be seen."""
    mine, theirs = tenants
    for table, organization in WHOSE.items():
        ((row,),) = rows(f"SELECT to_json(t)::text FROM {table} t WHERE {organization} = %s LIMIT 1", theirs.id)
        copying = f"INSERT INTO {table} SELECT (json_populate_record(NULL::{table}, %s::json)).*"
        with tenancy.only(user=mine.owner.pk, organization=mine.id):
            refuses(copying, row)
        with tenancy.nothing():
            refuses(copying, row)


def test_a_row_is_not_handed_to_the_other(tenants: tuple[Tenant, Tenant]) -> None:
    mine, theirs = tenants
    with tenancy.only(user=mine.owner.pk, organization=mine.id):
        for name in ("accounts_invitation", "accounts_membership", "payments_payment"):
            refuses(f"UPDATE {name} SET organization_id = %s", theirs.id)


def test_nobody_makes_themselves_a_member_or_more_than_they_are(tenants: tuple[Tenant, Tenant]) -> None:
    """People see their memberships and organizations wherever they are; they write only where they act."""
    mine, theirs = tenants
    joining = (
        "INSERT INTO accounts_membership (id, organization_id, user_id, role, created_at) VALUES (%s, %s, %s, 'owner', now())"
    )
    with tenancy.only(user=mine.owner.pk):
        refuses(joining, "member_1", theirs.id, mine.owner.pk)
        assert change("UPDATE accounts_membership SET role = 'member'") == 0
        assert change("UPDATE accounts_organization SET name = 'Mine'") == 0
        assert change("DELETE FROM accounts_membership") == 0
    with tenancy.only(user=mine.owner.pk, organization=mine.id):
        refuses(joining, "member_1", theirs.id, mine.owner.pk)
