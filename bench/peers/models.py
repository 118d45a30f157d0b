"""The two tables of a fundraising tutorial."""

from __future__ import annotations

from django.db import models


class Campaign(models.Model):
    title = models.CharField(max_length=200)
    raised_minor = models.BigIntegerField(default=0)

    class Meta:
        app_label = "peers"

    def __str__(self) -> str:
        return self.title


class Donation(models.Model):
    campaign = models.ForeignKey(Campaign, models.PROTECT)
    stripe_session = models.CharField(max_length=255, unique=True)
    stripe_intent = models.CharField(max_length=255, blank=True, default="")
    email = models.EmailField(blank=True, default="")
    name = models.CharField(max_length=200, blank=True, default="")
    amount_minor = models.BigIntegerField()
    status = models.CharField(max_length=20, default="pending")
    created_at = models.DateTimeField(auto_now_add=True)
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "peers"

    def __str__(self) -> str:
        return f"{self.stripe_session} {self.status}"
