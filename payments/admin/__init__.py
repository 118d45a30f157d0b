"""The back office of payments: everything can be read by those who may, refunds can be given, nothing is edited."""

from django.apps import apps
from django.contrib import admin

# dj-stripe's forms write its mirror of Stripe, and show keys and secrets: `mirror` shows what may be seen, read-only.
for _of_djstripe in apps.get_app_config("djstripe").get_models():
    if admin.site.is_registered(_of_djstripe):
        admin.site.unregister(_of_djstripe)

apps.get_app_config("djstripe").verbose_name = "Stripe's copy"

from payments.admin import books, mirror, payment, returns, stripe_records, stripes_books, watching  # noqa: E402

admin.site.site_header = "Largesse"
admin.site.site_title = "Largesse"
admin.site.index_title = "Back office"

__all__ = ["books", "mirror", "payment", "returns", "stripe_records", "stripes_books", "watching"]
