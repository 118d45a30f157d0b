"""A local stand-in for Stripe's test mode: `python -m sandbox`. It never talks to Stripe, and moves no money."""
