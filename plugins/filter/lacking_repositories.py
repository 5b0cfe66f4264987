# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a cluster's repositories lack a backup, and why, for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lacking_repositories
short_description: Say which repositories of a cluster lack a backup
version_added: 0.1.0
description:
  - Returns the sentences that C(backup.yml) ends with where one of several repositories failed; nothing where none did.
author: The Relevo authors (@relevo)
positional: cluster, count
options:
  _input:
    description:
      - By the number of the repository C(why), the C(steps) of the day, and what was C(made) of them.
    type: dict
    required: true
  cluster:
    description: The cluster.
    type: str
    required: true
  count:
    description: How many repositories were backed up to.
    type: int
    required: true
"""

EXAMPLES = r"""
said: "{{ {2: {'why': 'No route.', 'steps': none, 'made': []}} | relevo.postgres.lacking_repositories('main', 2) }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any


def lacking_repositories(failures: Mapping[Any, Mapping[str, Any]], cluster: str, count: int) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._repository.cycle import lacking_text

    return lacking_text(failures, cluster, count)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"lacking_repositories": lacking_repositories}
