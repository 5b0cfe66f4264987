# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what it takes to take a standby out of its cluster."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import Cluster, also_in
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.retirement import (
    Facts,
    Request,
    Scratch,
    retirement,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository import scratch_roots
from ansible_collections.relevo.postgres.plugins.plugin_utils._plan_action import OF_A_NODE, NodePlanAction


class ActionModule(NodePlanAction):
    """module_utils/_cluster/retirement decides."""

    SPEC = {  # noqa: RUF012
        "argument_spec": OF_A_NODE
        | {
            "confirm": {"type": "str", "default": ""},
            "data": {"type": "bool", "default": False},
            "last": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            "consumers": {"type": "bool", "default": False},
            "scratch": {"type": "list", "elements": "dict", "default": []},
            "elsewhere": {"type": "list", "elements": "dict", "default": []},
            "fence_command": {"type": "list", "elements": "str", "default": []},
        }
    }

    def decide(self, options: dict[str, Any], cluster: Cluster, facts: dict[str, Any]) -> dict[str, Any]:
        preferred, fence_command = options["node"] in cluster.preferred, bool(options["fence_command"])
        also = also_in(options["node"], (self._task_vars or {})["groups"], ["postgres"])
        noted = [scratch_roots.Elsewhere(**given) for given in options["elsewhere"] if given["host"] == options["node"]]
        scratch = {(one["cluster"], one["name"]): Scratch(one["name"], one["cluster"]) for one in options["scratch"]}
        scratch |= {(one.cluster, one.name): Scratch(one.name, one.cluster, str(one.path)) for one in noted}
        found = retirement(
            Request(options["confirm"], options["data"], options["last"], options["force"], options["consumers"]),
            Facts(
                **facts,
                preferred=preferred,
                fence_command=fence_command,
                scratch=list(scratch.values()),
                proxies=cluster.proxies,
                also=also,
            ),
        )
        primary = options["topology"].get("primary") or {}
        return {
            **self.shown(found.plan, options),
            "peers": found.peers,
            "servers": found.servers,
            "primary": primary.get("name", ""),
            "repository": cluster.repository,
            "synchronous": bool((primary.get("synchronous") or {}).get("wanted")),
            "asks_node": found.asks_node,
            "fences": found.fences,
            "clears": found.clears,
            "keeps": found.keeps,
            "keys": found.keys,
            "left": found.left,
        }
