# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timers: which jobs there are, what is refused, how their units read, and what became of their runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._schedule import runs, units
from ansible_collections.relevo.postgres.plugins.module_utils._schedule.jobs import (
    Job,
    jobs_of,
    missing_playbooks,
    variables_of,
)
from ansible_collections.relevo.postgres.plugins.module_utils._schedule.runs import Run
from ansible_collections.relevo.postgres.plugins.plugin_utils import _scheduled_run

GIVEN: dict[str, Any] = {
    "cluster": "",
    "backup": "*-*-* 02:30:00",
    "check": "*-*-* *:45:00",
    "drill": "Sun *-*-* 05:30:00",
    "more_jobs": [],
    "time_limit": 43200,
    "random_delay": 300,
}
MORE = {"name": "look", "playbook": "status.yml", "calendar": "hourly"}
PLACE = units.Place(
    "/var/lib/s",
    "/c/playbooks",
    "/c",
    "/v/bin/python",
    "/cs",
    "/v/bin/ansible-playbook",
    "/c/ansible.cfg",
    ["/i/hosts.yml"],
    "dba",
    ["docker"],
    "Europe/Madrid",
    True,
    60,
    ["/n", "a b"],
)
BACKUP = Job("backup", "backup.yml", ["*-*-* 02:30:00"], "main")


# --- which jobs ------------------------------------------------------------------------------------------------------


def test_the_three_of_every_day() -> None:
    found = jobs_of(GIVEN, ["main"])
    assert [(job.name, job.playbook, job.cluster) for job in found] == [
        ("backup", "backup.yml", ""),
        ("check", "catalog_check.yml", ""),
        ("drill", "drill.yml", ""),
    ]


def test_with_several_clusters_each_has_its_drill() -> None:
    """drill.yml refuses to choose; the other two do all."""
    found = jobs_of(GIVEN, ["main", "shop"])
    assert [(job.name, job.cluster) for job in found][2:] == [("drill-main", "main"), ("drill-shop", "shop")]
    named = jobs_of({**GIVEN, "cluster": "shop"}, ["main", "shop"])
    assert [(job.name, job.cluster) for job in named] == [(name, "shop") for name in ("backup", "check", "drill")]


def test_an_empty_calendar_is_no_job_and_more_jobs_take_what_they_do_not_say() -> None:
    more = {**MORE, "variables": {"format": "json"}, "time_limit": 90}
    [job] = jobs_of({**GIVEN, "backup": "", "check": [], "drill": "", "more_jobs": [more]}, ["main"])
    assert job == Job("look", "status.yml", ["hourly"], "", {"format": "json"}, 90, 300)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cluster": "nobody"}, "There is no cluster nobody in the inventory: it has main, shop."),
        ({"backup": "", "check": "", "drill": ""}, "No job is left"),
        ({"more_jobs": [{"name": "x"}]}, "The job x in schedule_more_jobs lacks playbook and calendar."),
        ({"more_jobs": [{**MORE, "user": "root"}]}, "has user, which no job has"),
        ({"more_jobs": [{**MORE, "name": "backup"}]}, "Two jobs have the name backup."),
        ({"more_jobs": [{**MORE, "name": "a.b"}]}, "The name 'a.b' of a job is not one"),
        ({"more_jobs": [{**MORE, "name": "../x"}]}, "is not one"),
        ({"more_jobs": [{**MORE, "cluster": "gone"}]}, "names the cluster gone, and the inventory has main, shop."),
        ({"more_jobs": [{**MORE, "playbook": "../evil.yml"}]}, "is neither a name such as backup.yml nor a path."),
        (
            {"more_jobs": [{**MORE, "calendar": "daily\nExecStart=/x"}]},
            "A calendar of the job look is empty or not one",
        ),
        ({"more_jobs": [{**MORE, "calendar": [""]}]}, "A calendar of the job look is empty"),
        ({"more_jobs": [{**MORE, "calendar": [3]}]}, "is neither a text nor a list of texts."),
        ({"time_limit": 5}, "The time limit of the job backup is 5 s."),
        ({"random_delay": -1}, "The random delay of the job backup is -1 s."),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RelevoError) as refused:
        jobs_of({**GIVEN, **given}, ["main", "shop"])
    assert said in refused.value.message
    assert "Nothing was changed." in refused.value.message


