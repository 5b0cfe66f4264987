# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several clusters were not backed up, and why, for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: not_backed_up
short_description: Say which of several clusters were not backed up
version_added: 0.1.0
description:
  - Returns the sentences that C(backup.yml) over several clusters ends with; nothing when all were backed up.
author: The Relevo authors (@relevo)
positional: hostvars, clusters, left_out
options:
  _input:
    description:
      - The names that M(relevo.postgres.cluster_alias) has made, on which the role C(backup_cycle) has left
        C(backup_cycle_failure).
    type: list
    elements: str
    required: true
  hostvars:
    description: Ansible's C(hostvars).
    type: dict
    required: true
  clusters:
    description: All clusters that were asked for. One that has none of these names was not reached at all.
    type: list
    elements: str
    default: []
  left_out:
    description: Those that were not begun with, each with the reason.
    type: dict
    default: {}
"""

EXAMPLES = r"""
sentences: "{{ groups['relevo_backups'] | relevo.postgres.not_backed_up(hostvars, clusters) }}"
"""

RETURN = r"""
_value:
  description: The text, one line for each of these clusters.
  type: str
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def not_backed_up(
    names: Sequence[str],
    hostvars: Mapping[str, Mapping[str, Any]],
    clusters: Sequence[str] = (),
    left_out: Mapping[str, str] | None = None,
) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task 0.15 s.
    from ansible_collections.relevo.postgres.plugins.module_utils._repository.cycle import several_text

    # Ansible puts a host's variables together anew each time that it is asked for them.
    hosts = [hostvars[name] for name in names]
    known = {host["node_cluster"]: host.get("backup_cycle_failure") for host in hosts}
    return several_text({**dict.fromkeys(clusters), **known, **(left_out or {})})


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"not_backed_up": not_backed_up}
