"""Background tasks: nudges that do at once what the tables say must be done. `sweep` heals those that get lost."""

from __future__ import annotations

from datetime import timedelta

from django.core.cache import cache
from django.utils import timezone
from django_tasks import TaskResultStatus, task

# No task of ours runs for hours: one that is still “running” belonged to a worker that was killed.
ABANDONED_AFTER = timedelta(days=1)
LOOK_EVERY_S = 3600  # the library's table has no index for it


@task()
def fetch_refunds(payment_id: str) -> None:
    """Fetch all refunds of a payment and settle them."""
    # Imported here because settlement enqueues this task.
    from payments import stripe_gateway
    from payments.models import Payment
    from payments.settlement import settle_objects

    payment = Payment.objects.get(pk=payment_id)
    if payment.payment_intent:
        settle_objects(stripe_gateway.list_refunds(payment_intent=payment.payment_intent))


def close_abandoned() -> int:
    """Mark the tasks of workers that were killed as failed, so that they are counted, and pruned in the end. Nothing
    else is lost with them: what they should have done stands in the tables, and the sweep does it."""
    if not cache.add("payments.tasks.close_abandoned", True, LOOK_EVERY_S):
        return 0
    from django_tasks_db.models import DBTaskResult

    now = timezone.now()
    running = DBTaskResult.objects.filter(status=TaskResultStatus.RUNNING, started_at__lt=now - ABANDONED_AFTER)
    return running.update(
        status=TaskResultStatus.FAILED,
        finished_at=now,
        exception_class_path="builtins.ChildProcessError",
        traceback="The worker that ran this was killed. What the task should have done is done by `manage.py sweep`.",
    )
