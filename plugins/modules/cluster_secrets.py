#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_secrets
short_description: Read the cluster's secrets, or generate them once
version_added: 0.1.0
description:
  - Looks for each secret in O(given) (variables, a vault, a credential), then in a file of its own in O(directory).
  - Generates what is missing only with O(generate=true); the files have mode 0600 and are never replaced.
  - Runs on the controller, in Ansible's own process, and needs no delegation. Ansible replaces in a module's result
    whatever the module declared as secret; an action's result reaches the next task as it is.
  - Set C(no_log) on the task, since it returns the secrets.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
attributes:
  check_mode:
    support: full
    details: Reports the names that would be generated.
  diff_mode:
    support: none
options:
  directory:
    description: The folder that holds one file per secret.
    type: path
    required: true
  names:
    description: The secrets that are needed.
    type: list
    elements: str
    required: true
  given:
    description:
      - Secrets that the user provides, by name. Empty values do not count.
      - The word C(VALUE_SPECIFIED_IN_NO_LOG_PARAMETER) is refused, since it is public.
    type: dict
    default: {}
  verifiers:
    description: Of which secrets a verifier is returned, with which a node can compare a password that it has.
    type: list
    elements: str
    default: []
  generate:
    description: Whether missing secrets may be made. False for a cluster that exists already.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Read the secrets
  relevo.postgres.cluster_secrets:
    directory: "{{ inventory_dir }}/.secrets"
    names: [relevo_replication, redis]
  register: secrets
  no_log: true
"""

RETURN = r"""
secrets:
  description: The secrets by name.
  returned: success
  type: dict
verifiers:
  description: Verifiers by name, in the form in which PostgreSQL stores them (SCRAM-SHA-256).
  returned: success
  type: dict
missing:
  description: The names of those that are not known and were not generated.
  returned: success
  type: list
  elements: str
generated:
  description: The names of those that were made.
  returned: success
  type: list
  elements: str
"""
