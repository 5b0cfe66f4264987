#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_fence
short_description: Fence a dead primary, so that a standby may be promoted
version_added: 0.1.0
description:
  - In one step, since writers wait. Stops the old primary for good, proves that it is stopped, leaves the marker that
    keeps it from starting as a primary, stops and marks the other nodes that do not answer, and copies the WAL that
    only the old primary has to the candidate.
  - A container node is stopped, proved and marked through the Docker engine. A machine that answers over its own
    connection stops its server by its service manager, proves that no process of it is left, and is marked. One that
    does not answer, or cannot prove that, is stopped and proved by O(fence_command). Where the old primary's disk
    cannot be written to, the marker is left in the repository (M(relevo.postgres.fence_record)) by the host that the
    task is delegated to.
  - Refuses, before it touches anything where that can be known, when nothing could prove that the old primary is
    stopped, when nothing would keep it from coming back, and when another node may have been promoted. O(force=true)
    goes on.
  - A standby starts in spite of the marker, and so does a node that was promoted to a newer timeline than the marker's.
author:
  - The Relevo authors (@relevo)
requirements:
  - docker (Python package), for container nodes
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
attributes:
  check_mode:
    support: full
    details: Refuses what can be refused before anything is touched. A fence command is not run.
  diff_mode:
    support: none
options:
  primary:
    description: Inventory name of the old primary.
    type: str
    required: true
  candidate:
    description: Inventory name of the standby that is to be promoted. It gets the old primary's WAL.
    type: str
    required: true
  timeline:
    description: The timeline that the promotion ends. The marker holds for a server on it or an older one.
    type: int
    required: true
  salvage_from:
    description: Name of the first WAL segment that the candidate may not have to its end. Nothing is copied when empty.
    type: str
    default: ''
  kinds:
    description: The C(node_kind) of each node by its name, as M(relevo.postgres.node_info) returns it.
    type: dict
    required: true
  unreachable:
    description:
      - Inventory names of the other nodes that do not answer. Each may have been promoted unseen, so they are fenced,
        too, and their disks are asked.
    type: list
    elements: str
    default: []
  answering:
    description:
      - Inventory names of the nodes that answer over their own connection, whatever their servers do. They are reached
        with the variables that the inventory gives them, those of C(ansible_become) too.
    type: list
    elements: str
    default: []
  repository:
    description: Inventory name of the repository host, to which the task is delegated.
    type: str
    required: true
  repository_answers:
    description: Whether it answers.
    type: bool
    required: true
  requested_by:
    description: Who asked, for the marker.
    type: str
    default: ansible
  fence_command:
    description:
      - The command that stops a machine, as a list of arguments. Status 0 means that the machine is stopped and stays
        so. The variable C(RELEVO_NODE) of its environment is the node's name.
    type: list
    elements: str
    default: []
  fence_timeout:
    description: Seconds after which the fence command is ended, or a machine that answered is not waited for any more.
    type: int
    default: 60
  fence_living:
    description: Fence an old primary, too, whose machine finds its server alive.
    type: bool
    default: false
  force:
    description: Go on without proof. It confirms that you have stopped what could not be proved to be stopped.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Fence the old primary
  relevo.postgres.pg_fence:
    primary: postgres_master
    candidate: postgres_slave
    timeline: 1
    salvage_from: "000000010000000000000009"
    kinds: {postgres_master: docker, postgres_slave: docker}
    repository: pgbackrest
    repository_answers: true
  delegate_to: pgbackrest
"""

RETURN = r"""
proved:
  description: Whether the old primary is proved to be stopped. With O(force=true) it need not be.
  type: bool
  returned: success
evidence:
  description: Who says so, or why there is no proof.
  type: str
  returned: success
marked:
  description: Whether the marker is on the old primary's disk.
  type: bool
  returned: success
stopped:
  description:
    - The nodes that are proved to be stopped, the old primary and others, each with who says so. In check mode nobody
      is.
  type: dict
  returned: success
recorded:
  description: Whether the marker is in the repository instead.
  type: bool
  returned: success, not in check mode
seconds:
  description: How long it took to fence the old primary, to prove it and to mark its disk.
  type: float
  returned: success, not in check mode
wal:
  description:
    - The WAL that was copied, as C(directory) on the candidate, C(segments), C(bytes), C(seconds), C(ended) (why
      nothing more was copied) and C(newer_timeline) (the newest timeline that the old primary's disk knows, or 0).
      C(interrupted) is true where something was in the way, such as a disk, a connection or an engine that did not
      answer, so that there may be more; without C(directory) nothing came.
      Empty where the disk cannot be read, and in check mode.
  type: dict
  returned: success
newer_timeline:
  description: The newest timeline that the old primary's disk knows and the candidate may not, or 0.
  type: int
  returned: success
  sample: 0
archived_from:
  description:
    - The first segment that the candidate has to fetch from the archive, since it may have neither received it nor got
      it from the old primary's disk. Empty where it need fetch none.
  type: str
  returned: success
  sample: "000000010000000000000009"
"""
