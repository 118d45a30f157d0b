"""Currencies: their exponents, minimum charges and odd rules, and amounts as people read them. Integers only.

Source: docs.stripe.com/currencies (zero-decimal, three-decimal, special cases, minimum charge amounts).
"""

from fractions import Fraction

from sandbox.problems import Problem

ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())
HUNDREDS_ONLY = frozenset({"isk", "ugx"})  # sent with two decimals that must be 00
MINIMUM = {
    "usd": 50, "aed": 200, "ars": 50, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "cop": 50, "czk": 1500, "dkk": 250,
    "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "idr": 50, "ils": 50, "inr": 50, "jpy": 50, "krw": 50, "mxn": 1000,
    "myr": 200, "nok": 300, "nzd": 50, "php": 50, "pln": 200, "ron": 200, "rub": 50, "sek": 300, "sgd": 50, "thb": 1000,
    "zar": 50,
}  # fmt: skip
OTHERS = frozenset(
    "afn all amd ang aoa awg azn bam bbd bdt bgn bmd bnd bob bsd bwp byn bzd cdf cny crc cve dop dzd egp etb fjd fkp "
    "gel gip gmd gtq gyd hnl htg jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mzn "
    "nad ngn nio npr pab pen pgk pkr qar rsd sar sbd scr shp sle sos srd std szl tjs top try ttd twd tzs uah uyu uzs "
    "wst xcd xcg yer zmw".split()
)
CURRENCIES = frozenset(MINIMUM) | ZERO_DECIMAL | THREE_DECIMAL | HUNDREDS_ONLY | OTHERS
MAXIMUM = 99_999_999
SIGNS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "cad": "CA$", "aud": "A$", "inr": "₹", "brl": "R$", "krw": "₩"}

FEE_PER_MILLE, FEE_FIXED = 29, 30


def exponent(currency: str) -> int:
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def display(amount: int, currency: str) -> str:
    """1234, "usd" -> "$12.34"; 5120, "kwd" -> "5.120 KWD"."""
    digits = exponent(currency)
    whole, rest = divmod(abs(amount), 10**digits)
    number = ("-" if amount < 0 else "") + f"{whole:,}" + (f".{rest:0{digits}d}" if digits else "")
    return f"{SIGNS[currency]}{number}" if currency in SIGNS else f"{number} {currency.upper()}"


def fee(amount: int) -> int:
    """2.9 % + 30 minor units, rounded half up."""
    return (amount * FEE_PER_MILLE + 500) // 1000 + FEE_FIXED


# What a unit of a currency is worth in dollars, as it never changes here; a currency that is not listed is worth one.
IN_DOLLARS = {"eur": "1.1", "gbp": "1.27", "jpy": "0.0065", "chf": "1.15", "cad": "0.73", "aud": "0.66", "kwd": "3.26",
              "sek": "0.095", "inr": "0.012", "brl": "0.18"}  # fmt: skip


def converted(amount: int, currency: str, into: str) -> tuple[int, float]:
    """The amount in minor units of the other currency, half up, and Stripe's `exchange_rate`, of major units."""
    rate = Fraction(IN_DOLLARS.get(currency, "1")) / Fraction(IN_DOLLARS.get(into, "1"))
    exact = abs(amount) * rate * Fraction(10) ** (exponent(into) - exponent(currency))
    whole = int(exact + Fraction(1, 2))
    return (whole if amount >= 0 else -whole), round(float(rate), 6)


def read_currency(currency: str, *, param: str = "currency") -> str:
    lowered = currency.lower()
    if lowered not in CURRENCIES:
        raise Problem(
            f"Invalid currency: {lowered}. Stripe currently supports these currencies: " + ", ".join(sorted(CURRENCIES)),
            param=param,
        )
    return lowered


def check_representable(amount: int, currency: str, *, param: str = "amount") -> None:
    if currency in HUNDREDS_ONLY and amount % 100:
        raise Problem(
            f"Amounts in {currency.upper()} must be a multiple of 100: the currency has no decimals.",
            code="invalid_charge_amount_no_decimal_compatible",
            param=param,
        )
    if currency in THREE_DECIMAL and amount % 10:
        raise Problem(f"Amounts in {currency.upper()} must have 0 as their last digit.", param=param)


def check_charge(amount: int, currency: str, *, param: str = "amount") -> None:
    """Refuse what Stripe could not charge."""
    if amount < 1:
        raise Problem(
            f"This value must be greater than or equal to 1 (it currently is '{amount}').",
            code="parameter_invalid_integer",
            param=param,
        )
    if amount > MAXIMUM:
        raise Problem(f"Amount must be no more than {display(MAXIMUM, currency)}", code="amount_too_large", param=param)
    check_representable(amount, currency, param=param)
    smallest = MINIMUM.get(currency, 1)
    if amount < smallest:
        raise Problem(
            f"Amount must be at least {display(smallest, currency)} {currency}",
            code="amount_too_small",
            param=param,
        )
