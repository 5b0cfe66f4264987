#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a backup with pgBackRest."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_backup
short_description: Make a backup with pgBackRest
version_added: 0.1.0
description:
  - Makes one backup of the stanza's primary, and lets pgBackRest expire what retention no longer keeps.
  - Runs on the repository host. Servers that do not answer are left out, so a standby that is down costs nothing.
  - Annotations are part of the backup command, so that no kill can part a backup from them.
  - When the module or the controller is killed, pgBackRest goes on to the regular end of the backup. A call in the
    meantime fails and says that a backup is running, and how far it is.
  - A backup is never the same twice, so every call makes one and reports a change.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
  - relevo.postgres.pgbackrest
  - relevo.postgres.repository
attributes:
  check_mode:
    support: full
    details: Says that a backup would be made, and runs nothing.
  diff_mode:
    support: none
options:
  type:
    description:
      - What is asked for. pgBackRest makes a full backup when there is none to build on; see RV(type).
    type: str
    choices: [full, diff, incr]
    default: incr
  annotations:
    description: Annotations to store with the backup, as a dictionary. Those with an empty value are left out.
    type: dict
    default: {}
  online:
    description:
      - V(false) copies the files of a stopped server, without its help and without a check of the WAL archive.
    type: bool
    default: true
  force:
    description:
      - With O(online=false), copy the files of a server although it is running.
      - Most likely such a copy cannot be restored. It gets the annotation C(relevo-consistent=false), and a warning.
    type: bool
    default: false
  host:
    description:
      - With O(online=false), the address (as in C(pgN-host)) of the server to copy from; required when the stanza has
        several, because offline pgBackRest does not find the primary.
    type: str
  process_max:
    description: Number of processes. The configuration's when omitted.
    type: int
  retention_full:
    description: Number of full backups to keep. The configuration's when omitted.
    type: int
  timeout:
    description:
      - Seconds after which the backup is ended in an orderly way, and the task fails. No limit when omitted.
      - The next backup resumes what was copied.
    type: float
  connect_timeout:
    description: Seconds after which a server that does not answer is left out. All are asked at once.
    type: float
    default: 5
seealso:
  - module: relevo.postgres.pgbackrest_info
  - module: relevo.postgres.pgbackrest_annotate
"""

EXAMPLES = r"""
- name: Make a full backup
  relevo.postgres.pgbackrest_backup:
    stanza: main
    type: full
    annotations:
      relevo-primary: postgres_master

- name: Copy a stopped server
  relevo.postgres.pgbackrest_backup:
    stanza: main
    type: full
    online: false
    host: postgres_master
"""

RETURN = r"""
label:
  description: The backup's label.
  returned: when a backup was made
  type: str
  sample: 20261124-120000F
type:
  description: What pgBackRest made.
  returned: when a backup was made
  type: str
  sample: full
backup:
  description: The backup as it appears in the output of C(pgbackrest info --output=json).
  returned: when a backup was made
  type: dict
skipped_step:
  description: Whether no backup was made because no file had changed since the last one; only with O(online=false).
  returned: success
  type: bool
expired:
  description: Labels of the backups that were removed.
  returned: success
  type: list
  elements: str
unreachable_nodes:
  description: Addresses of the servers that did not answer and were left out.
  returned: success
  type: list
  elements: str
duration:
  description: Seconds that pgBackRest took.
  returned: success
  type: float
command:
  description: The command that would be run, without the choice of servers.
  returned: in check mode
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.backup import (
    TYPES,
    BackupRequest,
    make_backup,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest


def request_of(params: dict[str, Any]) -> BackupRequest:
    return BackupRequest(
        type=params["type"],
        annotations=params["annotations"],
        online=params["online"],
        force=params["force"],
        host=params["host"],
        process_max=params["process_max"],
        retention_full=params["retention_full"],
        timeout=params["timeout"],
        connect_timeout=params["connect_timeout"],
    )


def work(module: AnsibleModule) -> dict[str, Any]:
    pgbackrest = PgBackRest(module.params["stanza"], module.params["config"], module.params["repository"])
    request = request_of(module.params)
    request.validate()
    nothing: dict[str, Any] = {"skipped_step": False, "expired": [], "unreachable_nodes": [], "duration": 0.0}
    if module.check_mode:
        return {"changed": True, "command": pgbackrest.line("backup", *request.options()), **nothing}
    made = make_backup(pgbackrest, request)
    for message in made.finished.messages("WARN"):
        module.warn(f"pgBackRest: {message}")
    if made.forced:
        module.warn("The files of a running server were copied. Most likely this backup cannot be restored.")
    for host in made.unreachable:
        module.warn(f"{host} did not answer and was left out of the backup's view. Start it, or run rejoin.yml.")
    result = {
        "changed": made.backup is not None,
        "skipped_step": made.backup is None,
        "expired": made.expired,
        "unreachable_nodes": made.unreachable,
        "duration": round(made.finished.seconds, 1),
    }
    if made.backup is not None:
        label = made.backup["label"]
        result |= {"label": label, "type": TYPES[label[-1]], "backup": made.backup}
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "repository": {"type": "int", "default": 1},
            "type": {"type": "str", "choices": ["full", "diff", "incr"], "default": "incr"},
            "annotations": {"type": "dict", "default": {}},
            "online": {"type": "bool", "default": True},
            "force": {"type": "bool", "default": False},
            "host": {"type": "str"},
            "process_max": {"type": "int"},
            "retention_full": {"type": "int"},
            "timeout": {"type": "float"},
            "connect_timeout": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
