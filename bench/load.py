"""Deliveries over kept connections, as fast as the server answers. Bodies are made before the clock starts."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence

from bench.events import signature

TIMEOUT_S = 60


def deliver(port: int, path: str, bodies: Sequence[bytes], *, connections: int) -> float:
    """Post every body once over so many connections at once; returns the seconds it took. Raises unless all were
    answered with 200."""
    requests = [_request(port, path, body) for body in bodies]
    shares = [requests[i::connections] for i in range(connections)]
    start, failures = threading.Barrier(connections + 1), list[str]()
    threads = [threading.Thread(target=_post_all, args=(port, share, start, failures)) for share in shares]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    if failures:
        raise RuntimeError(f"{len(failures)} of {len(bodies)} deliveries failed, the first with: {failures[0]}")
    return took


def _request(port: int, path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"User-Agent: Stripe/1.0\r\nStripe-Signature: {signature(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _post_all(port: int, requests: Sequence[bytes], start: threading.Barrier, failures: list[str]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start.wait()
        for number, request in enumerate(requests):
            try:
                link.sendall(request)
                answer = _answer(link)
            except OSError as error:
                failures.extend([repr(error)] * (len(requests) - number))
                return
            if not answer.startswith(b"HTTP/1.1 200"):
                failures.append(answer[:300].decode(errors="replace"))


def _answer(link: socket.socket) -> bytes:
    """One response, whole."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(link)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += _more(link)
    return head + b"\r\n\r\n" + body


def _more(link: socket.socket) -> bytes:
    chunk = link.recv(65536)
    if not chunk:
        raise ConnectionError("the server closed the connection")
    return chunk
