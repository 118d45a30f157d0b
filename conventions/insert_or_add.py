"""One statement that inserts rows or adds to those that exist: how counters are kept without losing an update.

Django's bulk_create(update_conflicts=True) can only overwrite; a counter must add, and under a lock that the
database takes by itself. The SQL is the same on PostgreSQL and SQLite.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db import models

from conventions.rows import Names, Row, Statement, as_table, quoted, quoted_table, run


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
    statement = inserting_or_adding(model, rows, key=key, add=add, latest=latest, fill=fill, returning=returning)
    return run(statement)[0]


def inserting_or_adding(
    model: type[models.Model],
    rows: Sequence[Row],
    *,
    key: Sequence[str],
    add: Sequence[str] = (),
    latest: Sequence[str] = (),
    fill: Sequence[str] = (),
    returning: Sequence[str] = (),
) -> Statement | None:
    """The statement of `insert_or_add`, to be run with others; None without rows."""
    if not rows:
        return None
    names = tuple(rows[0])
    ordered = sorted(rows, key=lambda row: tuple(row[name] for name in key)) if len(rows) > 1 else rows
    given, parameters = as_table(model, names, ordered)
    into, then = _statement(model, names, tuple(key), tuple(add), tuple(latest), tuple(fill), tuple(returning))
    return Statement(f"{into} {given} {then}", parameters, answers=bool(returning))


@lru_cache(maxsize=64)
def _statement(
    model: type[models.Model], names: Names, key: Names, add: Names, latest: Names, fill: Names, returning: Names
) -> tuple[str, str]:
    """What stands before and after the rows; kept, since the same few are written with every payment.

    Nothing in it comes from outside: table and column names are the model's own, values are parameters.
    """
    table = quoted_table(model)
    column = {name: quoted(model, name) for name in {*names, *returning}}
    changes = [f"{column[n]} = {table}.{column[n]} + EXCLUDED.{column[n]}" for n in add]
    changes += [
        f"{column[n]} = CASE WHEN {table}.{column[n]} IS NULL OR EXCLUDED.{column[n]} > {table}.{column[n]} "
        f"THEN EXCLUDED.{column[n]} ELSE {table}.{column[n]} END"
        for n in latest
    ]
    changes += [
        f"{column[n]} = CASE WHEN {table}.{column[n]} = '' THEN EXCLUDED.{column[n]} ELSE {table}.{column[n]} END" for n in fill
    ]
    then = f"ON CONFLICT ({', '.join(column[name] for name in key)}) "
    then += f"DO UPDATE SET {', '.join(changes)}" if changes else "DO NOTHING"
    if returning:
        then += " RETURNING " + ", ".join(column[name] for name in returning)
    return f"INSERT INTO {table} ({', '.join(column[name] for name in names)})", then
