"""What the OpenAPI document must say of our conventions."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework import serializers

from conventions.serializers import ErrorSerializer

CURSOR = OpenApiParameter("cursor", str, description="From `next` or `previous`.")
PAGE_SIZE = OpenApiParameter("page_size", {"type": "integer", "minimum": 1, "maximum": 100}, description="Rows a page.")
RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    OpenApiTypes.INT,
    OpenApiParameter.HEADER,
    description="Seconds until the next try may succeed.",
    response=[429],
)
REFUSALS = {
    400: "What was sent is not valid; `fields` says where.",
    401: "No valid token or log-in.",
    403: "A session without its CSRF token.",
    402: "The card was declined; `decline_code` says why.",
    404: "There is no such thing, or not for who asks.",
    409: "The state of things does not allow it.",
    422: "The Idempotency-Key was used with another body.",
    429: "Too many requests.",
    502: "Stripe cannot be reached or failed; the same request may be sent again.",
    504: "Stripe did not answer in time; the same request may be sent again.",
}
WHO_ASKS = (401, 403, 429)


def refusals(*codes: int, **meaning: str) -> dict[int, OpenApiResponse]:
    """Error answers of a route; `_401="…"` says more about one."""
    return {code: OpenApiResponse(ErrorSerializer, description=meaning.get(f"_{code}", REFUSALS[code])) for code in sorted(codes)}


def paged(row: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """A cursor page of `row`s."""
    fields: dict[str, serializers.Field[Any, Any, Any, Any]] = {
        "next": serializers.URLField(allow_null=True, help_text="The page after this one."),
        "previous": serializers.URLField(allow_null=True),
        "results": row(many=True),
    }
    return inline_serializer(f"PageOf{row.__name__.removesuffix('Serializer')}", fields)


class StrictBodies(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # the library's __init_subclass__
    """A StrictSerializer refuses fields that it does not know."""

    target_class = "conventions.serializers.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        mapped = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**mapped, "additionalProperties": False}
