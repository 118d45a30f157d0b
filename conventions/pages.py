"""Cursor pages: as fast on the last page as on the first, and stable while rows arrive."""

from __future__ import annotations

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """`?cursor=…&page_size=…` over `ordering`, by default the newest first."""

    ordering: str | tuple[str, ...] = ("-created_at", "-pk")
    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = 100
