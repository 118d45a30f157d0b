"""Replaying: the preview says exactly what the replay then does, changes nothing itself, and an applied event is proved
to change nothing."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from donations.models import Donation
from donations.tests.factories import CampaignFactory, payment_of, pending_donation
from payments import facts, inbox, replaying, stripe_gateway
from payments.inbox import Envelope
from payments.models import Payment, StripeEvent
from payments.proving import check_books
from payments.replaying import RowChange, TooManyEvents, preview, replay
from payments.settlement import settle_events
from payments.tasks import fetch_refunds
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db
Shape = Counter[tuple[str, str, tuple[str, ...]]]


@pytest.fixture(autouse=True)
def _one_slot_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slot of a tally is a matter of chance; and whoever calls Stripe here fails."""
    monkeypatch.setattr("campaigns.tallying.random_slot", lambda: 0)
    monkeypatch.setattr(stripe_gateway, "client", lambda: pytest.fail("Stripe was called"))


@pytest.fixture
def story() -> Story:
    return Story(pending_donation(email="ada@example.org").payment)


def kept_dead(*envelopes: Envelope) -> list[str]:
    """Events that were never applied and will not be tried again."""
    for envelope in envelopes:
        inbox.record_failure(envelope, RuntimeError("no"), source="webhook")
    ids = [envelope.id for envelope in envelopes]
    StripeEvent.objects.filter(pk__in=ids).update(state="dead", attempts=12, next_attempt_at=None)
    return ids


def everything() -> dict[tuple[str, str], dict[str, Any]]:
    """Every row of every table of ours, and of the tasks."""
    models = [m for app in ("payments", "donations", "campaigns", "accounts") for m in apps.get_app_config(app).get_models()]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for model in [*models, DBTaskResult]:
        for values in model._default_manager.values():
            rows[model._meta.db_table, str(values[str(model._meta.pk.attname)])] = values
    return rows


def shape_of(changes: list[RowChange]) -> Shape:
    return Counter((c.table, c.change, tuple(sorted(c.columns))) for c in changes if c.table != "task")


def shape_between(before: dict[Any, Any], after: dict[Any, Any]) -> Shape:
    """Without how often an event was tried, and when it is tried next."""
    shape: Shape = Counter()
    for (table, pk), values in after.items():
        old = before.get((table, pk))
        if table == DBTaskResult._meta.db_table or old == values:
            continue
        names = [n for n, v in values.items() if (v not in (None, "") if old is None else old[n] != v)]
        names = [n for n in names if n not in {"attempts", "next_attempt_at"}]
        shape[table, "added" if old is None else "changed", tuple(sorted(names))] += 1
    return shape


def by_row(changes: list[RowChange]) -> dict[str, dict[str, tuple[Any, Any]]]:
    return {change.table: change.columns for change in changes}


# -- the preview ---------------------------------------------------------------------------------------
STORIES = {
    "paid": lambda s: s.succeeded(),
    "declined": lambda s: s.declined(),
    "expired": lambda s: s.expired(),
    "refunded": lambda s: [*s.succeeded(), *s.refunded("a", 700, at=100, in_all=700)],
    "a refund that failed": lambda s: [*s.succeeded(), *s.refund_failed("a", 700, at=100)],
    "disputed": lambda s: [*s.succeeded(), *s.disputed("lost")],
    "a refund before its payment": lambda s: s.refunded("a", 700, at=100, in_all=700)[:1],
}


@pytest.mark.parametrize("name", list(STORIES))
def test_the_preview_names_exactly_the_rows_and_columns_that_the_replay_changes(name: str, story: Story) -> None:
    ids = kept_dead(*STORIES[name](story))
    before = everything()
    told = preview(ids).changes
    assert everything() == before
    replay(ids)
    assert shape_of(told) == shape_between(before, everything())
    assert told != []
    assert list(check_books()) == []


