"""The tokens of links that are sent by mail: signed, short-lived, and good for one use.

A token holds the user's id and a digest of the state that its use will change, so that using it, or any other
change of that state, makes it worthless. Nothing is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.errors import LinkRefused
from accounts.models import User


@dataclass(frozen=True, kw_only=True)
class LinkKind:
    path: str
    lifetime: timedelta
    state: tuple[str, ...]

    @property
    def salt(self) -> str:
        return f"accounts.links:{self.path}"


VERIFY_EMAIL = LinkKind(path="/verify-email", lifetime=timedelta(days=3), state=("email", "email_proved_at", "is_active"))
RESET_PASSWORD = LinkKind(
    path="/password-reset", lifetime=timedelta(hours=1), state=("email", "password", "last_login", "is_active")
)


def link(kind: LinkKind, user: User) -> str:
    return f"{settings.FRONTEND_URL}{kind.path}?{urlencode({'token': make_token(kind, user)})}"


def make_token(kind: LinkKind, user: User) -> str:
    return signing.dumps({"user": user.pk, "state": _digest(kind, user)}, salt=kind.salt)


def open_token(kind: LinkKind, token: str) -> User:
    """The user to whom the link was sent, locked; or LinkRefused. Call it inside the transaction that uses it."""
    try:
        content = signing.loads(token, salt=kind.salt, max_age=kind.lifetime)
    except signing.SignatureExpired as error:
        raise LinkRefused(expired=True) from error
    except signing.BadSignature as error:
        raise LinkRefused from error
    user = User.objects.select_for_update().filter(pk=content["user"]).first()
    if user is None or not user.is_active or not constant_time_compare(content["state"], _digest(kind, user)):
        raise LinkRefused
    return user


def _digest(kind: LinkKind, user: User) -> str:
    values = "|".join(str(getattr(user, name)) for name in kind.state)
    return salted_hmac(kind.salt, values, algorithm="sha256").hexdigest()[:32]
