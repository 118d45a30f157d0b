"""Going through a long table without holding it: a chunk at a time, by primary key.

`QuerySet.iterator()` does not do that here: behind PgBouncer there are no server-side cursors, so the driver would fetch
every row before giving the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from django.db import models

Model = TypeVar("Model", bound=models.Model)


def in_chunks(rows: models.QuerySet[Model], size: int) -> Iterator[list[Model]]:
    """The rows in the order of their primary keys, at most `size` in a list, each list one statement (and one for each
    prefetch). Rows that come meanwhile are met where their keys are later."""
    ordered = rows.order_by("pk")
    chunk = list(ordered[:size])
    while chunk:
        yield chunk
        if len(chunk) < size:
            return
        chunk = list(ordered.filter(pk__gt=chunk[-1].pk)[:size])
