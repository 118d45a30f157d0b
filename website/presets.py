"""Amounts that a donation form offers: 5, 10, 20, 50 and 100 dollars, and about as much in other currencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from payments.money import MAXIMUM_MINOR, Money, exponent, minimum_minor

STEPS = (5, 10, 20, 50, 100)
# How many units buy roughly what a dollar does, as far as a hundred times that can be charged; a currency not listed
# counts as near enough.
UNITS_PER_STEP = {
    "jpy": 100, "krw": 1000, "vnd": 20_000, "clp": 1000, "bif": 2000, "djf": 200, "gnf": 10_000, "kmf": 500, "mga": 5000,
    "pyg": 10_000, "rwf": 1000, "vuv": 100, "xaf": 500, "xof": 500, "xpf": 100, "isk": 100, "ugx": 5000,
    "idr": 5000, "cop": 5000, "huf": 200, "inr": 50, "uzs": 5000, "lbp": 5000, "mmk": 2000, "tzs": 2000, "ngn": 1000,
    "pkr": 200, "lkr": 200, "kes": 100, "ars": 1000, "crc": 500, "amd": 500, "kzt": 500, "mnt": 2000, "khr": 5000,
    "lak": 5000, "rsd": 100, "jmd": 100, "php": 50, "thb": 20, "twd": 20, "czk": 20, "mxn": 20, "sek": 10, "nok": 10,
    "dkk": 5, "zar": 20, "rub": 50, "uah": 50, "try": 20, "egp": 50, "hkd": 10, "cny": 5, "pln": 5, "brl": 5,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preset:
    """`amount` goes to the API, `label` to people: "5" and "$5"."""

    amount: str
    label: str


def presets(currency: str, *, least_minor: int = 0, steps: Sequence[int] = STEPS) -> list[Preset]:
    """An amount for each step, about so many dollars; none under what the campaign (`least_minor`) and Stripe take."""
    least = max(least_minor, minimum_minor(currency))
    unit = UNITS_PER_STEP.get(currency, 1) * 10 ** exponent(currency)
    while steps[0] * unit < least:
        unit *= 2
    amounts = [Money(step * unit, currency) for step in steps if step * unit <= MAXIMUM_MINOR]
    return [Preset(amount=str(money.decimal.to_integral_value()), label=whole(money)) for money in amounts]


def whole(money: Money) -> str:
    """As `Money.display`, without decimals that are all zero: "$5", "€12.50"."""
    shown = money.display()
    return shown.replace(f".{'0' * exponent(money.currency)}", "") if money.decimal == money.decimal.to_integral() else shown
