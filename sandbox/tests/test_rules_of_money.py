"""Forms and money, without a server."""

import pytest

from sandbox.forms import decode_form
from sandbox.instruments import BY_NUMBER, luhn_holds
from sandbox.money import check_charge, display, fee
from sandbox.problems import Problem


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(50, 31), (100, 33), (500, 45), (2_500, 103), (10_000, 320), (17_241, 530), (17_242, 530), (99_999_999, 2_900_030)],
)
def test_fee_is_29_per_mille_half_up_and_30(amount: int, expected: int) -> None:
    assert fee(amount) == expected


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (123_456, "usd", "$1,234.56"),
        (5, "eur", "€0.05"),
        (500, "jpy", "¥500"),
        (5_120, "kwd", "5.120 KWD"),
        (-700, "gbp", "£-7.00"),
        (10_000, "isk", "100.00 ISK"),
    ],
)
def test_amounts_read_as_their_currency_is_written(amount: int, currency: str, expected: str) -> None:
    assert display(amount, currency) == expected


@pytest.mark.parametrize(("amount", "currency"), [(50, "usd"), (30, "gbp"), (50, "jpy"), (10_000, "isk"), (5_120, "kwd")])
def test_smallest_and_fitting_amounts_can_be_charged(amount: int, currency: str) -> None:
    check_charge(amount, currency)


@pytest.mark.parametrize(("amount", "currency"), [(49, "usd"), (29, "gbp"), (0, "jpy"), (10_050, "isk"), (5_121, "kwd")])
def test_other_amounts_cannot(amount: int, currency: str) -> None:
    with pytest.raises(Problem):
        check_charge(amount, currency)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a=1&b=x+y", {"a": "1", "b": "x y"}),
        ("a[b][c]=1", {"a": {"b": {"c": "1"}}}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[1]=y&a[0]=x", {"a": ["x", "y"]}),
        ("a[][k]=1&a[][l]=2&a[][k]=3", {"a": [{"k": "1", "l": "2"}, {"k": "3"}]}),
        ("a%5B0%5D=x", {"a": ["x"]}),
    ],
)
def test_forms_are_read_with_their_brackets(text: str, expected: object) -> None:
    assert decode_form(text) == expected


@pytest.mark.parametrize("text", ["a[=1", "a=1&a[b]=2", "[x]=1"])
def test_malformed_forms_are_refused(text: str) -> None:
    with pytest.raises(Problem):
        decode_form(text)


def test_every_test_card_passes_the_check_digit() -> None:
    assert [number for number in BY_NUMBER if number.isdigit() and not luhn_holds(number)] == []
