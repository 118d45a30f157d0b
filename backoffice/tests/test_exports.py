"""Exports are asked for, made in the background, watched, downloaded by those who may, and deleted in time."""

from __future__ import annotations

import re
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from accounts.models import AuditEntry, User
from backoffice.exports import columns, making
from backoffice.exports.errors import TooManyExports
from backoffice.exports.filters import Filters
from backoffice.models import Export
from backoffice.tests.conftest import logged_in, staff
from conventions.admin_showing import change_url, list_url
from donations.tests.factories import CampaignFactory, pending_donation
from payments.sweeping import sweep

pytestmark = pytest.mark.django_db

State = Export.State
ADD = "/admin/backoffice/export/add/"


@pytest.fixture
def finance() -> User:
    return staff("backoffice.export")


def asked(by: User, **changes: Any) -> Export:
    return making.ask(**{"kind": "donations", "file_format": "csv", "filters": Filters(), "requested_by": by, **changes})


def made(by: User, **changes: Any) -> Export:
    export = asked(by, **changes)
    making.make_export.func(export.pk)
    export.refresh_from_db()
    return export


def download(export: Export) -> str:
    return reverse("admin:backoffice_export_download", args=[export.pk])


def aged(export: Export, **ages: timedelta) -> None:
    now = timezone.now()
    Export.objects.filter(pk=export.pk).update(**{name: now - age for name, age in ages.items()})


def history() -> list[str]:
    return list(AuditEntry.objects.order_by("at", "pk").values_list("action", flat=True))


# -- asking ----------------------------------------------------------------------------------------------
def test_an_export_is_asked_for_by_a_form_and_made_by_a_task(finance: User) -> None:
    CampaignFactory(slug="wells")

    answer = logged_in(finance).post(ADD, {"kind": "donations", "format": "csv", "by": "paid", "campaign": "wells"})

    export = Export.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, change_url(Export, export.pk))
    assert (export.state, export.requested_by, export.rows_done) == (State.QUEUED, finance, 0)
    assert export.filters["campaign"].startswith("campaign_")
    assert [task.args_kwargs["args"] for task in DBTaskResult.objects.all()] == [[export.pk]]
    assert history() == ["export.requested"]
    assert AuditEntry.objects.get().actor == finance


def test_the_form_offers_the_format_that_holds_no_formulas_first(finance: User) -> None:
    assert logged_in(finance).get(ADD).context["adminform"].form["format"].value() == "xlsx"


def test_a_wrong_choice_comes_back_with_the_form(finance: User) -> None:
    answer = logged_in(finance).post(ADD, {"kind": "donations", "format": "csv", "by": "paid", "campaign": "nowhere"})

    assert answer.status_code == 200
    assert "There is no campaign &#x27;nowhere&#x27;." in answer.content.decode()
    assert (Export.objects.count(), DBTaskResult.objects.count(), history()) == (0, 0, [])


def test_the_form_s_one_button_says_what_it_does(finance: User) -> None:
    page = logged_in(finance).get(ADD).content.decode()

    [row] = re.findall(r'<div class="submit-row">(.*?)</div>', page, re.DOTALL)
    assert re.findall(r'<input type="submit" value="([^"]+)"', row) == ["Export"]


def test_the_form_shows_every_choice(finance: User) -> None:
    CampaignFactory(slug="wells", title="Wells & more")

    page = logged_in(finance).get(ADD).content.decode()

    assert '<option value="wells">Wells &amp; more</option>' in page
    assert all(f'name="{name}"' in page for name in ("kind", "format", "since", "until", "by", "campaign", "currency", "state"))


def test_who_waits_for_several_exports_is_asked_to_wait(finance: User) -> None:
    for _ in range(making.MOST_WAITING):
        asked(finance)

    with pytest.raises(TooManyExports):
        asked(finance)
    page = logged_in(finance).post(ADD, {"kind": "donations", "format": "csv", "by": "paid"}, follow=True)

    assert "Wait until one is done." in page.content.decode()
    assert Export.objects.count() == making.MOST_WAITING
    assert asked(staff("backoffice.export", email="other@example.org")).state == State.QUEUED


@pytest.mark.parametrize("permission", ["donations.view_donation", "backoffice.view_export"])
def test_who_may_not_export_is_refused_everywhere(finance: User, permission: str) -> None:
    export = made(finance)
    other = logged_in(staff(permission, email="other@example.org"))
    urls = [list_url(Export), ADD, change_url(Export, export.pk), download(export)]
    urls.append(reverse("admin:backoffice_export_progress", args=[export.pk]))

    assert [other.get(url).status_code for url in urls] == [403] * 5
    assert other.post(ADD, {"kind": "donations", "format": "csv", "by": "paid"}).status_code == 403
    assert (Export.objects.count(), history()) == (1, ["export.requested"])


