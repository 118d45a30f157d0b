"""Writes the squashed migration for the installed dj-stripe: what `makemigrations` makes of an empty history."""

import sys
import tempfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from pkgutil import iter_modules

import django
from django.conf import settings
from django.core.management import call_command

HEADER = "# Written by `python -m djstripe_migrations`; do not edit.\n# mypy: ignore-errors\n# ruff: noqa\n# fmt: off\n"
CLASS_LINE = "class Migration(migrations.Migration):\n"


def upstream_names() -> list[str]:
    """The names of the migrations that the installed dj-stripe brings, in order."""
    return sorted(module.name for module in iter_modules(import_module("djstripe.migrations").__path__))


def write_squashed() -> Path:
    """Write the migration beside this file and return where; `makemigrations` works on an empty package meanwhile."""
    name = "squashed_" + "_".join(version("dj-stripe").split(".")[:2])
    target = Path(__file__).with_name(f"0001_{name}.py")
    replaces = "".join(f"        ('djstripe', '{upstream}'),\n" for upstream in upstream_names())
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "djstripe_empty_history")
        empty.mkdir()
        empty.joinpath("__init__.py").touch()
        sys.path.insert(0, folder)
        settings.MIGRATION_MODULES = {**settings.MIGRATION_MODULES, "djstripe": empty.name}
        call_command("makemigrations", "djstripe", name=name, verbosity=0)
        written = empty.joinpath(target.name).read_text()
    target.write_text(HEADER + written.replace(CLASS_LINE, f"{CLASS_LINE}\n    replaces = [\n{replaces}    ]\n", 1))
    return target


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(f"{write_squashed()}\n")
