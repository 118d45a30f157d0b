"""The PostgreSQL role that tests work as: an ordinary one, since a superuser is let past every policy of the tables."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

ROLE = "largesse_app"


def as_ordinary_role(url: str) -> tuple[str, str]:
    """The address of the same database for an ordinary role, made where `url` may make one; and what to say of it.

    The role owns what the tests make, as the application owns its tables. Its password is that of `url`.
    """
    parts = urlsplit(url)
    name = parts.path.lstrip("/")
    try:
        server = psycopg.connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        return url, f"PostgreSQL does not answer: {error}"
    with server:
        found = server.execute("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user").fetchone()
        assert found is not None
        role, is_superuser, bypasses = found
        if not is_superuser:
            warning = "; it has BYPASSRLS, so that ROW-LEVEL SECURITY IS NOT TESTED" if bypasses else ""
            return url, f"PostgreSQL as {role}{warning}"
        _make(server, password=parts.password)
        _hand_over(server, name)
    at = parts.netloc.rpartition("@")[2]
    netloc = f"{ROLE}:{parts.password}@{at}" if parts.password else f"{ROLE}@{at}"
    return urlunsplit(parts._replace(netloc=netloc)), f"PostgreSQL as {ROLE}, which {role} made"


def _make(server: psycopg.Connection, *, password: str | None) -> None:
    # Several test processes may come here at once.
    options = sql.SQL("LOGIN CREATEDB NOSUPERUSER NOBYPASSRLS NOCREATEROLE")
    options += sql.SQL(" PASSWORD {}").format(sql.Literal(password)) if password else sql.SQL("")
    server.execute("SELECT pg_advisory_lock(hashtext('largesse: the role of the tests'))")
    known = server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone()
    act = sql.SQL("ALTER ROLE {} {}" if known else "CREATE ROLE {} {}").format(sql.Identifier(ROLE), options)
    server.execute(act)
    if server.info.server_version >= 15_00_00:
        # Tests break rows past their triggers, to see that the books notice.
        server.execute(sql.SQL("GRANT SET ON PARAMETER session_replication_role TO {}").format(sql.Identifier(ROLE)))
    server.execute("SELECT pg_advisory_unlock_all()")


def _hand_over(server: psycopg.Connection, name: str) -> None:
    """Test databases that an earlier run left behind as another role: only an owner may drop them."""
    left = server.execute(
        "SELECT datname FROM pg_database WHERE starts_with(datname, %s) AND pg_get_userbyid(datdba) <> %s",
        [f"test_{name}", ROLE],
    ).fetchall()
    for (database,) in left:
        server.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(database), sql.Identifier(ROLE)))
