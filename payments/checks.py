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
