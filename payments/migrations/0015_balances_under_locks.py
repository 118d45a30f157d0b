"""Floored balances are locked by plain codes.

A row that a lock waited for is looked at anew, and its condition with it. Where that condition asked the transition table
(as it may, by the plan that the policies of row-level security lead to), the row was not found again: no lock, and the
movement was lost from the balance, though not from the transfers. Codes read into an array beforehand are found again.
"""

from django.db import migrations

from conventions.triggers import EngineSQL

ACCOUNTS = "payments_ledgeraccount"
TRANSFERS = "payments_transfer"


def function(lock: str) -> str:
    return f"""
    CREATE OR REPLACE FUNCTION {TRANSFERS}_book_all() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        codes text[];
    BEGIN
        IF EXISTS (
            SELECT FROM posted p
             WHERE p.debit_id = p.credit_id
                OR NOT EXISTS (SELECT FROM {ACCOUNTS} WHERE code = p.debit_id)
                OR NOT EXISTS (SELECT FROM {ACCOUNTS} WHERE code = p.credit_id)
        ) THEN
            RAISE EXCEPTION 'a transfer needs two accounts that exist' USING ERRCODE = 'foreign_key_violation';
        END IF;
        {lock}
        IF FOUND THEN
            UPDATE {ACCOUNTS} a SET balance_minor = a.balance_minor + moved.minor
              FROM (
                SELECT code, sum(minor) AS minor FROM (
                    SELECT credit_id AS code, amount_minor AS minor FROM posted
                    UNION ALL SELECT debit_id, -amount_minor FROM posted
                ) legs GROUP BY code
              ) moved
             WHERE a.code = moved.code AND a.floored;
        END IF;
        RETURN NULL;
    END $$;
    """  # noqa: S608  of constants


FORWARD = function(f"""
        SELECT array_agg(DISTINCT code) INTO codes
          FROM (SELECT debit_id AS code FROM posted UNION ALL SELECT credit_id FROM posted) legs;
        PERFORM FROM {ACCOUNTS} WHERE floored AND code = ANY(codes) ORDER BY code FOR NO KEY UPDATE;
""")  # noqa: S608  of constants
BACK = function(f"""
        PERFORM FROM {ACCOUNTS}
          WHERE floored AND code IN (SELECT debit_id FROM posted UNION ALL SELECT credit_id FROM posted)
          ORDER BY code FOR NO KEY UPDATE;
""")  # noqa: S608  of constants


class Migration(migrations.Migration):
    dependencies = [("payments", "0014_tenancy")]

    operations = [EngineSQL(postgresql=(FORWARD, BACK), sqlite=("", ""))]
