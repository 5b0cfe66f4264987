# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text at the end of a minor upgrade."""

from __future__ import annotations

DOCUMENTATION = r"""
name: upgrade_minor_report
short_description: Say what every node of a cluster runs after a minor upgrade
version_added: 0.1.0
description:
  - Takes the result of M(relevo.postgres.pg_primary_facts), and returns a text.
author: The Relevo authors (@relevo)
positional: before, looked
options:
  _input:
    description: The servers as they answer now.
    type: dict
    required: true
  before:
    description: By node, the packages that it had before, as M(relevo.postgres.upgrade_minor_plan) returns them.
    type: dict
    required: true
  looked:
    description: The result of a loop of M(relevo.postgres.node_software_info) over the names of nodes.
    type: dict
    required: true
  switchover:
    description: The result of M(relevo.postgres.pg_switchover).
    type: dict
    default: {}
"""

EXAMPLES = r"""
text: "{{ cluster_topology | relevo.postgres.upgrade_minor_report(planned.before, looked, switchover=handed_over) }}"
"""

RETURN = r"""
_value:
  description: The text, in lines.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any


def upgrade_minor_report(
    topology: Mapping[str, Any],
    before: Mapping[str, Mapping[str, str]],
    looked: Mapping[str, Any],
    *,
    switchover: Mapping[str, Any] | None = None,
) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters where one is used, and an emergency begins with one.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.minor_upgrade import report
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology

    now = {result["item"]: result for result in looked.get("results", [])}
    outage = float((switchover or {}).get("window_seconds") or 0)
    return report(Topology.from_result(topology), before, now, outage)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"upgrade_minor_report": upgrade_minor_report}
