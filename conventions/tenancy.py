"""Whose rows may be seen: nothing until somebody says so.

    with tenancy.only(user=user.pk): ...                                  # their memberships and organizations
    with tenancy.only(user=user.pk, organization=organization.pk): ...    # after their membership was verified
    with tenancy.everything(): ...                                        # the system's own work: settlement, admin, sums

On PostgreSQL every statement tells the database the scope that holds at its moment (conventions/postgresql), and policies
on every table with an organization (`triggers.isolate_tenants`) compare rows with it: a query that forgot its filter finds
nothing of anybody else. What was told lives as long as a transaction, never as long as a connection, so that PgBouncer may
hand the connection to another tenant. On SQLite a scope changes nothing: there the scoping of the QuerySets stands alone,
as it stands first everywhere.

A request begins with nothing (`each_request_alone`), so does every thread. Commands and the background worker see everything,
because `manage.py` says so once. A QuerySet is read where it is evaluated, not where it is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponseBase

SYSTEM = "system"
IDENTIFIER = re.compile(r"[0-9a-z_]*")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What the database is told: `access` is "system" or nothing; `user` and `organization` are ids or nothing."""

    access: str = ""
    user: str = ""
    organization: str = ""

    def __post_init__(self) -> None:
        # They become part of SQL text, where a setting takes no parameter.
        for value in (self.access, self.user, self.organization):
            if not IDENTIFIER.fullmatch(value):
                raise ValueError(f"{value!r} is no id")


NOTHING = Scope()
EVERYTHING = Scope(access=SYSTEM)

_scope: ContextVar[Scope | None] = ContextVar("tenancy", default=None)
_of_the_process = NOTHING


def current() -> Scope:
    """The scope that holds here: the innermost one entered, else the process's."""
    return _scope.get() or _of_the_process


@contextmanager
def within(scope: Scope) -> Iterator[None]:
    before = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(before)


def everything() -> AbstractContextManager[None]:
    """Every tenant's rows, for what is no tenant's act: settlement, the admin, a sum over all."""
    return within(EVERYTHING)


def only(*, user: str = "", organization: str = "") -> AbstractContextManager[None]:
    """The rows of one person, and of one organization that this person is known to belong to."""
    return within(Scope(user=user, organization=organization))


def nothing() -> AbstractContextManager[None]:
    """No tenant's rows, whatever was entered before."""
    return within(NOTHING)


def whole_process_sees_everything() -> None:
    """For a process that serves no strangers: commands, the worker. Its threads too."""
    global _of_the_process
    _of_the_process = EVERYTHING


# -- requests ---------------------------------------------------------------------------------------
def each_request_alone(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: a request begins with nothing and leaves nothing to the thread's next one."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with nothing():
            return get_response(request)

    return middleware


def from_here_everything() -> None:
    """As `everything`, to the end of the request: for staff in the admin."""
    _scope.set(EVERYTHING)


def from_here_only(*, user: str) -> None:
    """As `only`, to the end of the request or of the scope around it: for whoever was found to ask. What the system does
    (the admin, commands) it goes on doing as the system."""
    if current().access != SYSTEM:
        _scope.set(Scope(user=user))
