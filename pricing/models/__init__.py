from pricing.models.hours import HourConsumption, HourLot, HourMovement
from pricing.models.plans import PlanPrice, PricingPlan, Product
from pricing.models.purchases import PurchaseTransaction, RenewalFailure, Subscription
from pricing.models.students import Student

__all__ = [
    "HourConsumption",
    "HourLot",
    "HourMovement",
    "PlanPrice",
    "PricingPlan",
    "Product",
    "PurchaseTransaction",
    "RenewalFailure",
    "Student",
    "Subscription",
]
