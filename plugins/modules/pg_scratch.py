#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a backup beside the cluster, or remove what was restored."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_scratch
short_description: Restore a backup beside the cluster
version_added: 0.1.0
description:
  - Restores a backup into a directory of this host, recovers it to the target, and leaves a server that accepts writes.
  - The server archives nothing, replicates nothing, listens on a socket of this host only, and starts no
    subscription and
    no preloaded library.
  - Ends when the target is reached, not when the data are consistent.
  - When it is killed, call it again. It waits for a copy that was left behind, then begins anew; one that is
    finished is
    left as it is.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
  - relevo.postgres.pgbackrest
  - relevo.postgres.repository
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  name:
    description: The instance's name.
    type: str
    required: true
  state:
    description: V(absent) stops and removes it, also a half-made one.
    type: str
    choices: [present, absent]
    default: present
  cluster:
    description: With O(state=absent), the cluster that it must be of. Any when empty.
    type: str
    default: ""
  elsewhere:
    description:
      - With O(state=absent), RV(relevo.postgres.pg_scratch_info#module:elsewhere). An instance of O(host) that is noted
        there and is gone, since its container was made anew for example, is no error.
    type: list
    elements: dict
    default: []
  plan:
    description: RV(relevo.postgres.pg_restore_plan#module:plan). Needed for O(state=present).
    type: dict
  asked:
    description: RV(relevo.postgres.pg_restore_plan#module:asked).
    type: dict
    default: {}
  directory:
    description: Where the scratch instances of this host are.
    type: path
    default: /var/lib/postgresql/scratch
  read_only:
    description: Whether sessions begin read-only (C(default_transaction_read_only)).
    type: bool
    default: false
  preload:
    description: The C(shared_preload_libraries) that the data need, as PostgreSQL writes the list.
    type: str
    default: ""
  host:
    description: This host's name, for RV(text).
    type: str
    default: this host
  enter:
    description: What a person writes before a command on this host, for RV(text).
    type: str
    default: sudo -u postgres
  process_max:
    description: Number of pgBackRest's processes. The configuration's when omitted.
    type: int
  timeout:
    description: Seconds for the copy, and again for the recovery.
    type: float
    default: 86400
seealso:
  - module: relevo.postgres.pg_restore_plan
  - module: relevo.postgres.pg_scratch_info
"""

EXAMPLES = r"""
- name: Remove a scratch instance
  relevo.postgres.pg_scratch:
    name: main_latest
    state: absent
"""

RETURN = r"""
text:
  description: What was reached, and how to connect to it and to remove it.
  returned: with O(state=present), outside of check mode
  type: str
operation_plan:
  description: What would be removed, in the shape that docs/reference/plan.md describes.
  returned: with O(state=absent), in check mode
  type: dict
instance:
  description:
    - The instance, with C(name), C(cluster), C(state), C(port), C(size) in bytes, C(request), and C(reached), which has
      C(lsn), C(last_commit), C(timeline), C(backup), C(copy_s) and C(recovery_s).
  returned: with O(state=present), outside of check mode
  type: dict
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository import scratch_roots
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import config_of
from ansible_collections.relevo.postgres.plugins.module_utils._restore import instance
from ansible_collections.relevo.postgres.plugins.module_utils._restore.describe import describe_removal, reached
from ansible_collections.relevo.postgres.plugins.module_utils._restore.plan import RestorePlan
from ansible_collections.relevo.postgres.plugins.module_utils._restore.scratch import Files, checked_name
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR


def order_of(params: dict[str, Any]) -> instance.Order:
    plan = RestorePlan.from_dict(params["plan"])
    return instance.Order(
        params["stanza"],
        plan.target,
        plan.label,
        plan.timeline,
        plan.version,
        params["asked"],
        params["read_only"],
        params["preload"],
        params["process_max"],
        timeout=params["timeout"],
        position=plan.position,
        at_least=plan.at_least,
        plan=plan.as_dict(),
    )


def require_note(params: dict[str, Any], files: Files) -> None:
    """``RelevoError`` for one that is not there, unless the repository host has a note of it."""
    others = [root for root in scratch_roots.roots() if (root / files.name).exists()]
    if others:
        raise RelevoError(
            f"The scratch instance {files.name} is in {others[0]}. To remove it, run this again with "
            f"-e restore_directory={others[0]}."
        )
    if not any((one["host"], one["name"]) == (params["host"], files.name) for one in params["elsewhere"]):
        have = ", ".join(one.name for one in instance.found(files.root)) or "none"
        raise RelevoError(f"There is no scratch instance {files.name} on this host. There is: {have}.")


def require_cluster(files: Files, cluster: str) -> None:
    """``RelevoError`` for one of another cluster."""
    of = instance.look(files).cluster if files.note.exists() else ""
    if cluster and of not in ("", cluster):
        raise RelevoError(
            f"The scratch instance {files.name} is of cluster {of}, not of {cluster}. To remove it, run "
            f"restore.yml -e cluster={of} -e remove={files.name}."
        )


def remove(params: dict[str, Any], files: Files, check_mode: bool) -> dict[str, Any]:
    there = files.home.exists()
    if there:
        require_cluster(files, params["cluster"])
    else:
        require_note(params, files)
    if check_mode:
        plan = describe_removal(params["stanza"], params["host"], files.name, instance.tree_size(files.home))
        return {"changed": there, "operation_plan": plan.as_dict()}
    return {"changed": there and instance.remove(files)}


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    files = Files(Path(params["directory"]), checked_name(params["name"]))
    if params["state"] == "absent":
        return remove(params, files, module.check_mode)
    if module.check_mode:
        return {"changed": not files.outcome.exists()}
    made, changed = instance.make(files, order_of(params), config_of(params["repository"], Path(params["config"])))
    found = made.as_dict()
    text = reached(
        RestorePlan.from_dict(params["plan"]),
        found,
        params["host"],
        params["enter"],
        changed=changed,
        read_only=params["read_only"],
    )
    return {"changed": changed, "instance": found, "text": text}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "repository": {"type": "int", "default": 1},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "cluster": {"type": "str", "default": ""},
            "elsewhere": {"type": "list", "elements": "dict", "default": []},
            "plan": {"type": "dict"},
            "asked": {"type": "dict", "default": {}},
            "directory": {"type": "path", "default": str(_names.SCRATCH_DIR)},
            "read_only": {"type": "bool", "default": False},
            "preload": {"type": "str", "default": ""},
            "host": {"type": "str", "default": "this host"},
            "enter": {"type": "str", "default": "sudo -u postgres"},
            "process_max": {"type": "int"},
            "timeout": {"type": "float", "default": 86400},
        },
        required_if=[("state", "present", ("plan",))],
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
