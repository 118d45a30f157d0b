"""Campaigns, hours, an organization and people to try the system with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from accounts import organizations
from accounts.models import Membership, Role, User
from campaigns.models import Campaign
from pricing import hours

PASSWORD = "largesse-demo"  # noqa: S105  a demonstration's, refused in live mode
SUPERUSER = "superuser"
FINANCE = "finance"  # a role of backoffice/roles.py
# e-mail, name, role of staff; two of them, because nobody decides on an adjustment of their own
PEOPLE = (
    ("staff@example.org", "Sam Staff", SUPERUSER),
    ("finance@example.org", "Fiona Finance", FINANCE),
    ("donor@example.org", "Dora Donor", ""),
    ("student@example.org", "Stella Student", ""),
    ("tutor@example.org", "Tom Tutor", ""),
)
ORGANIZATION = "Kisoro Water Trust"
TUTORS = "Tutors"  # the group that pricing's first migration makes
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
        "Makes campaigns in six currencies, two staff users, a donor with an organization, a student with hours and a tutor, "
        "where they do not exist yet. Refused in live mode.\n\n"
        "Example: manage.py seed_demo"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.STRIPE_LIVE_MODE:
            raise CommandError("This is live mode: demonstration users with a known password have no place here.")
        with transaction.atomic():
            is_first = not User.objects.filter(email="student@example.org").exists()
            for email, name, role in PEOPLE:
                self._person(email, name, role=role)
            if is_first:
                self._lessons()
            self._organization()
            for slug, title, summary, currency, goal_minor in CAMPAIGNS:
                fields = {"title": title, "summary": summary, "currency": currency, "goal_minor": goal_minor, "state": "live"}
                Campaign.objects.get_or_create(slug=slug, defaults={**fields, "story": STORY.format(summary=summary)})
            Campaign.objects.general_fund()
        self.stdout.write(
            f"{len(CAMPAIGNS)} campaigns; log in as {', '.join(email for email, *_ in PEOPLE)}, password {PASSWORD}"
        )

    def _person(self, email: str, name: str, *, role: str) -> None:
        if User.objects.filter(email=email).exists():
            return
        user = User.objects.create_user(email=email, password=PASSWORD, name=name)
        user.is_staff, user.is_superuser = bool(role), role == SUPERUSER
        user.email_proved_at = timezone.now()
        user.save()
        user.groups.set(Group.objects.filter(name=role))

    def _organization(self) -> None:
        """The donor's, with the student as a member. Its wallet begins with the first top-up."""
        donor, student = (User.objects.get(email=f"{who}@example.org") for who in ("donor", "student"))
        if not Membership.objects.filter(user=donor).exists():
            made = organizations.create_organization(owner=donor, name=ORGANIZATION)
            Membership.objects.create(organization=made.organization, user=student, role=Role.MEMBER)

    def _lessons(self) -> None:
        """Ten hours for the student, and two sessions that the tutor recorded."""
        staff, student, tutor = (User.objects.get(email=f"{who}@example.org") for who in ("staff", "student", "tutor"))
        tutor.groups.set(Group.objects.filter(name=TUTORS))
        expires_at = timezone.now() + timedelta(days=60)
        hours.adjust(student=student, hundredths=1000, actor=staff, reason="for the demonstration", expires_at=expires_at)
        for reference, hundredths in (("Algebra, first lesson", 100), ("Algebra, second lesson", 150)):
            hours.consume(student=student, hundredths=hundredths, session_reference=reference, actor=tutor)
