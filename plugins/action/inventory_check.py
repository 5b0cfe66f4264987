# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse an inventory that does not describe clusters, and choose those that the play is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.utils.display import Display

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
from ansible_collections.relevo.postgres.plugins.plugin_utils import _delegated_variables, _known_variables
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

display = Display()


class ActionModule(ControllerAction):
    """One task, on the controller: in an emergency each costs time in which nobody takes writes."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "groups": {"type": "list", "elements": "str", "default": ["postgres", "pgbackrest"]},
            "cluster": {"type": "str", "default": ""},
            "proxies": {"type": "bool", "default": False},
            "choice": {"type": "str", "choices": ["all", "named", "one"], "default": "all"},
            "python": {"type": "bool", "default": False},
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
        faults += self._unseen(hosts, options["names"], options["others"])
        faults += self._of_others(hosts, options["names"] == "refuse")
        if faults:
            raise RelevoError(f"{' '.join(faults)} Nothing was touched.", faults=faults)
        chosen = choose(list(known), options["cluster"], options["choice"])
        needed = list(dict.fromkeys(host for name in chosen for host in known[name].hosts))
        if options["python"]:
            self._refuse_old_python({name: hosts[name] for name in needed}, groups)
        others = [name for name in known if name not in chosen]
        return {
            "changed": False,
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

    def _of_others(self, hosts: Mapping[str, Any], everything: bool) -> list[str]:
        """What is wrong with the variables that the hosts are entered with.

        If not ``everything``, for which ``site.yml`` has the time, where a value shows it: to ask for the templates of
        a host costs as much as to ask for its variables, and there may be hundreds of hosts.
        """
        found = {}
        for name in sorted(hosts):
            shown = " ".join(str(hosts[name].get(key, "")) for key in _delegated_variables.SHOWN)
            if everything or name in shown:
                raw = self._task_vars["hostvars"].raw_get(name)
                found[name] = _delegated_variables.others_in(hosts[name], raw, self._fill)
        return _delegated_variables.faults_of(found)

    def _fill(self, variables: Mapping[str, Any], template: Any) -> Any:
        return self._templar.copy_with_new_env(available_variables=dict(variables)).template(template)

    def _refuse_old_python(self, hosts: Mapping[str, Any], groups: Mapping[str, list[str]]) -> None:
        """Asked of all machines at once, over connections of their own; a container has the image's."""
        # Only here, since a hand-over has no use for them.
        from ansible_collections.relevo.postgres.plugins.module_utils._nodes import python_version
        from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines, _node_program, _offline_nodes

        found: dict[str, python_version.Version | None] = {}

        def asker(name: str) -> Callable[[], None]:
            try:
                own = _machines.settled(hosts[name], self._play_context)
            except AnsibleError:
                return lambda: None
            named = _node_program.interpreter(own)
            command = python_version.question(python_version.interpreters(named, name in groups["postgres"]))

            def ask() -> None:
                try:
                    _code, output, _said = _machines.execute(name, own, self._play_context, command)
                except AnsibleError:
                    return  # Whether it answers is asked where it matters.
                found[name] = python_version.version_in(output)

            return ask

        machines = [name for name in hosts if _offline_nodes.kind_of(hosts[name]) != _offline_nodes.DOCKER]
        _machines.ask_all({name: asker(name) for name in machines})
        said = python_version.refusal({name: found.get(name) for name in machines})
        if said:
            raise RelevoError(said)

    @staticmethod
    def _unseen(hosts: Mapping[str, Any], names: str, others: list[str]) -> list[str]:
        """What is wrong with the names of the variables; what is no fault is said at once.

        The warnings of a task are shown with its result, and our ansible.cfg hides the results of what went well.
        """
        if names == "ignore":
            return []
        # What -e gives is among the variables of each host.
        given = {name: list(hosts[name]) for name in sorted(hosts)}
        known = _known_variables.known_variables()
        unknown = unknown_variables(given, known, _known_variables.roots(), others)
        faults = misspelt_faults(unknown)
        said = faults if names == "warn" else list(filter(None, [unknown_line(unknown)]))
        for line in said:
            # Beside what a program may read from the play's output.
            display.display(f"[WARNING]: {line}", stderr=True)
        return [] if names == "warn" else faults
