# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line for each standby that was made to follow."""

from __future__ import annotations

DOCUMENTATION = r"""
name: followers
short_description: Say who follows the primary, and how
version_added: 0.1.0
description:
  - Takes the registered results of a loop of M(relevo.postgres.pg_rejoin) over the names of nodes, and returns a
    sentence for each. One that is cut off, or replays at its own pace, is named as such.
author: The Relevo authors (@relevo)
positional: primary
options:
  _input:
    description: The registered results.
    type: dict
    required: true
  primary:
    description: Who is primary.
    type: str
    required: true
"""

EXAMPLES = r"""
text: "{{ handover_followers | relevo.postgres.followers('db1') | join('\n') }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any


def followers(registered: Mapping[str, Any], primary: str) -> list[str]:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._handover.report import followers as sentences

    return sentences({result["item"]: result for result in registered.get("results") or []}, primary)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"followers": followers}
