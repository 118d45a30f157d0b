"""A table that SQLite makes anew keeps what guards it and what reads it."""

from __future__ import annotations

import pytest
from django.db import connection, models

from payments.models import Payment, Transfer

pytestmark = [
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="others change tables in place"),
    pytest.mark.django_db(transaction=True),
]


def kept() -> list[tuple[str, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view') ORDER BY 1, 2")
        return list(cursor.fetchall())


@pytest.mark.parametrize(("model", "name"), [(Transfer, "memo"), (Payment, "failure_code")])
def test_triggers_and_views_outlive_a_table_made_anew(model: type[models.Model], name: str) -> None:
    before = kept()
    old = model._meta.get_field(name)
    wider = models.CharField(max_length=250, blank=True, default="")
    wider.set_attributes_from_name(name)
    wider.model = model
    with connection.schema_editor() as editor:
        editor.alter_field(model, old, wider)  # type: ignore[arg-type]
    with connection.schema_editor() as editor:
        editor.alter_field(model, wider, old)  # type: ignore[arg-type]
    assert kept() == before
    assert any(kind == "view" for kind, *_ in before)
