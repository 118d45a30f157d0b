"""A command for operators that could not run says why in one line and exits with 2, never with 1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.core.management.base import SystemCheckError
from django.db import DataError, OperationalError, connection

from conventions import commands
from conventions.commands import OperatorCommand

FINDING = (  # their 1 says that something was found
    "check_books",
    "explain",
    "explain_hours",
    "reconcile",
    "replay_events",
    "retention",
    "simulate",
    "stripe_mirror",
    "stripe_setup",
    "sweep",
)


def run(database: str, *arguments: str) -> tuple[int, str, list[str]]:
    """Status, stdout and the lines of stderr of manage.py in a process of its own."""
    env = {**os.environ, "DATABASE_URL": database}
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=settings.BASE_DIR, env=env, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr.splitlines()


class Failing(OperatorCommand):
    """Raises what it is given."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def handle(self, *args: Any, **options: Any) -> None:
        raise self.error


def refusal(error: Exception) -> CommandError:
    with pytest.raises(CommandError) as refused:
        call_command(Failing(error))
    return refused.value


@pytest.mark.parametrize("name", FINDING)
def test_each_command_that_finds_tells_a_run_that_could_not_be_from_a_find(name: str) -> None:
    command = load_command_class(get_commands()[name], name)
    assert isinstance(command, OperatorCommand)
    assert " 2 " in " ".join(command.help.split()).partition("status: ")[2]


def test_without_migrations_it_says_so_in_one_line(tmp_path: Path) -> None:
    status, out, (line,) = run(f"sqlite:///{tmp_path / 'empty.sqlite3'}", "check_books")
    assert (status, out) == (2, "")
    assert line.startswith("CommandError: The database lacks ")
    assert line.endswith(" migrations. Run: manage.py migrate")


@pytest.mark.parametrize("database", ["sqlite:////no/such/folder/books.sqlite3", "postgres://nobody@127.0.0.1:9/books"])
def test_a_database_that_does_not_answer_is_said_in_one_line(database: str) -> None:
    status, out, (line,) = run(database, "check_books")
    assert (status, out) == (2, "")
    assert line.startswith("CommandError: The database does not answer (OperationalError: ")
    assert line.endswith("Is it running, and is DATABASE_URL right?")


def test_an_environment_that_is_wrong_is_named_without_a_traceback() -> None:
    status, out, lines = run("nonsense", "check_books")
    assert (status, out, lines[0]) == (2, "", "The environment needs mending:")
    assert lines[1].startswith("  - DATABASE_URL must begin with one of ")
    assert len(lines) == 2


@pytest.mark.django_db
def test_what_the_database_refuses_is_told_and_its_traceback_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = DataError("disk full")
    refused = refusal(error)
    assert (refused.returncode, refused.__cause__) == (2, error)
    assert str(refused).startswith("The database refused (DataError: disk full). ")
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.django_db
def test_a_connection_that_broke_meanwhile_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(connection, "cursor", gone)
    refused = refusal(OperationalError("terminating connection"))
    assert refused.returncode == 2
    assert str(refused) == (
        "The database does not answer (OperationalError: server closed the connection unexpectedly). "
        "Is it running, and is DATABASE_URL right?"
    )


@pytest.mark.parametrize("error", [CommandError("no"), SystemCheckError("settings contradict themselves")])
def test_every_refusal_is_a_two(error: CommandError) -> None:
    assert refusal(error) is error
    assert error.returncode == commands.COULD_NOT_RUN == 2


def test_another_error_is_not_caught() -> None:
    with pytest.raises(ZeroDivisionError):
        call_command(Failing(ZeroDivisionError()))


def test_an_exit_of_its_own_stays_what_it_is() -> None:
    class Found(OperatorCommand):
        def handle(self, *args: Any, **options: Any) -> None:
            sys.exit(1)

    with pytest.raises(SystemExit) as stopped:
        call_command(Found())
    assert stopped.value.code == 1