def test_a_playbook_that_is_not_there() -> None:
    own = Job("x", "/mine/x.yml", ["daily"])
    assert missing_playbooks([BACKUP, own], "/c/playbooks", lambda path: path == "/mine/x.yml") == [
        "/c/playbooks/backup.yml"
    ]


def test_what_only_looks_need_not_wait_for_the_lock() -> None:
    assert variables_of(BACKUP, 60) == {"wait_for_lock": 60, "cluster": "main"}
    assert variables_of(Job("look", "status.yml", ["daily"], variables={"format": "json"}), 60) == {"format": "json"}
    # Somebody's own word counts.
    assert variables_of(Job("b", "backup.yml", ["daily"], variables={"wait_for_lock": 0}), 60) == {"wait_for_lock": 0}


# --- files and units -------------------------------------------------------------------------------------------------


def test_a_service() -> None:
    runner = '"/v/bin/python" -m ansible_collections.relevo.postgres.plugins.plugin_utils._scheduled_run'
    assert (
        units.service(PLACE, BACKUP)
        == f"""\
# Written by relevo.postgres (role schedule); edits here are lost.
[Unit]
Description=Relevo: backup of cluster main, by its timer
Documentation="file:/c/docs/schedule.md"
Wants=network-online.target
After=network-online.target docker.service

[Service]
Type=oneshot
User=dba
SupplementaryGroups=docker
WorkingDirectory=/c
Environment="PYTHONPATH=/cs"
Environment="LC_ALL=C.UTF-8"
Environment="ANSIBLE_NOCOLOR=1"
Environment="PATH=/v/bin:/usr/local/bin:/usr/bin:/bin"
Environment="ANSIBLE_CONFIG=/c/ansible.cfg"
ExecStart={runner} run "/var/lib/s/jobs/backup"
# Also after a run that was killed: it judges, counts and tells.
ExecStopPost={runner} ended "/var/lib/s/jobs/backup"
TimeoutStartSec=43200
TimeoutStopSec=90
UMask=0077
ProtectSystem=full
ProtectKernelTunables=yes
ProtectControlGroups=yes
LockPersonality=yes
"""
    )


def test_a_timer() -> None:
    shown = units.timer(replace(PLACE, persistent=False), replace(BACKUP, calendar=["daily", "Mon *-*-* 1:00"]))
    assert "OnCalendar=daily Europe/Madrid\nOnCalendar=Mon *-*-* 1:00 Europe/Madrid\n" in shown
    assert "RandomizedDelaySec=300\n" in shown
    assert "Persistent=false\n" in shown


def test_a_path_is_one_word_of_a_unit() -> None:
    """Quotes, specifiers and variables of systemd's mean nothing in it."""
    shown = units.service(replace(PLACE, directory='/a "b" 50%$HOME'), BACKUP)
    assert 'run "/a \\"b\\" 50%%$$HOME/jobs/backup"' in shown


def test_no_variable_of_a_job_is_in_a_unit_or_on_a_command_line() -> None:
    job = replace(BACKUP, variables={"token": "s3cret"})
    assert "s3cret" not in json.dumps(units.unit_files(PLACE, [job]))
    held = [one for one in units.files(PLACE, [job]) if "s3cret" in one.get("content", "")]
    assert [(one["path"], one["mode"], one["owner"]) for one in held] == [
        ("/var/lib/s/jobs/backup/variables.json", "0400", "dba")
    ]


def test_a_job_is_told_what_the_runner_reads(tmp_path: Path) -> None:
    [told] = [one for one in units.files(PLACE, [BACKUP]) if one["path"].endswith("job.json")]
    (tmp_path / "job.json").write_text(told["content"])
    assert _scheduled_run.task_of(tmp_path) == units.task(PLACE, BACKUP)
    variables = "@/var/lib/s/jobs/backup/variables.json"
    playbook = ["/v/bin/ansible-playbook", "-i", "/i/hosts.yml", "/c/playbooks/backup.yml"]
    assert units.task(PLACE, BACKUP).command == [*playbook, "--extra-vars", variables]
    vault = units.command(replace(PLACE, vault_password_file="/w"), BACKUP)
    assert vault[3:5] == ["--vault-password-file", "/w"]


