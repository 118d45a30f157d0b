"""What must never break, said in the database: transfers and accounts are append-only, a transfer's accounts exist,
and the balance of a floored account moves with each transfer."""

from django.db import migrations

from conventions.triggers import EngineSQL, refuse_changes

ACCOUNTS = "payments_ledgeraccount"
TRANSFERS = "payments_transfer"

POSTGRESQL = f"""
    CREATE FUNCTION {TRANSFERS}_book() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (SELECT count(*) FROM {ACCOUNTS} WHERE code IN (NEW.debit_id, NEW.credit_id)) <> 2 THEN
            RAISE EXCEPTION 'a transfer needs two accounts that exist' USING ERRCODE = 'foreign_key_violation';
        END IF;
        UPDATE {ACCOUNTS}
           SET balance_minor = balance_minor + CASE WHEN code = NEW.credit_id THEN NEW.amount_minor ELSE -NEW.amount_minor END
         WHERE code IN (NEW.debit_id, NEW.credit_id) AND floored;
        RETURN NEW;
    END $$;
    CREATE TRIGGER {TRANSFERS}_book AFTER INSERT ON {TRANSFERS} FOR EACH ROW EXECUTE FUNCTION {TRANSFERS}_book();
"""
POSTGRESQL_BACK = f"DROP TRIGGER {TRANSFERS}_book ON {TRANSFERS}; DROP FUNCTION {TRANSFERS}_book();"

SQLITE = f"""
CREATE TRIGGER {TRANSFERS}_book AFTER INSERT ON {TRANSFERS} BEGIN
    SELECT RAISE(ABORT, 'a transfer needs two accounts that exist')
     WHERE (SELECT count(*) FROM {ACCOUNTS} WHERE code IN (NEW.debit_id, NEW.credit_id)) <> 2;
    UPDATE {ACCOUNTS}
       SET balance_minor = balance_minor + CASE WHEN code = NEW.credit_id THEN NEW.amount_minor ELSE -NEW.amount_minor END
     WHERE code IN (NEW.debit_id, NEW.credit_id) AND floored;
END
"""
SQLITE_BACK = f"DROP TRIGGER {TRANSFERS}_book"

# Payloads of 4 to 6 kB: compressing them inline with the default method costs more than all other inserts together.
COMPRESSION = """
    DO $$ BEGIN
        ALTER TABLE payments_stripeevent ALTER COLUMN payload SET COMPRESSION lz4;
    EXCEPTION WHEN feature_not_supported THEN
        RAISE NOTICE 'this PostgreSQL was built without lz4; payloads keep the default compression';
    END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial")]

    operations = [
        refuse_changes(TRANSFERS),
        refuse_changes(ACCOUNTS, columns=["code", "kind", "currency", "floored"]),
        EngineSQL(postgresql=(POSTGRESQL, POSTGRESQL_BACK), sqlite=(SQLITE, SQLITE_BACK)),
        EngineSQL(postgresql=(COMPRESSION, ""), sqlite=("", "")),
    ]
