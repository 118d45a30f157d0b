"""The sandbox in a process of its own, for tests that speak with it over HTTP only."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
START_TIMEOUT_S = 15


@contextmanager
def started_sandbox(*arguments: str) -> Iterator[str]:
    """Its address, once it listens; it ends with the context."""
    port = free_port()
    command = [sys.executable, "-m", "sandbox", "--port", str(port), *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not _listens(port):
                assert process.poll() is None, f"the sandbox ended at its start (exit status {process.poll()})"
                assert time.monotonic() < deadline, f"the sandbox did not start in {START_TIMEOUT_S} seconds"
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with closing(socket.socket()) as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0
