"""`make demo`: everything on this machine, in the foreground, until interrupted.

Makes a database below .demo/, starts the Stripe sandbox, has `stripe_setup` make the webhook endpoint there, starts the
worker, the scheduler and the web server, waits until they answer, tops up a wallet and gives a test donation, and prints
where to look. Ports come from PORT and SANDBOX_PORT. .demo/env holds the environment, for commands beside it.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from config.demo_acts import Demo

BASE_DIR = Path(__file__).resolve().parent.parent
STATE = BASE_DIR / ".demo"
READY_WITHIN_S = 60
MOST_SECRETS = 16


def main() -> int:
    port, sandbox_port = _port("PORT", 8000), _port("SANDBOX_PORT", 12111)
    web, stripe = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    for number in (port, sandbox_port):
        if _in_use(number):
            return _fail(f"Port {number} is taken. Choose others: PORT=8001 SANDBOX_PORT=12112 make demo")
    STATE.mkdir(exist_ok=True)
    (BASE_DIR / "staticfiles").mkdir(exist_ok=True)
    env = _environment(web, stripe)
    python = sys.executable
    _say("Preparing the database …")
    for command in (["migrate", "--verbosity", "0"], ["seed_demo", "--verbosity", "0"]):
        if subprocess.run([python, "manage.py", *command], cwd=BASE_DIR, env=_whole(env), stdout=subprocess.DEVNULL).returncode:  # noqa: S603
            return _fail(f"manage.py {command[0]} failed; the lines above say why.")
    sandbox = [python, "-m", "sandbox", "--port", str(sandbox_port), "--data", str(STATE / "sandbox.sqlite3")]
    programs = {
        "web": [python, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "8"],
        "worker": [python, "manage.py", "db_worker", "--no-reload", "--interval", "0.5"],
        "scheduler": [python, "manage.py", "sweep", "--every", "60"],
    }
    _say("Starting sandbox, web server, worker and scheduler …")
    _on_interrupt(_interrupt)
    demo = Demo(web=web, stripe=stripe, stripe_key=env["STRIPE_SECRET_KEY"], say=_say)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        running["sandbox"] = _start("sandbox", sandbox, _whole(env))
        if trouble := _wait(running, f"{stripe}/_sandbox/healthz"):
            return _fail(trouble)
        env["STRIPE_WEBHOOK_SECRET"] = _register_webhook(demo, env)
        _keep_environment(env)
        running |= {name: _start(name, command, _whole(env)) for name, command in programs.items()}
        return _run(running, demo)
    except KeyboardInterrupt:
        _say("\nStopping.")
        return 0
    finally:
        _stop(running)


def _run(running: dict[str, subprocess.Popen[bytes]], demo: Demo) -> int:
    if trouble := _wait(running, f"{demo.web}/readyz"):
        return _fail(trouble)
    demo.fill_wallet()
    _say(_welcome(demo.web, demo.stripe))
    demo.give_once()
    while not (died := _first_dead(running)):
        time.sleep(0.5)
    return _fail(f"The {died} stopped. Its last words are in .demo/{died}.log")


def _wait(running: dict[str, subprocess.Popen[bytes]], url: str) -> str:
    """Until something answers there; or what is wrong."""
    started = time.monotonic()
    while not _answers(url):
        if died := _first_dead(running):
            return f"The {died} stopped. Its last words are in .demo/{died}.log"
        if time.monotonic() - started > READY_WITHIN_S:
            return f"Nothing answered within {READY_WITHIN_S} s. See the logs in .demo/"
        time.sleep(0.1)
    return ""


def _register_webhook(demo: Demo, env: dict[str, str]) -> str:
    """Have the endpoint made or mended as an operator would; STRIPE_WEBHOOK_SECRET for it. Stripe shows a secret once,
    when its endpoint is made, so all are kept: another port is another endpoint."""
    kept = STATE / "webhook_secrets"
    known = kept.read_text().split() if kept.exists() else []
    if not known:
        demo.forget_endpoints()
    command = [sys.executable, "manage.py", "stripe_setup", "--apply", "--json"]
    done = subprocess.run(command, cwd=BASE_DIR, env=_whole(env), capture_output=True, text=True)  # noqa: S603
    told = json.loads(done.stdout) if done.returncode in (0, 1) and done.stdout else {}
    if "secret" in told:
        known = [told["secret"], *known][:MOST_SECRETS]
        _keep(kept, "".join(f"{secret}\n" for secret in known))
    if not told or not known:
        sys.exit(f"manage.py stripe_setup failed: {done.stderr}")
    return ",".join(known)


def _keep_environment(env: dict[str, str]) -> None:
    """For a shell: set -a; . .demo/env; set +a"""
    _keep(STATE / "env", "".join(f"{name}={shlex.quote(value)}\n" for name, value in env.items()))


def _keep(path: Path, text: str) -> None:
    """Write a file that its owner alone may read."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def _whole(env: dict[str, str]) -> dict[str, str]:
    """What the processes see: the demonstration's own values, whatever a .env file or the shell says."""
    return {**os.environ, **env, "PYTHONUNBUFFERED": "1"}


