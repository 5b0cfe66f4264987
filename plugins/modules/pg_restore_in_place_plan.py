#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_in_place_plan
short_description: Decide what a restore in place would do
version_added: 0.1.0
description:
  - Finds the timeline and the backup that lead to a target, what the cluster would lose, and the way back.
  - Refuses, with a sentence, what cannot be reached or may not be begun. Changes nothing.
  - Runs on the node that gets the data first, so that its space can be asked for.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.pgbackrest
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  target_type:
    description: What O(target) is. A time when it is empty.
    type: str
    default: ""
  target:
    description: The target. A time needs its zone.
    type: str
    default: ""
  label:
    description: The backup to begin with. The best one when empty.
    type: str
    default: ""
  timeline:
    description: The timeline to follow. That on which the servers were at the target when 0.
    type: int
    default: 0
  node:
    description: This node's name in the inventory.
    type: str
    required: true
  preferred:
    description: The preferred primary.
    type: str
    required: true
  nodes:
    description: The names of all nodes of the cluster.
    type: list
    elements: str
    required: true
  repository:
    description: The repository host's name.
    type: str
    required: true
  topology:
    description: What M(relevo.postgres.pg_primary_facts) returned.
    type: dict
    required: true
  disks:
    description: What M(relevo.postgres.pg_node_info) returned for each node that answers, as C(node).
    type: list
    elements: dict
    default: []
  down:
    description: Why a node does not answer, by its name.
    type: dict
    default: {}
  unfinished:
    description: The record of a restore in place that is not finished (M(relevo.postgres.restore_record)), if any.
    type: dict
  confirm:
    description: The name of the cluster, or that and the preferred primary as C(CLUSTER@NODE), from who confirms it.
    type: str
    default: ""
  undo_days:
    description: For how many days the backup that the way back needs is kept.
    type: float
    default: 7
  requested_by:
    description: Who asks, for the record.
    type: str
    default: ansible
  describe:
    description: Return refusals with the plan instead of failing.
    type: bool
    default: false
seealso:
  - module: relevo.postgres.pg_restore_in_place
"""

EXAMPLES = r"""
- name: Plan a restore in place
  relevo.postgres.pg_restore_in_place_plan:
    stanza: main
    target: 2026-11-25T12:00:00+01:00
    node: postgres_master
    preferred: postgres_master
    nodes: [postgres_master, postgres_slave]
    repository: pgbackrest
    topology: "{{ cluster_topology }}"
  register: planned
"""

RETURN = r"""
plan:
  description: The backup (C(label)), the C(timeline), the C(version), and what it takes; null when it is refused.
  returned: success
  type: dict
step:
  description: V(begin), V(finish) what an earlier run began, or V(replace) it, since its target was not reached.
  returned: when it is not refused
  type: str
record:
  description: The record of this restore.
  returned: when it is not refused
  type: dict
reached:
  description: Whether the target has been reached already.
  returned: when it is not refused
  type: bool
point:
  description: The restore point that is made before; empty where there is none.
  returned: when it is not refused
  type: str
pins:
  description:
    - What keeps the way back in each repository, as arguments of M(relevo.postgres.pgbackrest_annotate), C(repository),
      C(label), C(annotations) and C(required). The second one is in the way of nothing.
  returned: when it is not refused
  type: list
  elements: dict
newest_timeline:
  description: The newest timeline that the archive or a server knows.
  returned: when it is not refused
  type: int
confirmed:
  description: Whether it was confirmed.
  returned: success
  type: bool
operation_plan:
  description: The plan as docs/reference/plan.md describes it.
  returned: success
  type: dict
refusals:
  description: Why it would not be begun.
  returned: success
  type: list
  elements: str
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.archive import newest_archived_timeline
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import FIRST_ANSWER
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import FIRST, SECOND, repositories
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pins import pin_through
from ansible_collections.relevo.postgres.plugins.module_utils._repository.restore_record import Unfinished
from ansible_collections.relevo.postgres.plugins.module_utils._restore import facts, in_place, instance, replacement
from ansible_collections.relevo.postgres.plugins.module_utils._restore.in_place import Cluster, Undo
from ansible_collections.relevo.postgres.plugins.module_utils._restore.plan import Place, Request, RestorePlan, decide
from ansible_collections.relevo.postgres.plugins.module_utils._restore.reach import Repository
from ansible_collections.relevo.postgres.plugins.module_utils._restore.target import parse
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR


