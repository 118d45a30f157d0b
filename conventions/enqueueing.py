"""A task enqueued as a statement, to travel with others.

Every paid gift enqueues its receipt. `task.enqueue` inserts by the ORM, in a journey of its own, and describes the row
twice: a seventh of the CPU of a whole delivery (docs/benchmarks.md). Worker, table and all else are the library's own;
everything that is not on that path calls `task.enqueue`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django.utils import timezone
from django_tasks.base import Task, TaskResultStatus

from conventions.insert_or_add import inserting_or_adding
from conventions.rows import Statement

NOT_LATER = datetime(9999, 1, 1, tzinfo=UTC)  # how the library writes that a task may run at once


def enqueueing(task: Task[Any, Any], *args: Any) -> Statement | None:
    """The statement that does what `task.enqueue(*args)` does, but for its signal; arguments as JSON has them."""
    from django_tasks_db.models import DBTaskResult  # tasks are declared before models can be loaded

    row = {
        "id": uuid4(),
        "status": TaskResultStatus.READY,
        "enqueued_at": timezone.now(),
        "started_at": None,
        "finished_at": None,
        "args_kwargs": {"args": args, "kwargs": {}},
        "priority": task.priority,
        "task_path": task.module_path,
        "worker_ids": [],
        "queue_name": task.queue_name,
        "backend_name": task.backend,
        "run_after": task.run_after or NOT_LATER,
        "return_value": None,
        "exception_class_path": "",
        "traceback": "",
    }
    return inserting_or_adding(DBTaskResult, [row], key=["id"])
