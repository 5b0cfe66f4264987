# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two clusters that would have one port of HAProxy."""

from __future__ import annotations

DOCUMENTATION = r"""
name: proxy_ports_taken
short_description: Say which ports of HAProxy two clusters would have
version_added: 0.1.0
description:
  - Compares the parts of C(haproxy.cfg) that are kept as they are with the ports that the inventory gives to the other
    clusters. HAProxy itself takes a port that stands there twice, and gives a client either cluster.
author: The Relevo authors (@relevo)
positional: clusters
options:
  _input:
    description: By cluster, the text that is kept, as the filter P(relevo.postgres.kept_parts#filter) returns it.
    type: dict
    required: true
  clusters:
    description: The clusters that are written, each with C(cluster), C(port) and C(read_only_port).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
taken: "{{ kept | relevo.postgres.proxy_ports_taken(proxied.clusters) }}"
"""

RETURN = r"""
_value:
  description: A sentence for each such port; none where there is none.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def proxy_ports_taken(kept: Mapping[str, str], clusters: Sequence[Mapping[str, Any]]) -> list[str]:
    """See DOCUMENTATION."""
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.shared_file import ports_taken

    wanted = {one["cluster"]: [one["port"], one["read_only_port"]] for one in clusters if one["cluster"] not in kept}
    return ports_taken(kept, wanted)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"proxy_ports_taken": proxy_ports_taken}
