from django.apps import AppConfig
from django.contrib.admin import apps as admin


class BackofficeConfig(AppConfig):
    default = True
    name = "backoffice"
    verbose_name = "Back office"


class AdminWithFrontPage(admin.AdminConfig):
    """Django's admin with a front page of ours; stands in INSTALLED_APPS in its place."""

    default = False
    default_site = "backoffice.front_page.Site"
