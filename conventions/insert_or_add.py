"""One statement that inserts rows or adds to those that exist: how counters are kept without losing an update.

Django's bulk_create(update_conflicts=True) can only overwrite; a counter must add, and under a lock that the
database takes by itself. The SQL is the same on PostgreSQL and SQLite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, models

Row = Mapping[str, Any]


def insert_or_add(
    model: type[models.Model],
    rows: Sequence[Row],
    *,
    key: Sequence[str],
    add: Sequence[str] = (),
    latest: Sequence[str] = (),
    fill: Sequence[str] = (),
    returning: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Insert `rows` (field attnames to values); where `key` exists, add `add`, keep the later of `latest`,
    fill `fill` only where it is blank. `key` must be unique among `rows`: merge before calling.

    Returns the `returning` columns of every row, inserted or changed, in no fixed order. Rows are written in
    the order of their key, so that two writers cannot deadlock.
    """
    if not rows:
        return []
    quote = connection.ops.quote_name
    fields = {name: _field(model, name) for name in rows[0]}
    table = quote(model._meta.db_table)
    column = {name: quote(str(field.column)) for name, field in fields.items()}
    changes = [f"{column[n]} = {table}.{column[n]} + EXCLUDED.{column[n]}" for n in add]
    changes += [
        f"{column[n]} = CASE WHEN {table}.{column[n]} IS NULL OR EXCLUDED.{column[n]} > {table}.{column[n]} "
        f"THEN EXCLUDED.{column[n]} ELSE {table}.{column[n]} END"
        for n in latest
    ]
    changes += [
        f"{column[n]} = CASE WHEN {table}.{column[n]} = '' THEN EXCLUDED.{column[n]} ELSE {table}.{column[n]} END" for n in fill
    ]
    ordered = sorted(rows, key=lambda row: tuple(row[name] for name in key))
    values = ", ".join("(" + ", ".join(["%s"] * len(fields)) + ")" for _ in ordered)
    parameters = [fields[name].get_db_prep_save(row[name], connection) for row in ordered for name in fields]
    # Nothing here comes from outside: table and column names are the model's own, values are parameters.
    sql = f"INSERT INTO {table} ({', '.join(column.values())}) VALUES {values} "  # noqa: S608
    sql += f"ON CONFLICT ({', '.join(column[name] for name in key)}) "
    sql += f"DO UPDATE SET {', '.join(changes)}" if changes else "DO NOTHING"
    if returning:
        sql += " RETURNING " + ", ".join(quote(str(_field(model, name).column)) for name in returning)
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if returning else []


def _field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    for field in model._meta.concrete_fields:
        if field.attname == name:
            return field
    raise LookupError(f"{model.__name__} has no column {name!r}")
