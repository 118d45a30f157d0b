"""Answers about a person's Telegram chat."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class TelegramSerializer(serializers.Serializer[Any]):
    is_linked = serializers.BooleanField()
    linked_at = serializers.DateTimeField(allow_null=True)


class TelegramCodeSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Works once; it is told here only.")
    expires_at = serializers.DateTimeField()
    bot = serializers.URLField(source="link", help_text="Opens the bot with the code: https://t.me/…?start=…")
