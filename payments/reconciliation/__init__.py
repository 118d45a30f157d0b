"""Comparing our books with Stripe's, and mending ours.

`running.py` goes through Stripe's lists page by page; for each list there is a step that says what differs and mends it:
`pulling.py` (events that never came), `comparing.py` (sessions, intents, charges, refunds, disputes), `recording.py`
(balance transactions with their fees and conversions, payouts), `unbacked.py` (our transfers that Stripe knows nothing
of). Nothing here has rules of its own for what a payment is: what differs is what settling the object would change.
"""
