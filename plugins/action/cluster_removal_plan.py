# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what the removal of a cluster removes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.connection import secrets_directory
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import also_in
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.removal import (
    Elsewhere,
    Facts,
    Holdings,
    Request,
    removal,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository import scratch_roots
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import SECOND
from ansible_collections.relevo.postgres.plugins.module_utils._repository.second import not_mounted
from ansible_collections.relevo.postgres.plugins.plugin_utils._plan_action import OF_A_CLUSTER, ClusterPlanAction


class ActionModule(ClusterPlanAction):
    """module_utils/_cluster/removal decides."""

    SPEC = {  # noqa: RUF012
        "argument_spec": OF_A_CLUSTER
        | {
            "backups": {"type": "str", "default": ""},
            "confirm": {"type": "str", "default": ""},
            "secrets": {"type": "bool", "default": False},
            "states": {"type": "dict", "default": {}},
            "unreachable": {"type": "dict", "default": {}},
            "holdings": {"type": "dict", "default": {}},
            "scratch": {"type": "list", "elements": "dict", "default": []},
            "elsewhere": {"type": "list", "elements": "dict", "default": []},
            "repositories": {"type": "dict", "default": {}},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        known = self.clusters()
        cluster, states = known[options["cluster"]], options["states"]
        missing = [name for name, state in states.items() if state == "missing"]
        variables = self._task_vars or {}
        of_others = {
            host: [one.name for one in known.values() if one is not cluster and host in one.hosts]
            for host in cluster.hosts
        }
        # A container that does not run can be removed; what a repository host holds, nobody knows then, and what others
        # have HAProxy in is not removed.
        asked = {cluster.repository, *(host for host in cluster.proxies if of_others[host])} - set(missing)
        parts = {host: cluster.parts_of(host) for host in cluster.hosts}
        facts = Facts(
            cluster.name,
            [node.name for node in cluster.nodes],
            cluster.repository,
            cluster.redis,
            of_others,
            containers=list(states),
            missing=missing,
            unreachable={
                name: why for name, why in options["unreachable"].items() if name not in states or name in asked
            },
            # Where the host was not asked, the task was skipped.
            holdings=Holdings.from_dict(options["holdings"]) if "exists" in options["holdings"] else None,
            scratch=[one["name"] for one in options["scratch"]],
            elsewhere=[
                Elsewhere(one.host, one.name, str(one.path))
                for one in (scratch_roots.Elsewhere(**given) for given in options["elsewhere"])
            ],
            proxies=cluster.proxies,
            parts=parts,
            also={host: also_in(host, variables["groups"], mine) for host, mine in parts.items()},
            alone=len(known) == 1,
            secrets=secrets_directory(variables["hostvars"][cluster.nodes[0].name]),
            bucket=self._bucket(cluster.repository),
            second=self.second(options["repositories"], cluster.repository),
            unmounted=self._unmounted(options["repositories"]),
        )
        found = removal(Request(options["backups"], options["confirm"], options["secrets"]), facts)
        return {
            **self.shown(found.plan, options, "Nothing was removed."),
            "servers": found.servers,
            "hosts": found.hosts,
            "stanza": found.stanza,
            "rewrites": found.rewrites,
            "proxies": found.proxies,
            "clears": {host: asdict(clearing) for host, clearing in found.clears.items()},
            "keys": found.keys,
            "secrets": found.secrets,
        }

    @staticmethod
    def _unmounted(found: dict[str, Any]) -> str:
        """About the disk of a second repository that its host is configured for, and that is missing."""
        place, several = found.get("unmounted", ""), len(found.get("repositories", ())) >= SECOND
        return f"{not_mounted(place)} What it holds is not known. Mount it." if place and several else ""

    def _bucket(self, repository: str) -> str:
        """That of a second repository, as the inventory has it; empty where it has none."""
        host = (self._task_vars or {})["hostvars"][repository] if repository else {}
        return str(host.get("pgbackrest_repo2_s3_bucket") or "") if host.get("pgbackrest_repo2_type") == "s3" else ""
