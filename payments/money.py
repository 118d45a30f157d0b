"""Money: minor units and a currency. How many decimals that means is in `currencies`; a library serves for names and
symbols only."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from babel.core import Locale
from babel.numbers import format_compact_currency, format_currency, get_currency_name, get_currency_symbol

from conventions.errors import InvalidInput
from payments.currencies import (
    CURRENCIES,
    MAXIMUM_MINOR,
    MINIMUM_MINOR,
    WHOLE_UNITS_ONLY,
    exponent,
    minimum_minor,
    shown_decimals,
    smallest_step_minor,
)

__all__ = [
    "CURRENCIES",
    "MAXIMUM_MINOR",
    "MINIMUM_MINOR",
    "Money",
    "check_currency",
    "currency_name",
    "exponent",
    "minimum_minor",
    "shown_decimals",
    "smallest_step_minor",
]


def check_currency(value: str, *, field: str = "currency") -> str:
    """The lower-case code, or InvalidInput when Stripe does not charge in it."""
    code = value.lower()
    if code not in CURRENCIES:
        raise InvalidInput(f"{value!r} is not a currency that can be charged.", field=field, code="unknown_currency")
    return code


@dataclass(frozen=True, order=True, slots=True)
class Money:
    """`Money(2500, "usd")` is 25 dollars."""

    amount_minor: int
    currency: str

    @classmethod
    def parse(cls, value: str | int | Decimal, currency: str, *, field: str = "amount") -> Money:
        """Major units as a person or a program writes them; refused, never rounded, when finer than the currency."""
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise InvalidInput("Write the amount as a number such as 25 or 25.50.", field=field, code="invalid_amount")
        text = str(value).strip()
        try:
            amount = Decimal(text)
        except InvalidOperation:
            amount = Decimal("NaN")
        if len(text) > 20 or not amount.is_finite() or not text.isascii() or "_" in text:
            raise InvalidInput("Write the amount as a number such as 25 or 25.50.", field=field, code="invalid_amount")
        # Twenty characters can write numbers that no arithmetic holds; `adjusted` is the power of ten of the first digit.
        if amount and amount.adjusted() >= 12:
            raise InvalidInput("That amount is too large.", field=field, code="amount_too_large")
        if amount and amount.adjusted() < -12:
            raise InvalidInput(_too_fine(currency), field=field, code="amount_too_precise")
        minor = amount.scaleb(exponent(currency))
        if minor != minor.to_integral_value() or int(minor) % smallest_step_minor(currency):
            raise InvalidInput(_too_fine(currency), field=field, code="amount_too_precise")
        return cls(int(minor), currency)

    def check_chargeable(self, *, field: str = "amount", minimum: int = 0) -> None:
        """Raise InvalidInput unless Stripe would charge this; `minimum` (minor units) may ask for more."""
        least = max(minimum, minimum_minor(self.currency))
        if self.amount_minor < least:
            message = f"The smallest amount is {Money(least, self.currency).display()}."
            raise InvalidInput(message, field=field, code="amount_too_small")
        if self.amount_minor > MAXIMUM_MINOR:
            message = f"The largest amount is {Money(_largest(self.currency), self.currency).display()}."
            raise InvalidInput(message, field=field, code="amount_too_large")

    @property
    def decimal(self) -> Decimal:
        """Major units, exact."""
        return Decimal(self.amount_minor).scaleb(-exponent(self.currency))

    def __str__(self) -> str:
        """Major units with exactly the decimals shown for the currency: "25.00", "500", "5.120"."""
        return f"{self.decimal:.{shown_decimals(self.currency)}f}" if self._is_whole_enough() else f"{self.decimal:f}"

    def display(self, locale: str = "en_US") -> str:
        """For people: "$25.00", "¥500"."""
        decimals = shown_decimals(self.currency) if self._is_whole_enough() else exponent(self.currency)
        fraction = "." + "0" * decimals if decimals else ""
        # A pattern of our own: Babel's currency_digits are CLDR's, which are not Stripe's.
        pattern = Locale.parse(locale).currency_formats["standard"].pattern.split(";")[0]
        if unicodedata.category(get_currency_symbol(self.currency.upper(), locale=locale)[-1]) != "Sc":
            pattern = pattern.replace("¤#", "¤\N{NO-BREAK SPACE}#")  # letters stand off: “KWD 5.120”
        return format_currency(
            self.decimal,
            self.currency.upper(),
            format=pattern.replace(".00", fraction),
            locale=locale,
            currency_digits=False,
            decimal_quantization=False,
        )

    def display_short(self) -> str:
        """For a chart's axis and its marks, rounded from a thousand on: "$0", "$0.50", "$12.5K"."""
        if self.decimal >= 1000:
            short = format_compact_currency(self.decimal, self.currency.upper(), locale="en_US", fraction_digits=1)
            return short.replace(".0", "")
        text = self.display()
        whole, point, fraction = text.rpartition(".")
        return whole if point and not fraction.strip("0") else text

    def _is_whole_enough(self) -> bool:
        return self.currency not in WHOLE_UNITS_ONLY or self.amount_minor % 100 == 0


def currency_name(currency: str, locale: str = "en_US") -> str:
    return get_currency_name(currency.upper(), locale=locale)


def _largest(currency: str) -> int:
    return MAXIMUM_MINOR - MAXIMUM_MINOR % smallest_step_minor(currency)


def _too_fine(currency: str) -> str:
    decimals = shown_decimals(currency)
    code = currency.upper()
    if decimals == 0:
        return f"Amounts in {code} are whole numbers."
    if decimals == 3:
        return f"Amounts in {code} have at most two decimals (a third must be 0)."
    return f"Amounts in {code} have at most {decimals} decimals."
