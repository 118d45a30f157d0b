"""Staff see and mend people and organizations; only superusers hand out power. What anybody did is in the history."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from accounts import audit
from accounts.audited_admin import AuditedAdmin, differences, staff_of, target_link
from accounts.forms import StaffLogInForm
from accounts.models import AuditEntry, Invitation, Membership, Organization, User
from conventions import admin_lists
from conventions.admin_showing import link, moment

admin.site.login_form = StaffLogInForm
# A list of refresh tokens is a list of keys to people's accounts: nobody has business there.
admin.site.unregister((OutstandingToken, BlacklistedToken, Group))


class NewUserForm(AdminUserCreationForm[User]):
    class Meta:
        model = User
        fields = ("email", "name")


class ChangeUserForm(UserChangeForm[User]):
    class Meta:
        model = User
        fields = "__all__"


class MembershipInline(admin.TabularInline[Membership, Organization | User]):
    model = Membership
    extra = 0
    autocomplete_fields = ("user", "organization")


class OpenInvitationInline(admin.TabularInline[Invitation, Organization]):
    """Who was asked to join and has not answered. Owners and admins of the organization invite and withdraw."""

    model = Invitation
    extra = 0
    can_delete = False
    verbose_name_plural = "open invitations"
    fields = ("email", "role", "invited_by", "created_at", "expires_at", "mail_sent_at", "mail_error")
    readonly_fields = fields
    unaudited_columns = ("email", "token_hash")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invitation]:
        return super().get_queryset(request).filter(pk__in=Invitation.objects.open()).select_related("invited_by")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")


@admin.register(User)
class UserAdmin(AuditedAdmin, DjangoUserAdmin[User]):
    """People are erased (accounts/leaving.py), never deleted: payments point to them."""

    form = ChangeUserForm
    add_form = NewUserForm
    fieldsets = (
        (None, {"fields": ("id", "email", "password")}),
        ("Person", {"fields": ("name", "locale", "email_proved_at")}),
        ("Access", {"fields": ("is_active", *POWERS)}),
        ("Times", {"fields": ("created_at", "last_login")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "name", "usable_password", "password1", "password2")}),)
    list_display = ("email", "name", "is_active", "is_staff", "address_is_proved", "created_at")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups", ("email_proved_at", admin.EmptyFieldListFilter))
    search_fields = ("email", "name", "id")
    ordering = ("-created_at", "-id")
    readonly_fields = ("id", "email_proved_at", "created_at", "last_login")
    filter_horizontal = ("groups", "user_permissions")
    inlines = (MembershipInline,)
    list_per_page = 50
    show_full_result_count = False
    secret_columns = ("password",)
    personal_columns = ("email", "name")

    @admin.display(boolean=True, description="address proved", ordering="email_proved_at")
    def address_is_proved(self, user: User) -> bool:
        return user.email_proved_at is not None

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj is not None else ()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        powers = () if request.user.is_superuser else POWERS
        return (*super().get_readonly_fields(request, obj), *powers)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever could change the address or password of other staff could act as them, with whatever power they have."""
        powerful = obj is not None and (obj.is_staff or obj.is_superuser)
        if powerful and obj != request.user and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if change and "email" in form.changed_data:
            obj.email_proved_at = None  # the proof was of the other address
        super().save_model(request, obj, form, change)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Django saves here outside of any transaction; a password that is changed leaves a line or is not changed."""
        pk = unquote(id)
        with transaction.atomic():
            before = User.objects.select_for_update().filter(pk=pk).first()
            answer = super().user_change_password(request, id, form_url)
            after = User.objects.filter(pk=pk).first()
            if before and after and before.password != after.password:
                changed = audit.facts_of(before, secret=("password",)), audit.facts_of(after, secret=("password",))
                old, new = audit.changes(*changed)
                audit.record(actor=staff_of(request), action="user.password_changed", target=after, before=old, after=new)
        return answer


@admin.register(Group)
class GroupAdmin(AuditedAdmin, DjangoGroupAdmin):
    """Roles (backoffice/roles.py) and whatever groups an organization adds; only superusers hand out power."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)


@admin.register(Organization)
class OrganizationAdmin(AuditedAdmin, admin.ModelAdmin[Organization]):
    list_display = ("name", "slug", "stripe_customer", "created_at")
    search_fields = ("name", "slug", "stripe_customer", "id")
    prepopulated_fields = {"slug": ("name",)}
    readonly_fields = ("id", "stripe_customer", "created_at")
    inlines = (MembershipInline, OpenInvitationInline)
    list_per_page = 50
    show_full_result_count = False

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj is not None else (MembershipInline,)


@admin.register(AuditEntry)
class AuditEntryAdmin(admin_lists.ReadOnly):
    """Everything that staff did, and people to their organizations, the newest first."""

    list_display = ("when", "actor_link", "action", "target", "changed", "reason")
    list_select_related = ("actor",)
    list_filter = ()
    date_hierarchy = "at"
    search_help_text = "What was acted on (a whole id), who acted (a whole e-mail address), or what was done (payment.assigned)."
    fields = ("when", "actor_link", "action", "target", "all_changes", "reason", "id")

    def matching(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if term.startswith("audit_"):
            return queryset.filter(pk=term)
        if "@" in term:
            return queryset.filter(actor__in=list(User.objects.filter(email=term.lower()).values_list("pk", flat=True)))
        return queryset.filter(action=term) if "." in term else queryset.filter(target_id=term)

    @admin.display(description="when")
    def when(self, entry: AuditEntry) -> str:
        return moment(entry.at)

    @admin.display(description="who")
    def actor_link(self, entry: AuditEntry) -> SafeString | str:
        return link(User, entry.actor_id, str(entry.actor)) if entry.actor_id else "the system"

    @admin.display(description="to what")
    def target(self, entry: AuditEntry) -> SafeString | str:
        return target_link(entry)

    @admin.display(description="changed")
    def changed(self, entry: AuditEntry) -> str:
        return ", ".join(name for name, _, _ in differences(entry)) or "–"

    @admin.display(description="before → after")
    def all_changes(self, entry: AuditEntry) -> SafeString:
        rows = format_html_join("\n", "<tr><th>{}</th><td>{}</td><td>{}</td></tr>", differences(entry))
        return format_html(
            '<table class="changes"><thead><tr><th></th><th>before</th><th>after</th></tr></thead><tbody>{}</tbody></table>', rows
        )
