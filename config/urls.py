"""Every address: the API (config/api.py), its documentation, the admin, health, and the pages."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config import api, health, metrics
from payments.webhooks import djstripe_webhook

handler400 = "conventions.errors.bad_request"
handler403 = "conventions.errors.permission_denied"
handler404 = "conventions.errors.page_not_found"
handler500 = "conventions.errors.server_error"

urlpatterns = [
    *api.urlpatterns,
    *api.both("api/schema/", SpectacularAPIView.as_view(), "schema"),
    *api.both("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), "api-docs"),
    path("admin/", admin.site.urls),
    *api.both("healthz", health.healthz, "healthz"),
    *api.both("readyz", health.readyz, "readyz"),
    *api.both("metrics", metrics.metrics, "metrics"),
    # Where dj-stripe's endpoints deliver, under the name by which dj-stripe looks its address up.
    path("stripe/", include((api.both("webhook/<uuid:uuid>", djstripe_webhook, "djstripe_webhook_by_uuid"), "djstripe"))),
    path("", include("website.urls")),
]
