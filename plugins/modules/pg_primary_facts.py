#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_primary_facts
short_description: Ask all servers of a cluster who is primary
version_added: 0.1.0
description:
  - Asks every server at the same moment and reports who is primary, who follows, how far behind, on which timeline.
  - Changes nothing. Servers that do not answer cost one O(timeout) together, not one each.
  - Runs on the repository host, or on any node that sees the others.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.cluster.nodes
  - relevo.postgres.cluster.psycopg
options:
  require:
    description:
      - V(primary) fails unless exactly one server is primary.
      - V(any) fails only when two are; no primary is then an answer like any other.
      - V(nothing) never fails over what the servers answer.
    type: str
    choices: [primary, any, nothing]
    default: primary
  unreachable:
    description:
      - Nodes that are known not to answer, and why, as the engine says that a container is paused. They are not asked,
        which saves the O(timeout).
    type: dict
    default: {}
seealso:
  - module: relevo.postgres.pg_handover_plan
"""

EXAMPLES = r"""
- name: Find the primary
  relevo.postgres.pg_primary_facts:
    nodes:
      - name: postgres_master
      - name: postgres_slave
  register: cluster

- name: Say who it is
  ansible.builtin.debug:
    msg: "{{ cluster.primary.name }} on timeline {{ cluster.primary.timeline }}"
"""

RETURN = r"""
ansible_facts:
  description: Who is what, as facts of the host; all else is in the other values.
  returned: success
  type: dict
  contains:
    pg_primary:
      description: Name of the primary; null when there is not exactly one.
      type: str
      sample: postgres_master
    pg_standbys:
      description: Names of the standbys that answer.
      type: list
      elements: str
      sample: [postgres_slave]
    pg_unreachable:
      description: Names of the servers that did not answer.
      type: list
      elements: str
      sample: []
primary:
  description: The primary; null when there is not exactly one. The same fields as in RV(nodes).
  returned: success
  type: dict
  sample: {name: postgres_master, timeline: 1, current_lsn: 0/5000148}
primaries:
  description: Names of all servers that take writes.
  returned: success
  type: list
  elements: str
standbys:
  description:
    - The standbys. C(lag_bytes) counts what is not yet received, C(replay_lag_bytes) what is not yet replayed,
      C(lag_seconds) the age of the last replayed transaction (0 when nothing is missing).
  returned: success
  type: list
  elements: dict
unreachable_nodes:
  description: Names of the servers that did not answer, and why.
  returned: success
  type: list
  elements: dict
nodes:
  description:
    - Every server by name, with C(role), C(answer) (V(full), V(none); V(starting) or V(refused) of one that lives and
      gives us no session; its words are in C(error)), C(timeline), C(system_identifier), positions, C(senders),
      C(receiver), C(slots), C(archiver), C(pending_restart), C(synchronous) (what is C(wanted), the C(names) that are
      required now, how many sessions are C(waiting) for a standby, and for how many seconds at most) and
      C(handover_lock) (who holds the lock of a hand-over, or null).
  returned: success
  type: dict
system_identifier:
  description: The cluster's system identifier; null when nobody answers.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.probe import probe
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.restore_record import refuse_while_restoring
from ansible_collections.relevo.postgres.plugins.module_utils._server.arguments import (
    credentials_of,
    nodes_of,
    nodes_spec,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    topology = Topology(probe(nodes_of(params), params["timeout"], credentials_of(params), params["unreachable"]))
    require = params["require"]
    if require == "primary" or (require == "any" and len(topology.primaries) > 1):
        try:
            topology.require_primary()
        except RelevoError:
            refuse_while_restoring([state.name for state in topology.states])
            raise
    facts = {
        "pg_primary": topology.primary.name if topology.primary else None,
        "pg_standbys": [state.name for state in topology.standbys],
        "pg_unreachable": [state.name for state in topology.unreachable],
    }
    return {"changed": False, "ansible_facts": facts, **topology.as_dict()}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **nodes_spec(),
            "require": {"type": "str", "choices": ["primary", "any", "nothing"], "default": "primary"},
            "unreachable": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
