"""What runs on a control host under a real systemd: the timers of schedule.yml, and the control API as a service."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator

import control_host
import pytest
from cluster import NETWORK, ROOT, STATUS, Play, inventory, shell, wait_until
from control_host import DIRECTORY, HOME, HOST, journal, play, record, systemctl

KEEP = os.environ.get("RELEVO_MACHINES_KEEP") == "yes"
SCHEDULE, API = "playbooks/schedule.yml", "playbooks/api.yml"
UNITS = "/etc/systemd/system"
#: A word that would be somebody's if a shell read it, and a secret that no unit may hold.
BAIT = "$(touch /tmp/bait) `id`"
SECRET = "s3cret-of-the-job"
NOTIFY = """#!/bin/sh
printf '%s|%s|%s|' "$1" "$RELEVO_JOB" "$RELEVO_STATE" >> /srv/told
cat >> /srv/told
"""
SETTINGS = {
    "relevo_notify_command": ["/srv/notify", BAIT],
    "schedule_timezone": "Europe/Madrid",
    "schedule_backup_calendar": "*-*-* 03:15:00",
    "schedule_check_calendar": "",
    "schedule_drill_calendar": ["Sun *-*-* 04:00:00", "Wed *-*-* 04:00:00"],
    "schedule_random_delay": 60,
    "schedule_persistent": False,
    "schedule_time_limit": 900,
    "schedule_wait": 5,
    "schedule_textfile_directory": "/srv/textfile",
    "schedule_vault_password_file": "/srv/vault_password",
    "schedule_user": "operator",
    "schedule_directory": DIRECTORY,
    "schedule_cluster": "main",
    "schedule_more_jobs": [
        {
            "name": "look",
            "playbook": "status.yml",
            "calendar": "hourly",
            "variables": {"format": "text", "nobody": SECRET},
        },
        {"name": "endless", "playbook": "/srv/endless.yml", "calendar": "daily"},
        {"name": "brief", "playbook": "/srv/endless.yml", "calendar": "daily", "time_limit": 60},
    ],
}
ENDLESS = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.pause:
        minutes: 60
"""


@pytest.fixture(scope="session", autouse=True)
def provisioned() -> None:
    """In place of the folder's: no cluster is needed, and its refusal to work without one is what is looked for."""


def furnish() -> None:
    """What an administrator would have there before."""
    nothing = inventory(f"{NETWORK}_nothing", 1024).read_text()
    # Machines that do not exist: no engine is needed to find that out.
    for docker, ssh in (
        ("ansible_connection: community.docker.docker_api", "ansible_host: 127.0.0.1"),
        ("node_kind: docker", "node_kind: ssh"),
        ("node_service_manager: runit", "node_service_manager: systemd"),
    ):
        assert docker in nothing
        nothing = nothing.replace(docker, ssh)
    control_host.give(nothing, f"{HOME}/hosts.yml")
    control_host.give(json.dumps(SETTINGS), "/srv/settings.json")
    control_host.give(NOTIFY, "/srv/notify", "0755")
    control_host.give(ENDLESS, "/srv/endless.yml")
    control_host.give("word\n", "/srv/vault_password", "0400", "root")
    shell(HOST, "install", "-d", "-m", "1777", "/srv/textfile")
    shell(HOST, "install", "-m", "0666", "/dev/null", "/srv/told")


@pytest.fixture(scope="module", autouse=True)
def host() -> Iterator[None]:
    """RELEVO_MACHINES_KEEP=yes uses the host that an earlier run left, and leaves it."""
    if not (KEEP and control_host.there()):
        control_host.start()
        furnish()
    yield
    if not KEEP:
        control_host.remove()


@pytest.fixture(autouse=True)
def unharmed() -> None:
    """In place of the folder's."""


def schedule(*arguments: str, expect: int = 0) -> Play:
    return play(SCHEDULE, "-e", "@/srv/settings.json", *arguments, expect=expect)


def told() -> list[str]:
    return shell(HOST, "cat", "/srv/told").splitlines()


def state_of(job: str) -> str:
    """Of a run that may not have begun yet."""
    return str(record(job)["state"]) if "run.json" in shell(HOST, "ls", f"{DIRECTORY}/jobs/{job}") else ""


