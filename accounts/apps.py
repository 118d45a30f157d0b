from django.apps import AppConfig
from django.core import checks


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import schema  # noqa: F401  (drf-spectacular finds its extension by its being loaded)
        from accounts.person_data import check_person_data

        checks.register(check_person_data)
