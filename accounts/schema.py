"""How the OpenAPI document shows log-ins, refusals, and the one DELETE that takes a body."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from conventions.serializers import ErrorSerializer

RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    OpenApiTypes.INT,
    OpenApiParameter.HEADER,
    description="Seconds until the next try may succeed.",
    response=[429],
)
REFUSALS = {
    400: "The body is not valid; `fields` says where.",
    401: "No valid token or log-in.",
    403: "A session without its CSRF token.",
    409: "The state of things does not allow it.",
    429: "Too many requests.",
}
WHO_ASKS = (401, 403, 429)


def refusals(*codes: int, **meaning: str) -> dict[int, OpenApiResponse]:
    """Error answers of a route; `_401="…"` says more about one."""
    return {code: OpenApiResponse(ErrorSerializer, description=meaning.get(f"_{code}", REFUSALS[code])) for code in sorted(codes)}


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # __init_subclass__ of the library
    target_class = "accounts.authentication.BearerAuthentication"
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class SchemaWithDeleteBody(AutoSchema):
    """drf-spectacular leaves the body of DELETE out of the document."""

    def _get_request_body(self, direction: str = "request") -> Any:
        method, self.method = self.method, "POST" if self.method == "DELETE" else self.method
        try:
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        finally:
            self.method = method
