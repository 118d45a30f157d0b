"""The one place that knows how many decimals a currency has, and which amounts Stripe takes in it.

The table is Stripe's, not CLDR's or ISO's, which differ for RSD, LBP, MGA and others
(https://docs.stripe.com/currencies). It imports nothing, so that the environment can be judged by it at the start.
"""

from __future__ import annotations

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
