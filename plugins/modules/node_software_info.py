#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_software_info
short_description: Which packages a node has, which are newer, and whether its processes still run the old ones
version_added: 0.1.0
description:
  - Asks dpkg and apt of the node for the packages of PostgreSQL and pgBackRest, looks whether its server and
    pgBackRest's TLS server run programs that are no longer on the disk, and reads the markers that forbid its start.
  - Runs on the node itself and needs no running server. Refreshes no list of packages.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
options:
  version:
    description: The major version of PostgreSQL that the node has.
    type: str
    required: true
  packages:
    description: Packages beside those of PostgreSQL and pgBackRest.
    type: list
    elements: str
    default: []
  server:
    description: Whether the node has a server of the cluster.
    type: bool
    default: true
  wait:
    description: Seconds to wait for another process that works with the packages of the node; 0 looks at once.
    type: float
    default: 0
seealso:
  - module: relevo.postgres.upgrade_minor_plan
"""

EXAMPLES = r"""
- name: Look at the node's software
  relevo.postgres.node_software_info:
    version: "18"
  register: software
"""

RETURN = r"""
version:
  description: As in O(version).
  returned: success
  type: str
packages:
  description: The packages that are installed, with their versions. Empty where there is no dpkg.
  returned: success
  type: dict
  sample: {postgresql-18: 18.1-1}
newer:
  description: Those of which the package sources have a newer version, with that.
  returned: success
  type: dict
  sample: {postgresql-18: 18.2-1}
upgrades:
  description: The same but for pgBackRest, as apt takes them. All hosts get another pgBackRest at once.
  returned: success
  type: list
  elements: str
  sample: [postgresql-18=18.2-1]
held:
  description: Those that the administrator holds as they are.
  returned: success
  type: list
  elements: str
interrupted:
  description: Whether dpkg was cut off in the middle of its work, and nobody goes on with it now.
  returned: success
  type: bool
server_runs:
  description: Whether the server runs.
  returned: success
  type: bool
server_old:
  description: Whether it runs a program that is no longer on the disk, or there are RV(server_lacks).
  returned: success
  type: bool
server_lacks:
  description:
    - The packages of the server, and of its extensions, that were upgraded after it was started. One that was not there
      before is none of them, as far as dpkg's log tells.
  returned: success
  type: list
  elements: str
tls_server_old:
  description: Whether pgBackRest's TLS server runs a program that is no longer on the disk.
  returned: success
  type: bool
haproxy_old:
  description: The same of HAProxy.
  returned: success
  type: bool
policy_left:
  description: Whether a run that was cut off has left its file that keeps packages from restarting services.
  returned: success
  type: bool
apply_delay:
  description:
    - What a server that is down would have for C(recovery_min_apply_delay), in milliseconds. 0 for one that runs, which
      can be asked itself.
  returned: success
  type: int
fence:
  description: The marker of a fence that is in force, or null. RV(rejoin), RV(removed) and RV(restore) are alike.
  returned: success
  type: dict
rejoin:
  description: See RV(fence).
  returned: success
  type: dict
removed:
  description: See RV(fence).
  returned: success
  type: dict
restore:
  description: See RV(fence).
  returned: success
  type: dict
refusal:
  description: Why the node's data do not fit O(version); empty where they do.
  returned: success
  type: str
"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._names import (
    CONFIG_FILE,
    bin_directory,
    data_directory,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server import (
    haproxy,
    marker,
    package_policy,
    reading,
    software,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.installation import refusal, versions_with_data
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server

TLS_SERVER = Path("/usr/bin/pgbackrest")


def _is_old(service: str, program: Path) -> bool:
    return software.runs_replaced(reading.process_of(reading.READERS[service]), program)


def apply_delay(server: Server) -> int:
    """In milliseconds, of a server that is down; 0 also where its files are no good, which its start will tell."""
    said = server.configured("recovery_min_apply_delay") if CONFIG_FILE.exists() else ""
    return int(said) if said.isdecimal() else 0


def work(module: AnsibleModule) -> dict[str, Any]:
    version, is_server = module.params["version"], module.params["server"]
    server = Server(data_directory(version))
    pid = server.postmaster_pid() if is_server else None
    found = software.packages(version, module.params["packages"], module.params["wait"])
    began = reading.started(pid) if pid is not None else None
    lists, log = software.DPKG / "info", software.dpkg_log()
    lacks = software.newer_than(found.installed, version, began, time.time(), lists, log)
    timeline = server.control_data().newest_timeline if is_server and server.initialised else 0
    markers = {kind: marker.read(kind) if is_server else None for kind in ("fence", "rejoin", "removed", "restore")}
    return {
        "changed": False,
        "version": version,
        "packages": found.installed,
        "newer": found.newer,
        "upgrades": software.upgrades(found.newer),
        "held": found.held,
        "interrupted": found.interrupted,
        "server_runs": pid is not None,
        "server_old": bool(lacks) or software.runs_replaced(pid, bin_directory(version) / "postgres"),
        "server_lacks": lacks,
        "tls_server_old": _is_old("pgbackrest", TLS_SERVER),
        # Elsewhere it is somebody else's.
        "haproxy_old": "haproxy" in module.params["packages"] and _is_old("haproxy", haproxy.PROGRAM),
        "policy_left": package_policy.is_ours(),
        "apply_delay": apply_delay(server) if is_server and pid is None and server.initialised else 0,
        **{kind: asdict(one) if one and one.in_force(timeline) else None for kind, one in markers.items()},
        "refusal": refusal(version, versions_with_data()) if is_server else "",
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str", "required": True},
            "packages": {"type": "list", "elements": "str", "default": []},
            "server": {"type": "bool", "default": True},
            "wait": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
