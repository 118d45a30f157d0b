"""`make demo` for operators: its webhook endpoint is one that `stripe_setup --check` finds in order, and its environment is
there for commands beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from config import demo
from config.demo_acts import Demo
from payments.following import handled_types
from tests.live import Sandbox
from tests.sandbox_process import started_sandbox

WEB = "http://127.0.0.1:8000"
HOOK = f"{WEB}/api/payments/stripe/webhook"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(demo, "STATE", tmp_path)
    return tmp_path


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """As an earlier version of the demonstration left it: one endpoint for every event, in no certain version."""
    with started_sandbox("--webhook-url", HOOK, "--webhook-secret", "whsec_of_an_earlier_version") as url:
        yield Sandbox(url)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def sourced(state: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """What a shell makes of a command once it has read .demo/env as the greeting says."""
    script = f'set -a; . "{state}/env"; set +a; exec "$@"'
    return subprocess.run(
        ["/bin/sh", "-c", script, "sh", *command], cwd=settings.BASE_DIR, env={}, capture_output=True, text=True, timeout=60
    )


def test_the_endpoint_is_made_as_an_operator_would_and_the_environment_serves_a_shell(state: Path, sandbox: Sandbox) -> None:
    env = demo._environment(WEB, sandbox.url)
    acts = Demo(web=WEB, stripe=sandbox.url, stripe_key=env["STRIPE_SECRET_KEY"], say=lambda text: None)
    env["STRIPE_WEBHOOK_SECRET"] = demo._register_webhook(acts, env)
    (made,) = sandbox.objects("webhook_endpoint")
    assert (made["url"], made["enabled_events"]) == (HOOK, handled_types())
    assert (made["api_version"], made["status"]) == (settings.STRIPE_API_VERSION, "enabled")

    assert demo._register_webhook(acts, env) == env["STRIPE_WEBHOOK_SECRET"]
    assert sandbox.objects("webhook_endpoint") == [made]

    demo._keep_environment(env)
    assert [mode(state / name) for name in ("env", "secret_key", "webhook_secrets")] == [0o600, 0o600, 0o600]
    checked = sourced(state, sys.executable, "manage.py", "stripe_setup", "--check")
    assert (checked.returncode, checked.stdout) == (0, f"{made['id']} is as it must be: {HOOK}\n")


def test_another_port_keeps_the_secret_of_the_first(state: Path, sandbox: Sandbox) -> None:
    (state / "webhook_secrets").write_text("whsec_first\n")
    env = demo._environment("http://127.0.0.1:8001", sandbox.url)
    acts = Demo(web="http://127.0.0.1:8001", stripe=sandbox.url, stripe_key=env["STRIPE_SECRET_KEY"], say=lambda text: None)
    new, first = demo._register_webhook(acts, env).split(",")
    assert (new[:6], first) == ("whsec_", "whsec_first")
    assert (state / "webhook_secrets").read_text() == f"{new}\nwhsec_first\n"
    assert len(sandbox.objects("webhook_endpoint")) == 2


def test_what_a_shell_would_take_apart_reaches_commands_whole(state: Path) -> None:
    words = "two words, a 'quote', $HOME and `date`"
    demo._keep_environment({"WORDS": words, "EMPTY": ""})
    read = sourced(state, sys.executable, "-c", "import os; print(os.environ['WORDS'], os.environ['EMPTY'], sep='|', end='')")
    assert (read.stdout, read.stderr) == (f"{words}|", "")


def test_a_setup_that_fails_ends_the_demonstration_with_its_words(state: Path, sandbox: Sandbox) -> None:
    (state / "webhook_secrets").write_text("whsec_first\n")
    env = demo._environment(WEB, "http://127.0.0.1:9")
    acts = Demo(web=WEB, stripe=sandbox.url, stripe_key=env["STRIPE_SECRET_KEY"], say=lambda text: None)
    with pytest.raises(SystemExit, match=r"stripe_setup failed: [\s\S]*cannot be reached"):
        demo._register_webhook(acts, env)
    assert (state / "webhook_secrets").read_text() == "whsec_first\n"


def test_the_greeting_says_how_to_run_a_command() -> None:
    assert "set -a; . .demo/env; set +a; .venv/bin/python manage.py check_books" in demo._welcome(WEB, "http://127.0.0.1:12111")