def test_who_is_no_staff_is_sent_to_log_in(finance: User) -> None:
    export = made(finance)
    User.objects.filter(pk=finance.pk).update(is_staff=False)

    answer = logged_in(finance).get(download(export))

    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/")
    assert history() == ["export.requested"]


# -- making ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("file_format", "begins"), [("csv", b"id,state,"), ("xlsx", b"PK\x03\x04")])
def test_a_made_export_is_downloaded_and_leaves_a_line(finance: User, export_dir: Path, file_format: str, begins: bytes) -> None:
    pending_donation()
    export = made(finance, file_format=file_format)

    answer = logged_in(finance).get(download(export))
    content = b"".join(answer.streaming_content)

    assert (export.state, export.rows_done, export.rows_total_estimate, export.percent) == (State.DONE, 1, 1, 100)
    assert content.startswith(begins)
    assert len(content) == export.size_bytes == (export_dir / export.file_name).stat().st_size
    assert answer["Content-Disposition"] == f'attachment; filename="{export.file_name}"'
    assert "no-store" in answer["Cache-Control"]
    assert history() == ["export.requested", "export.downloaded"]
    assert AuditEntry.objects.get(action="export.downloaded").after["rows"] == 1


def test_files_are_readable_by_their_owner_only_and_nothing_else_is_left(finance: User, export_dir: Path) -> None:
    export = made(finance)

    assert [path.name for path in export_dir.iterdir()] == [export.file_name]
    assert stat.S_IMODE((export_dir / export.file_name).stat().st_mode) == 0o600


def test_an_export_that_is_not_done_has_nothing_to_download(finance: User) -> None:
    assert logged_in(finance).get(download(asked(finance))).status_code == 404
    assert history() == ["export.requested"]


