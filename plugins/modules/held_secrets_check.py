#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: held_secrets_check
short_description: Refuse to give a cluster other secrets than it has
version_added: 0.1.0
description:
  - Secrets may be made only for a new cluster. Fails when nodes are part of a cluster and secrets are missing on the
    controller, when a node trusts another authority than the one at hand, or has other passwords for our roles.
  - Where secrets are missing, the nodes are asked as well that are not in the play and have the same folder of
    secrets. One that cannot be asked may be part of a cluster.
  - Puts an authority that is given as variables into the folder, which is a change where the folder was there already.
    Changes nothing else.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
requirements:
  - cryptography
options:
  directory:
    description: The folder of secrets on the controller.
    type: path
    required: true
  held:
    description: The results of M(relevo.postgres.held_secrets_info), by node.
    type: dict
    required: true
  missing:
    description: The passwords that are not known on the controller.
    type: list
    elements: str
    default: []
  given:
    description:
      - The names of the secrets that are given as variables. One that nobody in the inventory uses, and that is like
        one which would be made anew, is refused as misspelt.
    type: list
    elements: str
    default: []
  certificate:
    description:
      - The certificate of an authority, in PEM, which may be followed by those above it. Empty for the folder's.
    type: str
    default: ''
  key:
    description: The key of O(certificate), in PEM, without a passphrase.
    type: str
    default: ''
  renew_days:
    description: An authority that was made here is to be renewed when it is valid for fewer days than this.
    type: float
    default: 30
  all_asked:
    description:
      - Whether O(held) has the nodes of all clusters that share hosts. Otherwise the authorities that they trust stay
        trusted, each where it is, as if one of the others had a certificate of each.
    type: bool
    default: true
  replace:
    description: Whether the owner of the cluster gives up the secrets that it has.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: No cluster gets other secrets than it has
  relevo.postgres.held_secrets_check:
    directory: "{{ inventory_dir }}/.secrets"
    held: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'held'))) }}"
  run_once: true
"""

RETURN = r"""
missing:
  description: What has to be made, with C(tls/ca.key) for the authority.
  returned: success
  type: list
  elements: str
make_authority:
  description: Whether the certificate of the authority has to be made, or renewed.
  returned: success
  type: bool
replaces_passwords:
  description: Whether a cluster that exists gets other passwords for our roles.
  returned: success
  type: bool
chain:
  description: The certificates between those of the nodes and the root, which the nodes send with their own.
  returned: success
  type: str
also_trusted:
  description:
    - By node, the certificates of other authorities that it trusts beside ours. While one is replaced, or with
      O(all_asked=false), these are what it trusts already, and what the certificates of the others are signed by.
  returned: success
  type: dict
"""
