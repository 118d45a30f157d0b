"""The back office of payments: everything can be read by those who may, refunds can be given, nothing is edited."""

from django.apps import apps
from django.contrib import admin

from payments.admin import books, payment, returns, stripe_records

# dj-stripe's forms write its mirror of Stripe; staff have no business there until it can only be read.
for mirrored in apps.get_app_config("djstripe").get_models():
    if admin.site.is_registered(mirrored):
        admin.site.unregister(mirrored)

admin.site.site_header = "Largesse"
admin.site.site_title = "Largesse"
admin.site.index_title = "Back office"

__all__ = ["books", "payment", "returns", "stripe_records"]
