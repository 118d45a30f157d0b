"""The nested form encoding is read as Stripe reads it."""

import pytest

from tests.contract.form import Form, FormError, read_form


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], {}),
        ([("amount", "5"), ("currency", "usd")], {"amount": "5", "currency": "usd"}),
        ([("card[number]", "4"), ("card[cvc]", "")], {"card": {"number": "4", "cvc": ""}}),
        ([("expand[]", "a"), ("expand[]", "b")], {"expand": {"0": "a", "1": "b"}}),
        ([("items[1][price]", "p"), ("items[0][price]", "q")], {"items": {"1": {"price": "p"}, "0": {"price": "q"}}}),
        (
            [("items[][price]", "p"), ("items[][quantity]", "1"), ("items[][price]", "q")],
            {"items": {"0": {"price": "p", "quantity": "1"}, "1": {"price": "q"}}},
        ),
        ([("metadata[order id]", "7")], {"metadata": {"order id": "7"}}),
    ],
)
def test_pairs_are_nested_by_their_brackets(pairs: list[tuple[str, str]], expected: dict[str, Form]) -> None:
    assert read_form(pairs) == expected


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["card[number"], "card[number: malformed parameter name"),
        (["[number]"], "[number]: malformed parameter name"),
        (["card[number]x"], "card[number]x: malformed parameter name"),
        (["amount", "amount"], "amount: given twice"),
        (["card", "card[number]"], "card[number]: given both as a value and as a hash"),
        (["card[number]", "card"], "card: given twice"),
    ],
)
def test_keys_that_contradict_are_refused(keys: list[str], message: str) -> None:
    with pytest.raises(FormError) as caught:
        read_form([(key, "x") for key in keys])
    assert str(caught.value) == message
