# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a rolling minor upgrade has to do next, and whether it may begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import Cluster, clusters_of
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.minor_upgrade import (
    Container,
    Facts,
    Host,
    Scratch,
    Software,
    can_be_asked,
    is_delay,
    minor_upgrade,
    with_handover,
)
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes import container, container_image
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import OperationPlan
from ansible_collections.relevo.postgres.plugins.module_utils._repository.restore_record import Unfinished
from ansible_collections.relevo.postgres.plugins.module_utils._server import software
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

DELAY = "recovery_min_apply_delay"
QUESTION = ["dpkg-query", "--show", f"--showformat={software.LISTED}"]


class ActionModule(ControllerAction):
    """On the controller, which knows the inventory and the images. ``_cluster/minor_upgrade`` decides."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "cluster": {"type": "str", "required": True},
            "hosts": {"type": "list", "elements": "str", "required": True},
            "only_theirs": {"type": "list", "elements": "str", "required": True},
            "reached": {"type": "dict", "required": True},
            "looked": {"type": "dict", "default": {}},
            "containers": {"type": "dict", "default": {}},
            "scratch": {"type": "dict", "default": {}},
            "topology": {"type": "dict", "default": {}},
            "unfinished": {"type": "dict", "default": {}},
            "handover": {"type": "dict", "default": {}},
            "confirm": {"type": "str", "default": ""},
            "describe": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        variables = self._task_vars
        cluster = clusters_of(variables["groups"], variables["hostvars"])[options["cluster"]]
        record = options["unfinished"].get("record")
        hosts = [self._host(name, cluster, options) for name in options["hosts"]]
        # Where nobody answers the task was skipped.
        topology = Topology.from_result(options["topology"]) if "nodes" in options["topology"] else Topology([])
        found = minor_upgrade(
            Facts(
                cluster.name,
                hosts,
                topology,
                cluster.preferred[0],
                [name for name in options["hosts"] if name not in options["only_theirs"]],
                Unfinished.from_dict(record).sentence if record else "",
            )
        )
        plan = found.plan
        if found.candidate and options["handover"]:
            plan = with_handover(plan, OperationPlan.from_dict(options["handover"]))
        if options["confirm"] and options["confirm"] != cluster.name:
            plan = plan.refused(f"confirm={options['confirm']} is not {cluster.name}, what would be upgraded.")
        if plan.refusals and not options["describe"]:
            raise RelevoError(f"{' '.join(plan.refusals)} Nothing was changed.")
        return {
            "changed": False,
            "primary": found.primary,
            "first": found.first,
            "finish": found.finish,
            "pgbackrest": found.pgbackrest,
            "standbys": found.standbys,
            "candidate": found.candidate,
            "asks": found.candidate if can_be_asked(found, topology) else "",
            "last": [found.primary] if found.candidate else [],
            "others": found.others,
            "unbuilt": [host.name for host in hosts if host.container and host.container.packages is None],
            "before": {host.name: dict(host.software.packages) for host in hosts if host.software},
            "idle": found.idle,
            "confirmed": found.idle or options["confirm"] == cluster.name,
            "operation_plan": plan.as_dict(),
            "text": plan.text,
        }

    def _host(self, name: str, cluster: Cluster, options: Mapping[str, Any]) -> Host:
        reached, looked = options["reached"], options["looked"].get(name) or {}
        planned = ((options["containers"].get(name) or {}).get("nodes") or {}).get(name)
        # A module that was skipped has no packages.
        told = "packages" in looked
        if told and not boolean(self._task_vars["hostvars"][name].get("packages_install", True), strict=False):
            # Somebody else installs them there: what is done is to start what has been replaced.
            looked = {**looked, "newer": {}, "interrupted": False, "policy_left": False}
        stopped = planned is not None and planned["action"] in ("create", "recreate", "start")
        stopped = stopped and reached["states"].get(name) in ("stopped", "missing")
        removed = (reached.get("removed") or {}).get(name)
        marker = (reached.get("markers") or {}).get(name)
        forbidden = removed["sentence"] if removed else ""
        if marker and not removed:
            forbidden = f"{name} is fenced, by {marker['by']} at {marker['at']}. Run rejoin.yml first."
        return Host(
            name,
            cluster.part_of(name),  # type: ignore[arg-type]
            str(looked.get("version") or ""),
            Software.from_result(looked) if told else None,
            self._container(planned) if planned else None,
            reached["unreachable_nodes"].get(name, ""),
            stopped and not forbidden,
            forbidden,
            is_delay((self._task_vars["hostvars"][name].get("postgresql_parameters") or {}).get(DELAY, 0)),
            [
                Scratch(one["name"], one["cluster"], one["state"])
                for one in (options["scratch"].get(name) or {}).get("instances") or []
            ],
        )

    def _container(self, planned: Mapping[str, Any]) -> Container:
        said = container_image.said_by(container.engine(), planned["image"], QUESTION)
        return Container(planned["action"], None if said is None else software.installed_in(said))
