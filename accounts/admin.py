"""Staff see and mend people and organizations; only superusers hand out power."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.http import HttpRequest

from accounts.forms import StaffLogInForm
from accounts.models import Membership, Organization, User

admin.site.login_form = StaffLogInForm


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


POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")


@admin.register(User)
class UserAdmin(DjangoUserAdmin[User]):
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

    @admin.display(boolean=True, description="address proved", ordering="email_proved_at")
    def address_is_proved(self, user: User) -> bool:
        return user.email_proved_at is not None

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj is not None else ()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        powers = () if request.user.is_superuser else POWERS
        return (*super().get_readonly_fields(request, obj), *powers)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever could change a superuser's address or password could become one."""
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if change and "email" in form.changed_data:
            obj.email_proved_at = None  # the proof was of the other address
        super().save_model(request, obj, form, change)


@admin.register(Organization)
class OrganizationAdmin(admin.ModelAdmin[Organization]):
    list_display = ("name", "slug", "stripe_customer", "created_at")
    search_fields = ("name", "slug", "stripe_customer", "id")
    prepopulated_fields = {"slug": ("name",)}
    readonly_fields = ("id", "stripe_customer", "created_at")
    inlines = (MembershipInline,)
    list_per_page = 50
    show_full_result_count = False
