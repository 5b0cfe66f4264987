#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_status
short_description: Put together the state of a cluster, and say what needs attention
version_added: 0.1.0
description:
  - Takes what was asked of the servers, of the nodes' disks, of the container engine and of the repository, and returns
    one value for programs and the same as a text for people.
  - Runs on the controller, asks nobody and changes nothing. The role P(relevo.postgres.status#role) does the asking.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  cluster:
    description: The cluster's name.
    type: str
    required: true
  topology:
    description: The result of M(relevo.postgres.pg_primary_facts) with C(require=nothing).
    type: dict
    required: true
  preferred:
    description: The cluster's preferred primary.
    type: str
    default: ''
  nodes:
    description: The results of a loop of M(relevo.postgres.pg_node_info) over the names of the nodes that answer.
    type: list
    elements: dict
    default: []
  containers:
    description: By name, what the engine says of the nodes that are containers.
    type: dict
    default: {}
  markers:
    description: By name, the fence markers on the disks of containers that are down; see M(relevo.postgres.node_info).
    type: dict
    default: {}
  removed:
    description: By name, the markers on those disks that the node was removed from its cluster.
    type: dict
    default: {}
  unreachable:
    description: By name, why a node could not be entered; see M(relevo.postgres.node_info).
    type: dict
    default: {}
  proxies:
    description: The results of a loop of M(relevo.postgres.haproxy_info) over the cluster's hosts with HAProxy.
    type: list
    elements: dict
    default: []
  proxies_unreachable:
    description: By name, why a host with HAProxy could not be entered; see M(relevo.postgres.node_info).
    type: dict
    default: {}
  repository_host:
    description: The name of the repository host.
    type: str
    default: ''
  repository:
    description: The result of M(relevo.postgres.pgbackrest_info); without C(backups) when the host does not answer.
    type: dict
    default: {}
  next_day:
    description: The day of the cycle of backups that is next; 0 when that is not known.
    type: int
    default: 0
  operations:
    description: The result of M(relevo.postgres.operation_lock_info); without C(holders) when the host does not answer.
    type: dict
    default: {}
  scratch:
    description: The result of M(relevo.postgres.pg_scratch_info); without C(instances) when the host does not answer.
    type: dict
    default: {}
  scratch_elsewhere:
    description: The same of the other hosts that O(scratch) names, as the results of a loop over them.
    type: list
    elements: dict
    default: []
  schedule_directory:
    description:
      - Where this controller's timers keep what became of their runs (role P(relevo.postgres.schedule#role)).
        It has none where the directory is not there.
    type: path
  restart:
    description: Whether C(site.yml) would be told to restart what waits for it, for RV(site_plan).
    type: bool
    default: false
  recreate:
    description: Whether C(site.yml) would be told to replace changed containers, for RV(site_plan).
    type: bool
    default: false
seealso:
  - module: relevo.postgres.pg_primary_facts
"""

EXAMPLES = r"""
- name: Put it together
  relevo.postgres.cluster_status:
    cluster: main
    topology: "{{ cluster_topology }}"
  register: found

- name: Stop when something is wrong
  ansible.builtin.assert:
    that: found.status.healthy
"""

RETURN = r"""
status:
  description: The state; its fields are described in docs/reference/status.md.
  returned: success
  type: dict
  contains:
    version:
      description: Counts up when a reader has to be changed.
      type: int
    cluster:
      description: The cluster's name.
      type: str
    healthy:
      description: Whether no problem is an error.
      type: bool
    primary:
      description: The name of the one primary, or null.
      type: str
    nodes:
      description: The nodes, in the order of the inventory.
      type: list
      elements: dict
    problems:
      description: What needs attention, as C(code), C(severity), C(node), C(message) and C(action).
      type: list
      elements: dict
site_plan:
  description: What C(site.yml) would do now, in the shape that docs/reference/plan.md describes.
  returned: success
  type: dict
text:
  description: The same for people.
  returned: success
  type: str
"""
