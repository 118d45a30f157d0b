"""Numbers in words, as the back office writes them."""

from __future__ import annotations

from datetime import date

import pytest

from conventions.admin_showing import breakable, counted, day_of_month, share


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(0, 0, "–"), (1, 3, "33.3 %"), (2, 3, "66.7 %"), (3, 3, "100.0 %"), (0, 5, "0.0 %")]
)
def test_shares_are_rounded_from_whole_numbers(part: int, whole: int, text: str) -> None:
    assert share(part, whole) == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 gifts"), (1, "1 gift"), (2000, "2,000 gifts")])
def test_one_is_counted_as_one(number: int, text: str) -> None:
    assert counted(number, "gift") == text


def test_a_day_is_short_and_names_its_month() -> None:
    assert day_of_month(date(2026, 11, 3)) == "3 Nov"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("ada.b@example.org", "ada.<wbr>b@<wbr>example.<wbr>org"),
        ("invoice_payment.paid", "invoice_<wbr>payment.<wbr>paid"),
        ("–", "–"),
        ("<b>@x", "&lt;b&gt;@<wbr>x"),
    ],
)
def test_a_long_word_breaks_after_its_marks_only_and_is_escaped(text: str, html: str) -> None:
    assert breakable(text) == html
