# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what the removal of a cluster removes."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.removal import (
    Elsewhere,
    Facts,
    Holdings,
    Request,
    removal,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository import scratch_roots
from ansible_collections.relevo.postgres.plugins.plugin_utils._plan_action import OF_A_CLUSTER, ClusterPlanAction


class ActionModule(ClusterPlanAction):
    """module_utils/_cluster/removal decides."""

    SPEC = {  # noqa: RUF012
        "argument_spec": OF_A_CLUSTER
        | {
            "backups": {"type": "str", "default": ""},
            "confirm": {"type": "str", "default": ""},
            "states": {"type": "dict", "default": {}},
            "unreachable": {"type": "dict", "default": {}},
            "holdings": {"type": "dict", "default": {}},
            "scratch": {"type": "list", "elements": "dict", "default": []},
            "elsewhere": {"type": "list", "elements": "dict", "default": []},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        known = self.clusters()
        cluster, states = known[options["cluster"]], options["states"]
        missing = [name for name, state in states.items() if state == "missing"]
        facts = Facts(
            cluster.name,
            [node.name for node in cluster.nodes],
            cluster.repository,
            cluster.redis,
            {
                host: [one.name for one in known.values() if one is not cluster and host in one.hosts]
                for host in cluster.hosts
            },
            containers=list(states),
            missing=missing,
            # A container that does not run can be removed; what a repository host holds, nobody knows then.
            unreachable={
                name: why
                for name, why in options["unreachable"].items()
                if name not in states or (name == cluster.repository and name not in missing)
            },
            # Where the host was not asked, the task was skipped.
            holdings=Holdings.from_dict(options["holdings"]) if "exists" in options["holdings"] else None,
            scratch=[one["name"] for one in options["scratch"]],
            elsewhere=[
                Elsewhere(one.host, one.name, str(one.path))
                for one in (scratch_roots.Elsewhere(**given) for given in options["elsewhere"])
            ],
            proxies=cluster.proxies,
        )
        found = removal(Request(options["backups"], options["confirm"]), facts)
        return {
            **self.shown(found.plan, options, "Nothing was removed."),
            "servers": found.servers,
            "hosts": found.hosts,
            "stanza": found.stanza,
            "rewrites": found.rewrites,
            "proxies": found.proxies,
        }
