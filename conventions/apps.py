from django.apps import AppConfig


class ConventionsConfig(AppConfig):
    name = "conventions"

    def ready(self) -> None:
        from conventions import schema  # noqa: F401  drf-spectacular finds its extensions by their import
