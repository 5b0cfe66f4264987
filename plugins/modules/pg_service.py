#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_service
short_description: Start, reload or restart a node's PostgreSQL server
version_added: 0.1.0
description:
  - Starts the server where it is not running, makes it read its configuration again, or restarts it.
  - Waits until it answers, and reports the settings that wait for a restart.
  - Who is sent WAL and has not confirmed it all a second after a stop was asked for loses its connection, and is named
    in a warning. A logical consumer that confirms nothing would hold the stop without end.
  - A server that does not come up with the settings that waited for its restart gets those back that it had, and is
    started. The task fails with the server's own words.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.cluster.service_manager
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  state:
    description:
      - V(started) starts a server that is not running.
      - V(reloaded) makes a running server read its configuration again.
      - V(restarted) restarts it only when O(only_if_pending) is false or a setting waits for it.
      - V(settled) restarts a standby that has kept greater values than it is given, since its primary had them, once it
        has replayed that its primary has lower ones.
      - V(withdrawn) writes what is in force in place of the settings that wait for a restart.
    type: str
    choices: [started, reloaded, restarted, settled, withdrawn]
    default: started
  only_if_pending:
    description: With O(state=restarted), restart only a server with settings that wait for it.
    type: bool
    default: true
  timeout:
    description: Seconds to wait until the server answers.
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: Let the server read its configuration again
  relevo.postgres.pg_service:
    service_manager: runit
    state: reloaded
"""

RETURN = r"""
pending_restart:
  description: The settings that take effect at the next restart only.
  returned: when the server answers
  type: list
  elements: str
kept:
  description: With O(state=settled), the settings of which its primary still has the greater value.
  returned: with O(state=settled)
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server import restart as restarting
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import service_for
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR

STATES = ["started", "reloaded", "restarted", "settled", "withdrawn"]


def work(module: AnsibleModule) -> dict[str, Any]:
    server, service = Server(), service_for(module.params["service_manager"])
    state, timeout = module.params["state"], module.params["timeout"]
    if not server.initialised:
        raise RelevoError(f"There is no data directory at {server.pgdata}. Run site.yml first.")
    running = server.postmaster_pid() is not None
    started = not running
    restart = False
    if not started:
        server.wait_ready(timeout)
        if state == "settled":
            return restarting.settle(server, service, timeout, module.check_mode)
        if state == "withdrawn":
            return restarting.take_back(server, module.check_mode)
        restart = state == "restarted" and (not module.params["only_if_pending"] or bool(restarting.pending_restart()))
    if module.check_mode:
        return {"changed": started or restart or state == "reloaded"}
    said: list[str] = []
    if restart:
        said = restarting.restart(server, service, timeout)
    elif started:
        restarting.start(server, service, timeout)
    elif state == "reloaded":
        restarting.reload(server)
    if (started or restart) and server.adjust_slot_sync():
        restarting.reload(server)
    for sentence in said:
        module.warn(sentence)
    return {
        "changed": started or restart or state == "reloaded",
        "pending_restart": restarting.pending_restart(),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "service_manager": {"type": "str", "choices": ["runit", "systemd"], "required": True},
            "state": {"type": "str", "choices": STATES, "default": "started"},
            "only_if_pending": {"type": "bool", "default": True},
            "timeout": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
