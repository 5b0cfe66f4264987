#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_switchover
short_description: Hand the primary role over to a standby, planned
version_added: 0.1.0
description:
  - Runs on the node of the living primary. One process checks, prepares, stops the primary, waits until the candidate
    has replayed its last record, promotes it and makes it write a checkpoint.
  - Up to the request of the promotion any failure makes the old primary take writes again, and the module fails.
  - Afterwards the old primary is stopped and fenced; M(relevo.postgres.pg_rejoin) makes it a standby.
  - Holds the hand-over lock on every node that answers for the whole time.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
  - relevo.postgres.cluster.node
  - relevo.postgres.cluster.service_manager
  - relevo.postgres.cluster.nodes
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
    details: Makes all checks and says that it would hand over.
  diff_mode:
    support: none
options:
  candidate:
    description: The inventory name of the standby that takes over.
    type: str
    required: true
  requested_by:
    description: Who asked, for the marker and for others who meet the lock.
    type: str
    default: ansible
  window:
    description: Seconds after which the hand-over is aborted and the old primary accepts writes again.
    type: float
    default: 3
  catch_up:
    description: Seconds to wait, before the window, until the candidate has caught up.
    type: float
    default: 30
  long_query:
    description: Seconds that a query on the candidate may have been running; an older one may hold replay back.
    type: int
    default: 60
  archiver_timeout:
    description:
      - Seconds after which the old primary's archiver is ended, once the new one takes writes. What it has not archived
        M(relevo.postgres.pg_rejoin) does.
    type: float
    default: 60
  operation_plan:
    description:
      - In check mode, the plan of M(relevo.postgres.pg_handover_plan), to which a refusal is added instead of a
        failure.
    type: dict
seealso:
  - module: relevo.postgres.pg_handover_plan
  - module: relevo.postgres.pg_promote
  - module: relevo.postgres.pg_rejoin
"""

EXAMPLES = r"""
- name: Hand over
  relevo.postgres.pg_switchover:
    node: postgres_master
    candidate: postgres_slave
    nodes:
      - name: postgres_master
      - name: postgres_slave
    service_manager: runit
  delegate_to: postgres_master
"""

RETURN = r"""
primary:
  description: The new primary.
  returned: changed
  type: str
window_seconds:
  description: The time between the stop's request and the moment when the new primary takes writes.
  returned: changed, not in check mode
  type: float
window_steps:
  description: Those seconds by step, C(stop) of the old primary, C(replay) of its last records, C(promotion).
  returned: changed, not in check mode
  type: dict
  sample: {stop: 0.0569, replay: 0.0201, promotion: 0.0335}
shutdown_lsn:
  description: The old primary's last record, its shutdown checkpoint.
  returned: changed, not in check mode
  type: str
notices:
  description: What was noticed on the way and did not prevent it.
  returned: changed, not in check mode
  type: list
  elements: str
operation_plan:
  description: The plan with what would be refused.
  returned: when O(operation_plan) is given, in check mode
  type: dict
not_locked:
  description: Nodes that did not answer and so could not be locked, with the reason.
  returned: changed, not in check mode
  type: dict
"""

import signal
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover.switchover import Limits, Switchover
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import OperationPlan
from ansible_collections.relevo.postgres.plugins.module_utils._server.arguments import (
    credentials_of,
    find_node,
    nodes_of,
    nodes_spec,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import service_for
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR, Session


def would_hand_over(switchover: Switchover, given: dict[str, Any] | None) -> dict[str, Any]:
    """All checks; with a plan, what they refuse is part of that."""
    try:
        with Session.local() as primary, switchover.open_candidate() as candidate:
            switchover.check(primary, candidate)
    except RelevoError as error:
        if not given:
            raise
        return {"changed": False, "operation_plan": OperationPlan.from_dict(given).refused(error.message).as_dict()}
    return {"changed": True, "primary": switchover.candidate.name} | ({"operation_plan": given} if given else {})


def work(module: AnsibleModule) -> dict[str, Any]:
    nodes = nodes_of(module.params)
    switchover = Switchover(
        local=find_node(nodes, module.params["node"]),
        candidate=find_node(nodes, module.params["candidate"]),
        nodes=nodes,
        requested_by=module.params["requested_by"],
        service=service_for(module.params["service_manager"]),
        credentials=credentials_of(module.params),
        limits=Limits(
            window=module.params["window"],
            catch_up=module.params["catch_up"],
            long_query=module.params["long_query"],
            archiver=module.params["archiver_timeout"],
        ),
    )
    if module.check_mode:
        return would_hand_over(switchover, module.params["operation_plan"])
    # The controller may die or hang up in the middle: what was begun is finished, or undone, all the same.
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    return {"changed": True, **switchover.run()}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **nodes_spec(),
            "node": {"type": "str", "required": True},
            "candidate": {"type": "str", "required": True},
            "requested_by": {"type": "str", "default": "ansible"},
            "service_manager": {"type": "str", "choices": ["runit", "systemd"], "required": True},
            "window": {"type": "float", "default": 3},
            "catch_up": {"type": "float", "default": 30},
            "long_query": {"type": "int", "default": 60},
            "archiver_timeout": {"type": "float", "default": 60},
            "operation_plan": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
