"""Cursor pages: as fast on the last page as on the first, and stable while rows arrive."""

from __future__ import annotations

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request


class NewestFirst(CursorPagination):
    """`?cursor=…&page_size=…` over `ordering`, by default the newest first."""

    ordering: str | tuple[str, ...] = ("-created_at", "-pk")
    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = 100

    def get_page_size(self, request: Request) -> int | None:
        asked = request.query_params.get(str(self.page_size_query_param))
        if asked is None:
            return self.page_size
        if not (asked.isascii() and asked.isdigit() and len(asked) <= 3 and 1 <= int(asked) <= self.max_page_size):
            raise ValidationError({"page_size": f"A whole number from 1 to {self.max_page_size}."})
        return int(asked)
