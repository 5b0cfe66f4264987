#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rotation_secrets
short_description: Bring the folder of secrets to what a step of a rotation wants
version_added: 0.1.0
description:
  - New passwords, and a new authority, are kept beside the old ones until everybody has them. So a rotation that was
    cut off goes on with the same. Every file is replaced as a whole, and has mode 0600 but for certificates.
  - Runs on the controller. Set C(no_log) on the task, since it may return passwords.
author:
  - The Relevo authors (@relevo)
requirements:
  - cryptography
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
options:
  directory:
    description: The folder of secrets.
    type: path
    required: true
  step:
    description: The step, as M(relevo.postgres.rotation_plan) returns it.
    type: str
    required: true
    choices: [passwords, certificates, trust, sign, withdraw]
  state:
    description:
      - V(made) makes new passwords beside the old ones, once.
      - V(put) lets the folder hold what the nodes are to have from now on. The nodes must have got what the step before
        wanted.
      - V(finished) forgets what nobody needs any more.
    type: str
    required: true
    choices: [made, put, finished]
  names:
    description: The passwords that V(made) makes.
    type: list
    elements: str
    default: []
seealso:
  - module: relevo.postgres.rotation_plan
"""

EXAMPLES = r"""
- name: Let the folder hold both authorities
  relevo.postgres.rotation_secrets:
    directory: "{{ inventory_dir }}/.secrets"
    step: trust
    state: put
"""

RETURN = r"""
old:
  description: The passwords by name that servers may still want.
  returned: O(state=made)
  type: dict
new:
  description: The new passwords by name.
  returned: O(state=made)
  type: dict
"""
