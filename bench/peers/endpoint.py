"""Make what dj-stripe needs to take a delivery: account, key, endpoint. Prints the endpoint's path."""

from __future__ import annotations

import sys

import django


def main() -> None:
    django.setup()
    from django.conf import settings
    from django.urls import reverse
    from djstripe.enums import WebhookEndpointValidation
    from djstripe.models import Account, APIKey, WebhookEndpoint

    account = Account.objects.create(id="acct_bench", livemode=False)
    APIKey.objects.create(secret=settings.STRIPE_TEST_SECRET_KEY, livemode=False, djstripe_owner_account=account)
    endpoint = WebhookEndpoint.objects.create(
        id="we_bench",
        livemode=False,
        djstripe_owner_account=account,
        secret=settings.STRIPE_WEBHOOK_SECRET,
        api_version=settings.STRIPE_API_VERSION,
        enabled_events=["*"],
        status="enabled",
        url="http://127.0.0.1/",
        djstripe_validation_method=WebhookEndpointValidation.verify_signature,
    )
    sys.stdout.write(reverse("djstripe:djstripe_webhook_by_uuid", args=[endpoint.djstripe_uuid]))


if __name__ == "__main__":
    main()
