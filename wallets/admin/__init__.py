"""The back office of wallets: everything is read; staff block, give back, and adjust by two people, each as an operation."""

from wallets.admin import adjustments, methods, movements, wallet

__all__ = ["adjustments", "methods", "movements", "wallet"]
