"""Emptying the tables after a test with real transactions: those that it filled, and no others.

Django's flush truncates every table and makes content types and permissions anew: on PostgreSQL most of a second, after
each of hundreds of tests.
"""

from __future__ import annotations

from importlib import import_module

from django.apps import apps
from django.db import connection, transaction
from django.db.utils import DatabaseError

# What migrations wrote and no test changes.
KEPT = {"django_migrations", "django_content_type", "auth_permission"}


def empty_tables() -> None:
    """Leave the database as migrated, whatever guards its rows."""
    with transaction.atomic():
        filled = _filled()
        lifted = _lift_guards(filled)
        with connection.cursor() as cursor:
            for table in filled:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
            for statement in lifted:
                cursor.execute(statement)
        _seed_again()


def _filled() -> list[str]:
    tables = sorted(set(connection.introspection.table_names(include_views=False)) - KEPT)
    asked = (f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {connection.ops.quote_name(table)})" for table in tables)
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(asked))
        return [table for (table,) in cursor.fetchall()]


def _lift_guards(filled: list[str]) -> list[str]:
    """Let rows be deleted for the rest of the transaction; returns the statements that put the guards back."""
    if connection.vendor == "sqlite":
        return _drop_triggers(filled)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
        return []
    except DatabaseError:  # not granted to this role
        return _disable_triggers(filled)


def _drop_triggers(filled: list[str]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = [(name, sql) for name, table, sql in cursor.fetchall() if table in filled and " DELETE " in sql]
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
    return [sql for _, sql in triggers]


def _disable_triggers(filled: list[str]) -> list[str]:
    with connection.cursor() as cursor:
        for table in filled:
            cursor.execute(f"ALTER TABLE {connection.ops.quote_name(table)} DISABLE TRIGGER USER")
    return [f"ALTER TABLE {connection.ops.quote_name(table)} ENABLE TRIGGER USER" for table in filled]


def _seed_again() -> None:
    """What migrations put in besides: roles, plans, the group of tutors."""
    # Imported here: this module is read before Django is set up.
    from backoffice.roles import grant
    from pricing.models import PricingPlan

    first_plans = import_module("pricing.migrations.0003_first_plans")
    if not PricingPlan.objects.exists():
        first_plans.put_on_sale(apps, None)
    first_plans.let_tutors_record(apps, None)
    grant(apps, database="default")
