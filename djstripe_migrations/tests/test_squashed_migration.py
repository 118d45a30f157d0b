"""The squashed migration stands for upstream's list, whatever a database has behind it."""

import sys
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from djstripe_migrations import __main__ as command

SQUASHED = "0001_squashed_2_11"
UPSTREAM = ["0001_initial", "0002_2_10", "0003_2_11"]
LATER = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("djstripe", "0003_2_11")]
"""


def plan(monkeypatch: pytest.MonkeyPatch, *applied: str) -> list[str]:
    """The names of dj-stripe's migrations that `migrate` applies where these of them are recorded as applied."""
    recorded = {("djstripe", name): MigrationRecorder.Migration(app="djstripe", name=name) for name in applied}
    monkeypatch.setattr(MigrationRecorder, "applied_migrations", lambda recorder: recorded)
    executor = MigrationExecutor(connection)
    targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "djstripe"]
    steps = executor.migration_plan(targets)
    return [migration.name for migration, _ in steps if migration.app_label == "djstripe"]


def test_squashed_migration_replaces_exactly_what_upstream_brings() -> None:
    replaced = MigrationLoader(None).disk_migrations["djstripe", SQUASHED].replaces
    assert replaced == [("djstripe", name) for name in command.upstream_names()], (
        f"dj-stripe {version('dj-stripe')} brings other migrations than the squashed one replaces: "
        "run `python -m djstripe_migrations`, delete the old file, and bring the names in this test up to date."
    )


@pytest.mark.django_db
def test_models_of_the_installed_dj_stripe_need_no_further_migration() -> None:
    out = StringIO()
    call_command("makemigrations", "djstripe", check_changes=True, dry_run=True, stdout=out)
    assert out.getvalue() == "No changes detected in app 'djstripe'\n"


def test_empty_database_takes_only_the_squashed_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan(monkeypatch) == [SQUASHED]


def test_database_with_upstream_migrations_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan(monkeypatch, *UPSTREAM) == []


def test_database_halfway_through_upstream_takes_the_rest_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan(monkeypatch, *UPSTREAM[:2]) == UPSTREAM[2:]


@pytest.mark.parametrize(
    ("applied", "expected"),
    [
        ([], [SQUASHED, "0004_later"]),
        (UPSTREAM, ["0004_later"]),
        ([*UPSTREAM, SQUASHED], ["0004_later"]),
    ],
)
def test_later_upstream_migration_goes_on_top(
    applied: list[str],
    expected: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: LazySettings,
) -> None:
    package = tmp_path / "upgraded_migrations"
    package.mkdir()
    package.joinpath("__init__.py").write_text("from djstripe_migrations import __path__ as ours\n__path__.extend(ours)\n")
    package.joinpath("0004_later.py").write_text(LATER)
    monkeypatch.syspath_prepend(tmp_path)
    settings.MIGRATION_MODULES = {"djstripe": "upgraded_migrations"}
    assert plan(monkeypatch, *applied) == expected


@pytest.mark.django_db
def test_written_again_the_squashed_migration_is_the_one_kept_here(
    tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "__file__", str(tmp_path / "__main__.py"))
    monkeypatch.setattr("sys.path", list(sys.path))
    settings.MIGRATION_MODULES = dict(settings.MIGRATION_MODULES)
    kept = Path(__file__).parents[1].joinpath(f"{SQUASHED}.py").read_text().splitlines()
    again = command.write_squashed().read_text().splitlines()
    assert [line for line in again if not line.startswith("# Generated")] == [
        line for line in kept if not line.startswith("# Generated")
    ]
