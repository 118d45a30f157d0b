"""What buying plans and using hours may refuse."""

from __future__ import annotations

from http import HTTPStatus

from conventions.errors import Conflict, DomainError


class PlanNotOnSale(Conflict):
    code = "plan_not_on_sale"


class ProductNotOnSale(Conflict):
    code = "product_not_on_sale"


class AccountNeeded(DomainError):
    """A subscription goes on for months: somebody must be able to see it and end it."""

    code = "account_needed"
    status = HTTPStatus.UNAUTHORIZED


class AlreadySubscribed(Conflict):
    code = "already_subscribed"


class NotEnoughHours(Conflict):
    code = "not_enough_hours"


class SessionReferenceUsed(Conflict):
    code = "session_reference_used"


class SessionReversed(Conflict):
    """Answering it as recorded would say that hours were drawn."""

    code = "session_reversed"


class OwedHoursChanged(Conflict):
    code = "owed_hours_changed"


class MonthTurning(Conflict):
    """The next month's invoice is being made: what is changed now would count for half of it."""

    code = "month_turning"


class NotRunning(Conflict):
    code = "subscription_not_running"
