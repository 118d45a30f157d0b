"""The history of what staff did is append-only, said by the database itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, transaction  # noqa: F401  skipif's conditions name it
from django.db.models import ProtectedError

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.tests.factories import UserFactory

pytestmark = pytest.mark.django_db
Sql = Callable[..., int]
REFUSED = "accounts_auditentry is append-only"
STATEMENTS = [
    "UPDATE accounts_auditentry SET reason = 'better'",
    "UPDATE accounts_auditentry SET actor_id = NULL",
    "UPDATE accounts_auditentry SET at = at",
    "UPDATE accounts_auditentry SET action = 'user.bowed' WHERE action = 'user.waved'",
    "DELETE FROM accounts_auditentry",
    "DELETE FROM accounts_auditentry WHERE before IS NOT NULL",
    "INSERT INTO accounts_auditentry SELECT * FROM accounts_auditentry WHERE true ON CONFLICT (id) DO UPDATE SET reason = ''",
]


@pytest.fixture
def entry() -> AuditEntry:
    user = UserFactory.create()
    return audit.record(actor=user, action="user.waved", target=user, before={"hand": "left"}, after={"hand": "right"})


@pytest.mark.parametrize("statement", STATEMENTS)
def test_no_statement_changes_the_history(statement: str, entry: AuditEntry, sql: Sql) -> None:
    before = list(AuditEntry.objects.values())
    with pytest.raises(IntegrityError, match=REFUSED), transaction.atomic():
        sql(statement)
    assert list(AuditEntry.objects.values()) == before


@pytest.mark.parametrize("act", [lambda entry: entry.save(), lambda entry: entry.delete()])
def test_nor_does_the_model(act: Callable[[AuditEntry], object], entry: AuditEntry) -> None:
    entry.reason = "better"
    with pytest.raises(IntegrityError, match=REFUSED), transaction.atomic():
        act(entry)
    assert AuditEntry.objects.get().reason == ""


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no TRUNCATE")
@pytest.mark.parametrize("statement", ["TRUNCATE accounts_auditentry", "TRUNCATE accounts_user CASCADE"])
def test_no_truncation_empties_the_history(statement: str, entry: AuditEntry, sql: Sql) -> None:
    sql("SET CONSTRAINTS ALL IMMEDIATE")  # rows with pending checks could not be truncated anyway
    with pytest.raises(IntegrityError, match=REFUSED), transaction.atomic():
        sql(statement)
    assert AuditEntry.objects.count() == 1


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="REPLACE is SQLite's")
def test_replacing_a_line_is_refused_like_any_other_change(entry: AuditEntry, sql: Sql) -> None:
    with pytest.raises(IntegrityError, match=REFUSED), transaction.atomic():
        sql("INSERT OR REPLACE INTO accounts_auditentry SELECT * FROM accounts_auditentry")
    assert AuditEntry.objects.count() == 1


def test_whoever_acted_cannot_be_deleted(entry: AuditEntry) -> None:
    with pytest.raises(ProtectedError):
        User.objects.all().delete()
    assert AuditEntry.objects.get().actor_id == entry.actor_id
