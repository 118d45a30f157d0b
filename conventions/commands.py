"""What the commands for operators have in common: a command that could not run says why in one line and exits with 2, so
that 1 always means that it ran and found something."""

from __future__ import annotations

import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from conventions.failures import told

logger = logging.getLogger(__name__)

COULD_NOT_RUN = 2


class OperatorCommand(BaseCommand):
    """A command whose every CommandError, and every error of the database, ends it with COULD_NOT_RUN."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except CommandError as error:
            error.returncode = COULD_NOT_RUN
            raise
        except DatabaseError as error:
            raise CommandError(_what_is_wrong(error), returncode=COULD_NOT_RUN) from error


def _what_is_wrong(error: DatabaseError) -> str:
    """What is wrong with the database, and what to do about it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        executor = MigrationExecutor(connection)
        missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError as unreachable:
        return f"The database does not answer ({told(unreachable)}). Is it running, and is DATABASE_URL right?"
    if missing:
        return f"The database lacks {missing} migrations. Run: manage.py migrate"
    logger.error("the database refused a command", exc_info=error)
    return f"The database refused ({told(error)}). The log has the traceback; what was done before stays so. Run it again."