def cluster_of(params: dict[str, Any]) -> Cluster:
    disks = [found["node"] | {"name": found["item"]} for found in params["disks"] if found.get("node")]
    topology = params["topology"]
    return Cluster(
        params["stanza"],
        params["preferred"],
        params["nodes"],
        params["repository"],
        topology["primaries"],
        int((topology.get("primary") or {}).get("timeline") or 0),
        params["down"],
        {disk["name"]: int(disk["timeline"]) for disk in disks if disk["initialised"]},
    )


def known_to_a_second(params: dict[str, Any]) -> int:
    """The newest timeline of a second repository, which may have got one while the first was away; 0 without it.

    One that does not answer is in the way of nothing: the numbers that the servers know count, too.
    """
    config = Path(params["config"])
    if SECOND not in repositories(config):
        return 0
    try:
        return newest_archived_timeline(PgBackRest(params["stanza"], config, SECOND))
    except RelevoError:
        return 0


def read_second(params: dict[str, Any]) -> Repository | str | None:
    """What a second repository holds, or why it does not say so; None where there is none."""
    config = Path(params["config"])
    if SECOND not in repositories(config):
        return None
    pgbackrest = PgBackRest(params["stanza"], config, SECOND)
    try:
        # A bucket that is away would take minutes for each of the questions.
        pgbackrest.require_answer(FIRST_ANSWER)
        return facts.read_repository(pgbackrest)
    except RelevoError as error:
        return error.message


