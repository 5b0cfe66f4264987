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
    type: str
    choices: [started, reloaded, restarted]
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
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import service_for
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR, Session
from ansible_collections.relevo.postgres.plugins.module_utils._wait import wait_until

PENDING = "SELECT coalesce(json_agg(name ORDER BY name), '[]'::json) FROM pg_settings WHERE pending_restart"


def pending_restart() -> list[str]:
    with Session.local() as session:
        names: list[str] = json.loads(session.value(PENDING))
    return names


def reload_and_wait(server: Server) -> None:
    """The postmaster reads its files after the signal, a moment later."""
    with Session.local() as session:
        before = session.value("SELECT pg_conf_load_time()")
        server.reload()

        def loaded() -> bool:
            return bool(session.value("SELECT pg_conf_load_time()") != before)

        wait_until(loaded, "the server to read its configuration again", timeout=10)


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
        restart = state == "restarted" and (not module.params["only_if_pending"] or bool(pending_restart()))
    if module.check_mode:
        return {"changed": started or restart or state == "reloaded"}
    if restart:
        service.stop(timeout)
    if started or restart:
        service.start()
        server.wait_ready(timeout)
        if server.adjust_slot_sync():
            reload_and_wait(server)
    elif state == "reloaded":
        reload_and_wait(server)
    return {"changed": started or restart or state == "reloaded", "pending_restart": pending_restart()}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "service_manager": {"type": "str", "choices": ["runit", "systemd"], "required": True},
            "state": {"type": "str", "choices": ["started", "reloaded", "restarted"], "default": "started"},
            "only_if_pending": {"type": "bool", "default": True},
            "timeout": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
