"""`make test`: the whole suite on SQLite, then on PostgreSQL where one answers; says aloud which ran.

REQUIRE_POSTGRES=1 and REQUIRE_BROWSER=1 make a missing one a failure (as in CI).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import psycopg

from tests.database_role import as_ordinary_role

LOCAL = "postgres://postgres@127.0.0.1:5432/largesse"
PROCESSES = os.environ.get("TEST_PROCESSES", "2")


def main(arguments: list[str]) -> int:
    postgres = os.environ.get("TEST_DATABASE_URL") or (LOCAL if _answers(LOCAL) else "")
    browser = _browser()
    _say(f"Browser tests: {f'with {browser}' if browser else 'left out, no Chromium was found (apt-get install chromium)'}")
    if not browser and os.environ.get("REQUIRE_BROWSER") == "1":
        return _fail("REQUIRE_BROWSER=1, but there is no Chromium.")
    if not postgres and os.environ.get("REQUIRE_POSTGRES") == "1":
        return _fail("REQUIRE_POSTGRES=1, but no PostgreSQL answers. Set TEST_DATABASE_URL.")
    status = _run("SQLite", "", arguments)
    if status == 0 and postgres:
        postgres, which = as_ordinary_role(postgres)
        _say(f"\n{which}")
        status = _run("PostgreSQL", postgres, arguments)
    elif not postgres:
        _say("PostgreSQL: left out, no server answered on 127.0.0.1:5432 and TEST_DATABASE_URL is not set.")
    return status


def _run(name: str, url: str, arguments: list[str]) -> int:
    _say(f"\n=== {name} ===")
    command = [sys.executable, "-m", "pytest", "-n", PROCESSES, "--dist", "loadgroup", *arguments]
    return subprocess.run(command, env={**os.environ, "TEST_DATABASE_URL": url}).returncode


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url.rsplit("/", 1)[0] + "/postgres", connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def _browser() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _fail(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
