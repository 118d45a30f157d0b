"""Rows by the million, made in the database by statements over whole sets."""

from __future__ import annotations

from typing import Any

AMOUNT_MINOR = 2500

CAMPAIGNS = """
INSERT INTO payments_ledgeraccount (code, kind, currency, floored, balance_minor, created_at)
SELECT 'campaign:campaign_0' || lpad(to_hex(n), 25, '0') || ':usd', 'liability', 'usd', false, 0, now()
  FROM generate_series(0, %(campaigns)s - 1) n
UNION ALL SELECT 'stripe:usd', 'asset', 'usd', false, 0, now()
ON CONFLICT (code) DO NOTHING;
INSERT INTO campaigns_campaign (id, title, slug, summary, story, image_url, goal_minor, minimum_minor, currency,
                                state, is_general_fund, created_at)
SELECT 'campaign_0' || lpad(to_hex(n), 25, '0'), 'Campaign ' || n, 'campaign-' || n, 'For all.', '', '', 500000000, 0, 'usd',
       'live', false, now()
  FROM generate_series(0, %(campaigns)s - 1) n
ON CONFLICT (id) DO NOTHING;
"""

PENDING = """
INSERT INTO payments_payment (id, purpose, subject_id, destination_id, via, amount_minor, currency, livemode, customer_email,
    customer_name, created_at, checkout_session, receipt_url, request_fingerprint, failure_code, failure_message,
    refunded_minor, disputed_minor, status)
SELECT 'pay_0' || lpad(to_hex(n), 25, '0'), 'donation', 'donation_0' || lpad(to_hex(n), 25, '0'),
       'campaign:campaign_0' || lpad(to_hex(n %% %(campaigns)s), 25, '0') || ':usd', 'checkout', %(amount)s, 'usd', false, '',
       '', now(), 'cs_test_0' || lpad(to_hex(n), 25, '0'), '', '', '', '', 0, 0, 'open'
  FROM generate_series(%(first)s::bigint, %(first)s::bigint + %(count)s - 1) n;
INSERT INTO donations_donation (id, campaign_id, payment_id, amount_minor, currency, anonymous, display_name, message,
    dedication_kind, dedication_name, state, created_at)
SELECT 'donation_0' || lpad(to_hex(n), 25, '0'), 'campaign_0' || lpad(to_hex(n %% %(campaigns)s), 25, '0'),
       'pay_0' || lpad(to_hex(n), 25, '0'), %(amount)s, 'usd', false, 'Donor ' || n, 'Keep going!', '', '', 'pending', now()
  FROM generate_series(%(first)s::bigint, %(first)s::bigint + %(count)s - 1) n;
"""


def seed_campaigns(cursor: Any, *, campaigns: int) -> None:
    cursor.execute(CAMPAIGNS, {"campaigns": campaigns})


def seed_pending(cursor: Any, *, first: int, count: int, campaigns: int) -> None:
    """Donations whose donors are at the checkout page, dealt out over the campaigns."""
    cursor.execute(PENDING, {"first": first, "count": count, "campaigns": campaigns, "amount": AMOUNT_MINOR})


PEER_PENDING = """
INSERT INTO peers_campaign (id, title, raised_minor)
SELECT n, 'Campaign ' || n, 0 FROM generate_series(0, %(all)s - 1) n ON CONFLICT (id) DO NOTHING;
INSERT INTO peers_donation (campaign_id, stripe_session, stripe_intent, email, name, amount_minor, status, created_at)
SELECT n %% %(campaigns)s, 'cs_test_0' || lpad(to_hex(n), 25, '0'), '', '', '', 2500, 'pending', now()
  FROM generate_series(%(first)s::bigint, %(first)s::bigint + %(count)s - 1) n;
"""

PAID = """
INSERT INTO donations_donor (id, email, name, locale, anonymous_by_default, created_at)
SELECT 'donor_0' || lpad(to_hex(n), 25, '0'), 'donor' || n || '@example.org', 'Donor ' || n, '', false, now()
  FROM generate_series(%(first)s::bigint, %(first)s::bigint + %(count)s - 1, 10) n;
INSERT INTO payments_payment (id, purpose, subject_id, destination_id, via, amount_minor, currency, livemode, customer_email,
    customer_name, created_at, checkout_session, payment_intent, receipt_url, request_fingerprint, failure_code,
    failure_message, refunded_minor, disputed_minor, paid_at, status)
SELECT 'pay_0' || lpad(to_hex(n), 25, '0'), 'donation', 'donation_0' || lpad(to_hex(n), 25, '0'),
       'campaign:campaign_0' || repeat('0', 25) || ':usd', 'checkout', %(amount)s, 'usd', false,
       'donor' || n - n %% 10 || '@example.org', 'Donor ' || n - n %% 10, at, 'cs_test_0' || lpad(to_hex(n), 25, '0'),
       'pi_0' || lpad(to_hex(n), 25, '0'), '', '', '', '', 0, 0, at, 'paid'
  FROM (SELECT n, now() - interval '1 s' * (%(first)s::bigint + %(count)s - n) AS at
          FROM generate_series(%(first)s::bigint, %(first)s::bigint + %(count)s - 1) n) numbers;
INSERT INTO donations_donation (id, campaign_id, payment_id, donor_id, amount_minor, currency, anonymous, display_name, message,
    dedication_kind, dedication_name, state, created_at, paid_at)
SELECT 'donation_0' || lpad(to_hex(n), 25, '0'), 'campaign_0' || repeat('0', 25), 'pay_0' || lpad(to_hex(n), 25, '0'),
       'donor_0' || lpad(to_hex(n - n %% 10), 25, '0'), %(amount)s, 'usd', n %% 7 = 0, 'Donor ' || n, 'Keep going!', '', '',
       'paid', at, at
  FROM (SELECT n, now() - interval '1 s' * (%(first)s::bigint + %(count)s - n) AS at
          FROM generate_series(%(first)s::bigint, %(first)s::bigint + %(count)s - 1) n) numbers;
INSERT INTO campaigns_campaigntally (campaign_id, slot, raised_minor, refunded_minor, disputed_minor, donations, donors,
    last_donation_at)
SELECT 'campaign_0' || repeat('0', 25), slot, %(count)s::bigint * %(amount)s / 16, 0, 0, %(count)s / 16, %(count)s / 160, now()
  FROM generate_series(0, 15) slot
ON CONFLICT (campaign_id, slot) DO UPDATE SET raised_minor = campaigns_campaigntally.raised_minor + EXCLUDED.raised_minor,
    donations = campaigns_campaigntally.donations + EXCLUDED.donations;
"""


def seed_paid(cursor: Any, *, first: int, count: int) -> None:
    """Paid donations of one campaign, ten to a donor, one a second until now; `first` and `count` are multiples of ten.

    Foreign keys are right by construction and not checked one by one, which not every role may (tests/database_role.py).
    """
    cursor.execute("SET session_replication_role = replica")
    cursor.execute(PAID, {"first": first, "count": count, "amount": AMOUNT_MINOR})
    cursor.execute("SET session_replication_role = origin")
