import os

import stripe
from django.apps import AppConfig


class Peers(AppConfig):
    name = "bench.peers"
    label = "peers"

    def ready(self) -> None:
        from bench.peers import handlers  # noqa: F401  connects to dj-stripe's signals

        stripe.api_base = os.environ["STRIPE_API_BASE"]
