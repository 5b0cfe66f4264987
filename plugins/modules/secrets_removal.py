#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secrets_removal
short_description: Remove the secrets of hosts that have gone
version_added: 0.1.0
description:
  - Runs on the controller. Deletes the keys and certificates of hosts from the folder of secrets, and with
    O(everything) the passwords and the authority, too.
  - Deletes files by their names only, and the folder when nothing is left in it. While another host has a key there,
    which may be another inventory's, the passwords and the authority stay.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  directory:
    description: The folder of secrets.
    type: path
    required: true
  hosts:
    description: The hosts that have gone.
    type: list
    elements: str
    required: true
  everything:
    description: Whether nothing that is left of the inventory needs the passwords and the authority.
    type: bool
    default: false
  only_containers:
    description: Whether those of O(hosts) that are machines have stayed.
    type: bool
    default: false
seealso:
  - module: relevo.postgres.cluster_secrets
  - module: relevo.postgres.cluster_removal_plan
"""

EXAMPLES = r"""
- name: Remove its key and certificate
  relevo.postgres.secrets_removal:
    directory: "{{ inventory_dir }}/.secrets"
    hosts: [db3]
"""

RETURN = r"""
removed:
  description: The files that were, or in check mode would be, deleted.
  returned: success
  type: list
  elements: str
text:
  description: What became of the passwords and the authority, for people.
  returned: success
  type: str
"""
