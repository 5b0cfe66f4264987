#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_minor_plan
short_description: Decide what a rolling minor upgrade has to do next
version_added: 0.1.0
description:
  - Says which nodes of a cluster are left to upgrade, in which order, and who takes over from the primary meanwhile. It
    refuses what cannot end well. Runs on the controller and changes nothing.
  - Asks the images of containers which packages they have, in a container that lives no longer than that.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  cluster:
    description: The cluster.
    type: str
    required: true
  hosts:
    description: All hosts that it needs.
    type: list
    elements: str
    required: true
  only_theirs:
    description: Those that no other cluster needs, as M(relevo.postgres.inventory_check) returns them.
    type: list
    elements: str
    required: true
  reached:
    description: The result of M(relevo.postgres.node_info) for O(hosts), with their markers.
    type: dict
    required: true
  looked:
    description: By host, the result of M(relevo.postgres.node_software_info).
    type: dict
    default: {}
  containers:
    description: By host, the result of M(relevo.postgres.docker_nodes_plan) that would replace containers.
    type: dict
    default: {}
  scratch:
    description: By host, the result of M(relevo.postgres.pg_scratch_info) for all clusters.
    type: dict
    default: {}
  topology:
    description: The result of M(relevo.postgres.pg_primary_facts).
    type: dict
    default: {}
  unfinished:
    description: The result of M(relevo.postgres.restore_record).
    type: dict
    default: {}
  handover:
    description:
      - The plan of the hand-over to RV(asks). Its risks and refusals become those of the upgrade, where that has one.
    type: dict
    default: {}
  confirm:
    description: What the user confirmed. It must be the cluster.
    type: str
    default: ""
  describe:
    description: Return refusals with the plan instead of failing.
    type: bool
    default: false
seealso:
  - module: relevo.postgres.node_software_info
  - module: relevo.postgres.pg_scratch_info
  - module: relevo.postgres.pg_standby_wait
"""

EXAMPLES = r"""
- name: Plan a minor upgrade
  relevo.postgres.upgrade_minor_plan:
    cluster: main
    hosts: [db1, db2, backup]
    only_theirs: [db1, db2, backup]
    reached: "{{ reached }}"
    looked: "{{ looked }}"
    topology: "{{ cluster_topology }}"
  register: planned
"""

RETURN = r"""
primary:
  description: Who is primary; empty where nobody, or more than one, is.
  returned: success
  type: str
first:
  description: The repository host, where its container is down.
  returned: success
  type: list
  elements: str
finish:
  description: Whether a hand-over that was cut off has to be finished.
  returned: success
  type: bool
pgbackrest:
  description: The machines that get another pgBackRest, all at once.
  returned: success
  type: list
  elements: str
standbys:
  description: The standbys that are left to do, one after the other.
  returned: success
  type: list
  elements: str
candidate:
  description: Who takes over from the primary then; empty where the primary has what there is.
  returned: success
  type: str
asks:
  description:
    - The same where it is a standby now, and it and the repository host can be asked whether it could take over;
      otherwise empty.
  returned: success
  type: str
last:
  description: The old primary, where somebody takes over.
  returned: success
  type: list
  elements: str
others:
  description: The hosts that are left to do and have no server that has to be started anew.
  returned: success
  type: list
  elements: str
unbuilt:
  description: The hosts whose image is not built yet.
  returned: success
  type: list
  elements: str
before:
  description: By host, the packages that it has now.
  returned: success
  type: dict
idle:
  description: Whether there is nothing to do.
  returned: success
  type: bool
confirmed:
  description: Whether it was confirmed, or need not be.
  returned: success
  type: bool
operation_plan:
  description: The plan as docs/reference/plan.md describes it.
  returned: success
  type: dict
text:
  description: The same as text.
  returned: success
  type: str
"""
