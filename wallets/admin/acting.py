"""Acts of staff on a wallet's rows: a page that says what will be done, asks why, and calls one operation.

An act is a view of its own and no changeform view: Django's admin wraps those in a transaction, and each operation begins
and ends its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from accounts.audited_admin import staff_of
from accounts.models import User
from conventions.admin_lists import ModelAdmin
from conventions.admin_showing import change_url
from conventions.errors import DomainError
from payments.admin.acting import may


class ConfirmForm(forms.Form):
    """Nothing to fill in: the button is the answer."""

    def __init__(self, row: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row = row


class ReasonForm(ConfirmForm):
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 3}), help_text="It stays in the history.")


@dataclass(frozen=True, kw_only=True)
class Act:
    """`refused` tells why it cannot be done to a row now, or nothing; `do` does it and tells what was done."""

    name: str
    title: str
    permission: str
    form: type[ConfirmForm]
    refused: Callable[[Any, User], str]
    told: Callable[[Any], str]
    do: Callable[[Any, User, dict[str, Any]], str]


if TYPE_CHECKING:
    _Base = ModelAdmin
else:
    _Base = object


class Acting(_Base):
    """Adds the acts of a model to its admin, and their buttons to its page."""

    acts: ClassVar[tuple[Act, ...]] = ()
    change_form_template: ClassVar[Any] = "admin/wallets/change_form.html"

    def get_urls(self) -> list[Any]:
        return [*(self._url(act) for act in self.acts), *super().get_urls()]

    def _url(self, act: Act) -> URLPattern:
        view = self.admin_site.admin_view(partial(self.act_view, act))
        return path(f"<path:object_id>/{act.name}/", view, name=self._url_name(act))

    def _url_name(self, act: Act) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{act.name}"

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        row = context["original"]
        context["act_buttons"] = [
            (act.title, reverse(f"admin:{self._url_name(act)}", args=[quote(row.pk)]))
            for act in self.acts
            if may(self, request, act.permission) and not act.refused(row, staff_of(request))
        ]
        return super().render_change_form(request, context, *args, **kwargs)

    def act_view(self, act: Act, request: HttpRequest, object_id: str) -> HttpResponse:
        if not may(self, request, act.permission):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404("There is no such row.")
        back = HttpResponseRedirect(change_url(self.model, row.pk))
        actor = staff_of(request)
        if refused := act.refused(row, actor):
            self.message_user(request, refused, messages.ERROR)
            return back
        form = act.form(row, request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            try:
                done = act.do(row, actor, form.cleaned_data)
            except DomainError as error:
                form.add_error(None, error.message)
            else:
                self.message_user(request, done, messages.SUCCESS)
                return back
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": act.title.rstrip("…"),
            "subtitle": row.pk,
            "form": form,
            "told": act.told(row),
            "back_url": change_url(self.model, row.pk),
        }
        return TemplateResponse(request, "admin/wallets/act.html", context)
