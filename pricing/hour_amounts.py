"""Hours as whole hundredths, so that they add up exactly on every database, and as people write them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from conventions.errors import InvalidInput

MOST_HUNDREDTHS = 1_000_000


def hours_text(hundredths: int) -> str:
    """ "5.00" for 500."""
    sign = "-" if hundredths < 0 else ""
    whole, rest = divmod(abs(hundredths), 100)
    return f"{sign}{whole}.{rest:02d}"


def parse_hours(value: str | int | Decimal, *, field: str = "hours") -> int:
    """Hundredths of an hour from what a person or program wrote; refused, never rounded, when finer."""
    problem = InvalidInput("Write hours as a number such as 1 or 1.25.", field=field, code="invalid_hours")
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise problem
    text = str(value).strip()
    try:
        hours = Decimal(text)
    except InvalidOperation:
        raise problem from None
    if len(text) > 20 or not text.isascii() or "_" in text or not hours.is_finite() or hours.adjusted() > 8:
        raise problem
    if hours and hours.adjusted() < -8:
        raise InvalidInput("Hours have at most two decimals.", field=field, code="hours_too_precise")
    hundredths = hours.scaleb(2)
    if hundredths != hundredths.to_integral_value():
        raise InvalidInput("Hours have at most two decimals.", field=field, code="hours_too_precise")
    if not 0 < hundredths <= MOST_HUNDREDTHS:
        raise InvalidInput("Hours must be more than 0 and at most 10,000.", field=field, code="hours_out_of_range")
    return int(hundredths)
