# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What site.yml is about to do, for people and programs: concluded from a cluster's status, before anything is touched.

Which lines of which file would change only check mode can tell; this says what becomes of each node.
"""

from __future__ import annotations

from .._operation_plan import Effect, OperationPlan
from .founding import RepositoryHolding
from .status import ClusterStatus, NodeStatus

LEFT_ALONE = {"fenced", "rejoin-interrupted", "restoring", "removed"}


def describe_site(status: ClusterStatus, restart: bool = False, recreate: bool = False) -> OperationPlan:
    """``restart``, ``recreate``: whether waiting settings and changed containers were said to be brought about now."""
    found = [(node, _change(status, node, restart)) for node in status.nodes]
    affects = [Effect(node.name, change) for node, change in found if change]
    left = [node.name for node in status.nodes if (node.fence or node.rejoin) and not node.removed]
    expected = ["Where the inventory has changed, nodes that run are reconfigured; --check --diff shows how."]
    if not restart:
        expected.append("No server that runs is restarted.")
    if left:
        expected.append(f"{' and '.join(left)} stays down: only rejoin.yml brings it back.")
    return OperationPlan(
        "site",
        status.cluster,
        "found" if _is_new(status) else "converge",
        "A new cluster is made." if _is_new(status) else "The cluster is brought to what the inventory says.",
        affects,
        expected,
        _risks(status, restart, recreate),
        _refusals(status),
    )


def _is_missing(node: NodeStatus) -> bool:
    return node.container == "missing"


def _all_missing(status: ClusterStatus) -> bool:
    return all(_is_missing(node) for node in status.nodes)


def _is_new(status: ClusterStatus) -> bool:
    """What the volumes hold is not known yet. With backups there it is no first beginning."""
    return _all_missing(status) and not status.backups


def _change(status: ClusterStatus, node: NodeStatus, restart: bool) -> str:
    if node.fence or node.rejoin or node.removed:
        return ""
    if _is_missing(node):
        if _all_missing(status) and status.backups:
            return "gets a new container, and starts with what its volume holds"
        founds = _is_new(status) and node.preferred
        role = "the primary of a new cluster" if founds else "a standby"
        return f"gets a new container and becomes {role}, unless its volume holds data already"
    if node.state == "container-down":
        return "is started"
    if restart and node.pending_restart:
        return f"is restarted for {', '.join(node.pending_restart)}"
    if node.state == "not-streaming" and status.primary:
        return f"is made to follow {status.primary.name}"
    return ""


def _risks(status: ClusterStatus, restart: bool, recreate: bool) -> list[str]:
    risks = []
    primary = status.primary
    if restart and primary and primary.pending_restart:
        risks.append(f"Connections to {primary.name} end while it is restarted.")
    if recreate:
        risks.append("Containers that were made with other settings are replaced, and their servers stop meanwhile.")
    if _all_missing(status) and status.backups:
        held = RepositoryHolding([backup.label for backup in status.backups]).words
        risks.append(
            f"Where no volume holds the data, this play refuses to make a new cluster, since {held}. It says then how "
            "to get the data back."
        )
    unreachable = [node.name for node in status.nodes if node.state == "unreachable"]
    if unreachable:
        risks.append(f"{' and '.join(unreachable)} cannot be reached, so the play will not succeed there.")
    return risks


def _refusals(status: ClusterStatus) -> list[str]:
    removed = [
        f"{node.name} was removed from its cluster by {node.removed.requested_by} at {node.removed.at}. Take it out of "
        f"the inventory, or add it again: add_node.yml -e node={node.name}."
        for node in status.nodes
        if node.removed
    ]
    return [*removed, *_about_the_primary(status)]


def _about_the_primary(status: ClusterStatus) -> list[str]:
    if len(status.primaries) > 1:
        return [f"Two primaries: {' and '.join(status.primaries)} take writes. Stop one, then run rejoin.yml."]
    if not status.primaries and any(node.answers for node in status.nodes):
        return ["No primary answers, but a standby does. Start the primary, or promote a standby with failover.yml."]
    return []
