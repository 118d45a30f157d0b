"""Lists of a million rows that open at once: no row is counted, none is ordered without an index, none is edited.

A list shows fifty rows and whether more follow. Its dates are a calendar, not a look through the table.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    RowPaginator = Paginator[Any]
else:
    ModelAdmin = admin.ModelAdmin
    RowPaginator = Paginator

PER_PAGE = 50
MOST_PAGES = 200  # beyond, a page costs more than it tells: narrow the list instead


class UncountedPaginator(RowPaginator):
    """Looks one row beyond the page asked for, instead of counting them all.

    `count` is therefore what is known: the rows up to the end of this page, and one more where more follow.
    """

    def __init__(self, rows: models.QuerySet[Any], per_page: int, *, number: int) -> None:
        super().__init__(rows, per_page)
        self.rows = rows
        self.number = number

    @cached_property
    def count(self) -> int:
        start = (min(self.number, MOST_PAGES) - 1) * self.per_page
        seen = len(self.rows.values_list("pk")[start : start + self.per_page + 1])
        return min(start + seen, MOST_PAGES * self.per_page + 1)

    @property
    def num_pages(self) -> int:
        return min(MOST_PAGES, super().num_pages)

    @property
    def has_more(self) -> bool:
        return self.count > self.number * self.per_page


def page_number(request: HttpRequest) -> int:
    """The page asked for, from 1; one beyond the last allowed stays beyond it, and is refused."""
    try:
        return max(1, int(request.GET.get(PAGE_VAR, 1)))
    except ValueError:
        return 1


class LongChangeList(ChangeList):
    """A change list whose dates are stepped through by calendar: one look at the oldest row, at most."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = str(self.opts.verbose_name_plural).capitalize()

    def get_ordering(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> list[Any]:
        """While the list is narrowed to dates it goes by them, else the database would walk from the newest row, by
        its key, down to the dates asked for."""
        name = self.date_hierarchy
        if name and any(parameter.startswith(f"{name}__") for parameter in self.params):
            return [f"-{name}", "-pk"]
        return list(super().get_ordering(request, queryset))

    def date_steps(self) -> dict[str, Any]:
        """`back` and `choices`, each a title and a query string: years, then months, then days."""
        name = self.date_hierarchy
        chosen = {part: _whole(self.params.get(f"{name}__{part}")) for part in ("year", "month", "day")}
        year, month, day = chosen["year"], chosen["month"], chosen["day"]

        def step(title: str, **parts: int) -> dict[str, str]:
            added = {f"{name}__{part}": value for part, value in parts.items()}
            return {"title": title, "query": self.get_query_string(added, [f"{name}__"])}

        if year is None:
            return {"back": None, "choices": [step(str(y), year=y) for y in self._years()]}
        if month is None:
            choices = [step(calendar.month_name[m], year=year, month=m) for m in range(1, 13)]
            return {"back": step("All dates"), "choices": choices, "chosen": str(year)}
        title = f"{calendar.month_name[month]} {year}" if 1 <= month <= 12 else ""
        if day is None:
            days = calendar.monthrange(year, month)[1] if title and 1 <= year <= 9999 else 0
            choices = [step(str(d), year=year, month=month, day=d) for d in range(1, days + 1)]
            return {"back": step(str(year), year=year), "choices": choices, "chosen": title}
        return {"back": step(title, year=year, month=month), "choices": [], "chosen": f"{day} {title}"}

    @property
    def page_links(self) -> Any:
        return self.paginator.get_elided_page_range(self.page_num)

    @property
    def is_last_allowed(self) -> bool:
        return self.page_num >= MOST_PAGES

    def _years(self) -> Sequence[int]:
        oldest_by = cast(LongList, self.model_admin).oldest_by
        first = self.root_queryset.order_by(oldest_by).values_list(self.date_hierarchy, flat=True)[:1]
        this_year = timezone.now().year
        return range(min([moment.year for moment in first] or [this_year]), this_year + 1)


def _whole(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else None


class LongList(ModelAdmin):
    """The list of a table that may have millions of rows; columns cannot be sorted by, since few have an index."""

    change_list_template = "admin/long_list.html"
    list_per_page = PER_PAGE
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    search_fields: ClassVar[Any] = ("pk",)  # shows the box; what it finds is in `matching`
    ordering: ClassVar[Any] = ("-pk",)
    actions = None
    # The order that brings the oldest row first, by an index. Public ids are in order of time.
    oldest_by = "pk"

    def matching(self, queryset: models.QuerySet[Any], term: str) -> models.QuerySet[Any]:
        """The rows that a search is for. Ids and addresses are looked up whole, by their index."""
        return queryset.filter(pk=term)

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        term = search_term.strip()
        return (self.matching(queryset, term) if term else queryset), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LongChangeList

    def get_paginator(
        self,
        request: HttpRequest,
        queryset: models.QuerySet[Any],
        per_page: int,
        orphans: int = 0,
        allow_empty_first_page: bool = True,
    ) -> UncountedPaginator:
        return UncountedPaginator(queryset, per_page, number=page_number(request))


class ReadOnly(LongList):
    """Rows that Stripe's facts or our own operations write: nobody adds, changes or deletes them here."""

    list_display_links: Any = None

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return tuple(field for field in self.fields or () if isinstance(field, str))

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        return tuple(list_display)[:1]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ChoiceFilter(admin.SimpleListFilter):
    """Filters by a fixed list of values of one column: no look through the table for those that occur."""

    column = ""
    values: Sequence[tuple[str, str]] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return list(self.values)

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset
