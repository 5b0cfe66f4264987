# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules share that decide about a cluster, or a node of it, by what others have found out."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  cluster:
    description: The cluster.
    type: str
    required: true
  required:
    description: Fail with what is refused. Otherwise a refusal is an answer, in RV(operation_plan).
    type: bool
    default: true
"""

    NODE = r"""
options:
  node:
    description: Inventory name of the host. One that the cluster does not have, or an empty one, is refused.
    type: str
    required: true
  reached:
    description:
      - The result of M(relevo.postgres.node_info), with C(markers=true) where a node is added. When omitted, only the
        name is looked at.
    type: dict
  topology:
    description: The result of M(relevo.postgres.pg_primary_facts). Empty where nobody was asked.
    type: dict
    default: {}
  unfinished:
    description: The result of M(relevo.postgres.restore_record).
    type: dict
    default: {}
  repositories:
    description: The result of M(relevo.postgres.pgbackrest_repositories_info).
    type: dict
    default: {}
"""
