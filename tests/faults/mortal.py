"""A process of the project that kills itself with SIGKILL at the n-th moment of its work: what the crash tests start.

Run as `python -m tests.faults.mortal PORT`. It loads the project once and then, for each line of JSON on its standard
input, forks a child that does one piece of work (see ROLES), and writes how the child ended as a line of JSON.

The project itself knows nothing of this. A moment is: before every SQL statement, before and after every COMMIT, after
a statement that commits by itself, before and after every call to Stripe and every mail, and before a web server's
answer. The child writes each moment's name to its log, so that a test first counts them and then dies at every one.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from importlib import import_module
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django
import stripe
from django.core.mail.backends.filebased import EmailBackend
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from conventions import tenancy

# Loaded before the first fork, so that a child starts in milliseconds; none of them opens a connection.
PRELOADED = (
    "config.wsgi",
    "config.urls",
    "tests.working",
    "payments.sweeping",
    "payments.refunds",
    "donations.fulfilment",
)
WRITES = re.compile(r'\b(INSERT|UPDATE|DELETE)(?: INTO| FROM)?\s+"(\w+)"')
READS = re.compile(r'^SELECT\b.*?\bFROM\s+"(\w+)"', re.DOTALL)


class Fate:
    """Counts moments, logs them, and ends the process at number `die_at` (0: never)."""

    def __init__(self, log: str, die_at: int) -> None:
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.die_at = die_at
        self.numbers = itertools.count(1)

    def moment(self, name: str) -> None:
        os.write(self.log, f"{name}\n".encode())
        if next(self.numbers) == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, connection: BaseDatabaseWrapper) -> None:
        """Make moments of what this connection does."""

        def statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
            self.moment(f"before {spoken(sql)}")
            result = execute(sql, params, many, context)
            if not connection.in_atomic_block:
                self.moment(f"after {spoken(sql)}")
            return result

        commit = connection.commit

        def mortal_commit() -> None:
            self.moment("before COMMIT")
            commit()
            self.moment("after COMMIT")

        connection.execute_wrappers.append(statement)
        connection.commit = mortal_commit

    def watch_stripe(self) -> None:
        request = stripe.RequestsClient.request

        def mortal_request(client: Any, method: str, url: str, *args: Any, **options: Any) -> Any:
            name = f"{method.upper()} at Stripe"
            self.moment(f"before {name}")
            answer = request(client, method, url, *args, **options)
            self.moment(f"after {name}")
            return answer

        stripe.RequestsClient.request = mortal_request

    def watch_mail(self) -> None:
        send = EmailBackend.send_messages

        def mortal_send(backend: EmailBackend, mails: Any) -> Any:
            self.moment("before the mail goes")
            sent = send(backend, mails)
            self.moment("after the mail went")
            return sent

        EmailBackend.send_messages = mortal_send


def spoken(sql: str) -> str:
    """`INSERT payments_transfer`: a statement as the log names it; on PostgreSQL several may travel together."""
    writes = [f"{verb} {table}" for verb, table in WRITES.findall(sql)]
    reads = READS.match(sql)
    return " + ".join(writes) or (f"SELECT {reads[1]}" if reads else sql.split("\n")[0][:40])


# -- what a child may do ------------------------------------------------------------------------------------
class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def serve(listener: socket.socket, fate: Fate, order: dict[str, Any]) -> None:
    """One request, by the project's WSGI application."""
    from config.wsgi import application

    def last_moment(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer = application(environ, start_response)
        fate.moment("before the answer")
        return answer

    server = WSGIServer(listener.getsockname(), Quiet, bind_and_activate=False)
    server.socket = listener
    server.server_name, server.server_port = "127.0.0.1", listener.getsockname()[1]
    server.setup_environ()
    server.set_app(last_moment)
    server.handle_request()


def work(listener: socket.socket, fate: Fate, order: dict[str, Any]) -> None:
    """The background tasks that are ready, as `manage.py db_worker --batch` does them."""
    from tests.working import run_worker

    run_worker()


def sweep(listener: socket.socket, fate: Fate, order: dict[str, Any]) -> None:
    from payments.sweeping import sweep

    sweep()


def refund(listener: socket.socket, fate: Fate, order: dict[str, Any]) -> None:
    """What the admin's refund form does."""
    from payments.refunds import request_refund, send_refund

    send_refund(request_refund(payment_id=order["payment"], amount_minor=order["amount_minor"], requested_by=None))


ROLES: dict[str, Callable[[socket.socket, Fate, dict[str, Any]], None]] = {
    "serve": serve,
    "work": work,
    "sweep": sweep,
    "refund": refund,
}


def child(listener: socket.socket, order: dict[str, Any]) -> None:
    fate = Fate(order["log"], order["die_at"])
    connection_created.connect(lambda connection, **_: fate.watch(connection), weak=False)
    fate.watch_stripe()
    fate.watch_mail()
    act = ROLES[order["role"]]
    with nullcontext() if act is serve else tenancy.everything():  # a request begins with nothing, commands see all
        act(listener, fate, order)


def main(port: int) -> None:
    django.setup()
    for module in PRELOADED:
        import_module(module)

    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    say({"ready": True})
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                child(listener, order)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        say({"ended": os.waitstatus_to_exitcode(status)})


def say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
