"""What other apps hold of a person: reached by name, so that accounts imports none of them.

settings.PERSON_DATA lists modules, each with three functions that run inside the caller's transaction:
`export(user) -> dict` gives all that is held of the person as JSON-ready values,
`erase(user)` removes or blanks the personal part of it (amounts and transfers stay); where it must not happen yet it raises
a DomainError, such as SoleOwner for an organization in which the person is alone (members.alone_in) and which has money,
`address_proved(user)` hands over what waited under the address that the person has now proved.
They run as the system, since what a person did for an organization stays theirs to know after they left it: each asks for
this person's rows and no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error

from accounts.models import User
from conventions import tenancy

FUNCTIONS = ("export", "erase", "address_proved")


def _modules() -> dict[str, ModuleType]:
    """App name to module, in the order of the setting."""
    return {path.partition(".")[0]: import_module(path) for path in settings.PERSON_DATA}


def export(user: User) -> dict[str, Any]:
    with tenancy.everything():
        return {app: module.export(user) for app, module in _modules().items()}


def erase(user: User) -> None:
    with tenancy.everything():
        for module in _modules().values():
            module.erase(user)


def address_proved(user: User) -> None:
    with tenancy.everything():
        for module in _modules().values():
            module.address_proved(user)


def check_person_data(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """The system check: every module of PERSON_DATA can be imported, has the functions, and is its app's only one."""
    problems: list[CheckMessage] = []
    apps: set[str] = set()
    for path in settings.PERSON_DATA:
        app = path.partition(".")[0]
        if app in apps:
            problems.append(Error(f"PERSON_DATA names two modules of {app}; an app has one.", id="accounts.E003"))
        apps.add(app)
        try:
            module = import_module(path)
        except ImportError as error:
            problems.append(Error(f"PERSON_DATA: {path} cannot be imported: {error}.", id="accounts.E001"))
            continue
        for name in FUNCTIONS:
            if not callable(getattr(module, name, None)):
                problems.append(Error(f"PERSON_DATA: {path} has no function {name}(user).", id="accounts.E002"))
    return problems