def test_a_second_gift_of_the_same_donor_is_previewed_too(story: Story) -> None:
    """Donor, supporter and tally are there already: they change, and are not told as new."""
    campaign = Donation.objects.get().campaign
    settle_events(story.succeeded(), source="webhook")
    other = Story(pending_donation(campaign=campaign, email="ada@example.org").payment)
    ids = kept_dead(*other.succeeded())
    before = everything()
    told = preview(ids).changes
    replay(ids)
    assert shape_of(told) == shape_between(before, everything())
    columns = by_row(told)
    assert columns["donations_supporter"] == {"count": (1, 2), "total_minor": (2500, 5000)}
    assert columns["campaigns_campaigntally"]["raised_minor"] == (2500, 5000)


def test_the_preview_tells_values_before_and_after_and_the_tasks(story: Story) -> None:
    ids = kept_dead(story.succeeded()[2])
    told = preview(ids).changes
    columns = by_row(told)
    assert columns["payments_stripeevent"] == {"state": ("dead", "applied"), "last_error": ("RuntimeError: no", "")}
    assert columns["payments_payment"]["status"] == ("open", "paid")
    assert columns["payments_transfer"]["amount_minor"] == (None, 2500)
    assert columns["donations_donation"]["state"] == ("pending", "paid")
    (task,) = [change for change in told if change.table == "task"]
    assert (task.row, task.columns) == ("donations.receipts.send_receipts", {"args": (None, [[Donation.objects.get().pk]])})
    assert DBTaskResult.objects.count() == 0


def test_tasks_that_others_enqueue_meanwhile_are_not_told(story: Story) -> None:
    fetch_refunds.enqueue("pay_of_others")
    DBTaskResult.objects.update(enqueued_at=timezone.now() + timedelta(minutes=1))
    told = preview(kept_dead(story.succeeded()[2])).changes
    assert [change.row for change in told if change.table == "task"] == ["donations.receipts.send_receipts"]
    assert DBTaskResult.objects.count() == 1


def test_events_that_are_applied_would_change_nothing_and_do_not(story: Story) -> None:
    envelopes = [*story.succeeded(), *story.refunded("a", 700, at=100, in_all=700), *story.disputed("won")]
    for envelope in envelopes:
        settle_events([envelope], source="webhook")
    ids = [envelope.id for envelope in envelopes]
    before = everything()
    assert preview(ids).changes == []
    replayed = replay(ids)
    assert everything() == before
    assert replayed.states == dict.fromkeys(ids, "applied")
    assert (replayed.failed, replayed.busy, replayed.not_found) == ({}, [], [])


def test_an_applied_event_is_applied_again_in_truth(story: Story) -> None:
    """Were its effect missing, a replay would bring it back: it is not merely skipped."""
    (refunded,) = story.refunded("a", 700, at=100, in_all=700)[:1]
    settle_events([*story.succeeded(), refunded], source="webhook")
    Payment.objects.update(customer_name="", receipt_url="")
    charge = StripeEvent.objects.get(type="charge.succeeded").pk
    assert by_row(preview([charge]).changes) == {
        "payments_payment": {"receipt_url": ("", f"https://pay.example/{story.charge_id}")}
    }
    replay([charge])
    assert Payment.objects.get().receipt_url == f"https://pay.example/{story.charge_id}"


