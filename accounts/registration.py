"""Registering, and proving that an e-mail address is one's own."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts import links, mailing, person_data
from accounts.models import User, UserManager
from accounts.passwords import refuse_weak_password


def register(*, email: str, password: str, name: str = "") -> None:
    """Make the account and send a link to prove the address; if there is one already, tell its owner by mail.

    Both cases run the same statements and hash one password, so that the caller learns nothing from answer or time.
    """
    user = User(email=UserManager.normalize_email(email), name=name)
    refuse_weak_password(password, user)
    user.set_password(password)
    with transaction.atomic():
        User.objects.bulk_create([user], ignore_conflicts=True)
        account = User.objects.values_list("pk", flat=True).get(email=user.email)
        mailing.send_registration_mail.enqueue(account, account == user.pk)


def resend_verification(*, email: str) -> None:
    """A new link if the address has an account that is not proved yet; the same work if it has not."""
    with transaction.atomic():
        mailing.send_verification_mail.enqueue(mailing.addressee(email))


def verify_email(*, token: str) -> User:
    """The address is proved; what waited under it becomes the user's, in the same transaction."""
    with transaction.atomic():
        user = links.open_token(links.VERIFY_EMAIL, token)
        user.email_proved_at = timezone.now()
        user.save(update_fields=["email_proved_at"])
        person_data.address_proved(user)
        return user
