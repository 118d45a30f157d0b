"""A base of admins whose every change leaves a line in the history, and the page that shows an object's lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from accounts import audit
from accounts.models import AuditEntry, User
from conventions.admin_lists import UncountedPaginator, page_number
from conventions.admin_showing import link, list_url, moment

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

LINES_PER_PAGE = 50
LONGEST_VALUE = 300


def staff_of(request: HttpRequest) -> User:
    """Who acts; the admin lets nobody in who is not logged in."""
    assert isinstance(request.user, User)
    return request.user


class AuditedAdmin(ModelAdmin):
    """Writes `<model>.added`, `.changed` or `.deleted` in the transaction in which Django's admin saves.

    What was saved is read from the database before and after, with many-to-many rows and inlines: so it is told
    whatever a form, a `save_model` or a default made of it.
    """

    object_history_template = "admin/history.html"
    # Columns of which only the change is told: of secrets for ever, of people's words since they may be erased.
    secret_columns: ClassVar[tuple[str, ...]] = ()
    personal_columns: ClassVar[tuple[str, ...]] = ()

    # -- writing ------------------------------------------------------------------------------------------
    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        """The first step of Django's saving: the row is locked, so that what is told as before was so."""
        form.audited_before = {}
        if change:
            rows = self.model._base_manager.select_for_update()
            form.audited_before = self.audited_facts(rows.get(pk=form.instance.pk))
        return super().save_form(request, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The last step of Django's saving."""
        super().save_related(request, form, formsets, change)
        row = self.model._base_manager.get(pk=form.instance.pk)
        before, after = audit.changes(form.audited_before, self.audited_facts(row))
        if before or after:
            self._write_line(request, "changed" if change else "added", row, before, after)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        before, _ = audit.changes(self.audited_facts(obj), {})
        self._write_line(request, "deleted", obj, before, {})
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        with transaction.atomic():
            for row in queryset.order_by("pk"):
                self.delete_model(request, row)

    def audited_facts(self, row: models.Model) -> dict[str, Any]:
        """The row's columns, its many-to-many rows and its inlines."""
        facts = audit.facts_of(row, secret=self.secret_columns, personal=self.personal_columns)
        for field in row._meta.many_to_many:
            facts[field.name] = sorted(str(other) for other in getattr(row, field.name).all())
        for inline in self.inlines:
            facts.update(_inline_facts(inline, row))
        return facts

    def _write_line(self, request: HttpRequest, act: str, row: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
        action = f"{self.opts.model_name}.{act}"
        audit.record(actor=staff_of(request), action=action, target=row, before=before, after=after)

    # -- showing ------------------------------------------------------------------------------------------
    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined,no-any-return]
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        # A proxy is another page of the same row: its history is the row's.
        target_type = (self.opts.proxy_for_model or self.model)._meta.label_lower
        lines = AuditEntry.objects.filter(target_id=str(row.pk), target_type=target_type)
        paginator: Paginator[Any] = UncountedPaginator(
            lines.select_related("actor").order_by("-pk"), LINES_PER_PAGE, number=page_number(request)
        )
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {row}",
            "subtitle": None,
            "page": paginator.get_page(page_number(request)),
            "lines": [(line, moment(line.at), differences(line)) for line in paginator.get_page(page_number(request))],
            "module_name": str(self.opts.verbose_name_plural).capitalize(),
            "object": row,
            "opts": self.opts,
            "all_url": list_url(AuditEntry, q=str(row.pk)) if request.user.has_perm("accounts.view_auditentry") else "",
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.object_history_template, context)


def differences(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """What an entry says changed: name, before, after, in words and bounded."""
    names = list({**entry.before, **entry.after})
    return [(name.replace("_", " "), _said(entry.before.get(name)), _said(entry.after.get(name))) for name in names]


def target_link(entry: AuditEntry) -> SafeString | str:
    """To the row that was acted on, where the back office shows such rows."""
    try:
        model = apps.get_model(entry.target_type)
    except LookupError:  # a model of an earlier version
        return str(entry.target_id)
    return link(model, entry.target_id) if admin.site.is_registered(model) else str(entry.target_id)


def _said(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "–"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    elif isinstance(value, dict):
        value = ", ".join(f"{name}: {inner}" for name, inner in value.items())
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _inline_facts(inline: Any, row: models.Model) -> dict[str, Any]:
    """Each row of an inline by its own id, so that one added, changed or removed is told as such; without what the inline
    names as unaudited, its secrets and people's addresses."""
    model, left_out = inline.model, getattr(inline, "unaudited_columns", ())
    to_row = [f for f in model._meta.concrete_fields if f.is_relation and f.related_model is type(row)]
    rows = model._base_manager.filter(**{to_row[0].name: row}).order_by("pk")
    return {
        str(one.pk): {name: str(value) for name, value in audit.facts_of(one).items() if name not in left_out} for one in rows
    }
