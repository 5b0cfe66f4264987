# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a node's disk, as far as a play knows."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_holding
short_description: What is on a node's disk, as far as a play knows
version_added: 0.1.0
description:
  - Takes the name of a server and returns what M(relevo.postgres.pg_node_info) said of it in this play, for
    M(relevo.postgres.pg_initdb_check).
  - A node that is fenced is left out of a play on purpose; it holds data. Of any other that is not in the play nothing
    is known.
author: The Relevo authors (@relevo)
options:
  _input:
    description: The node's name.
    type: str
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
holding: "{{ 'postgres_slave' | relevo.postgres.node_holding(hostvars, ansible_play_hosts, []) }}"
"""

RETURN = r"""
_value:
  description: C(initialised), C(standby), C(fence), C(timeline) and others; empty when nothing is known.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def node_holding(
    name: str, hostvars: Mapping[str, Mapping[str, Any]], playing: Sequence[str], fenced: Sequence[str]
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    if name in fenced:
        return {"initialised": True, "fence": {"node": name}}
    if name not in playing:
        return {}
    return dict(hostvars[name].get("__postgresql_node", {}).get("node") or {})


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"node_holding": node_holding}
