"""Which list of plans is the current one. Saving a plan or price changes the token when it commits; who read the plans
before that stores them under the token of before, where nobody looks."""

from __future__ import annotations

import secrets

from django.core.cache import cache
from django.db import transaction

TOKEN, LIVES_S = "pricing:list:token", 86_400


def list_token() -> str:
    return str(cache.get_or_set(TOKEN, _new, LIVES_S))


def drop_list_after_commit() -> None:
    transaction.on_commit(lambda: cache.set(TOKEN, _new(), LIVES_S))


def _new() -> str:
    return secrets.token_hex(8)
