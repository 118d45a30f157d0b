"""What survives a restart (`--data FILE`): rows of JSON in one SQLite file, written once per request.

Without a file nothing is written, and the sandbox forgets on exit. The file outlives a killed process; it makes no
promise about a power cut (`synchronous=OFF`), because it holds no real money.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCHEMA = "CREATE TABLE IF NOT EXISTS kept (kind TEXT, key TEXT, body TEXT, PRIMARY KEY (kind, key))"
UPSERT = "INSERT INTO kept VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body"


class Keeper:
    def __init__(self, path: Path | None) -> None:
        self.on = path is not None
        self.waiting: dict[tuple[str, str], Any] = {}
        if path is not None:
            self.database = sqlite3.connect(path, isolation_level=None)
            self.database.execute("PRAGMA journal_mode=WAL")
            self.database.execute("PRAGMA synchronous=OFF")
            self.database.execute(SCHEMA)

    def keep(self, kind: str, key: str, body: Any) -> None:
        """Remember the body as it will be at the end of the request; None forgets it."""
        if self.on:
            self.waiting[kind, key] = body

    def rows(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Oldest first: an update keeps a row's place."""
        if self.on:
            for key, body in self.database.execute("SELECT key, body FROM kept WHERE kind = ? ORDER BY rowid", (kind,)):
                yield key, json.loads(body)

    def save(self) -> None:
        if not self.waiting:
            return
        self.database.execute("BEGIN")
        for (kind, key), body in self.waiting.items():
            if body is None:
                self.database.execute("DELETE FROM kept WHERE kind = ? AND key = ?", (kind, key))
            else:
                self.database.execute(UPSERT, (kind, key, json.dumps(body)))
        self.database.execute("COMMIT")
        self.waiting.clear()

    def forget_everything(self) -> None:
        self.waiting.clear()
        if self.on:
            self.database.execute("DELETE FROM kept")

    def close(self) -> None:
        self.save()
        if self.on:
            self.database.close()
