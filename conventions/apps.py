from django.apps import AppConfig
from django.core import checks


class ConventionsConfig(AppConfig):
    name = "conventions"

    def ready(self) -> None:
        from conventions import schema  # noqa: F401  drf-spectacular finds its extensions by their import
        from conventions.database_role import check_role

        checks.register(check_role, checks.Tags.database)
