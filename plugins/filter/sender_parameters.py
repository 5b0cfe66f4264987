# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many WAL senders and replication slots the servers of a cluster get."""

from __future__ import annotations

DOCUMENTATION = r"""
name: sender_parameters
short_description: How many WAL senders and replication slots the servers of a cluster get
version_added: 0.1.0
description:
  - Takes the number of a cluster's nodes and returns the server parameters C(max_wal_senders) and
    C(max_replication_slots).
  - 10 up to 6 nodes, and from there on in steps of 10, so that all standbys can be copied at once. A change needs a
    restart of the servers.
author: The Relevo authors (@relevo)
options:
  _input:
    description: How many nodes the cluster has.
    type: int
    required: true
"""

EXAMPLES = r"""
parameters: "{{ groups['postgres'] | length | relevo.postgres.sender_parameters }}"
"""

RETURN = r"""
_value:
  description: The parameters, by name.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._server.sender_limit import sender_limit


def sender_parameters(nodes: int) -> dict[str, int]:
    """See DOCUMENTATION."""
    return dict.fromkeys(("max_wal_senders", "max_replication_slots"), sender_limit(nodes))


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"sender_parameters": sender_parameters}
