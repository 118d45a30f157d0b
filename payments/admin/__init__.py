"""The back office of payments: everything can be read by those who may, refunds can be given, nothing is edited."""

from django.contrib import admin

from payments.admin import books, payment, returns, stripe_records

admin.site.site_header = "Largesse"
admin.site.site_title = "Largesse"
admin.site.index_title = "Back office"

__all__ = ["books", "payment", "returns", "stripe_records"]
