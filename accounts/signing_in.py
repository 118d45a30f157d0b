"""Logging in, staying logged in, logging out: passwords become pairs of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.models import update_last_login
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.authentication import MARK_CLAIM, is_issued_to, password_mark
from accounts.errors import InvalidCredentials, RefreshRefused
from accounts.models import User, UserManager


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """`access` opens the API for minutes; `refresh` buys the next pair, once."""

    access: str
    refresh: str


def authenticate_by_password(*, request: HttpRequest | None, email: str, password: str) -> User:
    """The active user with this address and password, or InvalidCredentials.

    An unknown address costs one password hash too (Django's backend sees to it), so that neither the answer nor
    its time tells who has an account. Callers limit the rate: API views by `rate_limit = "login"`, pages and the
    admin by accounts/forms.py.
    """
    user = authenticate(request, username=UserManager.normalize_email(email), password=password)
    if not isinstance(user, User):
        raise InvalidCredentials
    return user


def log_in(*, request: HttpRequest | None, email: str, password: str) -> tuple[User, Tokens]:
    """What the API's login does; pages use authenticate_by_password and Django's session."""
    user = authenticate_by_password(request=request, email=email, password=password)
    with transaction.atomic():
        update_last_login(User, user)
        return user, issue_tokens(user=user)


def issue_tokens(*, user: User) -> Tokens:
    """A new pair, recorded as outstanding so that it can be revoked."""
    refresh = RefreshToken.for_user(user)
    refresh[MARK_CLAIM] = password_mark(user)
    return Tokens(access=str(refresh.access_token), refresh=str(refresh))


def refresh_tokens(*, refresh: str) -> Tokens:
    """The next pair for a refresh token, which works once: of two requests at the same time one gets the pair."""
    try:
        token = _refresh_token(refresh)
    except ExpiredTokenError as error:
        raise RefreshRefused(expired=True) from error
    except TokenError as error:
        raise RefreshRefused from error
    with transaction.atomic():
        user = User.objects.select_for_update().filter(pk=str(token.get(api_settings.USER_ID_CLAIM, ""))).first()
        if user is None or not is_issued_to(token, user) or not _blacklist(token):
            raise RefreshRefused
        return issue_tokens(user=user)


def log_out(*, refresh: str) -> None:
    """The refresh token buys nothing any more. One that already buys nothing is no error."""
    try:
        token = _refresh_token(refresh)
    except TokenError:
        return
    with transaction.atomic():
        _blacklist(token)


def revoke_all_tokens(*, user: User) -> None:
    """Every refresh token issued to `user` so far buys nothing any more. Call it inside a transaction."""
    outstanding = OutstandingToken.objects.filter(user=user, expires_at__gt=timezone.now(), blacklistedtoken=None)
    BlacklistedToken.objects.bulk_create([BlacklistedToken(token=token) for token in outstanding], ignore_conflicts=True)


def _refresh_token(encoded: str) -> RefreshToken:
    return RefreshToken(encoded)  # type: ignore[arg-type]  # the library's own annotation is narrower than its use


def _blacklist(token: RefreshToken) -> bool:
    """False if somebody else was first."""
    pair: Any = token.blacklist()  # annotated as a row, it is get_or_create's pair
    return bool(pair[1])