def _environment(web: str, stripe: str) -> dict[str, str]:
    """The demonstration's own values."""
    key = STATE / "secret_key"
    if not key.exists():
        _keep(key, secrets.token_urlsafe(50))
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": key.read_text(),
        "DEBUG": "0",
        "LIVE_MODE": "0",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "DATABASE_URL": f"sqlite:///{STATE / 'largesse.sqlite3'}",
        "CACHE_URL": "locmemcache://",
        "WEB_CONCURRENCY": "1",
        "STRIPE_SECRET_KEY": "sk_test_" + "largessedemo" * 2,
        "STRIPE_PUBLISHABLE_KEY": "pk_test_" + "largessedemo" * 2,
        "STRIPE_WEBHOOK_SECRET": "whsec_none",  # until the endpoint is made
        "STRIPE_API_BASE": stripe,
        "STRIPE_JS_URL": f"{stripe}/v3/",
        "FRONTEND_URL": web,
        "CORS_ALLOWED_ORIGINS": f"{web},http://localhost:3000",
        "EMAIL_URL": f"filemail:///{STATE / 'mail'}",
        "TRUSTED_PROXIES": "0",
    }


def _start(name: str, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    with (STATE / f"{name}.log").open("wb") as log:
        # A session of its own, so that an interrupt reaches this program alone, which then stops the others in order.
        return subprocess.Popen(  # noqa: S603
            command, cwd=BASE_DIR, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def _stop(running: dict[str, subprocess.Popen[bytes]]) -> None:
    _on_interrupt(signal.SIG_IGN)  # whoever presses Ctrl-C twice would leave some of them running
    for process in running.values():
        if process.poll() is None:
            process.terminate()
    for process in running.values():
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()


def _welcome(web: str, stripe: str) -> str:
    return f"""
  Largesse is running.

    Give            {web}/            card 4242 4242 4242 4242, any future date, any CVC
    Buy hours       {web}/pricing
    A product       {web}/hero-me
    Admin           {web}/admin/      staff@example.org, password largesse-demo
    A second one    {web}/admin/      finance@example.org, password largesse-demo; approves what the first proposes
    A donor         {web}/account     donor@example.org, password largesse-demo
    A wallet        {web}/organizations   the donor owns it; student@example.org may look
    A student       {web}/account     student@example.org, password largesse-demo; tutor@example.org records sessions
    API             {web}/api/docs/
    Stripe sandbox  {stripe}    (docs/sandbox.md: more cards, refunds, disputes, time travel)
    Commands        set -a; . .demo/env; set +a; .venv/bin/python manage.py check_books
    Mails           .demo/mail/     Logs  .demo/*.log     Fresh start  rm -r .demo

  Ctrl-C stops everything.
"""


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _first_dead(running: dict[str, subprocess.Popen[bytes]]) -> str | None:
    return next((name for name, process in running.items() if process.poll() is not None), None)


def _port(name: str, default: int) -> int:
    value = os.environ.get(name, str(default))
    if not value.isdigit() or not 0 < int(value) < 65536:
        sys.exit(f"{name} must be a port number, not {value!r}.")
    return int(value)


def _in_use(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _on_interrupt(act: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, act)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _on_interrupt(signal.SIG_IGN)  # once is enough
    raise KeyboardInterrupt


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _fail(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
