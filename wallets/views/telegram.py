"""Linking one's own Telegram chat."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.organization_views import signed_in
from conventions.schema import RETRY_AFTER, WHO_ASKS, refusals
from wallets.models import TelegramLink
from wallets.serializers.telegram import TelegramCodeSerializer, TelegramSerializer
from wallets.telegram import linking


class TelegramCodeView(APIView):
    permission_classes = (IsAuthenticated,)

    @property
    def rate_limit(self) -> str:
        """Codes are for a person who wants one now."""
        return "login" if self.request.method == "POST" else "read"

    @extend_schema(
        operation_id="telegram",
        summary="Whether a Telegram chat is linked to you",
        parameters=[RETRY_AFTER],
        responses={200: TelegramSerializer, **refusals(*WHO_ASKS)},
        tags=["organizations"],
    )
    def get(self, request: Request) -> Response:
        link = TelegramLink.objects.filter(user=signed_in(request)).first()
        found = {"is_linked": link is not None, "linked_at": link.linked_at if link else None}
        return Response(TelegramSerializer(found).data)

    @extend_schema(
        operation_id="telegram_code",
        summary="A code that links your Telegram chat",
        description="Open `bot`, or send `/start` and the code to the bot, within ten minutes. An earlier code stops working.",
        parameters=[RETRY_AFTER],
        request=None,
        responses={201: TelegramCodeSerializer, **refusals(409, 502, *WHO_ASKS, _409="`telegram_off`.", _502="Telegram.")},
        tags=["organizations"],
    )
    def post(self, request: Request) -> Response:
        made = linking.make_code(user=signed_in(request))
        return Response(TelegramCodeSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        operation_id="telegram_unlink",
        summary="Unlink your Telegram chat",
        parameters=[RETRY_AFTER],
        responses={204: None, **refusals(*WHO_ASKS)},
        tags=["organizations"],
    )
    def delete(self, request: Request) -> Response:
        linking.unlink(user=signed_in(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
