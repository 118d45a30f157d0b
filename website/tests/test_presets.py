from __future__ import annotations

import pytest

from payments.money import CURRENCIES, Money
from website.presets import presets


@pytest.mark.parametrize(
    ("currency", "least", "labels"),
    [
        ("usd", 0, ["$5", "$10", "$20", "$50", "$100"]),
        ("usd", 2_000, ["$20", "$40", "$80", "$200", "$400"]),
        ("eur", 0, ["€5", "€10", "€20", "€50", "€100"]),
        ("jpy", 0, ["¥500", "¥1,000", "¥2,000", "¥5,000", "¥10,000"]),
        ("inr", 0, ["₹250", "₹500", "₹1,000", "₹2,500", "₹5,000"]),
        ("usd", 99_999_999, []),
    ],
)
def test_presets_suit_currency_and_minimum(currency, least, labels):
    assert [preset.label for preset in presets(currency, least_minor=least)] == labels


@pytest.mark.parametrize("currency", sorted(CURRENCIES))
def test_every_preset_can_be_charged(currency):
    offered = presets(currency)

    assert len(offered) == 5
    for preset in offered:
        Money.parse(preset.amount, currency).check_chargeable()
