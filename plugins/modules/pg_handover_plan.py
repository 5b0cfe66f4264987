#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_handover_plan
short_description: Ask who is primary, and decide what a failover or a failback has to do
version_added: 0.1.0
description:
  - Asks all servers as M(relevo.postgres.pg_primary_facts) does, on the node that the task is delegated to, and says
    which hand-over is needed, if any.
  - Refuses when two servers take writes, a candidate that is not a standby, and a promotion beside a primary that
    lives. Any answer of a server is a proof of life, be it an error, whoever gets it (this node, a standby, the
    controller). Touches nothing.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  nodes:
    description: The servers of the cluster, as C(name), C(host) and C(port); see M(relevo.postgres.pg_primary_facts).
    type: list
    elements: dict
    required: true
  unreachable:
    description: Nodes that are known not to answer, and why. They are not asked.
    type: dict
    default: {}
  no_connection:
    description:
      - Nodes that the controller does not reach, and why. Their servers are asked all the same; a plan that has work
        for one of them is refused.
    type: dict
    default: {}
  servers:
    description:
      - RV(relevo.postgres.node_info#module:servers) of a moment ago, which saves the question where the nodes that were
        known not to answer are those of O(unreachable).
    type: dict
    default: {}
  timeout:
    description: Seconds for each question to a server. All servers are asked at once.
    type: float
    default: 4
  preferred:
    description: The cluster's preferred primary.
    type: str
    required: true
  operation:
    description: V(failover) moves the role away from the preferred primary or to O(candidate), V(failback) returns it.
    type: str
    choices: [failover, failback]
    required: true
  candidate:
    description: The node that should be primary after a failover.
    type: str
    default: ''
  force:
    description: Allow a candidate that another standby is ahead of.
    type: bool
    default: false
  fence_living:
    description:
      - Plan to take the role from a primary that lives and gives us no session, too. Otherwise that is refused, also
        with O(force=true), since it may go on taking writes.
    type: bool
    default: false
  fence_command:
    description:
      - The command, as a list, that would fence a machine. Only its form is judged here, so that one that is no list is
        refused before anything is done.
    type: list
    elements: str
    default: []
  show_first:
    description: Ask nobody, and return a RV(plan) with the C(action) V(show), since the plan is to be shown first.
    type: bool
    default: false
  starting_timeout:
    description: Seconds to wait for a primary that is starting, stopping or recovering.
    type: int
    default: 60
  cluster:
    description: The cluster's name, for RV(operation_plan).
    type: str
    default: main
  describe:
    description: Return RV(operation_plan), in which a refusal is an answer. Otherwise a refusal fails.
    type: bool
    default: false
seealso:
  - module: relevo.postgres.pg_switchover
  - module: relevo.postgres.pg_promote
"""

EXAMPLES = r"""
- name: Decide
  relevo.postgres.pg_handover_plan:
    nodes:
      - name: postgres_master
      - name: postgres_slave
    preferred: postgres_master
    operation: failover
  delegate_to: pgbackrest
  register: plan
"""

RETURN = r"""
operation_plan:
  description: The plan for people and programs, in the shape that docs/reference/plan.md describes.
  returned: when O(describe=true)
  type: dict
asked:
  description: The node whose catalog knows what a hand-over loses; the primary, or the C(candidate) of an emergency.
  returned: with O(describe=true), for a switchover or a promotion
  type: str
candidate:
  description: The node that takes over.
  returned: with O(describe=true), for a switchover or a promotion
  type: str
plan:
  description:
    - C(action) is V(switchover) (C(primary) lives and hands over), V(promote) (C(primary) is dead), V(recover)
      (C(primary) is lost for good and C(candidate), which was primary before, returns from the archive) or V(finish)
      (C(candidate) is primary already); or V(show), see O(show_first), which says nothing else. C(message) says it in
      words, C(timeline) is the one that ends, and C(unreachable) names the other nodes that do not answer, and
      C(removed) standbys that are not counted, since they were removed from the cluster.
  returned: success; with O(describe=true) for a switchover only
  type: dict
  sample: {action: switchover, primary: postgres_master, candidate: postgres_slave, message: Hand over.}
"""
