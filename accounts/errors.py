"""Refusals of the accounts operations; conventions/errors.py renders them."""

from __future__ import annotations

from http import HTTPStatus

from conventions.errors import Conflict, DomainError, NotFound


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
    """`holding` says what would be nobody's: "a wallet with €5.00"."""

    code = "sole_owner"

    def __init__(self, organization: str, *, holding: str = "") -> None:
        which = f"{organization}, which has {holding}" if holding else organization
        super().__init__(f"You are the only owner of {which}. Make another member its owner first.")


class NotAnAdmin(DomainError):
    """Told to members only; to a stranger the organization does not exist."""

    code = "not_an_admin"
    status = HTTPStatus.FORBIDDEN

    def __init__(self) -> None:
        super().__init__("Only owners and admins of the organization may do this.")


class OwnerNeeded(DomainError):
    """Admins manage members; otherwise an admin could make themselves or their friends owners."""

    code = "owner_needed"
    status = HTTPStatus.FORBIDDEN

    def __init__(self) -> None:
        super().__init__("Only an owner makes, changes or removes owners and admins.")


class LastOwner(Conflict):
    code = "last_owner"

    def __init__(self) -> None:
        super().__init__("An organization always has an owner. Make another member its owner first.")


class TooMany(Conflict):
    """A bound of ours, which says what it is: `too_many_organizations`, `too_many_members`."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class AlreadyMember(Conflict):
    code = "already_member"

    def __init__(self) -> None:
        super().__init__("This address belongs to a member already.")


class InvitedJustNow(DomainError):
    """Each invitation sends a mail, so that asking again and again must not."""

    code = "invited_just_now"
    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, *, retry_after_s: int) -> None:
        super().__init__("This address was invited a moment ago. Wait a minute before you send another mail.")
        self.retry_after_s = retry_after_s


class AddressNotProved(DomainError):
    code = "address_not_proved"
    status = HTTPStatus.FORBIDDEN

    def __init__(self) -> None:
        super().__init__("Confirm your e-mail address first, by the link that we sent you.")


class InvitationNotFound(NotFound):
    """One answer for a token that never was, was withdrawn, has expired or was replaced by a newer mail's."""

    code = "invitation_not_found"

    def __init__(self) -> None:
        super().__init__("This invitation is not valid any more. Ask for a new one.")


class InvitationForAnother(DomainError):
    code = "invitation_for_another"
    status = HTTPStatus.FORBIDDEN

    def __init__(self) -> None:
        super().__init__("This invitation was sent to another address. Log in with the account of that address.")
