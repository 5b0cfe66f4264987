#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_removal
short_description: Clear a machine of all that belongs to its cluster
version_added: 0.1.0
description:
  - Runs on a machine (systemd) that leaves its cluster. Stops our services, and removes their units, the data with what
    is in tablespaces elsewhere, the configuration, keys, passwords, markers and records.
  - The packages, the account C(postgres), and the directories of tablespaces, or of WAL elsewhere, themselves stay.
  - So does what another part of the machine needs (O(keeps)).
  - Can be killed at any moment and run again.
author: The Relevo authors (@relevo)
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
extends_documentation_fragment:
  - relevo.postgres.attributes
options:
  kinds:
    description: What the machine was, by the groups of the inventory.
    type: list
    elements: str
    choices: [postgres, pgbackrest, redis, haproxy]
    required: true
  keeps:
    description: What it goes on being, for this cluster or for others.
    type: list
    elements: str
    choices: [postgres, pgbackrest, redis, haproxy]
    default: []
  version:
    description: The major version of PostgreSQL.
    type: str
    required: true
  repository:
    description: The directory of a repository that goes with its host. What is in it is removed, and it stays.
    type: path
  second:
    description:
      - The directory of a second repository, which may be on a share. Removed are the empty directories that pgBackRest
        leaves there when it has deleted all stanzas.
    type: path
seealso:
  - module: relevo.postgres.cluster_removal_plan
"""

EXAMPLES = r"""
- name: Clear the machine
  relevo.postgres.machine_removal:
    kinds: [postgres]
    keeps: [haproxy]
    version: "{{ postgresql_version }}"
"""

RETURN = r"""
actions:
  description: What was, or in check mode would be, stopped and removed.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server.removal import (
    PATHS,
    Machine,
    remove_paths,
    remove_units,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import service_for, stop_for_good


def work(module: AnsibleModule) -> dict[str, Any]:
    given = module.params
    repository = Path(given["repository"]) if given["repository"] else None
    second = Path(given["second"]) if given["second"] else None
    machine = Machine(given["kinds"], given["version"], repository, given["keeps"], second=second)
    units, paths = machine.units(), machine.paths()
    if module.check_mode or not (units or paths):
        return {"changed": bool(units or paths), "actions": [str(path) for path in (*units, *paths)]}
    present = {path.name for path in units}
    for name in machine.services():
        if f"relevo-{name}.service" not in present:
            continue
        service = service_for("systemd", name)
        if name == "postgresql":
            stop_for_good(service, Server(machine.data))
        else:
            service.stop(60)
    return {"changed": True, "actions": [*remove_units(units), *remove_paths(paths)]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kinds": {"type": "list", "elements": "str", "choices": list(PATHS), "required": True},
            "keeps": {"type": "list", "elements": "str", "choices": list(PATHS), "default": []},
            "version": {"type": "str", "required": True},
            "repository": {"type": "path"},
            "second": {"type": "path"},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
