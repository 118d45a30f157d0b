"""Floored balances move once for all transfers of a statement, locked in the order of their codes.

One UPDATE of both accounts locks them in the order in which it meets the rows, and every update moves a row: of two
opposite transfers at once each could hold what the other waited for. On SQLite there is one writer, and nothing to do.
"""

from django.db import migrations

from conventions.triggers import EngineSQL

ACCOUNTS = "payments_ledgeraccount"
TRANSFERS = "payments_transfer"

FORWARD = f"""
    CREATE FUNCTION {TRANSFERS}_book_all() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (
            SELECT FROM posted p
             WHERE p.debit_id = p.credit_id
                OR NOT EXISTS (SELECT FROM {ACCOUNTS} WHERE code = p.debit_id)
                OR NOT EXISTS (SELECT FROM {ACCOUNTS} WHERE code = p.credit_id)
        ) THEN
            RAISE EXCEPTION 'a transfer needs two accounts that exist' USING ERRCODE = 'foreign_key_violation';
        END IF;
        PERFORM FROM {ACCOUNTS}
          WHERE floored AND code IN (SELECT debit_id FROM posted UNION ALL SELECT credit_id FROM posted)
          ORDER BY code FOR NO KEY UPDATE;
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
    DROP TRIGGER {TRANSFERS}_book ON {TRANSFERS};
    CREATE TRIGGER {TRANSFERS}_book AFTER INSERT ON {TRANSFERS}
        REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION {TRANSFERS}_book_all();
"""
BACK = f"""
    DROP TRIGGER {TRANSFERS}_book ON {TRANSFERS};
    CREATE TRIGGER {TRANSFERS}_book AFTER INSERT ON {TRANSFERS} FOR EACH ROW EXECUTE FUNCTION {TRANSFERS}_book();
    DROP FUNCTION {TRANSFERS}_book_all();
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0006_running")]

    operations = [EngineSQL(postgresql=(FORWARD, BACK), sqlite=("", ""))]
