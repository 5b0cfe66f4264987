# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository hosts that answer, and the clusters of those that do not."""

from __future__ import annotations

DOCUMENTATION = r"""
name: reached_repositories
short_description: Tell the repository hosts that answer from the others
version_added: 0.1.0
description:
  - Takes the repository hosts of an inventory with the clusters that each serves, and leaves out those that do not
    answer.
author: The Relevo authors (@relevo)
positional: unreachable
options:
  _input:
    description: By repository host the clusters that it serves, as C(inventory_check_found.repositories).
    type: dict
    required: true
  unreachable:
    description: By host why it does not answer, as C(unreachable_nodes) of M(relevo.postgres.node_info).
    type: dict
    required: true
"""

EXAMPLES = r"""
told: "{{ inventory_check_found.repositories | relevo.postgres.reached_repositories(asked.unreachable_nodes) }}"
"""

RETURN = r"""
_value:
  description: >-
    C(reached), as the input, and C(left_out), by cluster a sentence that says why its repository host is not among
    them.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def reached_repositories(
    repositories: Mapping[str, Sequence[str]], unreachable: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """See DOCUMENTATION."""
    return {
        "reached": {host: list(clusters) for host, clusters in repositories.items() if host not in unreachable},
        "left_out": {
            cluster: (
                f"The repository host {host} does not answer: {why}. Nothing was touched. "
                "Start it, then run this again."
            )
            for host, why in unreachable.items()
            for cluster in repositories.get(host, ())
        },
    }


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"reached_repositories": reached_repositories}
