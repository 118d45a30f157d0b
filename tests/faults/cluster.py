"""A PostgreSQL of one's own, made by initdb, that a test may restart; and the project on gunicorn against it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import requests
from django.db import connection, connections

from conventions.tenancy import SYSTEM
from conventions.triggers import ACCESS
from tests.database_role import ROLE
from tests.live import ROOT

START_TIMEOUT_S = 60


def binaries() -> Path | None:
    """Where initdb and pg_ctl are, the newest version first."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]), reverse=True)
    found = versions[0] if versions else shutil.which("initdb")
    return Path(found).parent if found else None


@dataclass(frozen=True)
class Cluster:
    bin: Path
    data: Path
    port: int

    def run(self, program: str, *arguments: str) -> None:
        # The server refuses to run as root.
        prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*prefix, str(self.bin / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        # No fsync: the tests kill processes, not the machine.
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.data} -c fsync=off"
        self.run("pg_ctl", "-D", str(self.data), "-l", str(self.data / "log"), "-o", options, "-w", "start")

    def stop(self) -> None:
        """As if its power had gone: sessions cut off, nothing written down."""
        self.run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    @property
    def url(self) -> str:
        return f"postgres://{ROLE}@127.0.0.1:{self.port}/largesse"


@contextmanager
def own_cluster(found: Path, port: int) -> Iterator[Cluster]:
    """A running cluster with a copy of the tests' database, freshly migrated and empty."""
    data = Path(tempfile.mkdtemp(prefix="largesse-cluster-"))
    cluster = Cluster(found, data, port)
    try:
        if os.geteuid() == 0:
            shutil.chown(data, "postgres", "postgres")
        cluster.run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        cluster.start()
        with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", autocommit=True) as database:
            database.execute(f"CREATE ROLE {ROLE} LOGIN")
            database.execute(f"CREATE DATABASE largesse OWNER {ROLE}")
        original = connection.settings_dict
        source = (
            f"postgresql://{original['USER']}:{original['PASSWORD']}@{original['HOST']}:{original['PORT']}/{original['NAME']}"
        )
        target = f"postgresql://{ROLE}@127.0.0.1:{port}/largesse"
        # An ordinary role dumps what it may see: everything, if it says so.
        command = [found / "pg_dump", "--no-owner", "--enable-row-security", "-d", source]
        everything = {**os.environ, "PGOPTIONS": f"-c {ACCESS}={SYSTEM}"}
        dump = subprocess.run(command, env=everything, check=True, capture_output=True)
        restore = [found / "psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", target]
        subprocess.run(restore, input=dump.stdout, check=True, stdout=subprocess.DEVNULL)
        yield cluster
    finally:
        if (data / "postmaster.pid").exists():
            cluster.stop()
        shutil.rmtree(data)


@contextmanager
def as_default_database(cluster: Cluster) -> Iterator[None]:
    """The ORM of the test process speaks to the cluster; the test's own transaction elsewhere stays as it is."""
    usual = connections["default"]
    before = dict(usual.settings_dict)
    usual.settings_dict |= {"NAME": "largesse", "USER": ROLE, "PASSWORD": "", "HOST": "127.0.0.1", "PORT": cluster.port}
    del connections["default"]
    try:
        yield
    finally:
        connections["default"].close()
        usual.settings_dict.update(before)
        connections["default"] = usual


@dataclass
class Web:
    """gunicorn, one worker of eight threads, as in production."""

    process: subprocess.Popen[bytes]
    url: str

    def kill_worker(self) -> None:
        (worker,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        os.kill(int(worker), signal.SIGKILL)


@contextmanager
def gunicorn(port: int, env: dict[str, str]) -> Iterator[Web]:
    command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "8"]
    with subprocess.Popen([*command, "--log-level", "critical"], cwd=ROOT, env=env) as process:
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/readyz")
            yield Web(process, f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while status_of(url) != 200:
        assert time.monotonic() < deadline, f"{url} did not answer 200"
        time.sleep(0.05)


def status_of(url: str, **options: Any) -> int:
    try:
        return requests.get(url, timeout=5, **options).status_code
    except (requests.ConnectionError, requests.Timeout):
        return 0
