# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What single clusters have in a file that a host has for several."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kept_parts
short_description: The parts that clusters have in a file of several
version_added: 0.1.0
description:
  - Returns, by cluster, its part of the C(pgbackrest.conf) of a repository host or of C(haproxy.cfg), as it is in the
    file now; nothing of a cluster that has none in it.
  - A play that is not about a cluster writes this part again instead of what the inventory says.
author: The Relevo authors (@relevo)
positional: clusters, kind
options:
  _input:
    description: The file's text, encoded as M(ansible.builtin.slurp) returns it; empty where there is no file.
    type: str
    required: true
  clusters:
    description: The clusters whose parts are wanted.
    type: list
    elements: str
    required: true
  kind:
    description: Whose file it is.
    type: str
    choices: [pgbackrest, haproxy]
    required: true
"""

EXAMPLES = r"""
parts: "{{ slurped.content | relevo.postgres.kept_parts(['south'], 'haproxy') }}"
"""

RETURN = r"""
_value:
  description:
    - By cluster, of V(haproxy) the text of its sections; of V(pgbackrest) C(section), that of the stanza, and
      C(servers), the lines that say who may use it.
  type: dict
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def kept_parts(encoded: str, clusters: Sequence[str], kind: str) -> Mapping[str, Any]:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.shared_file import proxies_in, stanzas_in

    text = base64.b64decode(encoded).decode()
    return stanzas_in(text, clusters) if kind == "pgbackrest" else proxies_in(text, clusters)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"kept_parts": kept_parts}
