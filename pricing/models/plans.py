"""What is on sale: hour plans with a price in each currency, and one-off products."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from payments.money import Money, smallest_step_minor
from pricing.hour_amounts import hours_text
from pricing.list_token import drop_list_after_commit


class PricingPlanQuerySet(models.QuerySet["PricingPlan"]):
    def on_sale(self) -> PricingPlanQuerySet:
        """Active plans with a price, in display order."""
        return self.filter(is_active=True, prices__is_default=True).order_by("display_order", "id")


class PricingPlan(models.Model):
    """Hours for a price: a package that is valid for some days, or a subscription that grants them every month."""

    class Type(models.TextChoices):
        PACKAGE = "package"
        SUBSCRIPTION = "subscription"

    # Plan ids are integers, as the front end that lists them expects.
    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(max_length=1000, blank=True, default="")
    plan_type = models.CharField(max_length=12, choices=Type)
    hours_hundredths = models.PositiveIntegerField(
        "hours included", validators=[MinValueValidator(1)], help_text="In hundredths of an hour: 500 is five hours."
    )
    validity_days = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="How long a package's hours are valid; empty for a subscription."
    )
    is_active = models.BooleanField("on sale", default=True)
    is_featured = models.BooleanField("featured", default=False)
    display_order = models.PositiveSmallIntegerField(default=100)

    objects = PricingPlanQuerySet.as_manager()

    class Meta:
        ordering = ("display_order", "id")
        constraints = [
            models.CheckConstraint(name="pricingplan_hours_positive", condition=Q(hours_hundredths__gt=0)),
            models.CheckConstraint(
                name="pricingplan_validity_of_packages_only",
                condition=Q(plan_type="package", validity_days__isnull=False, validity_days__gt=0)
                | Q(plan_type="subscription", validity_days=None),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        drop_list_after_commit()

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        deleted = super().delete(*args, **kwargs)
        drop_list_after_commit()
        return deleted

    def clean(self) -> None:
        if self.plan_type == self.Type.PACKAGE and not self.validity_days:
            raise ValidationError({"validity_days": "A package needs the number of days for which its hours are valid."})
        if self.plan_type == self.Type.SUBSCRIPTION and self.validity_days is not None:
            raise ValidationError({"validity_days": "A subscription's hours are valid for its paid month; leave this empty."})

    @property
    def hours_included(self) -> str:
        """Hours with two decimals: "5.00"."""
        return hours_text(self.hours_hundredths)


class PlanPrice(models.Model):
    """A plan's price in one currency. One of them is the default."""

    plan = models.ForeignKey(PricingPlan, models.CASCADE, related_name="prices")
    currency = models.CharField(max_length=3)
    amount_minor = models.BigIntegerField()
    is_default = models.BooleanField(default=False)
    # A subscription bills a Price that Stripe keeps; a Price's amount can never change, so we keep which amount it has.
    stripe_price = models.CharField(max_length=255, blank=True, default="", editable=False)
    stripe_price_minor = models.BigIntegerField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="planprice_once_per_currency", fields=["plan", "currency"]),
            models.UniqueConstraint(name="planprice_one_default", fields=["plan"], condition=Q(is_default=True)),
            models.CheckConstraint(name="planprice_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(name="planprice_currency_lowercase", condition=Q(currency__regex="^[a-z]{3}$")),
        ]

    def __str__(self) -> str:
        return self.money.display()

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        drop_list_after_commit()

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        deleted = super().delete(*args, **kwargs)
        drop_list_after_commit()
        return deleted

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)

    def per_hour(self) -> Money:
        """What an hour costs, half up to the smallest amount that can be written in the currency: rounded for people to
        compare, and never charged."""
        step, hundredths = smallest_step_minor(self.currency), self.plan.hours_hundredths
        steps = (2 * 100 * self.amount_minor + hundredths * step) // (2 * hundredths * step)
        return Money(steps * step, self.currency)


class Product(models.Model):
    """Something sold once, for one price."""

    sku = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=200)
    description = models.CharField(max_length=500, blank=True, default="")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    is_active = models.BooleanField("on sale", default=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="product_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(name="product_currency_lowercase", condition=Q(currency__regex="^[a-z]{3}$")),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)
