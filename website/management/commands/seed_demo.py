"""Campaigns and people to try the system with."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from campaigns.models import Campaign

PASSWORD = "largesse-demo"  # noqa: S105  a demonstration's, refused in live mode
PEOPLE = (("staff@example.org", "Sam Staff", True), ("donor@example.org", "Dora Donor", False))
# slug, title, summary, currency, goal in minor units
CAMPAIGNS = (
    ("clean-water", "Clean water for Kisoro", "Twelve wells and the people trained to keep them running.", "usd", 500_000),
    ("night-school", "The night school", "Teachers, light and warm meals for those who work by day.", "eur", 1_200_000),
    ("cherry-trees", "A thousand cherry trees", "Replanting the river bank, one tree a gift.", "jpy", 3_000_000),
    ("library-bus", "The library bus", "A new engine for the bus that brings books to the villages.", "huf", 250_000_000),
    ("sea-rescue", "Sea rescue", "A second boat for the volunteers of the north coast.", "isk", 400_000_000),
    ("date-palms", "Date palms for the oasis school", "Shade and income for a school of two hundred.", "kwd", 9_000_000),
)
STORY = """{summary}

We are neighbours who started small and keep good books. Every gift shows up here at once, and every number on this page \
can be opened into the single transfers behind it.

What your gift does: the first half pays for material, the second for the hands that put it to use. When the goal is \
reached we go on for as long as there is need, and say so.
"""


class Command(BaseCommand):
    help = (
        "Makes campaigns in six currencies, a staff user and a donor, where they do not exist yet. Refused in live mode.\n\n"
        "Example: manage.py seed_demo"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.STRIPE_LIVE_MODE:
            raise CommandError("This is live mode: demonstration users with a known password have no place here.")
        with transaction.atomic():
            for email, name, is_staff in PEOPLE:
                self._person(email, name, is_staff=is_staff)
            for slug, title, summary, currency, goal_minor in CAMPAIGNS:
                fields = {"title": title, "summary": summary, "currency": currency, "goal_minor": goal_minor, "state": "live"}
                Campaign.objects.get_or_create(slug=slug, defaults={**fields, "story": STORY.format(summary=summary)})
            Campaign.objects.general_fund()
        self.stdout.write(f"{len(CAMPAIGNS)} campaigns; log in as staff@example.org or donor@example.org, password {PASSWORD}")

    def _person(self, email: str, name: str, *, is_staff: bool) -> None:
        if User.objects.filter(email=email).exists():
            return
        user = User.objects.create_user(email=email, password=PASSWORD, name=name)
        user.is_staff = user.is_superuser = is_staff
        user.email_proved_at = timezone.now()
        user.save()
