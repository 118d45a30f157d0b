"""Django's PostgreSQL backend, but every statement brings along whose rows may be seen (conventions/tenancy.py).

Where the scope is not what the transaction was told, `SET LOCAL` goes ahead of the statement in the same message: no
journey more. A message of several statements is one transaction to PostgreSQL, so outside of a transaction too what is
set ends with the statement, and a connection that PgBouncer hands on carries nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from conventions import tenancy
from conventions.tenancy import NOTHING, Scope
from conventions.triggers import ACCESS, ORGANIZATION, USER

# Outside of a transaction only these read or write rows; others, such as VACUUM, may refuse to travel with anything.
OF_ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "EXPLAIN", "(SELECT")


DjangosCursor: Any = base.Cursor  # psycopg's, of whose methods the stubs know nothing


class Cursor(DjangosCursor):  # type: ignore[misc]
    wrapper: DatabaseWrapper | None = None  # what Django asks of a connection by itself concerns no rows

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        text = query if isinstance(query, str) else self._text(query)
        settings = self.wrapper.settings_due(text) if self.wrapper else []
        if not settings:
            return super().execute(query, params, **options)
        self._tell("".join([*settings, text]), params, **options)
        for _ in settings:
            self.nextset()
        return self

    def executemany(self, query: Any, params_seq: Iterable[Any], **options: Any) -> Any:
        self._tell_ahead()
        return super().executemany(query, params_seq, **options)

    def copy(self, statement: Any, params: Any = None, **options: Any) -> Any:
        self._tell_ahead()
        return super().copy(statement, params, **options)

    def stream(self, *args: Any, **options: Any) -> NoReturn:
        raise NotImplementedError("Rows are not streamed: whose rows may be seen travels with `execute`.")

    def _tell_ahead(self) -> None:
        """These take no settings along: within a transaction a message of its own brings them."""
        if self.wrapper is None:
            return
        if self.wrapper.get_autocommit() and tenancy.current() != NOTHING:
            raise NotImplementedError("Outside of a transaction only `execute` brings along whose rows may be seen.")
        if settings := self.wrapper.settings_due(""):
            self._tell("".join(settings))

    def _tell(self, message: str, params: Any = None, **options: Any) -> None:
        """Send settings; where that fails, perhaps before anything was sent, what the transaction was told is not known."""
        try:
            super().execute(message, params, **options)
        except BaseException:
            if self.wrapper is not None:
                self.wrapper.forget_told()
            raise

    def _text(self, query: Any) -> str:
        return query.decode() if isinstance(query, bytes) else str(query.as_string(self.connection))


class DatabaseWrapper(base.DatabaseWrapper):
    # What the open transaction was told; None where that is not known.
    _told: Scope | None = NOTHING

    def get_connection_params(self) -> dict[str, Any]:
        return {**super().get_connection_params(), "cursor_factory": Cursor}

    def create_cursor(self, name: str | None = None) -> Any:
        if name:
            raise NotImplementedError("A server-side cursor would outlive the transaction that knows the scope.")
        cursor = super().create_cursor()
        cursor.wrapper = self
        return cursor

    def forget_told(self) -> None:
        self._told = None

    def settings_due(self, statement: str) -> list[str]:
        """What must be set ahead of `statement`, which is about to be run, so that the database knows the scope."""
        verb = statement.lstrip()[:8].upper()
        if verb == "ROLLBACK":  # to a savepoint: it may take back what was set, and a failed transaction takes nothing else
            self._told = None
            return []
        if self.connection.pgconn.transaction_status == TransactionStatus.IDLE:
            if self.get_autocommit() and not verb.startswith(OF_ROWS):
                return []
            self._told = NOTHING
        scope, told = tenancy.current(), self._told
        self._told = scope
        if scope == told:
            return []
        return [
            f"SET LOCAL {_quoted(setting)} = '{value}'; "
            for setting, value, before in (
                (ACCESS, scope.access, told and told.access),
                (USER, scope.user, told and told.user),
                (ORGANIZATION, scope.organization, told and told.organization),
            )
            if value != before
        ]


def _quoted(setting: str) -> str:
    """`largesse."user"`: the second half may be a word of SQL's own."""
    prefix, _, name = setting.partition(".")
    return f'{prefix}."{name}"'
