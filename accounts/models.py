"""People, the organizations they act for, and in which role."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import AnonymousUser, PermissionsMixin
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from conventions.public_ids import IdentifierField, PublicIdField


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail address; addresses are stored and compared in lower case."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        return (email or "").strip().lower()

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=self.normalize_email(username))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A saved user; without a password nobody can log in until one is set."""
        email = self.normalize_email(email)
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Staff with every permission; whoever runs the command vouches for the address."""
        fields.setdefault("email_proved_at", timezone.now())
        return self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})


class User(AbstractBaseUser, PermissionsMixin):
    """A person who logs in by e-mail address. Erasure keeps the row and empties it (accounts/erasure.py)."""

    id = PublicIdField(prefix="user")
    email = models.EmailField("e-mail address", max_length=254, unique=True)
    name = models.CharField(max_length=100, blank=True)
    locale = models.CharField(max_length=20, default="en", help_text="A language tag such as en or de-AT.")
    is_active = models.BooleanField("active", default=True, help_text="Off: this person cannot log in.")
    is_staff = models.BooleanField("staff", default=False, help_text="On: this person may enter the admin.")
    email_proved_at = models.DateTimeField(
        "address proved at", null=True, blank=True, help_text="When a link sent to the address was opened."
    )
    stripe_customer = models.CharField(
        max_length=255, unique=True, null=True, blank=True, editable=False, help_text="Made on first need."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_is_lower_case"),
            models.CheckConstraint(condition=~models.Q(email=""), name="user_email_is_not_empty"),
        ]
        indexes = [models.Index(fields=["-created_at", "-id"], name="user_newest_first")]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        self.email = UserManager.normalize_email(self.email)

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = UserManager.normalize_email(self.email)
        super().save(*args, **kwargs)

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name or self.email


class Role(models.TextChoices):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


ADMINISTERING = (Role.OWNER, Role.ADMIN)


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def for_user(self, user: User | AnonymousUser) -> OrganizationQuerySet:
        """Those of which `user` is a member, in whatever role; none for a stranger."""
        return self.filter(memberships__user=user) if isinstance(user, User) else self.none()

    def administered_by(self, user: User | AnonymousUser) -> OrganizationQuerySet:
        """Those that `user` owns or administers."""
        if not isinstance(user, User):
            return self.none()
        return self.filter(memberships__user=user, memberships__role__in=ADMINISTERING)


class Organization(models.Model):
    """What holds a wallet and saved payment methods; people act for it through memberships."""

    id = PublicIdField(prefix="org")
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=60, unique=True)
    stripe_customer = models.CharField(
        max_length=255,
        unique=True,
        null=True,
        blank=True,
        editable=False,
        help_text="The Customer at Stripe, once there is one.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(stripe_customer=""), name="organization_stripe_customer_is_not_empty")
        ]

    def __str__(self) -> str:
        return self.name


class MembershipQuerySet(models.QuerySet["Membership"]):
    def for_user(self, user: User | AnonymousUser) -> MembershipQuerySet:
        return self.filter(user=user) if isinstance(user, User) else self.none()


class Membership(models.Model):
    """One person's role in one organization."""

    id = PublicIdField(prefix="member")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="membership_once_per_organization_and_user"),
            models.CheckConstraint(condition=models.Q(role__in=["owner", "admin", "member"]), name="membership_role_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role}) in {self.organization}"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> InvitationQuerySet:
        """Neither accepted nor withdrawn; those that have expired too, since inviting again renews them."""
        return self.filter(accepted_at=None, withdrawn_at=None)

    def acceptable(self) -> InvitationQuerySet:
        return self.open().filter(expires_at__gt=timezone.now())


class Invitation(models.Model):
    """Somebody asked by mail to join an organization. Whoever proves the address and holds the token may accept."""

    id = PublicIdField(prefix="invite")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("e-mail address", max_length=254)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    invited_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="invitations_sent")
    # Of the latest mail; null until it is made (inviting.py). The token itself is in that mail only.
    token_hash = IdentifierField(max_length=64, unique=True, null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="invitations_accepted")
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    # Null: sent, or in somebody's hands; else the sweep sends the mail then, should the task have been lost.
    mail_due_at = models.DateTimeField(null=True, blank=True)
    mail_sent_at = models.DateTimeField(null=True, blank=True)
    mail_attempts = models.PositiveSmallIntegerField(default=0)
    mail_error = models.CharField(max_length=500, blank=True, default="")

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "email"],
                condition=models.Q(accepted_at=None, withdrawn_at=None),
                name="invitation_open_once_per_address",
            ),
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="invitation_email_is_lower_case"),
            models.CheckConstraint(condition=~models.Q(email=""), name="invitation_email_is_not_empty"),
            models.CheckConstraint(condition=models.Q(role__in=["owner", "admin", "member"]), name="invitation_role_is_known"),
            models.CheckConstraint(
                condition=models.Q(accepted_at=None) | models.Q(withdrawn_at=None), name="invitation_not_accepted_and_withdrawn"
            ),
            models.CheckConstraint(
                condition=models.Q(accepted_at=None, accepted_by=None)
                | models.Q(accepted_at__isnull=False, accepted_by__isnull=False),
                name="invitation_accepted_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["email"], name="invitation_by_address"),
            models.Index(fields=["mail_due_at"], condition=models.Q(mail_due_at__isnull=False), name="invitation_mail_due"),
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.organization_id}"

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()


class AuditEntry(models.Model):
    """What somebody did to what others rely on, and why. Written by `audit.record`; never changed, never deleted."""

    id = PublicIdField(prefix="audit")
    at = models.DateTimeField(default=timezone.now, editable=False)
    # PROTECT costs nothing: people are erased (leaving.py), never deleted. Null: the system itself, or a command.
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="acts")
    action = models.CharField(max_length=60, help_text="Such as payment.assigned or campaign.changed.")
    target_type = models.CharField(max_length=60, help_text="The model acted on: payments.payment.")
    target_id = IdentifierField(max_length=255)
    before = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    after = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(name="auditentry_of_target", fields=["target_id", "-id"]),
            models.Index(name="auditentry_by_action", fields=["action", "-id"]),
            models.Index(name="auditentry_at", fields=["at"]),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target_id}"
