"""Money: what may be written, what it is in minor units, and how it is shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conventions.errors import InvalidInput
from payments.money import (
    CURRENCIES,
    MAXIMUM_MINOR,
    MINIMUM_MINOR,
    Money,
    check_currency,
    currency_name,
    exponent,
    minimum_minor,
    shown_decimals,
    smallest_step_minor,
)

# https://docs.stripe.com/currencies
ZERO = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()
THREE = "bhd jod kwd omr tnd".split()
TWO = sorted(CURRENCIES - set(ZERO) - set(THREE))
MINIMA = {
    "usd": 50, "aed": 200, "ars": 50, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "cop": 50, "czk": 1500, "dkk": 250,
    "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "idr": 50, "ils": 50, "inr": 50, "jpy": 50, "krw": 50, "mxn": 1000,
    "myr": 200, "nok": 300, "nzd": 50, "php": 50, "pln": 200, "ron": 200, "rub": 50, "sek": 300, "sgd": 50, "thb": 1000,
    "zar": 50,
}  # fmt: skip


def refusal(value: Any, currency: str = "usd") -> tuple[str, dict[str, list[str]] | None]:
    with pytest.raises(InvalidInput) as caught:
        Money.parse(value, currency).check_chargeable()
    return caught.value.code, caught.value.fields


@pytest.mark.parametrize("currency", ZERO)
def test_zero_decimal_currencies_have_no_minor_unit(currency: str) -> None:
    assert (exponent(currency), shown_decimals(currency), smallest_step_minor(currency)) == (0, 0, 1)
    assert Money.parse("500", currency) == Money(500, currency)
    assert str(Money(500, currency)) == "500"
    assert refusal("500.5", currency)[0] == "amount_too_precise"


@pytest.mark.parametrize("currency", THREE)
def test_three_decimal_currencies_end_in_zero(currency: str) -> None:
    assert (exponent(currency), shown_decimals(currency), smallest_step_minor(currency)) == (3, 3, 10)
    assert Money.parse("5.12", currency) == Money.parse("5.120", currency) == Money(5120, currency)
    assert str(Money(5120, currency)) == "5.120"
    code, fields = refusal("5.124", currency)
    assert code == "amount_too_precise"
    assert fields == {"amount": [f"Amounts in {currency.upper()} have at most two decimals (a third must be 0)."]}


@pytest.mark.parametrize("currency", ["isk", "ugx"])
def test_whole_unit_currencies_are_sent_as_hundreds(currency: str) -> None:
    assert (exponent(currency), shown_decimals(currency), smallest_step_minor(currency)) == (2, 0, 100)
    assert Money.parse("500", currency) == Money.parse("500.00", currency) == Money(50000, currency)
    assert str(Money(50000, currency)) == "500"
    assert Money(50000, currency).display() == f"{currency.upper()} 500".replace(" ", "\xa0")
    assert refusal("500.50", currency) == (
        "amount_too_precise",
        {"amount": [f"Amounts in {currency.upper()} are whole numbers."]},
    )


@pytest.mark.parametrize("currency", TWO)
def test_all_other_currencies_have_two_decimals(currency: str) -> None:
    assert exponent(currency) == 2
    assert Money.parse("7000", currency) == Money(700_000, currency)


@pytest.mark.parametrize("currency", ["usd", "eur", "huf", "rsd", "lbp", "twd", "idr"])
def test_two_decimal_currencies_show_both(currency: str) -> None:
    assert Money.parse("200.5", currency) == Money(20_050, currency)
    assert str(Money(20_050, currency)) == "200.50"
    assert refusal("200.505", currency)[0] == "amount_too_precise"


@pytest.mark.parametrize(
    ("written", "minor"),
    [
        (25, 2500), ("25", 2500), ("25.5", 2550), ("25.50", 2550), (" 25.50 ", 2550), ("0.50", 50), (".5", 50),
        (Decimal("25.10"), 2510), (Decimal("19.99"), 1999), ("1e3", 100_000), (Decimal("1E+2"), 10_000), ("007", 700),
        ("25.1000", 2510), ("999999.99", 99_999_999),
    ],
)  # fmt: skip
def test_dollars_parse_exactly(written: Any, minor: int) -> None:
    money = Money.parse(written, "usd")
    money.check_chargeable()
    assert money == Money(minor, "usd")


@pytest.mark.parametrize(
    "written",
    [
        "NaN", "sNaN", "-NaN", "Infinity", "-inf", "1_000", " ", "", "٣", "²", "½", "1,000", "1.000,50", "25 50", "$25", "25usd",
        "0x10", "1e", "--5", "１２", "9" * 21, "25\x00", True, False, None, 25.5, 0.1 + 0.2, float("nan"), [], [25], {}, b"25",
    ],
)  # fmt: skip
def test_what_is_no_plain_number_is_refused(written: Any) -> None:
    assert refusal(written) == ("invalid_amount", {"amount": ["Write the amount as a number such as 25 or 25.50."]})


@pytest.mark.parametrize("written", ["5.124", "0.501", "1e-3", "0.0000000001", Decimal("25.005"), "5.1200000000001"])
def test_a_finer_amount_is_refused_and_never_rounded(written: Any) -> None:
    assert refusal(written) == ("amount_too_precise", {"amount": ["Amounts in USD have at most 2 decimals."]})


@pytest.mark.parametrize("written", ["1e-9999999", "1e-999999999", Decimal("1e-1000030")])
def test_an_amount_too_fine_for_the_arithmetic_is_refused_and_not_taken_for_zero(written: Any) -> None:
    assert refusal(written)[0] == "amount_too_precise"


@pytest.mark.parametrize("written", ["1000000000000", 10**15, "1e12", "1e300", -(10**12), "1000000", "1e9"])
def test_an_amount_too_large_is_refused(written: Any) -> None:
    assert refusal(written)[0] == "amount_too_large"


@pytest.mark.parametrize("written", ["1e9999999", "1e999999999", "-1e9999999", Decimal("1e9999999")])
def test_an_amount_too_large_for_the_arithmetic_is_refused_and_no_error_of_ours(written: Any) -> None:
    assert refusal(written)[0] == "amount_too_large"


@pytest.mark.parametrize("written", ["-5", -5, Decimal("-0.50"), "-0.00", 0, "0", "0.49"])
def test_negative_amounts_and_amounts_below_the_minimum_are_refused(written: Any) -> None:
    assert refusal(written) == ("amount_too_small", {"amount": ["The smallest amount is $0.50."]})


@pytest.mark.parametrize("currency", sorted(MINIMA))
def test_the_minimum_is_stripes(currency: str) -> None:
    Money(MINIMA[currency], currency).check_chargeable()
    with pytest.raises(InvalidInput) as caught:
        Money(MINIMA[currency] - smallest_step_minor(currency), currency).check_chargeable()
    assert caught.value.code == "amount_too_small"
    assert MINIMUM_MINOR[currency] == MINIMA[currency]


@pytest.mark.parametrize("currency", sorted(CURRENCIES - set(MINIMA)))
def test_a_currency_whose_minimum_is_not_known_takes_anything_above_zero(currency: str) -> None:
    assert minimum_minor(currency) == smallest_step_minor(currency)
    Money(smallest_step_minor(currency), currency).check_chargeable()
    with pytest.raises(InvalidInput, match="The smallest amount is"):
        Money(0, currency).check_chargeable()


def test_a_campaigns_own_minimum_may_ask_for_more_but_not_for_less() -> None:
    Money(500, "usd").check_chargeable(minimum=500)
    with pytest.raises(InvalidInput, match=r"The smallest amount is \$5\.00\."):
        Money(499, "usd").check_chargeable(minimum=500)
    with pytest.raises(InvalidInput, match=r"The smallest amount is \$0\.50\."):
        Money(49, "usd").check_chargeable(minimum=10)


@pytest.mark.parametrize(("currency", "largest"), [("usd", "$999,999.99"), ("jpy", "¥99,999,999"), ("isk", "ISK\xa0999,999")])
def test_the_maximum_is_eight_digits_and_named_as_it_can_be_paid(currency: str, largest: str) -> None:
    Money(MAXIMUM_MINOR - MAXIMUM_MINOR % smallest_step_minor(currency), currency).check_chargeable()
    with pytest.raises(InvalidInput) as caught:
        Money(MAXIMUM_MINOR + 1, currency).check_chargeable()
    assert (caught.value.code, caught.value.message) == ("amount_too_large", f"The largest amount is {largest}.")


@pytest.mark.parametrize(
    ("money", "locale", "shown"),
    [
        (Money(2500, "usd"), "en_US", "$25.00"),
        (Money(123_456, "eur"), "de_DE", "1.234,56\xa0€"),
        (Money(500, "jpy"), "en_US", "¥500"),
        (Money(5120, "kwd"), "en_US", "KWD\xa05.120"),
        (Money(20_050, "huf"), "en_US", "HUF\xa0200.50"),
        (Money(20_000, "rsd"), "en_US", "RSD\xa0200.00"),
        (Money(20_000, "lbp"), "en_US", "LBP\xa0200.00"),
        (Money(20_000, "mga"), "en_US", "MGA\xa020,000"),
        (Money(-700, "usd"), "en_US", "-$7.00"),
        (Money(50_050, "isk"), "en_US", "ISK\xa0500.50"),
    ],
)
def test_display_has_stripes_decimals_in_every_locale(money: Money, locale: str, shown: str) -> None:
    assert money.display(locale) == shown


def test_an_amount_that_stripe_sent_with_a_fraction_of_a_whole_unit_is_shown_and_not_hidden() -> None:
    assert str(Money(50_050, "isk")) == "500.50"


chargeable = st.sampled_from(sorted(CURRENCIES)).flatmap(
    lambda currency: st.builds(
        Money,
        st.integers(1, MAXIMUM_MINOR // smallest_step_minor(currency)).map(lambda n: n * smallest_step_minor(currency)),
        st.just(currency),
    )
)


@given(chargeable)
def test_what_is_written_out_reads_back_the_same(money: Money) -> None:
    assert Money.parse(str(money), money.currency) == money
    assert Money.parse(money.decimal, money.currency) == money


@given(chargeable)
def test_display_holds_the_digits_that_str_writes(money: Money) -> None:
    digits = "".join(c for c in money.display() if c.isdigit() or c == ".")
    assert digits.lstrip(".") == str(money)  # some symbols end with a full stop


def reading(text: str, currency: str) -> Decimal | str:
    try:
        return Money.parse(text, currency).decimal
    except InvalidInput as error:
        return error.code


@given(
    st.text(max_size=25) | st.from_regex(r"[+-]?[0-9]{1,12}(\.[0-9]{0,4})?(e[+-]?[0-9])?", fullmatch=True), st.sampled_from(TWO)
)
def test_any_text_is_either_exact_money_or_refused_by_name(text: str, currency: str) -> None:
    read = reading(text, currency)
    assert read in {"invalid_amount", "amount_too_large", "amount_too_precise"} or read == Decimal(text.strip())


@pytest.mark.parametrize("code", ["usd", "USD", "Usd"])
def test_currency_codes_are_read_in_any_case(code: str) -> None:
    assert check_currency(code) == "usd"


@pytest.mark.parametrize("code", ["", "xxx", "btc", "us", "usdd", "us$", "\x00\x00\x00", "USD ", "ХХХ"])
def test_unknown_currencies_are_refused_by_name(code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_currency(code)
    assert caught.value.code == "unknown_currency"
    assert caught.value.fields == {"currency": [f"{code!r} is not a currency that can be charged."]}


def test_currency_names_are_for_people() -> None:
    assert currency_name("usd") == "US Dollar"


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(0, "usd", "$0"), (50_000, "usd", "$500"), (50, "usd", "$0.50"), (1_250_000, "usd", "$12.5K"), (2000, "jpy", "¥2K")],
)
def test_amounts_on_an_axis_are_short(minor: int, currency: str, text: str) -> None:
    assert Money(minor, currency).display_short() == text
