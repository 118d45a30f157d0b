"""What exporting may refuse."""

from __future__ import annotations

from conventions.errors import Conflict


class TooManyExports(Conflict):
    code = "too_many_exports"
