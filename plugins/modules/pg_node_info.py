#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_node_info
short_description: What a node's own disk and service manager say about its server
version_added: 0.1.0
description:
  - Reports whether the node holds data, how it was stopped, whether its server is wanted, and which markers forbid
    its start.
  - Runs on the node itself and needs no running server. Changes nothing.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.cluster.service_manager
options:
  version:
    description:
      - The major version that the node is meant to hold. By default the one for which it is configured.
      - Given, the module also runs on a node that is not configured yet.
    type: str
  port:
    description: The port on which the node's server is meant to listen, where that is to be checked.
    type: int
  parameters:
    description: The parameters that the owner gives for the server's configuration, where they are to be checked.
    type: dict
    default: {}
  own_parameters:
    description: Those that the role C(postgresql) sets, with which O(parameters) may agree.
    type: dict
    default: {}
  configuration:
    description: Whether the server is to judge the files that are in place (0.2 s), and they are to be compared.
    type: bool
    default: false
  readmit:
    description: Whether a node that was removed from its cluster is being added again, so that this is no refusal.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Look at the node
  relevo.postgres.pg_node_info:
    service_manager: runit
  register: node
"""

RETURN = r"""
node:
  description:
    - C(initialised) (there is a data directory), C(state), C(timeline) and C(system_identifier) of its control file,
      C(standby) (it starts as a standby), C(running) (a postmaster lives), C(wanted) (the service manager means it to
      run), C(booted) (when the machine or container was started; the guard's word may be older), C(fence), C(rejoin)
      and C(removed) (the markers, or null), C(guard) (the latest verdict of the start guard, or null),
      C(certificate_days) (until the node's certificate expires, or null where nobody can tell), C(authority) (the
      authority of that, as M(relevo.postgres.haproxy_info) returns it), C(kept_for_primary) (the settings of which it
      has the greater value as a standby), C(configuration_written) (when the newest of the files that the server
      reads was written), C(configuration) (null, or C(faults) that the server finds in them, and a digest of each of
      the C(settings)), C(tls_server_owed) (pgBackRest's TLS server has not read its files since they were written),
      C(recovery) (with O(configuration=true), how far the server's recovery is, in a sentence), C(foreign_unit) (the
      unit of systemd that runs an adopted server until its next start, or empty), C(adopted_unit) (the unit that the
      server was adopted from, or empty).
  returned: success
  type: dict
  sample: {initialised: true, state: in production, timeline: 1, standby: false, running: true, wanted: true}
refusal:
  description:
    - Why the node cannot be set up for O(version), O(port) or O(parameters), since its data are of another version, its
      server listens on another port, one of the parameters is decided elsewhere, or the node was removed from its
      cluster. Empty otherwise.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._names import data_directory
from ansible_collections.relevo.postgres.plugins.module_utils._repository import tls_server
from ansible_collections.relevo.postgres.plugins.module_utils._server import marker
from ansible_collections.relevo.postgres.plugins.module_utils._server.adoption_files import adopted_unit
from ansible_collections.relevo.postgres.plugins.module_utils._server.installation import (
    local_port,
    port_refusal,
    refusal,
    versions_with_data,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.node_info import node_info
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import running_unit, service_for
from ansible_collections.relevo.postgres.plugins.module_utils._server.settings_file import decided_elsewhere


def work(module: AnsibleModule) -> dict[str, Any]:
    version = module.params["version"]
    server = Server(data_directory(version)) if version else Server()
    # Only a server that runs is asked for at its port.
    listening = local_port() if server.postmaster_pid() is not None else None
    node = node_info(service_for(module.params["service_manager"]), server, module.params["configuration"])
    adopted = adopted_unit() if module.params["service_manager"] == "systemd" else ""
    units = {"foreign_unit": adopted if adopted and running_unit() == adopted else "", "adopted_unit": adopted}
    found = marker.read("removed")
    removed = marker.removed_words(found.node, found) if found and not module.params["readmit"] else ""
    return {
        "changed": False,
        "node": {**node, **units, "tls_server_owed": tls_server.reload_owed()},
        "refusal": removed
        or decided_elsewhere(module.params["own_parameters"], module.params["parameters"])
        or (refusal(version, versions_with_data()) if version else "")
        or port_refusal(module.params["port"], listening),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "service_manager": {"type": "str", "choices": ["runit", "systemd"], "required": True},
            "version": {"type": "str"},
            "port": {"type": "int"},
            "parameters": {"type": "dict", "default": {}},
            "own_parameters": {"type": "dict", "default": {}},
            "configuration": {"type": "bool", "default": False},
            "readmit": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
