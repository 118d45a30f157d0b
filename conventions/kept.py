"""Figures that may be a while old are kept in the cache; without a cache they are computed each time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.core.cache import cache

logger = logging.getLogger(__name__)
Value = TypeVar("Value")


def kept(key: str, seconds: int, compute: Callable[[], Value]) -> Value:
    """The value of `key`, computed at most once in so many seconds (never None). A cache that is down is told to the log
    and costs time, but no answer."""
    try:
        known: Value | None = cache.get(key)
    except Exception as error:  # noqa: BLE001  each backend raises errors of its own
        logger.error("the cache does not answer: %s", error)
        return compute()
    if known is not None:
        return known
    value = compute()
    try:
        cache.set(key, value, seconds)
    except Exception as error:  # noqa: BLE001
        logger.error("the cache does not answer: %s", error)
    return value
