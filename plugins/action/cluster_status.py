# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put together what ``status.yml`` collected about a cluster, and say what needs attention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.connection import (
    connection_strings,
    target_of,
    through_proxy,
)
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.describe_site import describe_site
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import same_settings
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.observed import (
    Disk,
    Note,
    Observed,
    Repository,
    proxies_of,
    scratch_of,
)
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.status import compose
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.status_problems import with_problems
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.status_text import status_text
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._schedule.runs import runs_of
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.relevo.postgres.plugins.plugin_utils._lock_keeper import play_name


def scheduled(directory: str | None, cluster: str) -> list[dict[str, Any]] | None:
    """The last run of each job of this controller that is about the cluster, or about all of them."""
    runs = runs_of(Path(directory)) if directory else None
    return None if runs is None else [run.as_dict() for run in runs if run.cluster in ("", cluster)]


class ActionModule(ControllerAction):
    """Decides nothing itself: module_utils/_cluster/status does, here on the controller."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "cluster": {"type": "str", "required": True},
            "topology": {"type": "dict", "required": True},
            "preferred": {"type": "str", "default": ""},
            "nodes": {"type": "list", "elements": "dict", "default": []},
            "containers": {"type": "dict", "default": {}},
            "markers": {"type": "dict", "default": {}},
            "removed": {"type": "dict", "default": {}},
            "unreachable": {"type": "dict", "default": {}},
            "proxies": {"type": "list", "elements": "dict", "default": []},
            "proxies_unreachable": {"type": "dict", "default": {}},
            "repository_host": {"type": "str", "default": ""},
            "repository": {"type": "dict", "default": {}},
            "next_day": {"type": "int", "default": 0},
            "operations": {"type": "dict", "default": {}},
            "scratch": {"type": "dict", "default": {}},
            "scratch_elsewhere": {"type": "list", "elements": "dict", "default": []},
            "schedule_directory": {"type": "path"},
            "restart": {"type": "bool", "default": False},
            "recreate": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        repository, holders = options["repository"], options["operations"].get("holders")
        if holders is not None:
            # A play that worked before it shows the status, as up.yml does, has the lock until it ends.
            holders = [holder for holder in holders if holder["play"] != play_name()]
        hostvars = self._task_vars["hostvars"]
        nodes = {name: hostvars[name] for name in options["topology"]["nodes"]}
        observed = Observed(
            options["cluster"],
            Topology.from_result(options["topology"]),
            options["preferred"],
            {result["item"]: Disk.of(result["node"]) for result in options["nodes"]},
            options["containers"],
            {name: Note.of(marker) or Note() for name, marker in options["markers"].items()},
            {name: Note.of(marker) or Note() for name, marker in options["removed"].items()},
            options["unreachable"],
            options["repository_host"],
            # Without an answer the task was skipped, and nobody knows; that is not the same as that there are none.
            Repository.of(repository) if "backups" in repository else None,
            options["next_day"],
            holders,
            same_settings(hostvars, options["topology"]["nodes"]),
            scratch_of(options["repository_host"], options["scratch"], options["scratch_elsewhere"]),
            scheduled(options["schedule_directory"], options["cluster"]),
            connection_strings(target_of(nodes)),
            through_proxy(nodes, self._task_vars["groups"], hostvars),
            proxies_of(options["proxies"], options["proxies_unreachable"]),
        )
        status = with_problems(compose(observed))
        site = describe_site(status, options["restart"], options["recreate"])
        return {
            "changed": False,
            "status": status.as_dict(),
            "text": status_text(status),
            "site_plan": site.as_dict(),
        }