def files() -> set[str]:
    """All that there is where the schedule and the API leave something."""
    places = ["/etc/systemd", "/var/lib", "/opt", "/srv/textfile", "/etc/passwd", "/etc/group"]
    found = shell(HOST, "find", *places, "-not", "-path", "*/private/*").splitlines()
    # systemd and apt write down things of their own at any time.
    listed = {path for path in found if "relevo" in path or not re.match("/var/lib/(systemd|apt|dpkg)/", path)}
    accounts = shell(HOST, "cut", "-d:", "-f1", "/etc/passwd", "/etc/group").split()
    return listed | {f"account {name}" for name in accounts}


@pytest.fixture(scope="module")
def before(host: None) -> set[str]:
    return files()


def test_what_cannot_be_meant_is_refused_and_nothing_is_installed(before: set[str]) -> None:
    nonsense = json.dumps({"schedule_backup_calendar": "when it suits"})
    assert "systemd does not take a time of the schedule: " in schedule("-e", nonsense, expect=2).text
    refused = schedule(expect=2).text
    assert "The user operator cannot read /srv/vault_password, which its plays need." in refused
    assert "Timers are installed by root" in play(SCHEDULE, expect=2, user="dba").text
    assert not [path for path in files() if "relevo-schedule-" in path]


def test_timers_are_installed_as_they_were_announced(before: set[str]) -> None:
    shell(HOST, "chown", "operator", "/srv/vault_password")
    announced = schedule("--check", "--diff")
    assert "+OnCalendar=*-*-* 03:15:00 Europe/Madrid" in announced.output
    assert not [path for path in files() if "relevo-schedule-" in path]

    assert schedule().changed > 0
    assert schedule().changed == 0
    assert schedule("--check", "--diff").changed == 0

    timers = systemctl("list-timers", "--all", "--plain", "relevo-schedule-*")
    names = re.findall(r"relevo-schedule-(\w+)\.timer", timers)
    assert sorted(names) == ["backup", "brief", "drill", "endless", "look"], timers
    shown = systemctl("cat", "relevo-schedule-drill.timer")
    for line in (
        "OnCalendar=Sun *-*-* 04:00:00 Europe/Madrid",
        "OnCalendar=Wed *-*-* 04:00:00 Europe/Madrid",
        "RandomizedDelaySec=60",
        "Persistent=false",
    ):
        assert line in shown.splitlines()
    assert "User=operator" in systemctl("cat", "relevo-schedule-drill.service")
    # Nobody but the user may read what a job gives its play, and no unit has it.
    assert SECRET not in shell(HOST, "bash", "-c", f"cat {UNITS}/relevo-schedule-*")
    assert shell(HOST, "stat", "-c", "%a %U", f"{DIRECTORY}/jobs/look/variables.json").strip() == "400 operator"


def test_a_run_that_went_well_is_in_the_journal() -> None:
    systemctl("start", "relevo-schedule-look.service")
    said = journal("relevo-schedule-look")
    assert "CLUSTER main" in said
    assert "failed=0" in said
    assert SECRET not in shell(HOST, "journalctl", "--no-pager")
    assert record("look")["state"] == "succeeded"
    assert told() == []


def test_a_failed_run_is_seen_everywhere() -> None:
    """In systemd, the journal, status.yml, the metrics, and by whoever is to be told."""
    systemctl("start", "relevo-schedule-backup.service", expect=1)
    assert systemctl("is-failed", "relevo-schedule-backup.service").strip() == "failed"
    failed = record("backup")
    assert "does not answer" in failed["sentence"], failed
    assert failed["sentence"] in journal("relevo-schedule-backup")

    shown = play(STATUS, "-e", "@/srv/settings.json", "-e", "format=json").output
    status = json.loads(shown[shown.index("\n{") : shown.rindex("\n}") + 2])
    [problem] = [one for one in status["problems"] if one["code"] == "scheduled-run-failed"]
    assert problem["severity"] == "warning"
    assert failed["sentence"] in problem["message"]
    assert "systemctl start relevo-schedule-backup" in problem["action"]
    assert {run["name"]: run["state"] for run in status["schedule"]} == {"backup": "failed", "look": "succeeded"}

    metrics = shell(HOST, "cat", "/srv/textfile/relevo_schedule.prom")
    assert 'relevo_scheduled_run_failed{cluster="main",name="backup"} 1.0' in metrics
    assert 'relevo_scheduled_run_failed{cluster="main",name="look"} 0.0' in metrics

    [line] = told()
    assert line.startswith(f"{BAIT}|backup|failed|relevo: the scheduled backup of cluster main failed on ctl at ")
    assert failed["sentence"] in line
    assert "bait" not in shell(HOST, "ls", "/tmp")


