#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_control
short_description: Fence a node, prove that it is stopped, and reach the data of a node that is down
version_added: 0.1.0
description:
  - What cannot be done through a node's own connection because the node is down. Runs on the controller.
  - Container nodes are reached through the Docker engine. For a machine over SSH only C(fence) and C(prove_stopped) are
    possible, by means of a command of yours.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
attributes:
  check_mode:
    support: full
    details: Says whether anything would be changed, and changes nothing. A fence command is not run.
  diff_mode:
    support: partial
    details: Shows the difference of the marker.
requirements:
  - docker (Python package), for O(kind=docker)
options:
  node:
    description: Inventory name of the node, also that of its container. Not needed by O(operation=states).
    type: str
  nodes:
    description: Inventory names of the nodes, for O(operation=states).
    type: list
    elements: str
  machines:
    description: Those of the O(nodes) that are no containers, and whether they answer. The engine is not asked.
    type: dict
    default: {}
  kind:
    description: What kind of node it is.
    type: str
    choices: [docker, ssh]
    required: true
  operation:
    description:
      - V(state) asks what the engine says about the node, V(states) what it says about all O(nodes), and fails when
        none of them answers.
      - V(fence) stops the node at once and for good. Docker kills the container, also when it is paused, and leaves it
        down under the restart policy C(unless-stopped). Does nothing when it is stopped or missing. Then, for a
        container that is proved to be stopped, all in one task since writers wait - with O(content) the marker is
        written as by V(write_marker), with O(target_node) the WAL is copied as by V(read_wal), and with O(timeline) the
        disk is asked for a newer one.
      - V(prove_stopped) asks for proof that the node is stopped. A paused container is not stopped, a missing one is.
      - V(write_marker) writes the fence marker onto the data volume of the node, running or stopped.
      - V(read_marker) reads it.
      - V(read_wal) copies WAL segments from the stopped node to C(/var/lib/postgresql/relevo/salvage/RUN_ID) on
        O(target_node), owned by postgres. Ends at the first segment that is not there or is a recycled file.
      - V(start) starts the node.
    type: str
    choices: [state, states, fence, prove_stopped, write_marker, read_marker, read_wal, start]
    required: true
  content:
    description: The fence marker; written as JSON. Needed by O(operation=write_marker), used by O(operation=fence).
    type: dict
  target_node:
    description:
      - Inventory name of the container node that gets the segments. Needed by O(operation=read_wal), used by
        O(operation=fence).
    type: str
  run_id:
    description: Names the staging directory. Made of the node's name and the time when not given.
    type: str
  timeline:
    description: The timeline whose WAL is copied.
    type: int
  from_lsn:
    description:
      - Position on O(timeline) from which WAL is needed, usually the one that the target node has received. The segment
        that holds it and all that follow are copied.
      - Without any of O(from_lsn), O(from_segment) and O(segments), all of O(timeline) that is there is copied, which
        can take long.
    type: str
  from_segment:
    description: Name of the first WAL segment to copy, with its timeline, instead of O(timeline) and O(from_lsn).
    type: str
  segments:
    description: Names of the WAL segments to copy, and no others.
    type: list
    elements: str
  segment_size:
    description: Bytes of a WAL segment, to find the one that holds O(from_lsn).
    type: int
    default: 16777216
  fence_command:
    description:
      - Command that stops a machine over SSH, or proves that it is stopped, as a list of arguments. Status 0 means that
        the machine is stopped and stays so. The variable C(RELEVO_NODE) of its environment is the node's name.
    type: list
    elements: str
    default: []
  fence_timeout:
    description: Seconds after which the fence command is given up.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Fence the old primary
  relevo.postgres.node_control:
    node: postgres_master
    kind: docker
    operation: fence
  delegate_to: localhost

- name: Save the WAL that only the dead primary has
  relevo.postgres.node_control:
    node: postgres_master
    kind: docker
    operation: read_wal
    timeline: 1
    from_lsn: 0/9C3FEC0
    target_node: postgres_slave
  delegate_to: localhost
"""

RETURN = r"""
state:
  description: What the engine says about the node after the operation; C(unknown) for a machine over SSH.
  type: str
  returned: O(kind=docker), and O(operation=state)
  sample: stopped
states:
  description: What the engine says about each of the nodes.
  type: dict
  returned: O(operation=states)
  sample: {postgres_master: running, postgres_slave: stopped}
answering:
  description: Names of the nodes that answer, in the order given.
  type: list
  elements: str
  returned: O(operation=states)
wal:
  description: What V(read_wal) returns.
  type: dict
  returned: O(operation=fence) with O(target_node), where the disk can be read
marked:
  description: Whether the marker is on the node's disk.
  type: bool
  returned: O(operation=fence)
proved:
  description: Whether the node is proved to be stopped.
  type: bool
  returned: O(operation=fence) and O(operation=prove_stopped)
evidence:
  description: Who says so, or why there is no proof.
  type: str
  returned: O(operation=fence) and O(operation=prove_stopped)
present:
  description: Whether there is a marker.
  type: bool
  returned: O(operation=read_marker)
marker:
  description: The marker; null when there is none, or when it cannot be read as one (it counts all the same).
  type: dict
  returned: O(operation=read_marker)
text:
  description: The marker as it is written; empty when there is none.
  type: str
  returned: O(operation=read_marker)
directory:
  description: The staging directory on the target node.
  type: str
  returned: O(operation=read_wal)
segments:
  description: Names of the segments that were copied, in order.
  type: list
  elements: str
  returned: O(operation=read_wal)
bytes:
  description: How much was copied.
  type: int
  returned: O(operation=read_wal)
seconds:
  description: How long it took to fence, prove and mark; in RV(wal), to copy.
  type: float
  returned: O(operation=fence) of a container, and O(operation=read_wal)
ended:
  description: Why nothing more was copied.
  type: str
  returned: O(operation=read_wal)
newer_timeline:
  description: The newest timeline of the node after that of the segments, or after O(timeline); 0 when there is none.
  type: int
  returned: O(operation=read_wal), and O(operation=fence) with O(timeline), where the disk can be read
"""
