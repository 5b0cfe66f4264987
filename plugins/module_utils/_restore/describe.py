# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a restore as every operation shows its own: with how far back and forth one can go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._operation_plan import Effect, OperationPlan
from .._tables import format_bytes, format_duration
from .plan import RestorePlan
from .reach import Branch, Repository, Stretch


def windows(repository: Repository) -> list[str]:
    """A sentence for each timeline: from and to when, and where it has holes."""
    lines = []
    for branch in repository.branches.values():
        if not branch.known:
            lines.append(f"Timeline {branch.timeline} cannot be restored: its history is missing in the archive.")
            continue
        stretches = repository.stretches(branch)
        if stretches:
            lines.append(f"Timeline {branch.timeline}{_origin(branch)}: any moment {_joined(stretches)}.")
    return lines


def _origin(branch: Branch) -> str:
    if branch.parent is None or branch.began is None:
        return ""
    return f" (from {branch.parent.timeline}, since {branch.began:%Y-%m-%d %H:%M:%S} UTC)"


def _joined(stretches: list[Stretch]) -> str:
    each = [
        f"from {one.since:%Y-%m-%d %H:%M:%S} to {one.until:%Y-%m-%d %H:%M:%S} UTC (backup {one.oldest})"
        for one in stretches
    ]
    return ", then a hole, then ".join(each)


def describe(
    plan: RestorePlan | None, repository: Repository | None, cluster: str, host: str, name: str, refusals: list[str]
) -> OperationPlan:
    """``name``: of the scratch instance. Without a plan there are refusals."""
    seen = [f"Window: {line}" for line in windows(repository)] if repository else []
    if plan is None:
        message = "It would not be begun. Nothing was touched."
        return OperationPlan("restore", cluster, "none", message, expected=seen, refusals=refusals)
    took = (
        "not known before the first drill" if plan.expected_s is None else f"about {format_duration(plan.expected_s)}"
    )
    return OperationPlan(
        "restore",
        cluster,
        "restore-beside",
        f"{plan.sentence}, beside the cluster, which goes on.",
        affects=[Effect(host, f"gets the scratch instance {name}, of {format_bytes(plan.size)}")],
        expected=[
            *seen,
            f"Backup {plan.label}: {plan.why}. Recovery follows timeline {plan.timeline}.",
            f"WAL to replay: at most {plan.segments} segments.",
            f"Space: {format_bytes(plan.needed)} needed, {format_bytes(plan.free)} free.",
            f"Time: {took}.",
            "The cluster loses nothing: it is not touched.",
        ],
        risks=plan.notes,
        refusals=refusals,
    )


def describe_removal(cluster: str, host: str, name: str, size: int) -> OperationPlan:
    """The plan of removing a scratch instance, of ``size`` bytes."""
    return OperationPlan(
        "restore",
        cluster,
        "remove",
        f"the scratch instance {name} is stopped, and its files are removed.",
        affects=[Effect(host, f"loses the scratch instance {name}, and has {format_bytes(size)} more space")],
        expected=["The cluster loses nothing: it is not touched."],
        risks=[f"What was written into {name} is lost."],
    )


def reached(
    plan: RestorePlan, made: Mapping[str, Any], host: str, enter: str, *, changed: bool, read_only: bool
) -> str:
    """What was made, in words. ``made``: the instance; ``enter``: what comes before a command on its host."""
    end = made["reached"]
    last = f"last commit {end['last_commit']}" if end["last_commit"] else "no commit after the backup"
    writes = "Its sessions begin read-only" if read_only else "It accepts writes"
    return "\n".join(
        [
            f"{made['name']} on {host} {'has' if changed else 'had'} reached {plan.sentence}.",
            f"  Position {end['lsn']} on timeline {plan.timeline}; {last}; from there on timeline {end['timeline']}.",
            f"  Backup {end['backup']}; copied in {end['copy_s']:g} s, recovered in {end['recovery_s']:g} s.",
            f"  {writes}, and it has no way to the cluster.",
            f"  Connect: {enter} psql -p {made['port']} -d DATABASE",
            f"  Remove:  ansible-playbook playbooks/restore.yml -e remove={made['name']}",
        ]
    )
