# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clusters that HAProxy on a host is in front of, from the inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: proxied_clusters
short_description: The clusters that HAProxy on a host is in front of
version_added: 0.1.0
description:
  - Takes the name of a host of the group C(haproxy) and returns the clusters that it serves, with their servers and
    ports, and what its checks send and expect.
author: The Relevo authors (@relevo)
positional: groups, hostvars, without, gone
options:
  _input:
    description: The name of the host.
    type: str
    required: true
  groups:
    description: The variable of that name.
    type: dict
    required: true
  hostvars:
    description: The variable of that name.
    type: dict
    required: true
  without:
    description: A cluster that is being removed, and left out.
    type: str
    default: ''
  gone:
    description: Nodes that are being removed, and left out.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
proxied: "{{ inventory_hostname | relevo.postgres.proxied_clusters(groups, hostvars) }}"
"""

RETURN = r"""
_value:
  description: C(clusters), each with C(cluster), C(port), C(read_only_port) and C(servers), and C(check).
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any


def proxied_clusters(
    name: str,
    groups: Mapping[str, Sequence[str]],
    hostvars: Mapping[str, Mapping[str, Any]],
    without: str = "",
    gone: Sequence[str] = (),
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster import proxy

    return {
        "clusters": [asdict(one) for one in proxy.served(name, groups, hostvars, without, gone)],
        "check": {
            "startup": proxy.startup(),
            "an_answer": proxy.an_answer(),
            "ready": proxy.ready(),
            "primary": proxy.in_recovery("off"),
            "standby": proxy.in_recovery("on"),
        },
    }


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"proxied_clusters": proxied_clusters}
