"""What the routes of organizations take and answer."""

from __future__ import annotations

from rest_framework import serializers

from accounts.models import Invitation, Membership, Role
from accounts.serializers import AddressField, ExactTextField
from conventions.serializers import PersonsTextField, StrictSerializer


class NameSerializer(StrictSerializer):
    name = PersonsTextField(max_length=100, allow_blank=False)


class RoleSerializer(StrictSerializer):
    role = serializers.ChoiceField(Role.choices)


class InviteSerializer(StrictSerializer):
    email = AddressField()
    role = serializers.ChoiceField(Role.choices, required=False, default=Role.MEMBER)


class TokenSerializer(StrictSerializer):
    token = ExactTextField(max_length=200, help_text="From the mailed link.")


# -- answers ---------------------------------------------------------------------------------------------
class OrganizationSerializer(serializers.ModelSerializer[Membership]):
    """An organization as one of its members sees it, made from that membership."""

    id = serializers.CharField(source="organization.id", read_only=True)
    name = serializers.CharField(source="organization.name", read_only=True)
    slug = serializers.CharField(source="organization.slug", read_only=True)
    role = serializers.ChoiceField(Role.choices, read_only=True, help_text="Your own.")
    created_at = serializers.DateTimeField(source="organization.created_at", read_only=True)

    class Meta:
        model = Membership
        fields = ["id", "name", "slug", "role", "created_at"]
        read_only_fields = fields


class MemberSerializer(serializers.ModelSerializer[Membership]):
    user_id = serializers.CharField(read_only=True)
    name = serializers.CharField(source="user.name", read_only=True)
    email = serializers.EmailField(source="user.email", read_only=True)

    class Meta:
        model = Membership
        fields = ["id", "user_id", "name", "email", "role", "created_at"]
        read_only_fields = fields


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    invited_by = serializers.CharField(source="invited_by.email", read_only=True, help_text="Their e-mail address.")
    is_expired = serializers.BooleanField(read_only=True, help_text="Invite again to renew it.")

    class Meta:
        model = Invitation
        fields = ["id", "email", "role", "invited_by", "created_at", "expires_at", "is_expired"]
        read_only_fields = fields
