"""Who asks: `Authorization: Bearer <access token>`, or a session. From then on the request sees that person's rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import constant_time_compare, salted_hmac
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, Token

from accounts.models import User
from conventions import tenancy

ADMIN = "/admin/"
MARK_CLAIM = "pwm"


def password_mark(user: User) -> str:
    """What a token carries of the password: with another password, the tokens issued before stop working."""
    return salted_hmac("accounts.password-mark", user.password, algorithm="sha256").hexdigest()[:24]


def is_issued_to(token: Token, user: User) -> bool:
    """Whether `user` may still use this token, whose signature and age were checked before."""
    return user.is_active and constant_time_compare(str(token.get(MARK_CLAIM, "")), password_mark(user))


class BearerAuthentication(JWTAuthentication):
    """Access tokens of active users.

    On a view that anonymous people may use, a token that is expired or invalid counts as none, so that an old
    token in a browser never stops a gift. Elsewhere it is a 401 with the code `token_expired` or `token_invalid`.
    """

    def authenticate(self, request: Request) -> tuple[User, Token] | None:  # type: ignore[override]  # ours is one model
        try:
            found = self._authenticate(request)
        except AuthenticationFailed:
            if _anonymous_may_use(request):
                return None
            raise
        if found:
            tenancy.from_here_only(user=found[0].pk)
        return found

    def _authenticate(self, request: Request) -> tuple[User, Token] | None:
        header = self.get_header(request)
        parts = header.split() if header else []
        if not parts or parts[0].lower() != b"bearer":
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("The Authorization header must read: Bearer and one token.", code="token_invalid")
        try:
            token = AccessToken(parts[1])  # type: ignore[arg-type]  # the library annotates what it returns
        except ExpiredTokenError as error:
            raise AuthenticationFailed("The token has expired. Refresh it or log in again.", code="token_expired") from error
        except TokenError as error:
            raise AuthenticationFailed("The token is not valid. Log in again.", code="token_invalid") from error
        user = User.objects.filter(pk=str(token.get(api_settings.USER_ID_CLAIM, ""))).first()
        if user is None or not is_issued_to(token, user):
            raise AuthenticationFailed("The token is not valid. Log in again.", code="token_invalid")
        return user, token


class CookieAuthentication(SessionAuthentication):
    """Whoever is signed in to the pages."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        found = super().authenticate(request)
        if found:
            tenancy.from_here_only(user=found[0].pk)
        return found


def _anonymous_may_use(request: Request) -> bool:
    """Asks the view for its permissions; they must not depend on who asks."""
    view = (request.parser_context or {}).get("view")
    return view is not None and any(isinstance(permission, AllowAny) for permission in view.get_permissions())


# -- pages ------------------------------------------------------------------------------------------
class PagesOfWhoAsks:
    """Middleware, after Django's authentication: in the admin, staff see everybody's rows, on other pages people see their
    own. The API finds out by itself, as above; where there is no page, nobody is looked up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        if not has_session or request.path_info.startswith("/api/") or not isinstance(request.user, User):
            return
        if request.path_info.startswith(ADMIN) and request.user.is_active and request.user.is_staff:
            tenancy.from_here_everything()
        else:
            tenancy.from_here_only(user=request.user.pk)
