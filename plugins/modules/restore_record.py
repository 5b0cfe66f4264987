#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_record
short_description: The record of a restore in place that is not finished
version_added: 0.1.0
description:
  - Runs on the repository host. The record stands there from before the first step of a restore in place to after its
    last one; meanwhile M(relevo.postgres.operation_lock) is given to nobody but a restore.
  - It holds what the restore had decided, so that the same command finishes it after a kill.
  - It stands below the repository's directory; where the repository is a bucket, below C(/var/lib/pgbackrest) of the
    repository host. It fails where that directory has not answered within 10 s, as a mount does whose server is away.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  cluster:
    description: The cluster.
    type: str
    required: true
  state:
    description: V(read) only looks.
    type: str
    choices: [read, present, absent]
    default: read
  record:
    description: The record, as M(relevo.postgres.pg_restore_in_place_plan) returns it. Needed for O(state=present).
    type: dict
  config:
    description: pgBackRest's configuration, which says where the repository is.
    type: path
    default: /etc/pgbackrest/pgbackrest.conf
seealso:
  - module: relevo.postgres.pg_restore_in_place_plan
"""

EXAMPLES = r"""
- name: Look whether the cluster is being restored in place
  relevo.postgres.restore_record:
    cluster: main
  delegate_to: pgbackrest
"""

RETURN = r"""
record:
  description:
    - What the record said before, with C(cluster), C(node), C(by), C(at), C(command), C(asked), C(plan) and C(undo);
      null where there was none.
  returned: success
  type: dict
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.directory import answer_of
from ansible_collections.relevo.postgres.plugins.module_utils._repository.restore_record import (
    RestoreRecord,
    Unfinished,
    place_of_records,
)


def work(module: AnsibleModule) -> dict[str, Any]:
    record = RestoreRecord(module.params["cluster"], place_of_records(Path(module.params["config"]).read_text()))
    return answer_of(record.repository, lambda: keep(record, module.params, module.check_mode))


def keep(record: RestoreRecord, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Have the record as it is wanted; returns what the module does."""
    before = record.read()
    wanted = Unfinished.from_dict(params["record"]) if params["state"] == "present" else None
    changed = params["state"] != "read" and before != wanted
    if wanted is not None:
        record.require_place()
    if changed and not check_mode:
        if wanted is None:
            record.remove()
        else:
            record.write(wanted)
    return {"changed": changed, "record": before.as_dict() if before else None}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "cluster": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["read", "present", "absent"], "default": "read"},
            "record": {"type": "dict"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
        },
        required_if=[("state", "present", ["record"])],
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
