"""What the accounts routes take and answer."""

from __future__ import annotations

import re
from typing import Any

from rest_framework import serializers

from accounts.models import User, UserManager
from conventions.serializers import PersonsTextField, StrictSerializer

LANGUAGE_TAG = re.compile(r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}\Z")


class ExactTextField(serializers.CharField):
    """Text that stays as it was sent: not trimmed, and a number is not text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class AddressField(serializers.EmailField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=254, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return UserManager.normalize_email(super().to_internal_value(data))


class PasswordField(ExactTextField):
    """A password that is given to be checked; what a new one must be, accounts/passwords.py says."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=128, style={"input_type": "password"}, **kwargs)


class NewPasswordField(PasswordField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            min_length=8, help_text="At least 8 characters, not only digits, not common, not like your name.", **kwargs
        )


class RegisterSerializer(StrictSerializer):
    email = AddressField()
    password = NewPasswordField()
    name = PersonsTextField(max_length=100, required=False, default="")


class LoginSerializer(StrictSerializer):
    email = AddressField()
    password = PasswordField()


class RefreshSerializer(StrictSerializer):
    refresh = ExactTextField(max_length=2000)


class EmailSerializer(StrictSerializer):
    email = AddressField()


class VerifyEmailSerializer(StrictSerializer):
    token = ExactTextField(max_length=500)


class PasswordResetConfirmSerializer(StrictSerializer):
    token = ExactTextField(max_length=500)
    password = NewPasswordField()


class EraseSerializer(StrictSerializer):
    password = PasswordField()


class ChangeProfileSerializer(StrictSerializer):
    name = PersonsTextField(max_length=100, required=False)
    locale = serializers.RegexField(LANGUAGE_TAG, max_length=20, required=False, help_text="A language tag such as en or de-AT.")


# -- answers ---------------------------------------------------------------------------------------------
class UserSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ["id", "email", "name", "locale", "email_proved_at", "is_staff", "created_at"]
        read_only_fields = fields


class TokensSerializer(serializers.Serializer[Any]):
    access = serializers.CharField(read_only=True)
    refresh = serializers.CharField(read_only=True)


class LoggedInSerializer(TokensSerializer):
    user = UserSerializer(read_only=True)


class DoneSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField(read_only=True)
    message = serializers.CharField(read_only=True, help_text="One sentence for a person.")


class ExportedAccountSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(read_only=True)
    email = serializers.EmailField(read_only=True)
    name = serializers.CharField(read_only=True)
    locale = serializers.CharField(read_only=True)
    email_proved_at = serializers.DateTimeField(read_only=True, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True)
    last_login_at = serializers.DateTimeField(read_only=True, allow_null=True)


class ExportedMembershipSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True)
    role = serializers.CharField(read_only=True)
    since = serializers.DateTimeField(read_only=True)


class ExportedInvitationSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(read_only=True)
    organization = serializers.CharField(read_only=True, help_text="Its name.")
    email = serializers.EmailField(read_only=True)
    role = serializers.CharField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    expires_at = serializers.DateTimeField(read_only=True)
    accepted_at = serializers.DateTimeField(read_only=True, allow_null=True)
    withdrawn_at = serializers.DateTimeField(read_only=True, allow_null=True)


class ExportedInvitationsSerializer(serializers.Serializer[Any]):
    received = ExportedInvitationSerializer(many=True, read_only=True)
    sent = ExportedInvitationSerializer(many=True, read_only=True)


class ExportSerializer(serializers.Serializer[Any]):
    account = ExportedAccountSerializer(read_only=True)
    organizations = ExportedMembershipSerializer(many=True, read_only=True)
    invitations = ExportedInvitationsSerializer(read_only=True)
    records = serializers.DictField(
        child=serializers.JSONField(), read_only=True, help_text="What each part of the system holds, by its name."
    )
