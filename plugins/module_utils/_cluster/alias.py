# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host under a further name for each cluster that it serves: Ansible works on hosts in parallel, not on a loop."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: What Ansible itself says of a host, and works out anew for the one with the other name.
ANSIBLE_S_OWN = frozenset(
    {
        "ansible_facts",
        "environment",
        "group_names",
        "groups",
        "hostvars",
        "inventory_hostname",
        "inventory_hostname_short",
        "omit",
        "play_hosts",
        "vars",
    }
)
#: In a template these would be those of the other name.
NAMES_ITSELF = re.compile(r"\b(inventory_hostname|inventory_hostname_short|group_names)\b")


def names_itself(value: Any) -> bool:
    """Whether there is a template in it that depends on the host's name. What is encrypted is none, and stays shut."""
    if isinstance(value, str):
        return bool(NAMES_ITSELF.search(value))
    if isinstance(value, Mapping):
        return any(names_itself(one) for one in value.values())
    return isinstance(value, Sequence) and any(names_itself(one) for one in value)


def alias_of(host: str, cluster: str) -> str:
    return f"{cluster}@{host}"


def alias_variables(host: str, cluster: str, given: Mapping[str, Any], resolve: Callable[[str], Any]) -> dict[str, Any]:
    """The variables of ``host`` as its alias for one cluster needs them.

    ``given``: as the inventory has them, templates and all, which stay templates. ``resolve``: the value of one of
    them for the host itself, for those that depend on its name.
    """
    variables = {
        name: resolve(name) if names_itself(value) else value
        for name, value in given.items()
        if name not in ANSIBLE_S_OWN
    }
    # Otherwise the connection would be made to the alias.
    return {"ansible_host": host, **variables, "node_cluster": cluster}
