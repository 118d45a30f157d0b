"""Looking at wallets: what they stand at, their statements, their payments."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.organization_views import ORGANIZATION_ID, OrganizationInQuery, OrganizationView, parsed, signed_in
from conventions import tenancy
from conventions.csv_text import harmless
from conventions.pages import NewestFirst
from conventions.schema import CURSOR, PAGE_SIZE, RETRY_AFTER, WHO_ASKS, paged, refusals
from payments.models import Transfer
from wallets import history, overview, statement, statistics
from wallets.models import Wallet
from wallets.serializers import reading as serializers
from wallets.serializers.settings import WalletSettingsSerializer
from wallets.statement import Entry, Transfers
from wallets.views.settings import change_settings
from wallets.views.topping_up import OfPayment

COLUMNS = (
    "id",
    "occurred_at",
    "booked_at",
    "kind",
    "amount",
    "balance_after",
    "currency",
    "description",
    "payment_id",
    "stripe_id",
)
LINES = 1_000  # of a CSV file, sent at a time


def asked(request: Request, serializer_class: Any) -> dict[str, Any]:
    serializer = serializer_class(data=request.query_params.dict())  # as JSON: an empty value is one, and refused
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data


class WalletDetail(OrganizationView):
    administering = frozenset({"PATCH"})

    @property
    def rate_limit(self) -> str:
        """New settings may charge a card at once, and again after each decline."""
        return "checkout" if self.request.method == "PATCH" else "read"

    @extend_schema(
        operation_id="wallets",
        summary="Balances of an organization",
        description="Every wallet of it, one per currency. The first top-up opens one.",
        parameters=[serializers.WhichWalletSerializer, RETRY_AFTER],
        responses={200: serializers.WalletsSerializer, **refusals(400, 404, *WHO_ASKS)},
        tags=["wallets"],
    )
    def get(self, request: Request, organization_id: str) -> Response:
        query = asked(request, serializers.WhichWalletSerializer)
        return self._shown(query.get("currency"))

    @extend_schema(
        operation_id="wallets_change",
        summary="How a wallet watches itself",
        description="When its admins are told, and when it tops itself up. What is left out stays as it is.",
        parameters=[RETRY_AFTER],
        request=WalletSettingsSerializer,
        responses={
            200: serializers.WalletsSerializer,
            **refusals(400, 404, 409, *WHO_ASKS, _409="`no_payment_method`: there is none to charge."),
        },
        tags=["wallets"],
    )
    def patch(self, request: Request, organization_id: str) -> Response:
        body = parsed(request, WalletSettingsSerializer)
        change_settings(organization=self.membership.organization, body=body, actor=signed_in(request))
        return self._shown(body.get("currency"))

    def _shown(self, currency: str | None) -> Response:
        shown = overview.wallets_of(self.membership.organization, currency=currency)
        return Response(serializers.WalletsSerializer(shown).data)


# -- the statement ---------------------------------------------------------------------------------------
class NewestBookedFirst(NewestFirst):
    ordering = ("-pk",)


class Csv(BaseRenderer):
    """Named so that `Accept: text/csv` is understood; the view writes the file itself."""

    media_type, format = "text/csv", "csv"

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> Any:
        raise NotImplementedError("Statements are streamed.")


class Statement(OrganizationView):
    renderer_classes = (JSONRenderer, Csv)

    @extend_schema(
        operation_id="wallet_transactions",
        summary="The statement of a wallet",
        description=(
            "Everything that came into the wallet or left it, newest first, with the balance after it. "
            "With `Accept: text/csv` the whole statement as one file."
        ),
        parameters=[serializers.StatementQuerySerializer, CURSOR, PAGE_SIZE, RETRY_AFTER],
        responses={
            (200, "application/json"): paged(serializers.StatementEntrySerializer),
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, description="One line each, under the names of the fields."),
            **refusals(400, 404, *WHO_ASKS),
        },
        tags=["wallets"],
    )
    def get(self, request: Request, organization_id: str) -> HttpResponseBase:
        query = asked(request, serializers.StatementQuerySerializer)
        wallet = overview.wallet_looked_at(self.membership.organization, query.get("currency"))
        rows = statement.booked(wallet, since=query.get("since"), until=query.get("until")) if wallet else None
        if request.accepted_renderer.format == Csv.format:
            return self._file(request, wallet, rows)
        pages = NewestBookedFirst()
        page = pages.paginate_queryset(Transfer.objects.none() if rows is None else rows, request, view=self) or []
        found = statement.entries(wallet, page) if wallet else []
        return pages.get_paginated_response(serializers.StatementEntrySerializer(found, many=True).data)

    def handle_exception(self, exc: Exception) -> Response:
        self._answer_json()
        return super().handle_exception(exc)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self._answer_json()
        return super().options(request, *args, **kwargs)

    def _answer_json(self) -> None:
        """What is no statement is JSON, whatever was asked for."""
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type

    def _file(self, request: Request, wallet: Wallet | None, rows: Transfers | None) -> HttpResponseBase:
        lines = statement.all_entries(wallet, rows) if wallet and rows else iter(())
        scope = partial(tenancy.only, user=signed_in(request).pk, organization=self.membership.organization_id)
        named = f"statement-{wallet.currency}.csv" if wallet else "statement.csv"
        headers = {"Content-Disposition": f'attachment; filename="{named}"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(_csv(lines, scope), content_type="text/csv; charset=utf-8", headers=headers)


def _csv(lines: Iterator[Entry], scope: Callable[[], AbstractContextManager[None]]) -> Iterator[str]:
    """The file, some lines at a time; it is written after the view has returned, so the scope is entered for each read."""
    yield _written([COLUMNS])
    while True:
        with scope():
            some = list(islice(lines, LINES))
        if not some:
            return
        yield _written([_cells(entry) for entry in some])


def _written(rows: Any) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cells(entry: Entry) -> list[str]:
    return [
        entry.id,
        _time(entry.occurred_at),
        _time(entry.booked_at),
        entry.kind,
        str(entry.amount),
        str(entry.balance_after),
        entry.amount.currency.upper(),
        harmless(entry.description),  # all that people wrote; an apostrophe before -5.00 would make it no number
        entry.payment_id or "",
        entry.stripe_id or "",
    ]


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


# -- payments --------------------------------------------------------------------------------------------
class Payments(OrganizationInQuery):
    @extend_schema(
        operation_id="payments",
        summary="Top-ups of an organization",
        description="What was tried and what came of it, the latest first.",
        parameters=[ORGANIZATION_ID, CURSOR, PAGE_SIZE, RETRY_AFTER],
        responses={200: paged(serializers.TopUpPaymentSerializer), **refusals(400, 404, *WHO_ASKS)},
        tags=["wallets"],
    )
    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        found = pages.paginate_queryset(history.top_ups_of(self.membership.organization_id), request, view=self) or []
        rows = [history.shown(made) for made in found]
        return pages.get_paginated_response(serializers.TopUpPaymentSerializer(rows, many=True).data)


class PaymentDetail(OfPayment):
    rate_limit = "session"

    @extend_schema(
        operation_id="payment",
        summary="One top-up",
        description="What Stripe knows more than we do is settled first, so a page may poll it after a payment.",
        parameters=[RETRY_AFTER],
        responses={200: serializers.TopUpPaymentSerializer, **refusals(404, *WHO_ASKS)},
        tags=["wallets"],
    )
    def get(self, request: Request, payment_id: str) -> Response:
        return Response(serializers.TopUpPaymentSerializer(history.shown(history.followed(payment_id))).data)


class PaymentStatistics(OrganizationInQuery):
    @extend_schema(
        operation_id="payments_statistics",
        summary="Payments per day",
        description=f"Top-ups per day (UTC) and currency, at most {statistics.MOST_DAYS} days; the last 30 unless told.",
        parameters=[ORGANIZATION_ID, serializers.DaysSerializer, RETRY_AFTER],
        responses={200: serializers.PaymentStatisticsSerializer, **refusals(400, 404, *WHO_ASKS)},
        tags=["wallets"],
    )
    def get(self, request: Request) -> Response:
        query = asked(request, serializers.DaysSerializer)
        found = statistics.statistics_of(self.membership.organization, since=query.get("since"), until=query.get("until"))
        return Response(serializers.PaymentStatisticsSerializer(found).data)
