"""Exports in the back office: asked for by a form, watched while they are made, downloaded by those who may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.forms.widgets import Script
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import filesizeformat
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.audited_admin import staff_of
from backoffice.exports import making
from backoffice.exports.filters import BY, Filters, chosen
from backoffice.models import Export
from campaigns.models import Campaign
from conventions.admin_showing import change_url, moment, pill
from conventions.errors import DomainError, InvalidInput
from donations.models import Donation
from payments.admin.lists import LongList
from payments.money import CURRENCIES

if TYPE_CHECKING:
    ExportModelForm = forms.ModelForm[Export]
else:
    ExportModelForm = forms.ModelForm

PERMISSION = "backoffice.export"
CAMPAIGNS_PROPOSED = 50


class Proposals(forms.TextInput):
    """A text box with a list of proposals beneath: what may be many is not all put into the page."""

    template_name = "backoffice/proposals.html"

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        newest = Campaign.objects.order_by("-created_at", "-pk").values_list("slug", "title")[:CAMPAIGNS_PROPOSED]
        return {**super().get_context(name, value, {**(attrs or {}), "list": f"{name}-proposals"}), "proposals": list(newest)}


class ExportForm(ExportModelForm):
    since = forms.DateField(required=False, label="From", widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}))
    until = forms.DateField(
        required=False,
        label="To",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="Days in UTC, both included. Empty: from the first, to this moment.",
    )
    by = forms.ChoiceField(
        choices=[("paid", "the day the money came"), ("made", "the day the payment was started")],
        initial="paid",
        label="Days are",
        help_text="Of donations and top-ups. Transfers go by the day they occurred, spends by the day they were made.",
    )
    campaign = forms.CharField(
        required=False,
        max_length=100,
        widget=Proposals,
        help_text="The campaign's address or id; not for wallets. Empty: all campaigns.",
    )
    currency = forms.ChoiceField(required=False)
    state = forms.ChoiceField(required=False, help_text="Of donations only.")

    class Meta:
        model = Export
        fields = ("kind", "format")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["format"].initial = Export.Format.XLSX  # nothing in it is ever a formula, however it is opened
        for name in ("kind", "format"):
            self.fields[name].choices = list(self.fields[name].choices)[1:]  # type: ignore[attr-defined]  # none is empty
        currencies = [(code, code.upper()) for code in sorted(CURRENCIES)]
        self.fields["currency"].choices = [("", "all"), *currencies]  # type: ignore[attr-defined]
        self.fields["state"].choices = [("", "all"), *Donation.State.choices]  # type: ignore[attr-defined]
        assert set(BY) == {"paid", "made"}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        names = ("since", "until", "by", "campaign", "currency", "state", "kind")
        try:
            cleaned["filters"] = chosen(**{name: cleaned[name] for name in names})
        except InvalidInput as error:
            for name in error.fields or {}:
                self.add_error(name, forms.ValidationError(error.message, code=error.code))
        return cleaned


@admin.register(Export)
class ExportAdmin(LongList):
    """Everybody who may export sees all exports: what one may make, one may read."""

    form = ExportForm
    list_display = ("made", "progress", "file", "kind", "chosen_rows", "requested_by")
    list_filter = ("state", "kind", "format")
    list_select_related = ("requested_by",)
    search_help_text = "A whole id (export_…)."
    asked = (
        (None, {"fields": ("kind", "format")}),
        ("Which rows", {"fields": ("since", "until", "by", "campaign", "currency", "state")}),
    )
    shown = (
        "progress",
        "file",
        "kind",
        "format",
        "chosen_rows",
        "requested_by",
        "made",
        "finished",
        "expires",
        "size",
        "error",
        "id",
    )

    class Media:
        js = (Script("js/export_progress.js", defer=True),)  # in the head: what it looks for comes after it

    # -- who may ------------------------------------------------------------------------------------------
    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(PERMISSION)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(PERMISSION)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(PERMISSION)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # -- pages --------------------------------------------------------------------------------------------
    def get_urls(self) -> list[Any]:
        site = self.admin_site.admin_view
        return [
            path("<slug:pk>/download", site(self.download), name="backoffice_export_download"),
            path("<slug:pk>/progress", site(self.tell_progress), name="backoffice_export_progress"),
            *super().get_urls(),
        ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form is for asking; what was asked for has nothing to be written into."""
        return super().get_form(request, obj, change, form=self.form if obj is None else forms.ModelForm, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.asked if obj is None else ((None, {"fields": self.shown}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.shown

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        try:
            buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
            return super().add_view(request, form_url, {"title": "New export", **buttons, **(extra_context or {})})
        except DomainError as error:
            self.message_user(request, error.message, level="ERROR")
            return self.response_post_save_add(request, Export())

    def save_model(self, request: HttpRequest, obj: Export, form: Any, change: bool) -> None:
        asked = making.ask(
            kind=obj.kind, file_format=obj.format, filters=form.cleaned_data["filters"], requested_by=staff_of(request)
        )
        obj.__dict__.update(asked.__dict__)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Nothing is related, and the line in the history is `ask`'s."""

    def response_add(self, request: HttpRequest, obj: Export, post_url_continue: str | None = None) -> HttpResponse:
        """To the export's own page, where it can be watched."""
        self.message_user(request, "The export is being made. This page tells how far it is; you may leave it.")
        return HttpResponse(status=302, headers={"Location": change_url(Export, obj.pk)})

    def download(self, request: HttpRequest, pk: str) -> HttpResponseBase:
        """The file, as a stream; a line of the history says who took it."""
        export = self._allowed(request, pk)
        if not export.is_here:
            raise Http404("This export has no file: it is not done yet, it failed, or its file expired.")
        try:
            stored = making.storage().open(export.file_name, "rb")
        except FileNotFoundError as error:
            raise Http404("The file is not where this server looks. EXPORT_DIR must be shared with the worker.") from error
        making.note_download(export, actor=staff_of(request))
        return FileResponse(stored, as_attachment=True, filename=export.file_name)

    def tell_progress(self, request: HttpRequest, pk: str) -> JsonResponse:
        """What static/js/export_progress.js asks for while an export is made."""
        export = self._allowed(request, pk)
        return JsonResponse({"waiting": export.is_waiting, "percent": export.percent, "told": _told(export)})

    def _allowed(self, request: HttpRequest, pk: str) -> Export:
        if not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        return get_object_or_404(Export, pk=pk)

    # -- columns ------------------------------------------------------------------------------------------
    @admin.display(description="asked for")
    def made(self, export: Export) -> str:
        return moment(export.created_at)

    @admin.display(description="rows")
    def chosen_rows(self, export: Export) -> str:
        return str(Filters.from_json(export.filters))

    @admin.display(description="state")
    def progress(self, export: Export) -> SafeString:
        state = pill(export.state)
        if not export.is_waiting:
            return format_html("{}<br>{}", state, _told(export))
        bar = format_html('<progress max="100" value="{}" aria-label="done"></progress>', export.percent or 0)
        url = reverse("admin:backoffice_export_progress", args=[export.pk])
        return format_html(
            '<span class="export-progress" data-progress="{}">{} {}<br><span role="status">{}</span></span>',
            url,
            state,
            bar,
            _told(export),
        )

    @admin.display(description="file")
    def file(self, export: Export) -> SafeString | str:
        if not export.is_here:
            return "deleted" if export.state == Export.State.DONE else "–"
        url = reverse("admin:backoffice_export_download", args=[export.pk])
        label, size = export.format.upper(), filesizeformat(export.size_bytes or 0)
        return format_html('<a href="{}">Download {}</a><br>{}', url, label, size)

    @admin.display(description="size")
    def size(self, export: Export) -> str:
        return filesizeformat(export.size_bytes) if export.size_bytes is not None else "–"

    @admin.display(description="finished")
    def finished(self, export: Export) -> str:
        return moment(export.finished_at)

    @admin.display(description="file is deleted")
    def expires(self, export: Export) -> str:
        return moment(export.expires_at)


def _told(export: Export) -> str:
    if export.state == Export.State.QUEUED:
        return "waits for a worker"
    total = export.rows_total_estimate
    about = f" of about {total:,}" if total and export.is_waiting else ""
    return f"{export.rows_done:,}{about} rows"
