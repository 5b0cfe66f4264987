# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""awx.yml makes everything in an AWX, changes nothing the second time, and notices what AWX has dropped.

The AWX is a stand-in (tests/support/awx_stand_in.py).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from awx_stand_in import ENCRYPTED, TOKEN, StandIn, serving

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = 'it\'s "a" \\ password'
PLAYBOOKS = {"site.yml", "backup.yml", *(f"playbooks/{path.name}" for path in (ROOT / "playbooks").glob("*.yml"))}
SETTINGS: dict[str, Any] = {
    "awx_organization": "Default",
    "awx_project_url": "https://git.example.com/ops/relevo.git",
    "awx_project_branch": "v1",
    "awx_inventory_path": "inventory/production.yml",
    "awx_execution_environment_image": "registry.example.com/relevo-ee:1",
    "awx_schedule": "DTSTART;TZID=Europe/Madrid:20260101T023000 RRULE:FREQ=DAILY;INTERVAL=1",
    # In two lines, of which AWX makes one.
    "awx_drill_schedule": "DTSTART;TZID=UTC:20260103T040000\nRRULE:FREQ=DAILY;INTERVAL=3;UNTIL=20991231T230000Z\n",
    "awx_secrets": {
        "relevo_replication": PASSWORD,
        "relevo_rewind": "b",
        "relevo_monitor": "c",
        "relevo_handover": "d",
        "redis": "e",
        "ca_key": "a key",
    },
    "awx_machine": {"username": "admin", "ssh_key_data": "a key of ssh"},
    "awx_notifications": [
        {
            "name": "Relevo failed",
            "organization": "Default",
            "notification_type": "webhook",
            "notification_configuration": {"url": "https://chat.example.com/hook", "headers": {}},
        }
    ],
    "awx_night_teams": ["night shift"],
}


