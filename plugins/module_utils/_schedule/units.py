# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a schedule is on a machine: its files, its units, and the lines for cron where systemd does not run. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .jobs import Job, Task, playbook_path, variables_of

PREFIX = "relevo-schedule-"
UNITS = "/etc/systemd/system"
NOTE = "# Written by relevo.postgres (role schedule); edits here are lost.\n"
RUNNER = "ansible_collections.relevo.postgres.plugins.plugin_utils._scheduled_run"
METRICS = "relevo_schedule.prom"
DAYS = re.compile(r"((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:(?:\.\.|,)(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun))*) +")
AT = re.compile(r"\*-\*-(?P<day>\*|\d\d?) +(?P<hour>\*|\d\d?):(?P<minute>\d\d?)(?::00)?")
WORDS = {"hourly": "0 * * * *", "daily": "0 0 * * *", "weekly": "0 0 * * Mon", "monthly": "0 0 1 * *"}


@dataclass(frozen=True)
class Place:
    """Where all of it is, and as whom it runs; ``inventories`` and ``ansible`` (ansible-playbook) are paths."""

    directory: str
    playbooks: str
    project: str
    python: str
    python_path: str
    ansible: str
    ansible_config: str
    inventories: Sequence[str]
    user: str
    groups: Sequence[str]
    timezone: str
    persistent: bool
    wait: int
    notify: Sequence[str] = ()
    vault_password_file: str = ""
    #: Who owns the files now: in check mode the user may not be there yet.
    owner: str = ""

    @property
    def documentation(self) -> str:
        return f"{self.project}/docs/schedule.md"


def folder(place: Place, job: Job) -> str:
    """What a job has of its own: its files, and what became of its last run."""
    return f"{place.directory}/jobs/{job.name}"


def command(place: Place, job: Job) -> list[str]:
    """The command line of its playbook, without its variables."""
    inventories = [word for path in place.inventories for word in ("-i", path)]
    vault = ["--vault-password-file", place.vault_password_file] if place.vault_password_file else []
    return [place.ansible, *inventories, *vault, playbook_path(job, place.playbooks)]


def task(place: Place, job: Job) -> Task:
    own = folder(place, job)
    return Task(
        job.name,
        f"{PREFIX}{job.name}",
        job.cluster,
        job.playbook,
        [*command(place, job), "--extra-vars", f"@{own}/variables.json"],
        place.project,
        job.time_limit,
        list(place.notify),
        f"{place.directory}/metrics/{METRICS}",
    )


