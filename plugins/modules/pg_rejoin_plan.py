#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_rejoin_plan
short_description: Say what rejoin.yml is about to do
version_added: 0.1.0
description:
  - Puts together what M(relevo.postgres.pg_rejoin) forecast for each node in check mode. Asks nobody, changes nothing.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  cluster:
    description: The cluster's name.
    type: str
    required: true
  topology:
    description: The result of M(relevo.postgres.pg_primary_facts), with one primary.
    type: dict
    required: true
  forecasts:
    description: The results of a loop of M(relevo.postgres.pg_rejoin) in check mode over the names of nodes.
    type: list
    elements: dict
    default: []
  down:
    description: By name, the containers that do not run, and what they are; see M(relevo.postgres.node_info).
    type: dict
    default: {}
  cannot_start:
    description: By name, those of O(down) that cannot just be started, and why; see M(relevo.postgres.node_info).
    type: dict
    default: {}
seealso:
  - module: relevo.postgres.pg_rejoin
"""

EXAMPLES = r"""
- name: Say what would be done
  relevo.postgres.pg_rejoin_plan:
    cluster: main
    topology: "{{ cluster_topology }}"
    forecasts: "{{ forecasts.results }}"
  register: planned
"""

RETURN = r"""
operation_plan:
  description: The plan, in the shape that docs/reference/plan.md describes.
  returned: success
  type: dict
  sample: {version: 1, operation: rejoin, cluster: main, action: rejoin, affects: []}
"""
