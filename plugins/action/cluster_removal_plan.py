# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what the removal of a cluster removes."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import clusters_of
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.removal import (
    Elsewhere,
    Facts,
    Holdings,
    Request,
    removal,
)
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository import scratch_roots
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    """On the controller, which knows the inventory. Decides nothing itself: module_utils/_cluster/removal does."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "cluster": {"type": "str", "required": True},
            "backups": {"type": "str", "default": ""},
            "confirm": {"type": "str", "default": ""},
            "states": {"type": "dict", "default": {}},
            "unreachable": {"type": "dict", "default": {}},
            "holdings": {"type": "dict", "default": {}},
            "scratch": {"type": "list", "elements": "dict", "default": []},
            "elsewhere": {"type": "list", "elements": "dict", "default": []},
            "required": {"type": "bool", "default": True},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        variables = self._task_vars or {}
        known = clusters_of(variables["groups"], variables["hostvars"])
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
        if found.plan.refusals and options["required"]:
            raise RelevoError(f"Nothing was removed. {' '.join(found.plan.refusals)}")
        return {
            "changed": False,
            "servers": found.servers,
            "hosts": found.hosts,
            "stanza": found.stanza,
            "rewrites": found.rewrites,
            "proxies": found.proxies,
            "operation_plan": found.plan.as_dict(),
            "text": found.plan.text,
        }
