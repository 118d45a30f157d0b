"""Cursor pages: as fast on the last page as on the first, and stable while rows arrive."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as BadValue
from django.db import DataError
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request


class NewestFirst(CursorPagination):
    """`?cursor=…&page_size=…` over `ordering`, by default the newest first."""

    ordering: str | tuple[str, ...] = ("-created_at", "-pk")
    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = 100

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """A cursor holds a position that goes into the query: a forged one is refused like any other bad cursor."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (BadValue, ValueError, OverflowError, DataError) as error:
            raise NotFound(self.invalid_cursor_message) from error

    def get_page_size(self, request: Request) -> int | None:
        asked = request.query_params.get(str(self.page_size_query_param))
        if asked is None:
            return self.page_size
        if not (asked.isascii() and asked.isdigit() and len(asked) <= 3 and 1 <= int(asked) <= self.max_page_size):
            raise ValidationError({"page_size": f"A whole number from 1 to {self.max_page_size}."})
        return int(asked)