def test_a_preview_of_an_event_that_fails_says_why_and_keeps_it_as_it_was(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = story.succeeded()[2], Story(pending_donation().payment).succeeded()[2]
    ids = kept_dead(good, bad)
    read = facts.EVENTS["checkout.session.completed"]

    def picky(event: Any) -> Any:
        return read(event) if event["id"] == good.id else (_ for _ in ()).throw(ValueError("no such thing"))

    before = everything()
    with monkeypatch.context() as patch:
        patch.setitem(facts.EVENTS, "checkout.session.completed", picky)
        told = preview(ids)
        assert everything() == before
        replayed = replay(ids)
    assert told.failed == {bad.id: "ValueError: no such thing"}
    rows = {change.row: change.columns for change in told.changes if change.table == "payments_stripeevent"}
    assert rows == {good.id: {"state": ("dead", "applied"), "last_error": ("RuntimeError: no", "")}}
    assert (replayed.failed, replayed.states) == (
        {bad.id: "ValueError: no such thing"},
        {good.id: "applied", bad.id: "dead"},
    )
    assert payment_of(Donation.objects.get(payment=story.payment)).status == "paid"


def test_a_preview_logs_nothing_of_events_that_would_fail_and_a_replay_one_traceback_each(
    story: Story, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ids = kept_dead(*story.succeeded()[1:3])
    StripeEvent.objects.update(state="failed", attempts=3, next_attempt_at=timezone.now())
    monkeypatch.setattr("payments.settlement.from_event", lambda event: (_ for _ in ()).throw(ValueError(event["id"])))
    seen = preview(ids)
    assert (seen.changes, seen.failed) == ([], {pk: f"ValueError: {pk}" for pk in ids})
    assert caplog.records == []
    replay(ids)
    assert [record.getMessage() for record in caplog.records] == [f"{pk} could not be replayed" for pk in sorted(ids)]
    for record in caplog.records:
        assert record.exc_info is not None
        assert (str(record.exc_info[1]), record.exc_info[1].__context__) == (record.args[0], None)  # type: ignore[union-attr, index]
    assert set(StripeEvent.objects.values_list("attempts", flat=True)) == {4}


def test_a_preview_shows_no_whole_address_and_no_words_of_people(story: Story) -> None:
    Payment.objects.update(customer_email="", customer_name="")
    told = preview(kept_dead(*story.succeeded())).changes
    columns = by_row(told)
    assert columns["donations_donor"]["email"] == (None, "a…@example.org")
    assert columns["payments_payment"]["customer_email"] == ("", "a…@example.org")
    assert columns["payments_payment"]["customer_name"] == ("", "(written)")
    shown = "\n".join(map(str, told))
    assert "ada@example.org" not in shown
    assert "Ada" not in shown


def test_a_parked_event_that_a_replay_wakes_is_told_too(story: Story) -> None:
    (refund,) = story.refunded("a", 700, at=100, in_all=700)[:1]
    settle_events([refund], source="webhook")
    ids = kept_dead(*story.succeeded())
    states = {change.row: change.columns["state"] for change in preview(ids).changes if change.table == "payments_stripeevent"}
    assert states[refund.id] == ("parked", "applied")
    assert replay(ids).states[refund.id] == "applied"


def test_what_is_not_there_is_told_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert replay(["evt_unknown"]).not_found == ["evt_unknown"]
    assert preview(["evt_unknown"]).changes == []
    monkeypatch.setattr(replaying, "MOST", 2)
    with pytest.raises(TooManyEvents, match="At most 2 events at a time, not 3"):
        replay(["a", "b", "c"])


def test_many_events_go_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "CHUNK", 3)
    campaign = CampaignFactory()
    ids = kept_dead(*[Story(pending_donation(campaign=campaign).payment).succeeded()[2] for _ in range(7)])
    sizes: list[int] = []
    settle = replaying.settle_stored
    monkeypatch.setattr(replaying, "settle_stored", lambda some, *, again: sizes.append(len(some)) or settle(some, again=again))
    assert Counter(replay(ids).states.values()) == {"applied": 7}
    assert sizes == [3, 3, 1]
    assert list(check_books()) == []


# -- the command ---------------------------------------------------------------------------------------
def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("replay_events", *arguments, stdout=out, stderr=StringIO())
    except SystemExit as stopped:
        return int(stopped.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_a_dry_run_shows_a_diff_and_exits_with_one(story: Story) -> None:
    (event,) = kept_dead(story.succeeded()[2])
    status, told = run("--state", "dead")
    assert status == 1
    assert f"~ payments_stripeevent {event}\n      state: dead → applied\n" in told
    assert f"key: paid:{story.payment.pk}\n" in told.split("+ payments_transfer ")[1]
    assert told.endswith("rows. Nothing was changed; --apply does it.\n")
    assert StripeEvent.objects.get().state == "dead"


def test_dry_run_is_what_happens_without_any_option(story: Story) -> None:
    kept_dead(story.succeeded()[2])
    dry = run("--state", "dead", "--dry-run")
    assert dry[0] == 1
    assert dry[1].endswith("Nothing was changed; --apply does it.\n")
    assert StripeEvent.objects.get().state == "dead"


def test_applied_events_are_proved_to_change_nothing(story: Story) -> None:
    settle_events(story.succeeded(), source="webhook")
    assert run("--type", "charge.succeeded") == (0, "1 events would change nothing.\n")


def test_apply_does_it_once_and_says_so_and_again_does_nothing(story: Story) -> None:
    ids = kept_dead(*story.succeeded())
    assert run("--state", "dead", "--apply") == (0, "replayed 4 events: 4 applied\n")
    assert Donation.objects.get().state == "paid"
    assert run("--state", "dead", "--apply") == (0, "replayed 0 events: nothing to do\n")
    assert run(*[f"--id={pk}" for pk in ids]) == (0, "4 events would change nothing.\n")


def test_json_is_one_object_a_line(story: Story) -> None:
    kept_dead(story.succeeded()[2])
    status, told = run("--state", "dead", "--json")
    *changes, last = [json.loads(line) for line in told.splitlines()]
    assert (status, last) == (1, {"applied": False, "events": 1, "changes": len(changes), "failed": {}, "busy": []})
    (payment,) = [change for change in changes if change["table"] == "payments_payment"]
    assert payment["columns"]["status"] == {"before": "open", "after": "paid"}


def test_events_are_chosen_by_type_state_time_and_limit(story: Story) -> None:
    kept_dead(*story.succeeded())
    StripeEvent.objects.filter(type="charge.succeeded").update(received_at="2026-01-01T12:00:00Z")
    assert run("--since", "2026-01-01", "--until", "2026-01-02", "--apply") == (0, "replayed 1 events: 1 applied\n")
    assert run("--until", "2026-01-01T11:59:59Z", "--apply") == (0, "replayed 0 events: nothing to do\n")
    assert run("--type", "charge.updated", "--apply") == (0, "replayed 1 events: 1 applied\n")
    assert run("--since", "2026-02-01", "--state", "dead", "--limit", "1", "--apply") == (0, "replayed 1 events: 1 applied\n")
    assert StripeEvent.objects.filter(state="dead").count() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Say which events"),
        (["--state", "dead", "--dry-run", "--apply"], "--dry-run changes nothing: leave --apply out"),
        (["--since", "yesterday"], "--since must look like"),
        (["--since", "2026-13-45"], "--since must look like"),
        (["--id", "evt_none"], "There is no event evt_none here"),
        (["--state", "dead", "--limit", "0"], "--limit must be 1 to"),
        (["--state", "dead", "--limit", "10001"], "--limit must be 1 to"),
    ],
)
def test_what_cannot_be_run_is_said_and_exits_with_two(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message) as refused:
        run(*arguments)
    assert refused.value.returncode == 2


def test_an_event_that_fails_again_is_told_and_exits_with_one(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    (event,) = kept_dead(story.succeeded()[2])
    monkeypatch.setattr("payments.settlement.from_event", lambda event: (_ for _ in ()).throw(ValueError("still so")))
    status, told = run("--id", event, "--apply")
    assert (status, told) == (1, f"  ✗ {event}: ValueError: still so\nreplayed 1 events: 1 dead\n")
    assert StripeEvent.objects.get().next_attempt_at is None
    assert timezone.now() > StripeEvent.objects.get().received_at
