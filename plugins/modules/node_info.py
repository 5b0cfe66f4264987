#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
short_description: Find out which nodes answer, and whether those that are down are fenced
version_added: 0.1.0
description:
  - Runs on the controller. Asks the Docker engine about container nodes (C(node_kind=docker)), and asks every other
    node over the connection that the inventory names, all of them at once. A node that does not answer is a result,
    not a failure, and prints nothing.
  - A machine has 15 seconds to answer, and C(timeout) of the connection to accept it.
author:
  - The Relevo authors (@relevo)
requirements:
  - docker (Python package), for container nodes
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  nodes:
    description:
      - Inventory names of the nodes. That of a container is also the container's. Either these or a O(cluster).
    type: list
    elements: str
  cluster:
    description: Ask about the servers of this cluster and the repository host, which comes first.
    type: str
  markers:
    description:
      - Read from the volumes of the containers that are down who was fenced, and who was removed from its cluster.
    type: bool
    default: false
  require_any:
    description: Fail when none of the nodes answers.
    type: bool
    default: false
  ask_servers:
    description:
      - Have the repository host ask the servers who is primary, while the machines are still asked whether they answer.
        For a RV(servers) that M(relevo.postgres.pg_handover_plan) takes. Needs a O(cluster).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Find out who answers
  relevo.postgres.node_info:
    cluster: main
  register: found
"""

RETURN = r"""
nodes:
  description: The servers of the cluster, as C(name), C(host) and C(port).
  type: list
  elements: dict
  returned: O(cluster)
preferred:
  description: The cluster's preferred primary.
  type: str
  returned: O(cluster)
repository:
  description: The repository host.
  type: str
  returned: O(cluster)
kinds:
  description: The C(node_kind) of each node.
  type: dict
  returned: success
  sample: {postgres_master: docker, postgres_slave: docker}
answering:
  description: Names of the nodes that answer, in the order in which they were asked. A container answers when it runs.
  type: list
  elements: str
  returned: success
unreachable_nodes:
  description: The nodes that do not answer, each with the reason.
  type: dict
  returned: success
  sample: {db1: "Failed to connect to the host via ssh: Connection refused"}
down:
  description: The containers that do not run, each with what it is instead. Their servers need not be asked.
  type: dict
  returned: success
  sample: {postgres_slave: its container is stopped}
cannot_start:
  description: The containers that do not run and cannot just be started, each with the reason and what to run.
  type: dict
  returned: success
  sample: {db2: "The container db2 is paused. Run docker unpause db2, then this again."}
states:
  description: What the engine says about each container.
  type: dict
  returned: success
  sample: {postgres_master: running, postgres_slave: stopped}
servers:
  description:
    - What the servers answered the repository host, as C(answer), and the containers that were known to be down and
      left out, as C(unreachable). Empty where there is no answer, or none that is fresh any more.
  type: dict
  returned: O(ask_servers=true)
markers:
  description: The fence markers of the containers that are down, as far as they have one.
  type: dict
  returned: O(markers=true)
removed:
  description:
    - The markers of those that were removed from their cluster, likewise, each with a C(sentence) that says what to do.
  type: dict
  returned: O(markers=true)
"""
