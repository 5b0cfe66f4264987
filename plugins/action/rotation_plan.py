# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a rotation has to do next, and whether it may begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.connection import secrets_directory
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import cluster_of
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.rotation import Folder, Found, plan
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._secrets import NewPasswords, SecretStore
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.relevo.postgres.plugins.plugin_utils._new_authority import Authorities


class ActionModule(ControllerAction):
    """``_cluster/rotation`` decides."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "kind": {"type": "str", "default": ""},
            "clusters": {"type": "list", "elements": "str", "required": True},
            "hosts": {"type": "list", "elements": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "given": {"type": "dict", "default": {}, "no_log": True},
            "authority_given": {"type": "bool", "default": False},
            "unreachable": {"type": "dict", "default": {}},
            "topologies": {"type": "dict", "default": {}},
            "confirm": {"type": "str", "default": ""},
            "stop_after": {"type": "str", "choices": ["", "trust"], "default": ""},
            "describe": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        directory, clusters = Path(options["directory"]), options["clusters"]
        store, authorities = SecretStore(directory, options["given"]), Authorities(directory)
        certified = self._in("postgres", "pgbackrest", "haproxy")
        with_password = self._in("postgres", "pgbackrest", "redis")
        new = NewPasswords.read(directory)
        folder = Folder(
            str(directory),
            [name for name in options["names"] if name in store.given],
            store.missing(options["names"]),
            new is not None,
            new is not None and not new.differing,
            authorities.owner(options["authority_given"]),
            authorities.state,
        )
        sharing, apart = self._neighbours(clusters, str(directory))
        found = Found(
            clusters,
            options["hosts"],
            options["unreachable"],
            self._topologies(options["topologies"]),
            sharing,
            apart,
            [host for host in options["hosts"] if host not in certified],
            [host for host in options["hosts"] if host not in with_password],
        )
        rotation = plan(options["kind"], folder, found, options["stop_after"])
        consent = ",".join(clusters)
        if options["confirm"] and options["confirm"] != consent:
            rotation.refusals.append(f"confirm={options['confirm']} is not {consent}, what would be changed.")
        if rotation.refusals and not options["describe"]:
            raise RelevoError(f"{' '.join(rotation.refusals)} Nothing was changed.")
        return {
            "changed": False,
            "steps": list(rotation.steps),
            "not_answering": list(rotation.not_answering),
            "left_out": list(rotation.left_out),
            "still_to_do": rotation.still_to_do,
            "makes_authority": folder.new_authority == "none",
            "consent": consent,
            "confirmed": options["confirm"] == consent,
            "operation_plan": rotation.plan.as_dict(),
        }

    def _in(self, *names: str) -> set[str]:
        groups = self._task_vars["groups"]
        return {host for name in names for host in groups.get(name, [])}

    def _topologies(self, asked: Mapping[str, Mapping[str, Any]]) -> list[Topology]:
        """One of each cluster, though each of its nodes was the one to ask for it."""
        hostvars = self._task_vars["hostvars"]
        by_cluster = {cluster_of(hostvars[name]): result for name, result in asked.items() if "nodes" in result}
        return [Topology.from_result(result) for result in by_cluster.values()]

    def _neighbours(self, clusters: Sequence[str], directory: str) -> tuple[list[str], list[str]]:
        """The clusters outside the play with this folder of secrets, and those in it with another one."""
        groups, hostvars = self._task_vars["groups"], self._task_vars["hostvars"]
        folders: dict[str, str] = {}
        for name in groups.get("postgres", []):
            host = hostvars[name]
            folders.setdefault(cluster_of(host), secrets_directory(host, otherwise=directory))
        sharing = [one for one, folder in folders.items() if one not in clusters and folder == directory]
        return sharing, [one for one in clusters if folders.get(one, directory) != directory]
