"""Log-in forms of pages and admin: by e-mail address, counted towards the same rate limit as the API's."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm

from conventions.rate_limits import seconds_over_limit


class LogInForm(AuthenticationForm):
    """For Django's LoginView: `LoginView.as_view(authentication_form=LogInForm)`."""

    username = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"}),
    )
    error_messages = {
        "invalid_login": "The e-mail address or the password is not right.",
        "inactive": "The e-mail address or the password is not right.",
        "rate_limited": "Too many tries. Please wait a minute and try again.",
    }

    def clean(self) -> dict[str, Any]:
        if self.request is not None and seconds_over_limit(self.request, "login"):
            raise forms.ValidationError(self.error_messages["rate_limited"], code="rate_limited")
        return super().clean()


class StaffLogInForm(LogInForm, AdminAuthenticationForm):
    """The admin's: only staff get in, and nobody else learns that they have an account."""

    error_messages = {**LogInForm.error_messages}
