"""How states, times, numbers, ids and documents look in the back office."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import models
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import localtime

from conventions.public_ids import PublicIdField

LONGEST_SHOWN = 40_000


def moment(at: datetime | None) -> str:
    """To the second: the order of events is what staff read times for."""
    return date_format(localtime(at), "Y-m-d H:i:s") if at else "–"


def day_of_month(day: date) -> str:
    """Short enough for a chart: 3 Nov."""
    return f"{day.day} {day:%b}"


def counted(number: int, what: str) -> str:
    """1 gift, 2,000 gifts."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def share(part: int, whole: int, *, digits: int = 1) -> str:
    """In percent, rounded half up from whole numbers; a dash where there is no whole."""
    if not whole:
        return "–"
    scaled = (part * 100 * 10**digits + whole // 2) // whole
    return f"{scaled // 10**digits}.{scaled % 10**digits:0{digits}d} %"


def pill(state: str, label: str = "") -> SafeString:
    """A state in its colour; the word says it too."""
    return format_html('<span class="pill pill-{}">{}</span>', state, label or state.replace("_", " "))


def breakable(text: str) -> SafeString:
    """An address or a type, which breaks after an @, a dot or an underscore where a column is narrow: not within a word."""
    pieces = ((piece,) for piece in re.split(r"(?<=[@._])", text))
    return format_html_join(mark_safe("<wbr>"), "{}", pieces)


def change_url(model: type[models.Model], pk: str) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[quote(pk)])


def list_url(model: type[models.Model], **params: str) -> str:
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{url}?{urlencode(params)}" if params else url


def link(model: type[models.Model], pk: str | None, label: str = "") -> SafeString | str:
    return format_html('<a href="{}">{}</a>', change_url(model, pk), label or pk) if pk else "–"


@cache
def _models_by_prefix() -> dict[str, type[models.Model]]:
    known = ((model._meta.pk, model) for model in admin.site._registry if not model._meta.proxy)
    return {pk.prefix: model for pk, model in known if isinstance(pk, PublicIdField)}


def link_by_id(identifier: str) -> SafeString | str:
    """A link to whatever row has this public id; its prefix says what that is."""
    model = _models_by_prefix().get(identifier.rpartition("_")[0])
    return link(model, identifier) if model else identifier or "–"


def pretty(document: Any) -> SafeString:
    """JSON (or the text of it) with its lines indented, bounded."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            document = {"not JSON": document}
    text = json.dumps(document, indent=2, ensure_ascii=False)
    rest = len(text) - LONGEST_SHOWN
    note = f"\n… and {rest:,} characters more" if rest > 0 else ""
    return format_html('<pre class="document" tabindex="0">{}{}</pre>', text[:LONGEST_SHOWN], note)
