"""Serializers that refuse what they do not know, so that a mistyped field is an error and not a surprise."""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses unknown fields by name."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(str(name) for name in set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError(
                    {name: serializers.ErrorDetail("This field is not known here.", code="unknown_field") for name in unknown}
                )
        return super().to_internal_value(data)


def refuse_control_characters(value: str) -> None:
    """Text of people: line breaks and tabs are fine, other control and formatting characters are not."""
    for character in value:
        if unicodedata.category(character) in {"Cc", "Cs", "Co", "Cn"} and character not in "\n\r\t":
            raise serializers.ValidationError("Control characters are not allowed.", code="control_characters")
        if character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":  # they reorder what others read
            raise serializers.ValidationError("Text direction overrides are not allowed.", code="control_characters")


def refuse_line_breaks(value: str) -> None:
    if len(value.splitlines()) > 1:
        raise serializers.ValidationError("Write it on one line.", code="several_lines")


class PersonsTextField(serializers.CharField):
    """A line (or, with `paragraphs`, more) that a person wrote: trimmed, bounded, without control characters."""

    def __init__(self, *, paragraphs: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault("allow_blank", True)
        super().__init__(**kwargs)
        self.validators.append(refuse_control_characters)
        if not paragraphs:
            self.validators.append(refuse_line_breaks)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class PayersAddressField(serializers.EmailField):
    """In lower case, as it is kept, before its length is judged: "İ" becomes two characters."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).lower()


class ExactNumberField(serializers.Field[Any, Any, Any, Any]):
    """A number or string, passed on as it was written: how fine and how large it may be is judged where it is read."""

    def to_internal_value(self, data: Any) -> str | int | Decimal:
        if isinstance(data, bool) or not isinstance(data, str | int | Decimal):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> str:
        return str(value)


@extend_schema_field({"oneOf": [{"type": "number"}, {"type": "string", "maxLength": 20}], "example": "25.00"})
class AmountField(ExactNumberField):
    """Major units as number or string; how fine and how large is judged with the currency, in `Money.parse`."""

    default_error_messages = {"invalid": "Write the amount as a number such as 25 or 25.50."}


class ErrorSerializer(serializers.Serializer[Any]):
    """The body of every error (for the OpenAPI document)."""

    success = serializers.BooleanField(default=False)
    error = serializers.CharField(help_text="One sentence for a person.")
    code = serializers.CharField(help_text="For programs; stable.")
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()), required=False, help_text="Only for validation."
    )
