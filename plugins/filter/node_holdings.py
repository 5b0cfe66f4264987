# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the disks of nodes, as far as a play knows."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_holdings
short_description: What is on the disks of nodes, as far as a play knows
version_added: 0.1.0
description:
  - Takes the names of servers and returns by name what M(relevo.postgres.pg_node_info) said of each in this play, for
    M(relevo.postgres.pg_initdb_check).
  - A node that is fenced is left out of a play on purpose; it holds data. Of any other that is not in the play nothing
    is known.
author: The Relevo authors (@relevo)
options:
  _input:
    description: The names of the nodes.
    type: list
    elements: str
  hostvars:
    description: Variables of all hosts.
    type: dict
    required: true
  playing:
    description: The hosts that take part in the play.
    type: list
    elements: str
    required: true
  fenced:
    description: The hosts that are fenced.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
holdings: "{{ ['postgres_slave'] | relevo.postgres.node_holdings(hostvars, ansible_play_hosts, []) }}"
"""

RETURN = r"""
_value:
  description: By name, C(initialised), C(standby), C(fence), C(timeline) and others; empty when nothing is known.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def node_holdings(
    names: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]], playing: Sequence[str], fenced: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """See DOCUMENTATION."""

    def holding(name: str) -> dict[str, Any]:
        if name in fenced:
            return {"initialised": True, "fence": {"node": name}}
        if name not in playing:
            return {}
        return dict(hostvars[name].get("__postgresql_node", {}).get("node") or {})

    return {name: holding(name) for name in names}


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"node_holdings": node_holdings}
