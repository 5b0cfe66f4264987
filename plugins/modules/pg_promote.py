#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_promote
short_description: Promote the standby on this node, in an emergency
version_added: 0.1.0
description:
  - Runs on the candidate's node, after the old primary was fenced and proved stopped; it does not prove that itself.
  - Refuses when another node takes writes, and, unless O(force=true), when another standby is ahead, or the archive
    or the dead primary's disk knows a newer timeline than this node's.
  - The new timeline is newer than any that the archive knows. Where the archive cannot be asked, RV(notices) says so.
  - With O(salvage), the dead primary's last WAL is replayed first.
  - Replay that is held back is made to go on. When it stands still for a second since sessions on this node read what
    it would remove, those are ended, whatever C(max_standby_streaming_delay) says; RV(notices) names them. A server
    that paused it itself, since its primary had a greater C(max_connections) for example, is started again with that.
  - On a node that is primary already it finishes what is missing after a promotion, so it can be run again.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
  - relevo.postgres.cluster.node
  - relevo.postgres.cluster.nodes
  - relevo.postgres.cluster.psycopg
  - relevo.postgres.cluster.service_manager
attributes:
  check_mode:
    support: full
    details: Makes the checks and says whether it would promote.
  diff_mode:
    support: none
options:
  old_primary:
    description: The inventory name of the primary that is replaced.
    type: str
    default: ''
  salvage:
    description:
      - A folder on the data volume, outside the data directory, with segments of the dead primary's C(pg_wal).
    type: path
  stanza:
    description: The stanza of the archive that is asked which timelines it knows. Not asked when omitted.
    type: str
  archived_from:
    description:
      - A segment of the old timeline that this node may not have received to its end. It and those after it are fetched
        from the archive, as far as it has them, and replayed first.
    type: str
    default: ''
  newer_timeline:
    description: The newest timeline that the dead primary's disk knows. 0 when there is none.
    type: int
    default: 0
  stopped:
    description:
      - Nodes that are proved to be stopped, and who says so, as M(relevo.postgres.pg_fence) returns them. They are
        neither asked nor locked.
    type: dict
    default: {}
  force:
    description: Promote this standby although another one, or the archive, is ahead of it.
    type: bool
    default: false
  requested_by:
    description: Who asked, for others who meet the lock.
    type: str
    default: ansible
seealso:
  - module: relevo.postgres.pg_handover_plan
  - module: relevo.postgres.pg_switchover
  - module: relevo.postgres.pg_rejoin
  - module: relevo.postgres.pg_archive_gap
"""

EXAMPLES = r"""
- name: Promote
  relevo.postgres.pg_promote:
    node: postgres_slave
    service_manager: runit
    old_primary: postgres_master
    nodes:
      - name: postgres_master
      - name: postgres_slave
  delegate_to: postgres_slave
"""

RETURN = r"""
primary:
  description: The primary, which is this node.
  returned: success, not in check mode
  type: str
promoted:
  description: Whether it was promoted by this call (false when it was primary already).
  returned: success
  type: bool
salvaged_bytes:
  description: Bytes of WAL that only the dead primary had and that were replayed here.
  returned: success, not in check mode
  type: int
salvage_complete:
  description: Whether the dead primary's WAL could be read to its end, so that nothing was lost.
  returned: when promoted
  type: bool
archived_bytes:
  description: Bytes of WAL that this node had not received and that were fetched from the archive.
  returned: when promoted
  type: int
salvage_seconds:
  description: How long the dead primary's WAL took to be replayed, as a part of RV(seconds).
  returned: when promoted
  type: float
end_lsn:
  description: The last record of the old timeline that this node has.
  returned: when promoted
  type: str
seconds:
  description: From the lock to the moment when the node takes writes.
  returned: success, not in check mode
  type: float
notices:
  description: What was noticed on the way and did not prevent it.
  returned: success, not in check mode
  type: list
  elements: str
withdraw_record:
  description:
    - Whether the repository still holds a record that this node was fenced, which is void now. To be withdrawn on the
      repository host, by M(relevo.postgres.fence_record). Not asked in check mode.
  returned: success
  type: bool
not_locked:
  description: Nodes that did not answer and so could not be locked, with the reason.
  returned: success, not in check mode
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._handover.promote import promote
from ansible_collections.relevo.postgres.plugins.module_utils._handover.promote_arguments import spec
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR


def main() -> None:
    module = AnsibleModule(argument_spec=spec(), supports_check_mode=True)
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, lambda module: promote(module.params, module.check_mode))


if __name__ == "__main__":
    main()
