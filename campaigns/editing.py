"""Opening and changing a campaign on behalf of staff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from accounts import audit
from accounts.models import User
from campaigns.models import Campaign
from conventions.errors import Conflict, InvalidInput
from payments.money import Money


class SlugTaken(Conflict):
    code = "slug_taken"


def open_campaign(*, fields: Mapping[str, Any], owner: User) -> Campaign:
    """Make a campaign from validated API fields; amounts are in major units. Raises InvalidInput, SlugTaken."""
    campaign = Campaign(owner=owner, currency=fields.get("currency") or settings.DEFAULT_CURRENCY)
    return _fill_and_save(campaign, fields, actor=owner)


def change_campaign(*, campaign: Campaign, fields: Mapping[str, Any], actor: User) -> Campaign:
    return _fill_and_save(campaign, fields, actor=actor)


def _fill_and_save(campaign: Campaign, fields: Mapping[str, Any], *, actor: User) -> Campaign:
    for name in ("title", "slug", "summary", "story", "image_url", "starts_at", "ends_at", "state"):
        if name in fields:
            setattr(campaign, name, fields[name])
    campaign.slug = campaign.slug or slugify(campaign.title)[:100] or campaign.pk
    if "goal_amount" in fields:
        goal = fields["goal_amount"]
        campaign.goal_minor = _positive(goal, campaign.currency, "goal_amount") if goal is not None else None
    if "minimum_amount" in fields:
        minimum = Money.parse(fields["minimum_amount"], campaign.currency, field="minimum_amount")
        if minimum.amount_minor < 0:
            raise InvalidInput("The minimum cannot be negative.", field="minimum_amount")
        campaign.minimum_minor = minimum.amount_minor
    if campaign.starts_at and campaign.ends_at and campaign.ends_at <= campaign.starts_at:
        raise InvalidInput("The end must be after the start.", field="ends_at")
    try:
        with transaction.atomic():
            _save_and_record(campaign, actor)
    except IntegrityError as error:
        raise SlugTaken(f"The address {campaign.slug!r} is taken by another campaign.") from error
    return campaign


def _save_and_record(campaign: Campaign, actor: User) -> None:
    """The row, and the line of history that the admin would write."""
    was = Campaign.objects.select_for_update().filter(pk=campaign.pk).first()
    campaign.save()
    before, after = audit.changes(audit.facts_of(was) if was else {}, audit.facts_of(campaign))
    if before or after:
        action = "campaign.changed" if was else "campaign.added"
        audit.record(actor=actor, action=action, target=campaign, before=before, after=after)


def _positive(value: str, currency: str, field: str) -> int:
    money = Money.parse(value, currency, field=field)
    if money.amount_minor <= 0:
        raise InvalidInput("The goal must be more than zero.", field=field)
    return money.amount_minor