def test_progress_is_told_while_it_is_made(finance: User, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = CampaignFactory()
    for _ in range(4):
        pending_donation(campaign=campaign)
    export = asked(finance)
    monkeypatch.setattr(columns, "PAGE", 1)
    monkeypatch.setattr(making, "TELL_EVERY_S", 0)
    told = []
    client = logged_in(finance)
    tell = making._teller

    def watching(owned: Export) -> Any:
        inner = tell(owned)

        def both(rows: int) -> None:
            inner(rows)
            told.append(client.get(reverse("admin:backoffice_export_progress", args=[owned.pk])).json())

        return both

    monkeypatch.setattr(making, "_teller", watching)
    making.make_export.func(export.pk)

    assert [answer["told"] for answer in told] == [f"{rows} of about 4 rows" for rows in (1, 2, 3, 4)]
    assert [answer["percent"] for answer in told] == [25, 50, 75, 99]
    assert all(answer["waiting"] for answer in told)


def test_pages_show_how_far_it_is_without_inline_script(finance: User) -> None:
    export = asked(finance)
    client = logged_in(finance)
    pages = [client.get(url).content.decode() for url in (list_url(Export), change_url(Export, export.pk))]

    for page in pages:
        assert f'data-progress="/admin/backoffice/export/{export.pk}/progress"' in page
        assert "waits for a worker" in page
        assert '<script src="/static/js/export_progress.js" defer></script>' in page
        assert "http-equiv" not in page


def test_a_second_nudge_makes_nothing_twice(finance: User, export_dir: Path) -> None:
    export = made(finance)
    before = Export.objects.values().get()

    assert making.make_export.func(export.pk) == 0

    assert Export.objects.values().get() == before
    assert len(list(export_dir.iterdir())) == 1


def test_an_export_that_fails_says_why_and_leaves_no_file(
    finance: User, export_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*args: Any, **options: Any) -> int:
        raise OSError("No space left on device")

    monkeypatch.setattr(making, "write", no_space)
    export = made(finance)

    assert (export.state, export.error, export.file_name) == (State.FAILED, "OSError: No space left on device", "")
    assert not export_dir.exists()
    assert "No space left on device" in logged_in(finance).get(change_url(Export, export.pk)).content.decode()


# -- healing ---------------------------------------------------------------------------------------------
def test_an_export_whose_worker_died_is_picked_up_by_the_sweep(finance: User, export_dir: Path) -> None:
    export = asked(finance)
    assert making._claim(export.pk) is not None
    (export_dir).mkdir()
    left_behind = export_dir / making.file_name(export, attempt=1)
    left_behind.write_text("half")
    aged(export, progress_at=making.DEAD_AFTER + timedelta(seconds=1))

    done = sweep()
    making.make_export.func(export.pk)

    export.refresh_from_db()
    assert done["exports picked up"] == 1
    assert DBTaskResult.objects.count() == 2
    assert (export.state, export.attempts) == (State.DONE, 2)
    assert [path.name for path in export_dir.iterdir()] == [making.file_name(export, attempt=2)]


def test_an_export_that_is_being_made_is_left_alone(finance: User) -> None:
    export = asked(finance)
    assert making._claim(export.pk) is not None
    aged(export, progress_at=making.DEAD_AFTER - timedelta(seconds=5))

    assert making.sweep() == {"exports picked up": 0, "exports given up": 0, "export files deleted": 0}
    assert making.make_export.func(export.pk) == 0
    assert DBTaskResult.objects.count() == 1
    assert Export.objects.get().state == State.RUNNING


def test_a_worker_that_was_thought_dead_throws_its_file_away(
    finance: User, export_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = asked(finance)
    write = making.write

    def taken_over_meanwhile(*args: Any, **options: Any) -> int:
        rows = write(*args, **options)
        aged(export, progress_at=making.DEAD_AFTER * 2)
        making.sweep()
        return rows

    monkeypatch.setattr(making, "write", taken_over_meanwhile)
    assert making.make_export.func(export.pk) == 0

    export.refresh_from_db()
    assert (export.state, export.file_name, export.error) == (State.QUEUED, "", "")
    assert not export_dir.exists()


def test_an_export_that_kills_every_worker_is_given_up(finance: User) -> None:
    export = asked(finance)
    for _ in range(making.MAX_ATTEMPTS):
        assert making._claim(export.pk) is not None
        aged(export, progress_at=making.DEAD_AFTER * 2)

    assert making.sweep()["exports given up"] == 1

    export.refresh_from_db()
    assert (export.state, export.attempts) == (State.FAILED, making.MAX_ATTEMPTS)
    assert "died 3 times" in export.error
    assert DBTaskResult.objects.count() == 1
    assert making.sweep()["exports given up"] == 0


def test_an_export_that_waits_is_nudged_again_hourly_and_not_at_every_sweep(finance: User) -> None:
    export = asked(finance)
    assert making.sweep()["exports picked up"] == 0
    aged(export, created_at=making.NUDGE_LOST_AFTER * 2)

    assert [making.sweep()["exports picked up"] for _ in range(3)] == [1, 0, 0]
    assert DBTaskResult.objects.count() == 2


# -- keeping ---------------------------------------------------------------------------------------------
def test_an_expired_file_is_deleted_and_its_row_stays(finance: User, export_dir: Path) -> None:
    old, fresh = made(finance), made(finance)
    aged(old, expires_at=timedelta(seconds=1))
    client = logged_in(finance)

    before = client.get(download(old)).status_code
    assert making.sweep()["export files deleted"] == 1
    assert making.sweep()["export files deleted"] == 0

    old.refresh_from_db()
    assert (before, client.get(download(old)).status_code) == (404, 404)
    assert (old.state, old.file_name, old.rows_done) == (State.DONE, "", 0)
    assert [path.name for path in export_dir.iterdir()] == [fresh.file_name]
    assert "export.downloaded" not in history()


def test_a_file_is_kept_for_the_days_of_the_setting(finance: User, settings: Any) -> None:
    settings.EXPORT_KEPT_DAYS = 3
    export = made(finance)
    assert export.expires_at is not None
    assert export.finished_at is not None
    assert export.expires_at - export.finished_at == timedelta(days=3)


def test_a_file_that_is_gone_is_told_and_no_download_is_noted(finance: User, export_dir: Path) -> None:
    export = made(finance)
    (export_dir / export.file_name).unlink()

    assert logged_in(finance).get(download(export)).status_code == 404
    assert history() == ["export.requested"]


# -- the command -----------------------------------------------------------------------------------------
def test_the_command_writes_what_the_admin_would(finance: User, tmp_path: Path, export_dir: Path, capsys: Any) -> None:
    pending_donation()
    export = made(finance)
    output = tmp_path / "out.csv"

    call_command("export_donations", output=output, json=True)

    assert output.read_bytes() == (export_dir / export.file_name).read_bytes()
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.csv"]
    assert '"rows": 1' in capsys.readouterr().out
    assert history() == ["export.requested", "export.written"]


def test_the_command_writes_over_nothing_unless_told_so(tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    output.write_text("precious")

    with pytest.raises(CommandError, match="exists") as refused:
        call_command("export_donations", output=output)
    assert (refused.value.returncode, output.read_text(), history()) == (2, "precious", [])

    call_command("export_donations", output=output, force=True)
    assert output.read_text().startswith("id,")


@pytest.mark.parametrize("options", [{"campaign": "nowhere"}, {"currency": "xyz"}, {"output": Path("/nowhere/at/all.csv")}])
def test_the_command_that_cannot_run_leaves_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("export_donations", **{"output": tmp_path / "out.csv", **options})
    assert refused.value.returncode == 2
    assert (list(tmp_path.iterdir()), Export.objects.count()) == ([], 0)
