"""A sandbox, a proxy before it that judges every call, and the official SDK as their client."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import stripe

from tests.contract.recording_proxy import Recording, recording

ROOT = Path(__file__).parents[2]
KEY = "sk_test_" + "x" * 24
START_TIMEOUT_S = 10


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    with subprocess.Popen([sys.executable, "-m", "sandbox", "--port", str(port)], cwd=ROOT) as process:
        try:
            wait_until_listening(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with closing(socket.socket()) as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the sandbox did not start (exit status {process.poll()})")


@pytest.fixture
def proxy(sandbox_url: str) -> Iterator[Recording]:
    with recording(sandbox_url) as record:
        yield record


@pytest.fixture
def client(proxy: Recording) -> Iterator[stripe.StripeClient]:
    transport = stripe.RequestsClient(timeout=20)
    yield stripe.StripeClient(KEY, base_addresses={"api": proxy.url}, max_network_retries=0, http_client=transport)
    transport.close()  # type: ignore[no-untyped-call]
