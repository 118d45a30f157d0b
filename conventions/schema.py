"""What the OpenAPI document must say of our conventions."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension


class StrictBodies(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # the library's __init_subclass__
    """A StrictSerializer refuses fields that it does not know."""

    target_class = "conventions.serializers.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        mapped = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**mapped, "additionalProperties": False}
