"""dj-stripe's migrations, with a short way for an empty database.

Upstream's own list re-renders some sixty models for each of its six hundred operations, which takes from half a minute
to three. This package finds upstream's migrations too (its ``__path__`` holds their folder) and adds one that replaces
them all: an empty database takes only that one, a database that has upstream's takes none, and what a later release of
dj-stripe adds is applied on top of either. It needs ``MIGRATION_MODULES = {"djstripe": "djstripe_migrations"}``.

After an upgrade of dj-stripe that brings migrations, write it again and delete the old file:

    DJANGO_SETTINGS_MODULE=config.settings python -m djstripe_migrations
"""

from importlib import import_module

__path__.extend(import_module("djstripe.migrations").__path__)
