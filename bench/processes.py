"""A server in processes of its own, and how much CPU it and PostgreSQL took for it, read from /proc."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from bench.database import ROOT, environment_of

TICKS = os.sysconf("SC_CLK_TCK")
START_TIMEOUT_S = 30


def cpu_s(pids: Iterable[int]) -> dict[int, float]:
    """Seconds of CPU that each of these processes has taken; one that is gone, or of another machine, is left out."""
    seconds = {}
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        seconds[pid] = (int(fields[11]) + int(fields[12])) / TICKS
    return seconds


def taken_s(before: dict[int, float], after: dict[int, float]) -> float:
    """What was taken between two looks; processes may have come meanwhile."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def backends_of(url: str) -> list[int]:
    """The processes of PostgreSQL that serve this database."""
    with psycopg.connect(url) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return [pid for (pid,) in connection.execute(query).fetchall()]


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


class Server:
    def __init__(self, port: int, process: subprocess.Popen[bytes], url: str) -> None:
        self.port, self._process, self._url = port, process, url

    def cpu_s(self) -> tuple[dict[int, float], dict[int, float]]:
        """CPU taken so far by the Python workers, and by PostgreSQL's processes for them."""
        return cpu_s(children_of(self._process.pid)), cpu_s(backends_of(self._url))


@contextmanager
def serving(wsgi: str, settings: str, url: str) -> Iterator[Server]:
    port = free_port()
    settings_file = "python:bench.gunicorn_settings"
    command = [sys.executable, "-m", "gunicorn", wsgi, "--config", settings_file, "--bind", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, cwd=ROOT, env=environment_of(url, settings)) as process:
        try:
            wait_for(port, process)
            yield Server(port, process, url)
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with closing(socket.socket()) as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the server did not start")
        time.sleep(0.05)