@pytest.mark.parametrize(
    ("calendar", "fields"),
    [
        ("daily", "0 0 * * *"),
        ("hourly", "0 * * * *"),
        ("*-*-* 02:30:00", "30 2 * * *"),
        ("*-*-* 02:05", "5 2 * * *"),
        ("*-*-* *:45:00", "45 * * * *"),
        ("Sun *-*-* 05:30:00", "30 5 * * Sun"),
        ("Mon..Fri *-*-* 05:30:00", "30 5 * * Mon-Fri"),
        ("*-*-01 04:00", "0 4 1 * *"),
        # cron would run on each of both.
        ("Mon *-*-01 04:00", ""),
        ("*-*-* 02:30:15", ""),
        ("quarterly", ""),
    ],
)
def test_a_time_for_cron(calendar: str, fields: str) -> None:
    assert units.cron_times(calendar) == fields


def test_lines_for_cron() -> None:
    odd = Job("odd", "/o/x.yml", ["quarterly"], variables={"a": "50% 'of'"})
    shown = units.cron_lines(PLACE, [BACKUP, odd]).splitlines()
    assert shown[-3] == (
        "30 2 * * * cd /c && timeout 43200 /v/bin/ansible-playbook -i /i/hosts.yml /c/playbooks/backup.yml "
        '--extra-vars \'{"wait_for_lock": 60, "cluster": "main"}\' '
        '>"$HOME/relevo-backup.log" 2>&1 || cat "$HOME/relevo-backup.log"'
    )
    assert shown[-2] == "# odd, at quarterly: write the time in front yourself"
    assert "50\\% " in shown[-1]
    assert shown[-1].startswith("# cd /c")


# --- what became of a run --------------------------------------------------------------------------------------------

AT = "2026-11-26T03:00:00+00:00"
BEGUN = Run("backup", "relevo-schedule-backup", "main", "backup.yml", "i", "2026-11-26T02:30:00+00:00")


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            ["TASK [x]", "[ERROR]: Task failed: Action failed: It is full. Make room.", "Origin: /x", "", "1 - name"],
            "It is full. Make room.",
        ),
        (["[ERROR]: Task failed: Module failed: one", "[ERROR]: Task failed: two", "  lines", "", "no"], "two lines"),
        (["[ERROR]: a: b", "Task failed: a: b", "Origin: /x"], "a: b"),
        (["PLAY RECAP", "nothing of that kind"], ""),
    ],
)
def test_the_sentence_of_a_play(lines: list[str], sentence: str) -> None:
    assert runs.sentence_in(lines) == sentence


@pytest.mark.parametrize(
    ("run", "result", "state", "said", "failures"),
    [
        (replace(BEGUN, code=0, failures=2), "success", "succeeded", "", 0),
        (replace(BEGUN, code=2, sentence="It is full."), "exit-code", "failed", "It is full.", 1),
        (replace(BEGUN, code=4, failures=2), "exit-code", "failed", "Its play ended with 4.", 3),
        (BEGUN, "timeout", "failed", "It was ended because it took longer than its time limit, 1 h 00 min.", 1),
        (BEGUN, "signal", "failed", "It was stopped or killed (signal).", 1),
        (BEGUN, "oom-kill", "failed", "It was stopped or killed (oom-kill).", 1),
        # What is written down is of another run.
        (replace(BEGUN, invocation="j", code=0), "exit-code", "failed", "It could not begin (exit-code).", 1),
    ],
)
def test_how_a_run_is_judged(run: Run, result: str, state: str, said: str, failures: int) -> None:
    judged = runs.judge(run, "i", result, 3600, AT)
    assert (judged.state, judged.sentence, judged.failures, judged.ended) == (state, said, failures, AT)


def test_who_is_told_what() -> None:
    failed = replace(BEGUN, state="failed", ended=AT, sentence="It is full.", failures=2)
    assert runs.message(failed, "ctl", 1) == (
        "relevo: the scheduled backup of cluster main failed on ctl at 2026-11-26T03:00:00+00:00 (2 times in a row). "
        "It is full. journalctl -u relevo-schedule-backup shows all of it."
    )
    well = replace(BEGUN, state="succeeded", ended=AT)
    assert runs.message(well, "ctl", 0) == ""
    assert runs.message(well, "ctl", 2) == (
        "relevo: the scheduled backup of cluster main works again on ctl since 2026-11-26T03:00:00+00:00."
    )


