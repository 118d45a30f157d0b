"""Forgotten passwords, and what a password must be."""

from __future__ import annotations

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import links, mailing
from accounts.errors import WeakPassword
from accounts.models import User
from accounts.signing_in import revoke_all_tokens


def refuse_weak_password(password: str, user: User) -> None:
    """WeakPassword with every reason (AUTH_PASSWORD_VALIDATORS)."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise WeakPassword(list(error.messages)) from error


def request_password_reset(*, email: str) -> None:
    """A link by mail if the address has an active account; the same work if it has not."""
    with transaction.atomic():
        mailing.send_password_reset_mail.enqueue(mailing.addressee(email))


def reset_password(*, token: str, password: str) -> User:
    """The new password counts; every log-in so far, by token or by session, is over (accounts/authentication.py)."""
    with transaction.atomic():
        user = links.open_token(links.RESET_PASSWORD, token)
        refuse_weak_password(password, user)
        user.set_password(password)
        user.save(update_fields=["password"])
        revoke_all_tokens(user=user)
        mailing.send_password_changed_mail.enqueue(user.pk)
        return user
