"""Taking out of texts what must not be in logs or reports: secrets, card numbers, people's addresses.

It is the last net. No code of ours logs such a thing on purpose, but messages of other systems, tracebacks and
mistakes do. Every pattern is bounded, so that a long text costs time in proportion to its length.
"""

from __future__ import annotations

import re
from typing import Any

LONGEST = 20_000  # characters of one text; the rest of it is cut
LONGEST_NUMBER = 1000  # digits
DEEPEST = 20  # levels of a nested value

# What a secret is called, its last word at least (refresh_token, DB_PASSWORD), and what stands before its value: quotes,
# which are escaped in a text within a text.
_NAMED = (
    r"(?i)((?:secret|secret_key|password|passwd|passphrase|api[_-]?key|sessionid|csrftoken|token)"
    r"(?:\\{0,7}['\"]){0,2}\s{0,2}(?:=>|[:=])\s{0,2}"
)
_SECRETS = [
    # Stripe's keys and webhook secrets, whole or shortened by Stripe itself.
    (re.compile(r"((?:sk|rk|pk|ek)_(?:[a-z]{1,10}_)?(?:test|live)_)[A-Za-z0-9*_]+"), r"\1***"),
    (re.compile(r"(whsec_)[A-Za-z0-9*_+/=-]+"), r"\1***"),
    # The token of a Telegram bot, which is part of every address that the bot asks.
    (re.compile(r"(?a)(?<!\d)(\d{6,20}:)[A-Za-z0-9_-]{30,100}"), r"\1***"),
    # Client secrets: with one, a stranger can confirm the payment.
    (re.compile(r"\b((?:pi|seti|cs|src)_[A-Za-z0-9]{1,100}(?:_[A-Za-z0-9]{1,100})?_secret_)[A-Za-z0-9]+"), r"\1***"),
    (re.compile(r"(?i)\b((?:authorization|cookie|stripe-signature)(?:\\{0,7}['\"]){0,2}\s{0,2}[:=]\s{0,2})[^\n]+"), r"\1***"),
    # The value by its name: in quotes whole, spaces and all; in escaped quotes; or one word.
    (re.compile(_NAMED + r"[bru]{0,2})(['\"])(?:\\.|(?!\2)[^\\\n])+"), r"\1\2***"),
    (re.compile(_NAMED + r")(\\{1,7}['\"])(?:(?!\2)[^\n])+"), r"\1\2***"),
    (re.compile(_NAMED + r")[^\s'\"\\&,;)}\]]+"), r"\1***"),
    (re.compile(r"(?i)\b((?:Bearer|Basic)\s{1,2})[A-Za-z0-9._~+/=:-]{4,}"), r"\1***"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), "***"),
    (re.compile(r"([?&](?:token|code|key|uid|signature|secret)=)[^&\s'\"#]+"), r"\1***"),
    # postgres://user:password@host
    (re.compile(r"(://[^\s:/@]{0,100}:)[^\s/@]{1,200}@"), r"\1***@"),
    # PostgreSQL quotes the row that it refused, which may be of several lines.
    (re.compile(r"(?s)(Failing row contains \().{0,4000}?(?:\)(?=\.?\s{0,2}(?:\n|$))|$)"), r"\1***)"),
]
_EMAIL = re.compile(r"(\w)[\w.%+!#$&*?^{|}~'-]{0,63}@(?=[\w-])")
_DIGITS = re.compile(r"\d(?:[ .-]?\d){12,}")
# How the numbers of each card network begin, by how many digits they have.
_BEGINS = {
    13: re.compile("4"),
    14: re.compile("3(?:0[0-5]|[689])"),
    15: re.compile("3[47]"),
    16: re.compile("4|5[0-8]|2[2-7]|6|3[05]"),
    17: re.compile("62"),
    18: re.compile("62"),
    19: re.compile("4|6"),
}
_OBSOLETE = 13  # so old a number is looked for only where it stands alone


def scrubbed(text: str) -> str:
    """The text without secrets and card numbers, its e-mail addresses masked (a***@example.org)."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} … and {len(text) - LONGEST} characters more"
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    if "@" in text:
        text = _EMAIL.sub(r"\1***@", text)
    return _DIGITS.sub(_masked_cards, text)


def scrubbed_value(value: Any, depth: int = 0) -> Any:
    """The same for every text within lists, tuples and dictionaries, keys excepted."""
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, dict):
        return {} if depth >= DEEPEST else {key: _of_key(key, inner, depth) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [] if depth >= DEEPEST else [scrubbed_value(inner, depth + 1) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 10**LONGEST_NUMBER:
            return "***"
        text = scrubbed(str(value))
        return value if text == str(value) else text
    if value is None or isinstance(value, bool | float):
        return value
    return scrubbed(str(value))


SECRET_NAMES = re.compile(r"(?i)secret|password|passwd|authorization|cookie|csrf|session_?key|token|api_?key|signature|dsn")


def _of_key(key: Any, value: Any, depth: int) -> Any:
    if isinstance(key, str) and SECRET_NAMES.search(key) and value:
        return "***"
    return scrubbed_value(value, depth + 1)


def _masked_cards(found: re.Match[str]) -> str:
    """Only what a card number can be, though it stands beside other digits (a date, a counter, an expiry)."""
    text = found[0]
    places = [place for place, character in enumerate(text) if character.isdigit()]
    digits = "".join(text[place] for place in places)
    starts = {place for place, at in enumerate(places) if at == 0 or not text[at - 1].isdigit()}
    ends = {place + 1 for place, at in enumerate(places) if at + 1 == len(text) or not text[at + 1].isdigit()}
    windows = _cards(digits)
    alone = _joined([(start, end) for start, end in windows if start in starts and end in ends])
    taken = {place for start, end in alone for place in range(start, end)}
    within = [span for span in windows if span[1] - span[0] != _OBSOLETE and taken.isdisjoint(range(*span))]
    spans = sorted([*alone, *_joined(within)])
    parts, reached = [], 0
    for start, end in spans:
        parts += [text[reached : places[start]], f"****{digits[end - 4 : end]}"]
        reached = places[end - 1] + 1
    return "".join([*parts, text[reached:]])


def _cards(digits: str) -> list[tuple[int, int]]:
    """Every stretch that begins as a card number does and passes the check that all of them pass (Luhn's)."""
    return [
        (start, start + length)
        for start in range(len(digits))
        for length, begins in _BEGINS.items()
        if start + length <= len(digits) and begins.match(digits, start) and _passes(digits[start : start + length])
    ]


def _passes(digits: str) -> bool:
    doubled = "0246813579"  # what twice a digit adds: the sum of its own digits
    return sum(int(doubled[int(d)]) if place % 2 else int(d) for place, d in enumerate(reversed(digits))) % 10 == 0


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches that overlap, as one: none of what may be a number is left."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start < joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