class Asked:
    """One question to this module."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.cluster = cluster_of(params)
        self.now = datetime.now(UTC)
        self.unfinished = Unfinished.from_dict(params["unfinished"]) if params["unfinished"] else None
        self.reached = bool(self.unfinished and replacement.outcome_of(self.unfinished.at))
        self.repository: Repository | None = None
        self.request: Request | None = None
        self.place: Place | None = None
        self.step: in_place.Step = "begin"
        self.undo: Undo | str = ""
        #: The second repository, and the way to the present out of it, by which its own backup is kept.
        self.second: Repository | str | None = None
        self.second_undo: Undo | str | None = None
        self.lost = ""

    def plan(self) -> RestorePlan:
        params = self.params
        self.request = Request(parse(params["target_type"], params["target"]), params["label"], params["timeline"])
        self.step = in_place.step_of(self.request, self.unfinished, self.reached)
        repository = facts.read_repository(PgBackRest(params["stanza"], params["config"]))
        self.repository = repository
        foreign = facts.foreign(repository.databases, params["topology"].get("system_identifier") or "")
        if foreign:
            raise RelevoError(foreign)
        version = facts.version_of(repository.databases)
        pgdata = Server().pgdata
        own = instance.tree_size(pgdata) if pgdata.is_dir() else 0
        self.place = facts.place_of(params["node"], pgdata, version, own)
        if self.unfinished:
            undo = dict(self.unfinished.undo)
            self.undo = Undo(**undo) if undo else "an earlier run found none"
        else:
            undo_or_why = in_place.undo_of(self.cluster, repository, self.now, params["undo_days"])
            self.undo = in_place.with_point(undo_or_why, self.now)
            if isinstance(self.undo, Undo):
                self.look_at_second()
        if self.step == "finish" and self.unfinished:
            return RestorePlan.from_dict(self.unfinished.plan)
        # Its own words are of a directory that can be chosen.
        roomy = Place(self.place.host, self.place.path, 1 << 62, 0, self.place.programs, version, self.place.container)
        plan = decide(self.request, repository, roomy, self.now)
        timeline = self.cluster.timeline or self.cluster.newest_timeline
        wal = in_place.lost_wal(plan, self.request.target, repository, timeline)
        self.lost = in_place.loss_in_words(self.cluster, plan, self.request.target, wal, self.now)
        return RestorePlan(**(plan.as_dict() | {"free": self.place.free}))

    def look_at_second(self) -> None:
        self.second = read_second(self.params)
        if isinstance(self.second, Repository):
            self.second_undo = in_place.undo_of(self.cluster, self.second, self.now, self.params["undo_days"])
        else:
            self.second_undo = self.second

    def pins(self) -> list[dict[str, Any]]:
        """The backups that stay until the undo is over, one in each repository that has the way back."""
        return [
            {
                "repository": number,
                "label": undo.label,
                "annotations": pin_through(
                    next(one for one in repository.backups if one["label"] == undo.label),
                    datetime.fromisoformat(undo.until),
                    self.now,
                ),
                "required": number == FIRST,
            }
            for number, repository, undo in (
                (FIRST, self.repository, self.undo),
                (SECOND, self.second, self.second_undo),
            )
            if isinstance(repository, Repository) and isinstance(undo, Undo)
        ]

    def refusals(self, plan: RestorePlan) -> list[str]:
        if self.place is None or self.repository is None:
            return []
        begun = self.step == "finish"
        size = 0 if begun else in_place.size_needed(plan.label, self.repository)
        found = in_place.refusals(self.cluster, self.params["confirm"], self.place, None if begun else plan, size)
        # What is missing then, is done on those that answer; the marker of another one goes with rejoin.yml.
        return [] if self.reached and in_place.consents(self.params["confirm"], self.cluster) else found

    def record(self, plan: RestorePlan) -> Unfinished:
        if self.step == "finish" and self.unfinished:
            return self.unfinished
        if self.request is None:
            raise RelevoError("There is no record of a restore that nobody asked for.")
        request, params = self.request, self.params
        return Unfinished(
            params["stanza"],
            params["node"],
            params["requested_by"],
            self.now.isoformat(timespec="milliseconds"),
            in_place.command(params["stanza"], request.target, request.label, request.timeline),
            in_place.asked_of(request),
            plan.as_dict(),
            in_place.undo_dict(self.undo),
        )

    def result(self, plan: RestorePlan) -> dict[str, Any]:
        if self.repository is None:
            return {}
        record = self.record(plan)
        begin = self.step == "begin" and isinstance(self.undo, Undo)
        return {
            "step": self.step,
            "record": record.as_dict(),
            "reached": self.reached,
            "point": self.undo.point if begin and isinstance(self.undo, Undo) and self.cluster.primaries else "",
            "pins": self.pins() if begin else [],
            "newest_timeline": max(
                [*self.repository.branches, self.cluster.newest_timeline, known_to_a_second(self.params)]
            ),
        }


def work(module: AnsibleModule) -> dict[str, Any]:
    asked, params = Asked(module.params), module.params
    plan, refusals = None, list[str]()
    try:
        plan = asked.plan()
        refusals = asked.refusals(plan)
    except RelevoError as error:
        if not params["describe"]:
            raise RelevoError(f"{error.message} Nothing was touched.", **error.details) from None
        refusals = [error.message]
    if refusals and not params["describe"]:
        raise RelevoError(f"{' '.join(refusals)} Nothing was touched.", refusals=refusals)
    confirmed = in_place.consents(params["confirm"], asked.cluster)
    shown = in_place.describe_in_place(
        plan,
        asked.repository,
        asked.cluster,
        params["node"],
        asked.undo,
        refusals,
        step=asked.step,
        lost=asked.lost,
        confirmed=confirmed,
        repositories=len(repositories(Path(params["config"]))),
        second=asked.second_undo,
    )
    return {
        "changed": False,
        "plan": plan.as_dict() if plan else None,
        "operation_plan": shown.as_dict(),
        "refusals": refusals,
        "confirmed": confirmed,
        **(asked.result(plan) if plan else {}),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "target_type": {"type": "str", "default": ""},
            "target": {"type": "str", "default": ""},
            "label": {"type": "str", "default": ""},
            "timeline": {"type": "int", "default": 0},
            "node": {"type": "str", "required": True},
            "preferred": {"type": "str", "required": True},
            "nodes": {"type": "list", "elements": "str", "required": True},
            "repository": {"type": "str", "required": True},
            "topology": {"type": "dict", "required": True},
            "disks": {"type": "list", "elements": "dict", "default": []},
            "down": {"type": "dict", "default": {}},
            "unfinished": {"type": "dict"},
            "confirm": {"type": "str", "default": ""},
            "undo_days": {"type": "float", "default": 7},
            "requested_by": {"type": "str", "default": "ansible"},
            "describe": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
