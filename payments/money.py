"""Money: minor units and a currency. The one place that knows how many decimals a currency has.

The table is Stripe's, not CLDR's or ISO's, which differ for RSD, LBP, MGA and others
(https://docs.stripe.com/currencies). A library serves for names and symbols only.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from babel.core import Locale
from babel.numbers import format_currency, get_currency_name, get_currency_symbol

from conventions.errors import InvalidInput

ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())
# Sent to Stripe with two decimals that must be zero: shown, and accepted, without any.
WHOLE_UNITS_ONLY = frozenset({"isk", "ugx"})

CURRENCIES = (
    frozenset(
        """
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc
    cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes kgs khr kyd
    kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php
    pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah usd uyu uzs
    wst xcd xcg yer zar zmw
    """.split()
    )
    | ZERO_DECIMAL
    | THREE_DECIMAL
    | WHOLE_UNITS_ONLY
)

# https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts; a currency not listed is checked for more
# than zero, and Stripe's own amount_too_small is passed on.
MINIMUM_MINOR = {
    "usd": 50, "aed": 200, "ars": 50, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "cop": 50, "czk": 1500, "dkk": 250,
    "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "idr": 50, "ils": 50, "inr": 50, "jpy": 50, "krw": 50, "mxn": 1000,
    "myr": 200, "nok": 300, "nzd": 50, "php": 50, "pln": 200, "ron": 200, "rub": 50, "sek": 300, "sgd": 50, "thb": 1000,
    "zar": 50,
}  # fmt: skip
MAXIMUM_MINOR = 99_999_999  # eight digits, whatever the currency


def exponent(currency: str) -> int:
    """Decimals between major and minor unit as Stripe counts them: 0, 2 or 3."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def shown_decimals(currency: str) -> int:
    """Decimals that people see and may write: as `exponent`, but none for ISK and UGX."""
    return 0 if currency in WHOLE_UNITS_ONLY else exponent(currency)


def smallest_step_minor(currency: str) -> int:
    """Stripe charges multiples of this many minor units: 100 for ISK and UGX, 10 for three-decimal currencies."""
    if currency in WHOLE_UNITS_ONLY:
        return 100
    return 10 if currency in THREE_DECIMAL else 1


def minimum_minor(currency: str) -> int:
    return MINIMUM_MINOR.get(currency, smallest_step_minor(currency))


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
