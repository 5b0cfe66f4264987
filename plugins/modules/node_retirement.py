#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_retirement
short_description: Stop the server of a node that leaves its cluster for good
version_added: 0.1.0
description:
  - Runs on the node. Leaves the marker that it was removed, with which its start guard lets nothing start, and stops
    the server. On a machine our units are also disabled.
  - The data stay. Only M(relevo.postgres.pg_rejoin) with C(readmit=true) takes the marker away.
  - Can be killed at any moment and run again.
author: The Relevo authors (@relevo)
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.cluster.node
  - relevo.postgres.cluster.service_manager
options:
  version:
    description: The major version of PostgreSQL.
    type: str
    required: true
  keeps:
    description: What the machine goes on being, by the groups of the inventory. Its units for that stay as they are.
    type: list
    elements: str
    choices: [pgbackrest, redis, haproxy]
    default: []
  requested_by:
    description: Who asked, for the marker.
    type: str
    default: ansible
seealso:
  - module: relevo.postgres.node_retirement_plan
"""

EXAMPLES = r"""
- name: Stop its server for good
  relevo.postgres.node_retirement:
    node: postgres_third
    service_manager: systemd
    version: "{{ postgresql_version }}"
"""

RETURN = r"""
actions:
  description: What was, or in check mode would be, done.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._names import data_directory
from ansible_collections.relevo.postgres.plugins.module_utils._server import marker
from ansible_collections.relevo.postgres.plugins.module_utils._server.removal import Machine, disable_units
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import service_for, stop_for_good


def work(module: AnsibleModule) -> dict[str, Any]:
    given = module.params
    server = Server(data_directory(given["version"]))
    machine = Machine(["postgres"], given["version"], keeps=given["keeps"])
    if not server.initialised and not machine.configuration():
        # It was never set up, or has been cleared already.
        return {"changed": False, "actions": []}
    wanted = marker.Marker.now("removed", node=given["node"], by=given["requested_by"])
    actions = [] if marker.read("removed") else ["noted that it was removed from its cluster"]
    running = server.postmaster_pid() is not None
    if module.check_mode:
        actions += ["stopped its server"] if running else []
        return {"changed": bool(actions), "actions": actions}
    # Before the stop: whoever starts it afterwards meets the guard.
    if actions:
        marker.write(wanted)
    systemd = given["service_manager"] == "systemd"
    if not systemd or machine.units():
        if stop_for_good(service_for(given["service_manager"]), server):
            actions.append("stopped its server")
        if systemd:
            actions += [f"disabled {name}" for name in disable_units(machine)]
    return {"changed": bool(actions), "actions": actions}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "service_manager": {"type": "str", "choices": ["runit", "systemd"], "required": True},
            "version": {"type": "str", "required": True},
            "keeps": {
                "type": "list",
                "elements": "str",
                "choices": ["pgbackrest", "redis", "haproxy"],
                "default": [],
            },
            "requested_by": {"type": "str", "default": "ansible"},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
