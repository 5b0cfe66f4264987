# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse an inventory that does not describe clusters, and choose those that the play is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.relevo.postgres.plugins.filter.postgresql_paths import default_version
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import (
    GROUPS,
    choose,
    clusters_of,
    faults_of,
)
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.left_out import only_theirs
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.proxy import (
    proxy_faults,
    shared_container_faults,
)
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.variables import (
    misspelt_faults,
    unknown_line,
    unknown_variables,
)
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.plugin_utils import _known_variables
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    """One task, on the controller: in an emergency each costs time in which nobody takes writes."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "groups": {"type": "list", "elements": "str", "default": ["postgres", "pgbackrest"]},
            "cluster": {"type": "str", "default": ""},
            "proxies": {"type": "bool", "default": False},
            "choice": {"type": "str", "choices": ["all", "named", "one"], "default": "all"},
            "names": {"type": "str", "choices": ["ignore", "warn", "refuse"], "default": "ignore"},
            "others": {"type": "list", "elements": "str", "default": []},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        variables = self._task_vars or {}
        groups = variables["groups"]
        # Ansible puts a host's variables together anew, in 20 ms, each time that it is asked for them.
        names = {name for group in GROUPS for name in groups.get(group, [])}
        hosts = {name: variables["hostvars"][name] for name in names}
        faults = faults_of(groups, hosts, options["groups"], default_version())
        known = {} if faults else clusters_of(groups, hosts)
        # What stands in front of a cluster is no reason not to hand it over, to back it up, or to let a node of it be.
        if known and options["proxies"]:
            faults = shared_container_faults(groups, hosts)
            faults += proxy_faults(list(known.values()), hosts, default_version())
        unseen, warnings = self._names(hosts, options["names"], options["others"])
        faults += unseen
        if faults:
            raise RelevoError(f"{' '.join(faults)} Nothing was touched.", faults=faults)
        chosen = choose(list(known), options["cluster"], options["choice"])
        needed = list(dict.fromkeys(host for name in chosen for host in known[name].hosts))
        others = [name for name in known if name not in chosen]
        return {
            "changed": False,
            **({"warnings": warnings} if warnings else {}),
            "clusters": chosen,
            "hosts": needed,
            "needed": {name: known[name].hosts for name in chosen},
            "only_theirs": only_theirs({name: known[name].hosts for name in (*chosen, *others)}, chosen),
            "all_clusters": list(known),
            "other_clusters": others,
            "servers": {name: [node.name for node in cluster.nodes] for name, cluster in known.items()},
            "repositories": {
                host: [name for name in chosen if known[name].repository == host]
                for host in dict.fromkeys(known[name].repository for name in chosen)
                if host
            },
        }

    def _names(self, hosts: Mapping[str, Any], names: str, others: list[str]) -> tuple[list[str], list[str]]:
        """What is wrong with the names of the variables, and what is said about them."""
        if names == "ignore":
            return [], []
        # What -e gives is among the variables of each host.
        given = {name: list(host) for name, host in hosts.items()}
        known = _known_variables.known_variables()
        unknown = unknown_variables(given, known, _known_variables.roots(), others)
        faults = misspelt_faults(unknown)
        if names == "warn":
            return [], faults
        line = unknown_line(unknown)
        return faults, [line] if line else []
