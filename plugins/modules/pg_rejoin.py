#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_rejoin
short_description: Make this node a standby of the primary
version_added: 0.1.0
description:
  - Runs on the node that is to follow, whatever its state. New, stopped, crashed, a former primary, or half copied by
    a run that was cut off.
  - Tries the cheapest way that fits. Nothing when the node streams from O(primary) already; a change of settings for a
    running standby; a plain start when all that the node has is part of the primary's history; C(pg_rewind); a delta
    restore from the repository; a new base backup. One that fails gives way to the next and is reported.
  - A node without data is cloned by a base backup.
  - WAL that only this node has is archived first, since C(pg_rewind) and a standby's checkpoints delete it.
  - Holds a shared lock on the primary, so that no hand-over moves the role meanwhile.
  - Can be killed at any moment and run again. While data is overwritten a marker forbids the server's start.
  - Databases with tablespaces outside of the data directory cannot be cloned by a base backup over old data, since
    PostgreSQL wants their directories empty.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
  - relevo.postgres.cluster.node
  - relevo.postgres.cluster.service_manager
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
    details: Says which method would be tried first.
  diff_mode:
    support: full
    details: Shows what the node was and will be.
options:
  primary:
    description: The server to follow. It must take writes.
    type: dict
    required: true
    suboptions:
      name:
        description: The node's inventory name.
        type: str
        required: true
      host:
        description: The name or address under which this node reaches it. The node's name when omitted.
        type: str
      port:
        description: The port of PostgreSQL at O(primary.host).
        type: int
        default: 5432
  nodes:
    description:
      - The servers of the cluster. A standby that was the primary still has the slots of the others; those that none of
        them uses are dropped, since they would only keep WAL.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The node's inventory name.
        type: str
        required: true
      host:
        description: The name or address under which this node reaches it. The node's name when omitted.
        type: str
      port:
        description: The port of PostgreSQL at O(nodes[].host).
        type: int
        default: 5432
  stanza:
    description: The cluster's pgBackRest stanza.
    type: str
    default: main
  repository:
    description: Whether there is a pgBackRest repository, to archive to and to restore from.
    type: bool
    default: true
  method:
    description:
      - V(auto) tries what fits, cheapest first. Another value allows that method only, also on a node that follows
        already.
      - Data of another cluster is overwritten by an explicit V(basebackup) only.
    type: str
    choices: [auto, clean, rewind, restore, basebackup]
    default: auto
  demote:
    description:
      - Stop this node and write a fence marker on it if it takes writes while O(primary) is another. Without it two
        primaries are an error. What only this node has committed is lost.
    type: bool
    default: false
  discard_unarchived:
    description: Go on when WAL that only this node has cannot be archived. It is lost then.
    type: bool
    default: false
  required:
    description:
      - Fail when this node cannot reach O(primary), or was removed from its cluster. Otherwise that is an answer
        (RV(cut_off), RV(removed)).
    type: bool
    default: true
  readmit:
    description: Whether a node that was removed from its cluster is added again.
    type: bool
    default: false
  timeout:
    description:
      - Seconds to wait for the server to stream from the primary; counted anew while its recovery advances.
      - A standby that makes its replay wait on purpose is not waited for; see RV(own_pace).
    type: float
    default: 60
  copy_timeout:
    description: Seconds that one rewind, restore or base backup may take.
    type: float
    default: 21600
seealso:
  - module: relevo.postgres.pg_switchover
  - module: relevo.postgres.pg_promote
"""

EXAMPLES = r"""
- name: Make the old primary a standby of the new one
  relevo.postgres.pg_rejoin:
    node: postgres_master
    primary:
      name: postgres_slave
    nodes:
      - name: postgres_master
      - name: postgres_slave
    service_manager: runit
"""

RETURN = r"""
method:
  description:
    - What made the node a standby, or in check mode would be tried first. V(none) where it follows already, V(follow)
      for a running standby whose settings were changed, otherwise V(clean), V(rewind), V(restore) or V(basebackup).
  returned: success
  type: str
  sample: clean
primary:
  description: The server that the node follows.
  returned: success
  type: str
timeline:
  description: The timeline of the primary.
  returned: success
  type: int
actions:
  description: What was, or in check mode would be, done.
  returned: success, and when every method failed
  type: list
  elements: str
failures:
  description: Methods that were tried and failed, each with C(method) and C(error).
  returned: success, and when every method failed
  type: list
  elements: dict
  contains:
    method:
      description: The method, as in RV(method).
      type: str
    error:
      description: Why it failed.
      type: str
own_pace:
  description:
    - Empty for a node that streams. V(delayed) for a standby with C(recovery_min_apply_delay), V(paused) for one whose
      replay somebody has paused. Such a one asks O(primary) for WAL only when it has replayed what it has, so nobody
      waited until it streamed.
  returned: success
  type: str
  sample: delayed
cut_off:
  description: With O(required=false), why this node cannot reach O(primary). Otherwise empty.
  returned: success
  type: str
removed:
  description: With O(required=false), that this node was removed from its cluster. Otherwise empty.
  returned: success
  type: str
notices:
  description: What did not go as it should and did not prevent it.
  returned: success
  type: list
  elements: str
withdraw_record:
  description:
    - Whether the repository holds a record that this node was fenced, which is void now; also when that could not be
      asked. To be withdrawn on the repository host, by M(relevo.postgres.fence_record).
  returned: success
  type: bool
seconds:
  description: How long it took.
  returned: success
  type: float
copy_seconds:
  description: How long the rewind, restore or base backup itself took. Null where nothing was copied.
  returned: success
  type: float
copied_bytes:
  description:
    - What C(pg_rewind) or C(pg_basebackup) copied. Most of it can be WAL, since C(pg_rewind) copies all that is in the
      primary's C(pg_wal). Null where nothing was copied, and after a restore, since pgBackRest does not say.
  returned: success
  type: int
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.plan import Request
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.rejoin import Rejoin
from ansible_collections.relevo.postgres.plugins.module_utils._server.arguments import NODE_OPTIONS
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import service_for
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR


def work(module: AnsibleModule) -> dict[str, Any]:
    parameters = dict(module.params)
    service = service_for(parameters.pop("service_manager"))
    siblings = tuple(node["name"] for node in parameters.pop("nodes"))
    request = Request(**{**parameters, "primary": Peer.from_dict(parameters["primary"]), "siblings": siblings})
    return Rejoin(request, service).run(module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "primary": {"type": "dict", "required": True, "options": NODE_OPTIONS},
            "nodes": {"type": "list", "elements": "dict", "default": [], "options": NODE_OPTIONS},
            "service_manager": {"type": "str", "choices": ["runit", "systemd"], "required": True},
            "stanza": {"type": "str", "default": "main"},
            "repository": {"type": "bool", "default": True},
            "method": {
                "type": "str",
                "choices": ["auto", "clean", "rewind", "restore", "basebackup"],
                "default": "auto",
            },
            "demote": {"type": "bool", "default": False},
            "discard_unarchived": {"type": "bool", "default": False},
            "required": {"type": "bool", "default": True},
            "readmit": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 60},
            "copy_timeout": {"type": "float", "default": 21600},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
