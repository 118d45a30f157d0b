"""Refusals of the accounts operations; conventions/errors.py renders them."""

from __future__ import annotations

from http import HTTPStatus

from conventions.errors import Conflict, DomainError


class InvalidCredentials(DomainError):
    """One answer for an unknown address, a wrong password and a closed account."""

    code = "invalid_credentials"
    status = HTTPStatus.UNAUTHORIZED

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is not right.")


class RefreshRefused(DomainError):
    """The refresh token is expired, used, revoked or not ours: log in again."""

    status = HTTPStatus.UNAUTHORIZED

    def __init__(self, *, expired: bool = False) -> None:
        self.code = "token_expired" if expired else "token_invalid"
        super().__init__("Your log-in has expired. Please log in again." if expired else "Please log in again.")


class LinkRefused(DomainError):
    """The token of a mailed link is expired, used or not ours: ask for a new link."""

    def __init__(self, *, expired: bool = False) -> None:
        self.code = "token_expired" if expired else "token_invalid"
        message = "This link has expired. Please ask for a new one."
        if not expired:
            message = "This link is not valid or was used before. Please ask for a new one."
        super().__init__(message, fields={"token": [message]})


class WeakPassword(DomainError):
    code = "weak_password"

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(reasons[0], fields={"password": reasons})


class WrongPassword(DomainError):
    """Asked of somebody who is logged in; a 401 would tell the client that the log-in is gone."""

    code = "wrong_password"
    status = HTTPStatus.FORBIDDEN

    def __init__(self) -> None:
        super().__init__("The password is not right.", fields={"password": ["The password is not right."]})


class SoleOwner(Conflict):
    code = "sole_owner"

    def __init__(self, organization: str) -> None:
        super().__init__(f"You are the only owner of {organization}. Make another member its owner first.")
