"""Rows found and written in one plain statement, for the few places that every payment passes.

The ORM builds each query anew, which takes more time than the database needs to answer: 540 µs of CPU to find one
payment where `find_rows` takes 125, and a bulk_update of a hundred rows is a CASE of thousands of nodes, a hundred times
the cost of `updating` (docs/benchmarks.md). Everything that is not on that path stays with the ORM.

Statements are kept once built, and those that do not need each other's answer travel together: each journey costs 90 µs,
whatever the statement. Nothing in them comes from outside: table and column names are the model's own, values
are parameters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, models

Row = Mapping[str, Any]
Names = tuple[str, ...]
AnyModel = TypeVar("AnyModel", bound=models.Model)
Converters = Sequence[tuple[int, Any, Sequence[Callable[..., Any]]]]


class Statement(NamedTuple):
    """SQL and its parameters, to be run by `run`."""

    sql: str
    parameters: list[Any]
    answers: bool  # whether it returns rows: psycopg's `description` would tell, at an eighth of a delivery's CPU


def run(*statements: Statement | None) -> list[list[tuple[Any, ...]]]:
    """Run statements in their order, on PostgreSQL in one journey; the rows that each returns, none for None."""
    wanted = [statement for statement in statements if statement]
    rows: list[list[tuple[Any, ...]]] = []
    if connection.vendor == "postgresql" and len(wanted) > 1:
        with connection.cursor() as cursor:
            cursor.execute("; ".join(s.sql for s in wanted), [p for s in wanted for p in s.parameters])
            for statement in wanted:
                rows.append(cursor.fetchall() if statement.answers else [])
                cursor.nextset()
    else:
        for statement in wanted:
            with connection.cursor() as cursor:
                cursor.execute(statement.sql, statement.parameters)
                rows.append(cursor.fetchall() if statement.answers else [])
    answers = iter(rows)
    return [next(answers) if statement else [] for statement in statements]


# -- writing ----------------------------------------------------------------------------------------
def as_table(model: type[models.Model], names: Names, rows: Sequence[Row]) -> tuple[str, list[Any]]:
    """A query that yields `rows` (attributes to values), in their order, and its parameters.

    PostgreSQL gets them as one JSON text: a fifth of the cost of one parameter per value, and always the same SQL.
    """
    sql, fields = _given(model, names)
    if sql:
        return sql, [_JSON.encode(rows)]
    row = f"({', '.join(['%s'] * len(names))})"
    return f"VALUES {', '.join([row] * len(rows))}", [f.get_db_prep_save(r[f.attname], connection) for r in rows for f in fields]


def updating(model: type[models.Model], rows: Sequence[models.Model], names: Sequence[str]) -> Statement | None:
    """Write the columns `names` (attributes) of `rows`, which must be locked or nobody else's; None without rows."""
    if not rows:
        return None
    before, after = _update(model, tuple(names))
    written = (str(model._meta.pk.attname), *names)
    given, parameters = as_table(model, written, [{name: getattr(row, name) for name in written} for row in rows])
    return Statement(f"{before} {given} {after}", parameters, answers=False)


@lru_cache(maxsize=64)
def _update(model: type[models.Model], names: Names) -> tuple[str, str]:
    """The statement, before and after the rows."""
    key, table = quoted(model, str(model._meta.pk.attname)), quoted_table(model)
    columns = [quoted(model, name) for name in names]
    before = f"WITH given({', '.join([key, *columns])}) AS ("
    changes = ", ".join(f"{column} = given.{column}" for column in columns)
    return before, f") UPDATE {table} SET {changes} FROM given WHERE {table}.{key} = given.{key}"  # noqa: S608


@lru_cache(maxsize=64)
def _given(model: type[models.Model], names: Names) -> tuple[str, Sequence[models.Field[Any, Any]]]:
    """The query over a JSON list of rows (on PostgreSQL), and the fields. Types go without their lengths: a cast
    would cut what an assignment refuses."""
    fields = [_field(model, name) for name in names]
    if connection.vendor != "postgresql":
        return "", fields
    types = [re.sub(r"\([\d, ]+\)", "", str(field.db_type(connection))) for field in fields]
    columns = ", ".join(f'"{name}" {kind}' for name, kind in zip(names, types, strict=True))
    chosen = ", ".join(f'"{name}"' for name in names)
    return f"SELECT {chosen} FROM json_to_recordset(%s::json) AS rows_given({columns})", fields  # noqa: S608


def _plain(value: Any) -> str:
    if isinstance(value, date | UUID):  # a datetime is a date
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written by rows")


_JSON = json.JSONEncoder(default=_plain)


# -- finding ----------------------------------------------------------------------------------------
def find_rows(
    model: type[AnyModel], named: Mapping[str, Collection[str]], *, where: str = "", lock: str = "FOR UPDATE"
) -> list[AnyModel]:
    """The rows of which any column of `named` has one of its values (and which the constant SQL `where` lets pass),
    locked in the order of their keys where the engine locks rows."""
    return made(model, run(finding(model, named, where=where, lock=lock))[0])


def finding(
    model: type[models.Model], named: Mapping[str, Collection[str]], *, where: str = "", lock: str = "FOR UPDATE"
) -> Statement | None:
    """The statement of `find_rows`; `made` makes models of its answer. None where no value is named."""
    wanted = [(name, sorted(values)) for name, values in named.items() if values]
    if not wanted:
        return None
    sql = _select(model, tuple((name, len(values)) for name, values in wanted), where, lock)
    return Statement(sql, [value for _, values in wanted for value in values], answers=True)


def made(model: type[AnyModel], found: Sequence[Sequence[Any]]) -> list[AnyModel]:
    names, converters = _reading(model)
    return [model.from_db(DEFAULT_DB_ALIAS, names, _converted(row, converters)) for row in found]


@lru_cache(maxsize=256)
def _select(model: type[models.Model], named: tuple[tuple[str, int], ...], where: str, lock: str) -> str:
    columns = ", ".join(quoted(model, str(field.attname)) for field in model._meta.concrete_fields)
    any_of = " OR ".join(f"{quoted(model, name)} IN ({', '.join(['%s'] * count)})" for name, count in named)
    sql = f"SELECT {columns} FROM {quoted_table(model)} WHERE ({any_of})"  # noqa: S608
    sql += f" AND {where}" if where else ""
    sql += f" ORDER BY {quoted(model, str(model._meta.pk.attname))}"
    return f"{sql} {lock}" if connection.features.has_select_for_update else sql


@lru_cache(maxsize=64)
def _reading(model: type[models.Model]) -> tuple[list[str], Converters]:
    """The attributes in the order of the columns, and what makes Python's values of the engine's, where needed."""
    converters = []
    for position, field in enumerate(model._meta.concrete_fields):
        column = field.cached_col
        both = [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]
        if both:
            converters.append((position, column, both))
    return [str(field.attname) for field in model._meta.concrete_fields], converters


def _converted(row: Sequence[Any], converters: Converters) -> Sequence[Any]:
    if not converters:
        return row
    values = list(row)
    for position, column, converts in converters:
        for convert in converts:
            values[position] = convert(values[position], column, connection)
    return values


# -- names ------------------------------------------------------------------------------------------
def _field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    for field in model._meta.concrete_fields:
        if field.attname == name:
            return field
    raise LookupError(f"{model.__name__} has no column {name!r}")


def quoted(model: type[models.Model], name: str) -> str:
    """The column of the attribute `name`, for use in SQL."""
    return connection.ops.quote_name(str(_field(model, name).column))


def quoted_table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)
