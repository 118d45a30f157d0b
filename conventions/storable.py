"""Text from outside as every database can hold it."""

from __future__ import annotations


def storable(text: str, longest: int) -> str:
    """At most `longest` characters of the text, without what no database text holds (null characters, lone surrogates):
    an odd name or an odd error must not keep what it comes with out of the books."""
    return text.encode("utf-8", "ignore").decode().replace("\x00", "")[:longest]
