# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work out what a schedule is on this machine."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import clusters_of
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._schedule import units
from ansible_collections.relevo.postgres.plugins.module_utils._schedule.jobs import jobs_of, missing_playbooks
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

#: What the role gives of the place, without what is worked out here.
PLACE = (
    "directory",
    "playbooks",
    "project",
    "python",
    "python_path",
    "ansible",
    "ansible_config",
    "inventories",
    "user",
    "timezone",
    "persistent",
    "wait",
    "notify",
    "vault_password_file",
    "owner",
)


class ActionModule(ControllerAction):
    """module_utils/_schedule decides; the variables of all hosts are here."""

    SPEC = {"argument_spec": {"given": {"type": "dict", "required": True}}}  # noqa: RUF012

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        variables, given = self._task_vars or {}, options["given"]
        hostvars = variables["hostvars"]
        jobs = jobs_of(given, list(clusters_of(variables["groups"], hostvars)))
        if missing := missing_playbooks(jobs, given["playbooks"], os.path.exists):
            raise RelevoError(f"The playbook {missing[0]} is not there. Nothing was changed.")
        if isinstance(given["notify"], str):
            raise RelevoError(
                "relevo_notify_command is a text, and no shell reads it. Give a list: the command, and each of its "
                "arguments. Nothing was changed."
            )
        nodes = [hostvars[name] for name in variables["groups"].get("postgres", [])]
        groups = ["docker"] if any(host.get("node_kind") == "docker" for host in nodes) else []
        place = units.Place(groups=groups, **{name: given[name] for name in PLACE})
        return {
            "changed": False,
            "files": units.files(place, jobs),
            "unit_files": units.unit_files(place, jobs),
            "folders": [units.folder(place, job) for job in jobs],
            "units": [
                f"{units.UNITS}/{units.PREFIX}{job.name}.{kind}" for job in jobs for kind in ("service", "timer")
            ],
            "timers": [f"{units.PREFIX}{job.name}.timer" for job in jobs],
            "calendars": sorted({f"{one} {place.timezone}" for job in jobs for one in job.calendar}),
            "groups": groups,
            "cron": units.cron_lines(place, jobs),
        }
