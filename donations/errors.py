from __future__ import annotations

from conventions.errors import Conflict


class CampaignNotLive(Conflict):
    code = "campaign_not_live"


class NoReceipt(Conflict):
    code = "no_receipt"
