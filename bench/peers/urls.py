from django.urls import include, path

from bench.peers.views import webhook

urlpatterns = [
    path("tutorial/webhook", webhook),
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
]