def files(place: Place, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Directories and files of the jobs, as the module managed_files takes them; nobody but the user may read these."""
    user, root = {"owner": place.owner or place.user, "group": "root"}, {"owner": "root", "group": "root"}
    made: list[dict[str, Any]] = [
        {"path": place.directory, "mode": "0755", **root},
        {"path": f"{place.directory}/jobs", "mode": "0755", **root},
        {"path": f"{place.directory}/metrics", "mode": "0755", **user},
    ]
    for job in jobs:
        own = folder(place, job)
        variables = variables_of(job, place.wait)
        made += [
            {"path": own, "mode": "0755", **user},
            {"path": f"{own}/job.json", "content": _json(task(place, job).as_dict()), "mode": "0400", **user},
            {"path": f"{own}/variables.json", "content": _json(variables), "mode": "0400", **user},
        ]
    return made


def unit_files(place: Place, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """The units, likewise."""
    root = {"owner": "root", "group": "root", "mode": "0644"}
    kinds = {"service": service, "timer": timer}
    return [
        {"path": f"{UNITS}/{PREFIX}{job.name}.{kind}", "content": write(place, job), **root}
        for job in jobs
        for kind, write in kinds.items()
    ]


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def word(text: str) -> str:
    """One word of a unit's line: in quotes, without specifiers (systemd.syntax, systemd.unit)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def service(place: Place, job: Job) -> str:
    environment = {
        "PYTHONPATH": place.python_path,
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_NOCOLOR": "1",
        "PATH": f"{place.ansible.rpartition('/')[0]}:/usr/local/bin:/usr/bin:/bin",
        **({"ANSIBLE_CONFIG": place.ansible_config} if place.ansible_config else {}),
    }
    run = f"{word(place.python)} -m {RUNNER}"
    own = word(folder(place, job))
    # A dollar is a variable's in a command line, and two are a dollar.
    lines = [
        "[Unit]",
        f"Description=Relevo: {job.what}, by its timer",
        f"Documentation={word('file:' + place.documentation)}",
        "Wants=network-online.target",
        "After=network-online.target docker.service",
        "",
        "[Service]",
        "Type=oneshot",
        f"User={place.user}",
        *(f"SupplementaryGroups={group}" for group in place.groups),
        f"WorkingDirectory={place.project.replace('%', '%%')}",
        *(f"Environment={word(f'{name}={value}')}" for name, value in environment.items()),
        f"ExecStart={run} run {own}".replace("$", "$$"),
        "# Also after a run that was killed: it judges, counts and tells.",
        f"ExecStopPost={run} ended {own}".replace("$", "$$"),
        f"TimeoutStartSec={job.time_limit}",
        "TimeoutStopSec=90",
        "UMask=0077",
        "ProtectSystem=full",
        "ProtectKernelTunables=yes",
        "ProtectControlGroups=yes",
        "LockPersonality=yes",
    ]
    return NOTE + "\n".join(lines) + "\n"


def timer(place: Place, job: Job) -> str:
    lines = [
        "[Unit]",
        f"Description=Relevo: when {job.what} runs",
        "",
        "[Timer]",
        *(f"OnCalendar={one.replace('%', '%%')} {place.timezone}" for one in job.calendar),
        f"RandomizedDelaySec={job.random_delay}",
        "# A run that was missed while the machine was off is made up for at once.",
        f"Persistent={'true' if place.persistent else 'false'}",
        "",
        "[Install]",
        "WantedBy=timers.target",
    ]
    return NOTE + "\n".join(lines) + "\n"


def cron_times(calendar: str) -> str:
    """The five fields of cron for a calendar of systemd's; empty where there are none that mean the same."""
    if calendar in WORDS:
        return WORDS[calendar]
    days = DAYS.match(calendar)
    found = AT.fullmatch(calendar[days.end() :] if days else calendar)
    if not found:
        return ""
    weekdays = days[1].replace("..", "-") if days else "*"
    # cron runs where either matches, and systemd where both do.
    if days and found["day"] != "*":
        return ""
    hour = found["hour"] if found["hour"] == "*" else int(found["hour"])
    return f"{int(found['minute'])} {hour} {found['day'].lstrip('0') or '*'} * {weekdays}"


def cron_lines(place: Place, jobs: Sequence[Job]) -> str:
    """Lines for the crontab of the user who has the checkout; each prints only when it failed, and cron mails that."""
    lines = [
        f"# Relevo, for `crontab -e`. The times are those of {place.timezone}; cron takes the machine's own zone.",
        "LC_ALL=C.UTF-8",
        f"PATH={place.ansible.rpartition('/')[0]}:/usr/local/bin:/usr/bin:/bin",
        "MAILTO=root",
    ]
    for job in jobs:
        variables = variables_of(job, place.wait)
        words = [*command(place, job), *(["--extra-vars", json.dumps(variables)] if variables else [])]
        log = f"$HOME/relevo-{job.name}.log"
        run = f"cd {shlex.quote(place.project)} && timeout {job.time_limit} {shlex.join(words)}"
        # cron takes a percent sign for the end of a line.
        line = f'{run} >"{log}" 2>&1 || cat "{log}"'.replace("%", "\\%")
        for calendar in job.calendar:
            times = cron_times(calendar)
            lines.append(
                f"{times} {line}" if times else f"# {job.name}, at {calendar}: write the time in front yourself"
            )
            lines += [] if times else [f"# {line}"]
    return "\n".join(lines)
