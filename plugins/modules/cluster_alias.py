#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_alias
short_description: Add this host under a further name, for one of the clusters that it serves
version_added: 0.1.0
description:
  - Ansible works on hosts in parallel, and on the items of a loop one after the other. A repository host that serves
    many clusters is added to the play once for each of them, so that they are worked on in parallel, as many at once
    as Ansible has forks, and one that fails does not end the others.
  - The further name is C(CLUSTER@HOST). It has the variables of the host, secrets among them, so use C(no_log). Its
    C(node_cluster) is the cluster, and it is reached where the host is.
  - Runs on the controller, asks no host and changes nothing. It lasts as long as the playbook runs. Ansible itself
    counts a host that is added as a change, hence C(changed_when) in the example.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  cluster:
    description: The cluster.
    type: str
    required: true
  group:
    description: The group that the further name is put into, for the hosts of a later play. It is in no other one.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Give each cluster a host of its own
  relevo.postgres.cluster_alias:
    cluster: "{{ item }}"
    group: relevo_backups
  loop: [north, south]
  changed_when: false
  no_log: true
"""

RETURN = r"""
name:
  description: The further name.
  returned: success
  type: str
  sample: north@pgbackrest
"""
