"""A module that a setting names and that is not what it must be is named at the start."""

from __future__ import annotations

from typing import Any

import pytest

from payments.checks import modules_of_settings_are_complete


@pytest.mark.parametrize(
    ("setting", "named", "problems"),
    [
        ("PAYMENT_FULFILMENTS", {"plan": "pricing.no"}, ["payments.E001"]),
        ("PAYMENT_FULFILMENTS", {"plan": "pricing.errors"}, ["payments.E002"]),
        ("PAYMENT_FULFILMENTS", {"plan": "pricing.fulfilment", "product": "pricing.fulfilment"}, []),
        ("ALSO_SWEPT", ["wallets.no"], ["payments.E003"]),
        ("ALSO_SWEPT", ["wallets.errors", "wallets.telling"], ["payments.E004"]),
        ("ALSO_SWEPT", [], []),
        ("STRIPE_FOLLOWERS", {"invoice.paid": "pricing.no"}, ["payments.E005"]),
        ("STRIPE_FOLLOWERS", {"invoice.paid": "pricing.errors", "invoice.created": "pricing.errors"}, ["payments.E006"]),
        ("STRIPE_FOLLOWERS", {"invoice.paid": "pricing.following"}, []),
    ],
)
def test_a_module_that_is_not_what_a_setting_needs_is_named(settings: Any, setting: str, named: Any, problems: list[str]) -> None:
    setattr(settings, setting, named)
    assert [found.id for found in modules_of_settings_are_complete()] == problems


def test_the_modules_that_are_set_are_complete() -> None:
    assert modules_of_settings_are_complete() == []


def test_what_a_module_lacks_is_said(settings: Any) -> None:
    settings.ALSO_SWEPT = ["wallets.errors"]
    (found,) = modules_of_settings_are_complete()
    assert found.msg == "wallets.errors lacks sweep()."
