#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rotation_plan
short_description: Decide what a rotation of secrets has to do next
version_added: 0.1.0
description:
  - Says which steps are left to replace the passwords of our roles and of Redis, the certificates of the nodes, or the
    authority that signs them, and refuses what cannot be done. Runs on the controller and changes nothing.
  - What an earlier run has left to do it finds in the folder of secrets.
author:
  - The Relevo authors (@relevo)
requirements:
  - cryptography
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  kind:
    description: V(passwords), V(certificates), V(authority) or V(all). Anything else is refused.
    type: str
    default: ""
  clusters:
    description: The clusters that are meant.
    type: list
    elements: str
    required: true
  hosts:
    description: All hosts of these clusters.
    type: list
    elements: str
    required: true
  directory:
    description: The folder of secrets.
    type: path
    required: true
  names:
    description: The passwords that are replaced.
    type: list
    elements: str
    required: true
  given:
    description: Secrets that come as variables, by name. Such a password cannot be replaced.
    type: dict
    default: {}
  authority_given:
    description: Whether the authority comes as variables.
    type: bool
    default: false
  unreachable:
    description: The hosts that do not answer, each with the reason, as M(relevo.postgres.node_info) returns them.
    type: dict
    default: {}
  topologies:
    description: By node, the result of M(relevo.postgres.pg_primary_facts) for its cluster.
    type: dict
    default: {}
  confirm:
    description: What the user confirmed. It must be the clusters, separated by commas.
    type: str
    default: ""
  stop_after:
    description: With V(trust), end when every node trusts both authorities, so that clients can be given the new one.
    type: str
    choices: ["", trust]
    default: ""
  describe:
    description: Return refusals with the plan instead of failing.
    type: bool
    default: false
seealso:
  - module: relevo.postgres.rotation_secrets
"""

EXAMPLES = r"""
- name: Plan a rotation
  relevo.postgres.rotation_plan:
    kind: certificates
    clusters: [main]
    hosts: [postgres_master, postgres_slave, pgbackrest]
    directory: "{{ inventory_dir }}/.secrets"
    names: [relevo_monitor, redis]
  register: planned
"""

RETURN = r"""
steps:
  description: What is left to do, in this order.
  returned: success
  type: list
  elements: str
  sample: [passwords, trust, sign, withdraw]
not_answering:
  description: The servers that do not answer, and without which the others are given the new passwords.
  returned: success
  type: list
  elements: str
left_out:
  description: Those of them whose hosts do not answer either.
  returned: success
  type: list
  elements: str
still_to_do:
  description: What is left to do about them, in sentences; empty where all take part.
  returned: success
  type: str
makes_authority:
  description: Whether the new authority has still to be made, before V(trust).
  returned: success
  type: bool
consent:
  description: What has to be typed, or given as C(confirm).
  returned: success
  type: str
confirmed:
  description: Whether it was given.
  returned: success
  type: bool
operation_plan:
  description: The plan as docs/reference/plan.md describes it.
  returned: success
  type: dict
"""