def apply(
    address: str, settings: dict[str, Any], folder: Path, playbook: str = "playbooks/awx.yml", *more: str
) -> subprocess.CompletedProcess[str]:
    (folder / "settings.json").write_text(json.dumps(settings))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", playbook]
    return subprocess.run(
        [*command, "-e", f"@{folder / 'settings.json'}", *more],
        cwd=ROOT,
        env=os.environ
        | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8", "COLUMNS": "200"}
        | {"CONTROLLER_HOST": address, "CONTROLLER_OAUTH_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=False,
        # Thirty starts of Python, one per object: a busy machine takes long for them.
        timeout=1500,
    )


def changed(done: subprocess.CompletedProcess[str]) -> int:
    [count] = re.findall(r"^localhost\s+:.* changed=(\d+) ", done.stdout, re.MULTILINE)
    return int(count)


def tasks_changed(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The names of the tasks with a line that says changed."""
    found, name = set(), ""
    for line in done.stdout.splitlines():
        if title := re.match(r"TASK \[(?:.* : )?(.*)\]", line):
            name = title[1]
        elif line.startswith("changed:"):
            found.add(name)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("awx")


@pytest.fixture(scope="module")
def awx() -> StandIn:
    return StandIn(PLAYBOOKS)


@pytest.fixture(scope="module")
def address(awx: StandIn) -> Iterator[str]:
    with serving(awx) as found:
        yield found


@pytest.fixture(scope="module")
def first(awx: StandIn, address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    done = apply(address, SETTINGS, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_it_makes_everything(first: subprocess.CompletedProcess[str], awx: StandIn) -> None:
    assert changed(first) > 0
    assert len(awx.objects["job_templates"]) >= 9
    backup = awx.one("job_templates", "Relevo backup")
    assert backup["playbook"] == "backup.yml"
    assert not backup["allow_simultaneous"]
    assert awx.linked("job_templates", "Relevo backup", "credentials") == {"Relevo cluster secrets", "Relevo machines"}
    assert awx.linked("job_templates", "Relevo backup", "notification_templates_error") == {"Relevo failed"}
    assert {question["variable"] for question in awx.surveys[backup["id"]]["spec"]} >= {"cluster", "day"}
    assert json.loads(awx.one("job_templates", "Relevo restore in place")["extra_vars"]) == {"to": "cluster"}
    assert awx.one("projects", "Relevo")["scm_branch"] == "v1"
    assert awx.one("inventory_sources", "Relevo hosts")["source_path"] == "inventory/production.yml"
    assert awx.one("execution_environments", "Relevo")["image"] == "registry.example.com/relevo-ee:1"
    schedule = awx.one("schedules", "Relevo nightly")
    assert schedule["rrule"] == SETTINGS["awx_schedule"]
    assert awx.one("schedules", "Relevo drill")["rrule"] == " ".join(SETTINGS["awx_drill_schedule"].split())
    assert schedule["unified_job_template"] == awx.one("workflow_job_templates", "Relevo nightly")["id"]


def test_the_secrets_arrive_as_they_are_and_are_not_shown(
    first: subprocess.CompletedProcess[str], awx: StandIn
) -> None:
    credential = awx.one("credentials", "Relevo cluster secrets")
    assert awx.secrets[credential["id"]]["relevo_replication"] == PASSWORD
    assert credential["inputs"]["relevo_replication"] == ENCRYPTED
    assert "a key of ssh" not in first.stdout + first.stderr


def test_templates_of_awx_reach_it_untouched(first: subprocess.CompletedProcess[str], awx: StandIn) -> None:
    injectors = awx.one("credential_types", "Relevo cluster secrets")["injectors"]
    assert injectors["extra_vars"]["relevo_ca_key_file"] == "{{ tower.filename.ca_key }}"
    variables = json.loads(awx.one("inventories", "Relevo")["variables"])
    assert variables["secrets_given"] == "{{ lookup('ansible.builtin.file', relevo_secrets_file) | from_yaml }}"


def test_the_night_shift_may_press_the_button_and_nothing_else(
    first: subprocess.CompletedProcess[str], awx: StandIn
) -> None:
    names = {number: held["name"] for number, held in awx.objects["job_templates"].items()}
    allowed = {names[number] for number, teams in awx.granted.items() if teams}
    assert allowed == {"Relevo failover", "Relevo failover plan", "Relevo status"}


def test_the_second_time_nothing_changes(
    first: subprocess.CompletedProcess[str], awx: StandIn, address: str, folder: Path
) -> None:
    # Meanwhile a job has updated the inventory: the variables of its file's group "all" stand there too, and stay.
    awx.update_inventory("Relevo", {"ansible_user": "admin"})
    awx.writes.clear()
    # Nor does another password change what AWX holds.
    done = apply(address, SETTINGS | {"awx_secrets": {**SETTINGS["awx_secrets"], "redis": "other"}}, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert changed(done) == 0
    assert awx.secrets[awx.one("credentials", "Relevo cluster secrets")["id"]]["redis"] == "e"
    assert json.loads(awx.one("inventories", "Relevo")["variables"])["ansible_user"] == "admin"
    # A credential is not given twice: without its inputs it stays as well.
    assert [write for write in awx.writes if not write.startswith("PATCH notification_templates")] == []


def test_check_mode_says_what_would_change(
    first: subprocess.CompletedProcess[str], awx: StandIn, address: str, folder: Path
) -> None:
    before = list(awx.writes)
    done = apply(address, SETTINGS | {"awx_project_branch": "v2"}, folder, "playbooks/awx.yml", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    # awx.awx cannot compare a notification's secrets; outside of check mode AWX's answer shows that nothing changed.
    assert tasks_changed(done) == {"Make the projects", "Make the notification templates"}
    assert awx.writes == before
    assert awx.one("projects", "Relevo")["scm_branch"] == "v1"


@pytest.fixture
def check_only(folder: Path) -> Path:
    """The last task of the role alone, since a whole run takes long."""
    tasks = yaml.safe_load((ROOT / "roles" / "awx" / "tasks" / "main.yml").read_text(encoding="utf-8"))
    assert "relevo.postgres.awx_objects_check" in tasks[-1]
    data = {"include_role": {"name": "relevo.postgres.awx", "tasks_from": "data", "public": True}}
    book = folder / "check.yml"
    book.write_text(
        json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [data, tasks[-1]]}])
    )
    return book


def test_what_awx_dropped_is_a_failure(
    first: subprocess.CompletedProcess[str], awx: StandIn, address: str, folder: Path, check_only: Path
) -> None:
    done = apply(address, SETTINGS, folder, playbook=str(check_only))
    assert done.returncode == 0, done.stdout + done.stderr
    survey = awx.surveys.pop(awx.one("job_templates", "Relevo backup")["id"])
    del awx.surveys[awx.one("workflow_job_templates", "Relevo nightly")["id"]]
    awx.links[awx.one("job_templates", "Relevo rejoin")["id"], "credentials"].pop()
    awx.one("projects", "Relevo")["scm_branch"] = "main"
    done = apply(address, SETTINGS, folder, playbook=str(check_only))
    text = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2
    for question in survey["spec"]:
        assert f"The survey of the job_template Relevo backup lacks the question {question['variable']}." in text
    assert "The survey of the workflow_job_template Relevo nightly lacks the question cluster." in text
    assert "The job_template Relevo rejoin has credentials Relevo " in text
    assert "The project Relevo has scm_branch='main', not 'v1'." in text


def test_an_end_that_awx_would_rewrite_is_refused(awx: StandIn, address: str, folder: Path) -> None:
    before = list(awx.writes)
    rule = "DTSTART;TZID=Europe/Madrid:20260101T023000 RRULE:FREQ=DAILY;INTERVAL=1;UNTIL=20271231T230000"
    done = apply(address, SETTINGS | {"awx_schedule": rule}, folder)
    assert done.returncode == 2
    assert "a moment in UTC" in done.stdout + done.stderr
    assert awx.writes == before


def test_without_a_project_nothing_is_changed(awx: StandIn, address: str, folder: Path) -> None:
    before = list(awx.writes)
    done = apply(address, {}, folder)
    assert done.returncode == 2
    assert "awx_project_url" in done.stdout + done.stderr
    assert awx.writes == before
