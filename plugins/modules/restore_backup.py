#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the full backups that end a restore in place, one in each repository."""

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_backup
short_description: Make the full backups that end a restore in place
version_added: 0.1.0
description:
  - Makes a full backup in each repository that has none of the restore O(order) yet. What was backed up before lies on
    the timeline that was left, mostly beyond the target, and from there nothing leads to what the cluster writes now.
  - A repository of two that is away, or fails, is returned with the reason, and is in the way of nothing. The task
    fails where none has the backup, and while another backup runs.
  - Runs on the repository host. Killed, pgBackRest goes on to the regular end of a backup, and the next call finds it.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
  - relevo.postgres.pgbackrest
attributes:
  check_mode:
    support: full
    details: Says whether a backup would be made, and runs nothing.
  diff_mode:
    support: none
options:
  order:
    description: When the restore was ordered (C(at) of its record), by which its backups are found again.
    type: str
    required: true
  annotations:
    description: Annotations to store with each backup, as a dictionary.
    type: dict
    default: {}
  away:
    description: The repositories that have just been found away (C(repository), C(reason)). They are not asked again.
    type: list
    elements: dict
    default: []
seealso:
  - module: relevo.postgres.pgbackrest_backup
"""

EXAMPLES = r"""
- name: Make a full backup
  relevo.postgres.restore_backup:
    stanza: main
    order: "{{ record.at }}"
  register: full
"""

RETURN = r"""
backups:
  description: The repositories and the C(label) of the backup that each has now.
  returned: success
  type: list
  elements: dict
  sample:
    - {repository: 1, label: 20261126-120000F}
away:
  description: The repositories that have none, and why.
  returned: success
  type: list
  elements: dict
  sample:
    - {repository: 2, reason: "The repository has no stanza main."}
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import Away, each_that_answers
from ansible_collections.relevo.postgres.plugins.module_utils._repository.backup import (
    BackupRequest,
    is_busy,
    make_backup,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import repositories
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest

#: The annotation by which the backup of a restore is found again.
RESTORE = "relevo-restore"


class Backups:
    """The backups of one restore; ``made`` are those of this call, ``busy`` is where another backup runs."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.made: list[str] = []
        self.busy: RelevoError | None = None

    def bring(self, number: int) -> str:
        """Have a repository hold the backup; returns its label, empty in check mode where it has none."""
        params = self.module.params
        pgbackrest = PgBackRest(params["stanza"], params["config"], number)
        for one in pgbackrest.require_stanza().get("backup") or []:
            if (one.get("annotation") or {}).get(RESTORE) == params["order"]:
                return str(one["label"])
        if self.module.check_mode:
            self.made.append("")
            return ""
        request = BackupRequest("full", {**params["annotations"], RESTORE: params["order"]})
        try:
            done = make_backup(pgbackrest, request)
        except RelevoError as error:
            if is_busy(error):
                self.busy = error
            raise
        for message in done.finished.messages("WARN"):
            self.module.warn(f"pgBackRest: {message}")
        label = str((done.backup or {}).get("label") or "")
        self.made.append(label)
        return label


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    known = [Away(int(one["repository"]), str(one["reason"])) for one in params["away"]]
    numbers = repositories(Path(params["config"]))
    # Where all are said to be away they are asked: one of them must have it.
    asked = [number for number in numbers if number not in {one.repository for one in known}] or numbers
    backups = Backups(module)
    found, failed = each_that_answers(params["stanza"], asked, backups.bring, params["config"])
    if backups.busy:
        # It ends by itself, and the next run finds it, or makes its own.
        raise backups.busy
    away = [*(one for one in known if one.repository in numbers and one.repository not in asked), *failed]
    return {
        "changed": bool(backups.made),
        "backups": [{"repository": number, "label": label} for number, label in found.items()],
        "away": [one.as_dict() for one in away],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "order": {"type": "str", "required": True},
            "annotations": {"type": "dict", "default": {}},
            "away": {"type": "list", "elements": "dict", "default": []},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
