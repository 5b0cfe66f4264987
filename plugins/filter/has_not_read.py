# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server has still to read its configuration."""

from __future__ import annotations

DOCUMENTATION = r"""
name: has_not_read
short_description: Whether a server has still to read its configuration
version_added: 0.1.0
description:
  - Takes a server's name and says whether it has last read its configuration before its files were written, as after a
    run that was cut off in between.
author: The Relevo authors (@relevo)
options:
  _input:
    description: The server's name.
    type: str
  topology:
    description: The result of M(relevo.postgres.pg_primary_facts).
    type: dict
    required: true
  written:
    description: When they were written, as M(relevo.postgres.pg_configuration) returns it.
    type: str
    required: true
"""

EXAMPLES = r"""
owed: "{{ inventory_hostname | relevo.postgres.has_not_read(cluster_topology, configuration.written) }}"
"""

RETURN = r"""
_value:
  description: Whether it has; false where nothing is known of it.
  type: bool
"""

from collections.abc import Callable, Mapping
from typing import Any


def has_not_read(name: str, topology: Mapping[str, Any], written: str | None) -> bool:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState

    given: Mapping[str, Any] | None = (topology.get("nodes") or {}).get(name)
    return given is not None and NodeState.from_dict(given).has_not_read(written)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"has_not_read": has_not_read}
