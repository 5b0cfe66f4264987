#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_removal_plan
short_description: Decide what the removal of a cluster removes
version_added: 0.1.0
description:
  - Runs on the controller. Puts together what the inventory, M(relevo.postgres.node_info) and
    M(relevo.postgres.stanza_removal) in check mode say. Asks nobody, changes nothing.
  - What another cluster needs stays. Backups are deleted only where that is said.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
  - relevo.postgres.plan
options:
  backups:
    description: What becomes of its backups, V(keep) or V(delete). Empty where it has none.
    type: str
    default: ""
  confirm:
    description: The cluster's name, typed.
    type: str
    default: ""
  secrets:
    description: Whether the passwords and the authority go, too. Refused while something of the inventory needs them.
    type: bool
    default: false
  states:
    description: What the engine says about each container (RV(relevo.postgres.node_info#module:states)).
    type: dict
    default: {}
  unreachable:
    description: Why nodes do not answer (RV(relevo.postgres.node_info#module:unreachable_nodes)).
    type: dict
    default: {}
  holdings:
    description: The result of M(relevo.postgres.stanza_removal) in check mode. Empty where nobody was asked.
    type: dict
    default: {}
  scratch:
    description:
      - The scratch instances of the cluster on the repository host
        (RV(relevo.postgres.pg_scratch_info#module:instances)).
    type: list
    elements: dict
    default: []
  elsewhere:
    description: Those on other hosts, as it has noted them (RV(relevo.postgres.pg_scratch_info#module:elsewhere)).
    type: list
    elements: dict
    default: []
  repositories:
    description: The result of M(relevo.postgres.pgbackrest_repositories_info) of the repository host.
    type: dict
    default: {}
seealso:
  - module: relevo.postgres.stanza_removal
  - module: relevo.postgres.machine_removal
"""

EXAMPLES = r"""
- name: Decide
  relevo.postgres.cluster_removal_plan:
    cluster: main
    backups: delete
    confirm: main
    states: "{{ found.states }}"
    unreachable: "{{ found.unreachable_nodes }}"
    holdings: "{{ held }}"
  register: planned
"""

RETURN = r"""
servers:
  description: The cluster's servers, which go.
  returned: success
  type: list
  elements: str
hosts:
  description: The repository host and that of Redis, as far as they go too.
  returned: success
  type: list
  elements: str
stanza:
  description: Whether the backups, the archive and the catalog's records go.
  returned: success
  type: bool
rewrites:
  description: Whether the repository host stays for other clusters, and its configuration forgets this one.
  returned: success
  type: bool
proxies:
  description: The hosts whose HAProxy forgets the cluster.
  returned: success
  type: list
  elements: str
clears:
  description:
    - What goes of each host that goes, C(kinds), and what it goes on being, C(keeps), by the groups of the inventory;
      C(repository), whether what is in the repository's directory goes.
  returned: success
  type: dict
keys:
  description: The hosts whose key and certificate go.
  returned: success
  type: list
  elements: str
secrets:
  description: Whether the passwords and the authority go.
  returned: success
  type: bool
operation_plan:
  description: The plan, in the shape that docs/reference/plan.md describes.
  returned: success
  type: dict
  sample: {version: 1, operation: remove, cluster: main, action: remove, affects: []}
text:
  description: The plan for people.
  returned: success
  type: str
"""
