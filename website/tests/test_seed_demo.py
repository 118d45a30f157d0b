"""People to try the system with: two of the staff, so that each can decide on what the other proposed."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from accounts.models import User

pytestmark = pytest.mark.django_db


def test_two_of_the_staff_can_decide_on_adjustments_and_nobody_else() -> None:
    for _ in range(2):  # a second run makes nobody twice
        call_command("seed_demo", stdout=StringIO())

    deciders = [user.email for user in User.objects.order_by("email") if user.has_perm("wallets.approve_walletadjustment")]
    assert deciders == ["finance@example.org", "staff@example.org"]
    assert list(User.objects.filter(is_superuser=True).values_list("email", flat=True)) == ["staff@example.org"]
    assert list(User.objects.filter(is_staff=True).order_by("email").values_list("email", flat=True)) == deciders
