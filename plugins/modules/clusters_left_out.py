#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clusters_left_out
short_description: Decide which clusters a play over several goes on with
version_added: 0.1.0
description:
  - A cluster that cannot be worked on is left out, before anything more of it is touched, so that the others go on.
    Says so at once.
  - Fails when none would be left, with the reason; so with one cluster it always does.
  - Runs on the controller, asks no host and changes nothing.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  found:
    description: The result of M(relevo.postgres.inventory_check).
    type: dict
    required: true
  already:
    description: RV(left_out) of the last time. The reason stays the first one.
    type: dict
    default: {}
  refused:
    description: By cluster, why it cannot be worked on.
    type: dict
    default: {}
  fact:
    description:
      - The name of a fact in which hosts have noted why they cannot be worked on. A host that several clusters need
        speaks for each of them.
    type: str
    default: ''
  fenced:
    description: The servers that are fenced. A cluster that has no other one is left out.
    type: list
    elements: str
    default: []
  together:
    description: Whether the play is for all clusters or for none, so that it fails instead of leaving one out.
    type: bool
    default: false
seealso:
  - module: relevo.postgres.inventory_check
"""

EXAMPLES = r"""
- name: Leave out the clusters whose servers cannot be worked on
  relevo.postgres.clusters_left_out:
    found: "{{ inventory_check_found }}"
    fact: postgresql_refusal
  register: apart
"""

RETURN = r"""
left_out:
  description: The clusters that are left out, each with the reason.
  returned: success
  type: dict
hosts:
  description: The hosts that no other cluster of the play needs.
  returned: success
  type: list
  elements: str
kept:
  description:
    - The clusters of the inventory that the play does not work on, left out or not chosen. What hosts that serve
      several have for them stays as it is there.
  returned: success
  type: list
  elements: str
text:
  description: What the play ends with, a line for each cluster that is left out; empty when none is.
  returned: success
  type: str
"""
