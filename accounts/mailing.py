"""The mails of accounts: background tasks, enqueued in the transaction that gives the reason.

Tasks are stored, so they are given ids and never addresses; the links are made when the mail is, so no token is
stored either. Mails never repeat a name that somebody typed at registration: it would let strangers send their
own text to any address.
"""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django_tasks import task

from accounts import links
from accounts.models import User, UserManager

NOBODY = "user_" + "0" * 26  # enqueued like any other id, so that an unknown address makes the same work


def addressee(email: str) -> str:
    """The id of the user with this address, or NOBODY."""
    return User.objects.values_list("pk", flat=True).filter(email=UserManager.normalize_email(email)).first() or NOBODY


@task()
def send_registration_mail(user_id: str, is_new: bool) -> None:
    user = _active_user(user_id)
    if user is None:
        return
    if is_new:
        _send_verification(user)
    else:
        link = links.link(links.RESET_PASSWORD, user)
        _send(user, "account_known", "You already have an account", link=link, log_in=f"{settings.FRONTEND_URL}/login")


@task()
def send_verification_mail(user_id: str) -> None:
    user = _active_user(user_id)
    if user is not None and user.email_proved_at is None:
        _send_verification(user)


@task()
def send_password_reset_mail(user_id: str) -> None:
    user = _active_user(user_id)
    if user is not None:
        _send(user, "account_password_reset", "Choose a new password", link=links.link(links.RESET_PASSWORD, user))


@task()
def send_password_changed_mail(user_id: str) -> None:
    user = _active_user(user_id)
    if user is not None:
        _send(user, "account_password_changed", "Your password was changed")


def _active_user(user_id: str) -> User | None:
    return User.objects.filter(pk=user_id, is_active=True).first()


def _send_verification(user: User) -> None:
    _send(user, "account_verify_email", "Please confirm your e-mail address", link=links.link(links.VERIFY_EMAIL, user))


def _send(user: User, template: str, subject: str, **context: str) -> None:
    content = {"subject": subject, "email": user.email, "site": settings.FRONTEND_URL, **context}
    mail = EmailMultiAlternatives(subject=subject, body=render_to_string(f"mail/{template}.txt", content), to=[user.email])
    mail.attach_alternative(render_to_string(f"mail/{template}.html", content), "text/html")
    mail.send()
