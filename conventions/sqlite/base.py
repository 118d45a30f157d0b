"""Django's SQLite backend, but a table that is made anew keeps its triggers, and the views that read it go on.

SQLite changes few things about a table in place; Django makes a new one and drops the old, and with it goes every trigger
that guards it. A view, or a trigger of another table, that mentions the dropped one even stops the change. So they are all
lifted for that moment, and put back, in the transaction of the migration.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.sqlite3 import base
from django.db.backends.sqlite3.schema import DatabaseSchemaEditor


class SchemaEditor(DatabaseSchemaEditor):
    def _remake_table(self, *args: Any, **changes: Any) -> None:
        with self.connection.cursor() as cursor:
            # Views before triggers: a trigger may be a view's.
            cursor.execute(
                "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view') ORDER BY type DESC, rowid"
            )
            lifted = cursor.fetchall()
        for kind, name, _ in reversed(lifted):
            self.execute(f"DROP {kind} {self.quote_name(name)}", params=None)
        super()._remake_table(*args, **changes)  # type: ignore[misc]  # unknown to the stubs
        for _, _, statement in lifted:
            self.execute(statement, params=None)


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = SchemaEditor