@pytest.mark.long
def test_no_second_run_begins_beside_the_first_and_one_that_is_stopped_has_failed() -> None:
    systemctl("start", "--no-block", "relevo-schedule-endless.service")
    wait_until(lambda: state_of("endless") == "running", "the endless run to begin", timeout=60)
    begun = journal("relevo-schedule-endless").count("Starting ")
    # systemd joins the run that goes on, and whoever starts it by hand is told.
    systemctl("start", "--no-block", "relevo-schedule-endless.service")
    runner = re.search(r"^ExecStart=(.*)$", systemctl("cat", "relevo-schedule-endless.service"), re.MULTILINE)
    assert runner
    by_hand = f'export PYTHONPATH={ROOT}/collections; {runner[1]}; test "$?" = 75'
    assert "The scheduled endless runs already since" in shell(HOST, "bash", "-c", by_hand, user="operator")
    shown = play(STATUS, "-e", "@/srv/settings.json", "-e", "format=json").output
    assert '"state": "running"' in shown
    # While it runs, what would remove it refuses.
    assert "relevo-schedule-endless.service runs now." in schedule("-e", "schedule_state=absent", expect=2).text
    assert journal("relevo-schedule-endless").count("Starting ") == begun

    systemctl("stop", "relevo-schedule-endless.service")
    assert record("endless")["state"] == "failed"
    assert record("endless")["sentence"] == "It was stopped or killed (signal)."
    assert any("|endless|failed|" in line for line in told())


@pytest.mark.long
def test_a_run_that_takes_too_long_is_ended() -> None:
    systemctl("start", "relevo-schedule-brief.service", expect=1)
    assert record("brief")["sentence"] == "It was ended because it took longer than its time limit, 1 min 00 s."
    assert any("|brief|failed|" in line for line in told())
    running = shell(HOST, "bash", "-c", "pgrep -fc [j]obs/brief || :").strip()
    assert running == "0", "its play is gone, too"


@pytest.mark.long
def test_a_run_that_works_again_is_told_once(request: pytest.FixtureRequest) -> None:
    """With the playbook of another job in its place: there is no cluster that could be backed up."""
    path = f"{DIRECTORY}/jobs/backup/job.json"
    job = shell(HOST, "cat", path)
    request.addfinalizer(lambda: shell(HOST, "bash", "-ec", f"cat > {path}", stdin=job))
    shell(HOST, "bash", "-ec", f"cat > {path}", stdin=job.replace("backup.yml", "status.yml"))
    for _time in range(2):
        systemctl("start", "relevo-schedule-backup.service")
    said = [line for line in told() if "|succeeded|" in line]
    assert len(said) == 1
    assert "the scheduled backup of cluster main works again on ctl" in said[0]


@pytest.mark.long
def test_a_job_that_is_none_any_more_is_removed_and_the_others_stay() -> None:
    schedule("-e", '{"schedule_more_jobs": []}')
    names = re.findall(r"relevo-schedule-(\w+)\.timer", systemctl("list-timers", "--all", "relevo-schedule-*"))
    assert sorted(set(names)) == ["backup", "drill"]
    assert shell(HOST, "ls", f"{DIRECTORY}/jobs").split() == ["backup", "drill"]


def test_all_of_it_is_removed(before: set[str]) -> None:
    assert schedule("-e", "schedule_state=absent", "--check").changed > 0
    assert schedule("-e", "schedule_state=absent").changed > 0
    assert files() - before == set()
    assert "relevo-schedule" not in systemctl("list-units", "--all", "relevo-schedule*")
    assert schedule("-e", "schedule_state=absent").changed == 0


@pytest.mark.long
def test_without_systemd_it_prints_lines_for_cron() -> None:
    shell(HOST, "mv", "/run/systemd/system", "/run/systemd/system.away")
    try:
        refused = schedule(expect=2)
    finally:
        shell(HOST, "mv", "/run/systemd/system.away", "/run/systemd/system")
    assert "systemd does not run on this machine, so there are no timers. Nothing was changed." in refused.text
    [line] = [line for line in refused.output.splitlines() if line.startswith("15 3 * * * ")]
    # It is one that can be pasted: the same play fails in the same way, and then it prints.
    shell(HOST, "bash", "-c", f"cd; {line.removeprefix('15 3 * * * ')} | grep 'does not answer'")


