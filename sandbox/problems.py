"""Errors as Stripe words them: a status, and the body's `error` object."""

from typing import Any

DOCS = "https://stripe.com/docs/error-codes/"


class Problem(Exception):
    """Raised anywhere while a request is answered; the server turns it into Stripe's error body.

    `replayable` says whether an idempotency key remembers this answer: only once the work has begun.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        replayable: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.replayable = replayable
        fields = {"code": code, "doc_url": DOCS + code.replace("_", "-") if code else None, "message": message,
                  "param": param, "type": kind, **more}  # fmt: skip
        self.error = {name: value for name, value in fields.items() if value is not None}


def missing_param(name: str) -> Problem:
    return Problem(f"Missing required param: {name}.", code="parameter_missing", param=name)


def unknown_param(name: str) -> Problem:
    return Problem(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def bad_param(name: str, message: str, code: str | None = None) -> Problem:
    return Problem(message, code=code, param=name)


def no_such(kind: str, key: str, *, param: str = "id", status: int = 404) -> Problem:
    """What Stripe says of an unknown id: 404 when it stands in the path, 400 when it is a parameter."""
    return Problem(f"No such {kind}: '{key}'", status=status, code="resource_missing", param=param)


def unsupported(name: str) -> Problem:
    """Stripe knows this parameter; the sandbox would have to ignore it, and money would come out wrong."""
    return Problem(f"The sandbox does not implement '{name}'; Stripe does.", code="sandbox_unsupported", param=name)