def job_in(schedule: Path, **more: Any) -> Path:
    """The directory of a job, as the role makes it."""
    own = schedule / "jobs" / "backup"
    own.mkdir(parents=True)
    (schedule / "metrics").mkdir()
    told = units.task(replace(PLACE, directory=str(schedule)), BACKUP).as_dict()
    (own / "job.json").write_text(json.dumps({**told, "directory": str(schedule), "notify": [], **more}))
    return own


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_machine_without_a_schedule_has_no_runs(tmp_path: Path) -> None:
    assert runs.runs_of(tmp_path / "none") is None
    job_in(tmp_path)
    assert runs.runs_of(tmp_path) == []


def test_a_run_that_was_cut_off_is_not_taken_for_one_that_goes_on(tmp_path: Path) -> None:
    own = job_in(tmp_path)
    runs.write(own, BEGUN)
    handle = runs.lock(own)
    assert handle is not None
    assert runs.lock(own) is None
    [going] = runs.runs_of(tmp_path) or []
    assert going.state == "running"
    os.close(handle)
    [cut] = runs.runs_of(tmp_path) or []
    assert (cut.state, cut.failures) == ("failed", 1)
    assert "killed, or its machine went down" in cut.sentence
    runs.write(own, replace(BEGUN, code=0))
    assert [run.state for run in runs.runs_of(tmp_path) or []] == ["succeeded"]


def test_a_whole_run_from_its_start_to_who_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    play = script(tmp_path / "play", 'echo "[ERROR]: Task failed: Action failed: It is full."; exit 2')
    notify = script(tmp_path / "notify", f'{{ echo "$1 $RELEVO_STATE"; cat; }} >> {tmp_path}/told')
    own = job_in(tmp_path, command=[play], notify=[notify, "$(id)"])
    monkeypatch.setenv("INVOCATION_ID", "i")
    monkeypatch.setenv("SERVICE_RESULT", "exit-code")
    assert _scheduled_run.main(["run", str(own)]) == 2
    assert _scheduled_run.main(["ended", str(own)]) == 0
    [failed] = runs.runs_of(tmp_path) or []
    assert (failed.state, failed.sentence, failed.code) == ("failed", "It is full.", 2)
    first, second = (tmp_path / "told").read_text().splitlines()
    assert first == "$(id) failed"
    assert second.startswith("relevo: the scheduled backup of cluster main failed on ")
    metrics = (tmp_path / "metrics" / units.METRICS).read_text()
    assert 'relevo_scheduled_run_failed{cluster="main",name="backup"} 1.0' in metrics
    assert "[ERROR]: Task failed" in capfd.readouterr().out


def test_a_second_run_is_refused_and_leaves_the_first_ones_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    own = job_in(tmp_path, command=["/bin/false"])
    runs.write(own, BEGUN)
    handle = runs.lock(own)
    assert handle is not None
    monkeypatch.setenv("INVOCATION_ID", "other")
    assert _scheduled_run.run(own) == 75
    assert "The scheduled backup runs already since 2026-11-26T02:30:00" in capfd.readouterr().out
    assert _scheduled_run.ended(own) == 0
    assert runs.read(own) == BEGUN
    os.close(handle)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo no mail here >&2; exit 3", "Nobody was told: the notify command ended with 3 (no mail here)."),
        ("exit 1", "Nobody was told: the notify command ended with 1 (without a word)."),
        ("sleep 30", "Nobody was told: the notify command did not end within 1 s."),
        ("exit 0", ""),
    ],
)
def test_a_notify_command_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setattr(_scheduled_run, "NOTIFY_TIMEOUT", 1)
    assert _scheduled_run.notify([script(tmp_path / "notify", text)], "a sentence", BEGUN) == said


def test_a_notify_command_that_is_not_there_is_named() -> None:
    said = _scheduled_run.notify(["/no/such/command"], "a sentence", BEGUN)
    assert said == "Nobody was told: the notify command could not be started (No such file or directory)."


def test_the_runner_says_how_it_is_called() -> None:
    """The role takes this status for a sign that a user can run it."""
    done = subprocess.run(
        [sys.executable, "-m", units.RUNNER],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "collections")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (64, "usage: run|ended DIRECTORY\n")
