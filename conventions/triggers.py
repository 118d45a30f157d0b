"""Database rules that Django cannot express, as migration operations for PostgreSQL and SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.migrations.operations.base import Operation

# The settings that a statement brings along and policies compare with (conventions/tenancy.py).
ACCESS, USER, ORGANIZATION = "largesse.access", "largesse.user", "largesse.organization"


class EngineSQL(Operation):
    """SQL that differs per engine; each engine has a forward and a reverse script."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, *, postgresql: tuple[str, str], sqlite: tuple[str, str]) -> None:
        self.scripts = {"postgresql": postgresql, "sqlite": sqlite}

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return self.__class__.__name__, [], dict(self.scripts)

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass  # nothing that Django's model state knows of

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._run(schema_editor, 0)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._run(schema_editor, 1)

    def _run(self, schema_editor: Any, direction: int) -> None:
        script = self.scripts[schema_editor.connection.vendor][direction]
        if schema_editor.connection.vendor == "postgresql":
            if script:
                schema_editor.execute(script, params=None)
            return
        for statement in script.split("\n;;\n"):  # sqlite3 runs one statement at a time; a trigger holds semicolons
            if statement.strip():
                schema_editor.execute(statement, params=None)

    def describe(self) -> str:
        return "SQL per engine"


def refuse_changes(table: str, *, columns: Sequence[str] = ()) -> EngineSQL:
    """Rows of `table` are never deleted, and never updated (or, with `columns`, those columns are not).

    On PostgreSQL TRUNCATE is refused as well; SQLite has none.
    """
    of = f" OF {', '.join(columns)}" if columns else ""
    message = f"{table} is append-only"
    function = f"{table}_refuse_changes"
    postgresql = f"""
        CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END $$;
        CREATE TRIGGER {table}_no_update BEFORE UPDATE{of} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();
        CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();
        CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {function}();
    """
    postgresql_back = f"""
        DROP TRIGGER {table}_no_truncate ON {table};
        DROP TRIGGER {table}_no_delete ON {table};
        DROP TRIGGER {table}_no_update ON {table};
        DROP FUNCTION {function}();
    """
    sqlite = "\n;;\n".join(
        f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act}{clause} ON {table} BEGIN SELECT RAISE(ABORT, '{message}'); END"
        for act, clause in (("UPDATE", of), ("DELETE", ""))
    )
    sqlite_back = f"DROP TRIGGER {table}_no_update\n;;\nDROP TRIGGER {table}_no_delete"
    return EngineSQL(postgresql=(postgresql, postgresql_back), sqlite=(sqlite, sqlite_back))


def refuse_when(table: str, name: str, *, act: str, when: str) -> EngineSQL:
    """No row of `table` is written so that `when` holds: SQL over NEW (and OLD where `act` is an update, which may name
    its columns: `UPDATE OF state`). Both engines read it. Where it is null it does not hold.

    A subquery sees what the caller may see: another tenant's row is to it as none at all.
    """
    trigger, message = f"{table}_no_{name}", f"{table}: {name.replace('_', ' ')}"
    postgresql = f"""
        CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF {when} THEN RAISE EXCEPTION '{message} is refused' USING ERRCODE = 'integrity_constraint_violation'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER {trigger} BEFORE {act} ON {table} FOR EACH ROW EXECUTE FUNCTION {trigger}();
    """
    postgresql_back = f"DROP TRIGGER {trigger} ON {table}; DROP FUNCTION {trigger}();"
    sqlite = (
        f"CREATE TRIGGER {trigger} BEFORE {act} ON {table} WHEN {when} BEGIN SELECT RAISE(ABORT, '{message} is refused'); END"
    )
    return EngineSQL(postgresql=(postgresql, postgresql_back), sqlite=(sqlite, f"DROP TRIGGER {trigger}"))


def isolate_tenants(
    table: str, *, column: str | None = "organization_id", or_where: str = "", or_read_where: str = ""
) -> EngineSQL:
    """Rows of `table` are seen and written only by the tenant whose id is in `column`, or by the system (tenancy.py).

    `or_where` is SQL that lets further rows pass, without a column the only ones; `or_read_where` lets rows be seen, but not
    written. FORCE: the application owns its tables, and an owner would be exempt. SQLite has no such thing; there the
    scoping of the QuerySets stands alone.
    """
    ways = [f"current_setting('{ACCESS}', true) = 'system'"]
    ways += [f"{column} = current_setting('{ORGANIZATION}', true)"] if column else []
    rule = " OR ".join([*ways, *([or_where] if or_where else [])])
    reading, reading_back = "", ""
    if or_read_where:
        reading = f"CREATE POLICY {table}_reading ON {table} FOR SELECT USING ({or_read_where});"
        reading_back = f"DROP POLICY {table}_reading ON {table};"
    postgresql = f"""
        CREATE POLICY {table}_tenancy ON {table} USING ({rule}) WITH CHECK ({rule});
        {reading}
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    """
    postgresql_back = f"""
        ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
        {reading_back}
        DROP POLICY {table}_tenancy ON {table};
    """
    return EngineSQL(postgresql=(postgresql, postgresql_back), sqlite=("", ""))