def api(*arguments: str, expect: int = 0) -> Play:
    settings = {"control_api_venv": "", "control_api_service": "systemd", "control_api_user": "api-runner"}
    return play(API, "-e", json.dumps(settings), *arguments, expect=expect)


def answers(path: str, *headers: str) -> tuple[int, str]:
    """What the API says to a client on that machine."""
    script = (
        "import sys, urllib.request, urllib.error\n"
        "asked = urllib.request.Request('http://127.0.0.1:8088' + sys.argv[1],"
        " headers=dict(one.split(': ', 1) for one in sys.argv[2:]))\n"
        "try:\n    done = urllib.request.urlopen(asked, timeout=20)\n"
        "except urllib.error.HTTPError as error:\n    done = error\n"
        "print(done.status, done.read().decode())"
    )
    status, _space, body = shell(HOST, "python3", "-c", script, path, *headers).partition(" ")
    return int(status), body


def listens() -> bool:
    script = "import socket; socket.create_connection(('127.0.0.1', 8088), timeout=2)"
    done = subprocess.run(
        ["docker", "exec", HOST, "python3", "-c", script], capture_output=True, timeout=60, check=False
    )
    return done.returncode == 0


@pytest.mark.long
def test_the_api_needs_no_directory_of_secrets_where_all_are_variables(before: set[str]) -> None:
    shell(HOST, "rm", "-rf", f"{HOME}/.secrets")
    password = {"secrets_given": {"relevo_monitor": "monitor-word"}}
    assert "The secret relevo_monitor is missing" in api(expect=2).text
    assert "The certificate of the cluster's authority is missing" in api("-e", json.dumps(password), expect=2).text
    assert files() - before == set()
    given = json.dumps({**password, "secrets_authority_certificate": "no certificate"})
    assert api("-e", given).changed > 0
    assert answers("/healthz")[0] == 200
    assert "monitor-word" in shell(HOST, "cat", "/var/lib/relevo-api/pgpass")
    # What its plays would find and could not read is refused.
    control_host.give("word", f"{HOME}/.secrets/operator", "0600")
    assert f"The user api-runner cannot read {HOME}/.secrets/operator" in api("-e", given, expect=2).text
    shell(HOST, "rm", "-rf", f"{HOME}/.secrets")
    api("-e", given, "-e", "control_api_state=absent")


@pytest.mark.long
def test_the_api_runs_as_a_service(before: set[str]) -> None:
    """Installed, used, restarted, rebooted and removed, as a user without privileges."""
    secrets = f"{HOME}/.secrets"
    control_host.give("monitor-word", f"{secrets}/relevo_monitor", "0600")
    control_host.give("no certificate\n", f"{secrets}/tls/ca.crt", "0600")
    shell(HOST, "chmod", "0700", secrets)
    assert f"The user api-runner cannot read {secrets}, which its plays need." in api(expect=2).text
    shell(HOST, "chown", "-R", "api-runner", secrets)

    installed = api()
    assert api().changed == 0
    assert systemctl("is-active", "relevo-api").strip() == "active"
    assert systemctl("show", "--property=User", "--value", "relevo-api").strip() == "api-runner"
    assert answers("/healthz")[0] == 200
    assert answers("/v1/clusters")[0] == 401

    # The commands that the playbook printed.
    [make] = re.findall(r"^ +(.* token make) NAME --scope operate$", installed.output, re.MULTILINE)
    token = shell(HOST, "bash", "-ec", f"{make} ana --scope operate").strip()
    assert answers("/v1/clusters", f"Authorization: Bearer {token}")[0] == 200
    assert token not in journal("relevo-api")
    assert "monitor-word" not in journal("relevo-api") + systemctl("cat", "relevo-api")

    for again in (lambda: systemctl("restart", "relevo-api"), control_host.reboot):
        again()
        wait_until(listens, "the API to listen", 120)
        assert answers("/v1/clusters", f"Authorization: Bearer {token}")[0] == 200
    assert "/v1/jobs" in answers("/openapi.json", f"Authorization: Bearer {token}")[1]

    assert api("-e", "control_api_state=absent").changed > 0
    assert files() - before == set()
    assert "relevo-api" not in systemctl("list-units", "--all", "relevo-api*")
    assert api("-e", "control_api_state=absent").changed == 0
