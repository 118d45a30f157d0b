"""The back office of plans and hours: what is sold is written here, what was sold and used is read, hours are adjusted."""

from pricing.admin import hours, plans, purchases, students

__all__ = ["hours", "plans", "purchases", "students"]
