"""System checks: what would otherwise fail at the first payment fails at the start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from payments import fulfilment


@register()
def modules_of_settings_are_complete(**kwargs: Any) -> list[CheckMessage]:
    """Each module that PAYMENT_FULFILMENTS, STRIPE_FOLLOWERS and ALSO_SWEPT name exists and has what is called there."""
    products, followers = settings.PAYMENT_FULFILMENTS.values(), settings.STRIPE_FOLLOWERS.values()
    swept = "sweep() finishes what was left over, bounded, and returns counts by what was done."
    return [
        *_lacking(
            "PAYMENT_FULFILMENTS", products, fulfilment.FUNCTIONS, "See payments/fulfilment.py for what each must do.", first=1
        ),
        *_lacking("ALSO_SWEPT", settings.ALSO_SWEPT, ["sweep"], swept, first=3),
        *_lacking("STRIPE_FOLLOWERS", followers, ["follow"], "See payments/following.py for what it must do.", first=5),
    ]


def _lacking(name: str, paths: Iterable[str], functions: Sequence[str], hint: str, *, first: int) -> Iterator[CheckMessage]:
    """A module that cannot be imported is the error payments.E00<first>, one that lacks functions the error after it."""
    for path in sorted(set(paths)):
        try:
            module = import_module(path)
        except ImportError as error:
            yield Error(f"{name} names {path!r}, which cannot be imported: {error}", id=f"payments.E{first:03d}")
            continue
        missing = [function for function in functions if not callable(getattr(module, function, None))]
        if missing:
            yield Error(f"{path} lacks {', '.join(missing)}().", hint=hint, id=f"payments.E{first + 1:03d}")
