"""System checks: what would otherwise fail at the first payment fails at the start."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from payments import fulfilment


@register()
def fulfilments_are_complete(**kwargs: Any) -> list[CheckMessage]:
    """Each module of PAYMENT_FULFILMENTS exists and has every function of the protocol."""
    problems: list[CheckMessage] = []
    for purpose, path in settings.PAYMENT_FULFILMENTS.items():
        try:
            module = import_module(path)
        except ImportError as error:
            problems.append(Error(f"PAYMENT_FULFILMENTS[{purpose!r}] = {path!r} cannot be imported: {error}", id="payments.E001"))
            continue
        missing = [name for name in fulfilment.FUNCTIONS if not callable(getattr(module, name, None))]
        if missing:
            hint = "See payments/fulfilment.py for what each must do."
            problems.append(Error(f"{path} lacks {', '.join(missing)}().", hint=hint, id="payments.E002"))
    return problems


@register()
def followers_follow(**kwargs: Any) -> list[CheckMessage]:
    """Each module of STRIPE_FOLLOWERS exists and has `follow`."""
    problems: list[CheckMessage] = []
    for path in sorted(set(settings.STRIPE_FOLLOWERS.values())):
        try:
            module = import_module(path)
        except ImportError as error:
            problems.append(Error(f"STRIPE_FOLLOWERS names {path!r}, which cannot be imported: {error}", id="payments.E005"))
            continue
        if not callable(getattr(module, "follow", None)):
            hint = "See payments/following.py for what it must do."
            problems.append(Error(f"{path} lacks follow().", hint=hint, id="payments.E006"))
    return problems


@register()
def swept_modules_can_be_swept(**kwargs: Any) -> list[CheckMessage]:
    """Each module of ALSO_SWEPT exists and has a `sweep`."""
    problems: list[CheckMessage] = []
    for path in settings.ALSO_SWEPT:
        try:
            module = import_module(path)
        except ImportError as error:
            problems.append(Error(f"ALSO_SWEPT names {path!r}, which cannot be imported: {error}", id="payments.E003"))
            continue
        if not callable(getattr(module, "sweep", None)):
            hint = "sweep() finishes what was left over, bounded, and returns counts by what was done."
            problems.append(Error(f"{path} lacks sweep().", hint=hint, id="payments.E004"))
    return problems
