# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that nobody here reads: a setting whose name is misspelt would be passed over without a word.

Other collections have variables that begin like ours, and an inventory may hold both. So only a name that is almost one
of ours is a fault; another one that begins like ours is worth a line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from fnmatch import fnmatchcase

#: What a host is, and what several roles read: these belong to no role, so no argument_specs.yml has them.
SHARED = frozenset(
    {
        "node_address",
        "node_cluster",
        "node_kind",
        "node_preferred_primary",
        "node_published_port",
        "node_published_read_only_port",
        "node_service_manager",
        "relevo_notify_command",
        "relevo_secrets_dir",
    }
)
#: What our own tasks leave with a host, by ``register``, ``set_fact`` or ``add_host``, without "__" before it. A unit
#: test reads the tasks. A second check in one run of Ansible, as in up.yml, sees them among the host's variables.
LEFT_BY_TASKS = frozenset(
    {
        "backup_cycle_failure",
        "backup_cycle_next",
        "catalog_behind",
        "catalog_behind_reason",
        "catalog_check_measured",
        "catalog_check_reports",
        "cleanup_asked",
        "cluster_removal_planned",
        "cluster_removal_reached",
        "cluster_topology",
        "docker_nodes_fenced",
        "docker_nodes_left_out",
        "docker_nodes_pending",
        "drill_made",
        "handover_archive",
        "handover_archiving",
        "handover_fence",
        "handover_followers",
        "handover_foreseen",
        "handover_planned",
        "handover_promotion",
        "handover_reachability",
        "handover_switchover",
        "handover_synchronous",
        "inventory_check_found",
        "inventory_check_kept",
        "inventory_check_left_out",
        "inventory_check_outcome",
        "inventory_check_reached",
        "node_addition_planned",
        "node_addition_reached",
        "node_retirement_planned",
        "node_retirement_reached",
        "operation_lock_left_out",
        "pgbackrest_proved",
        "pgbackrest_refusal",
        "postgresql_refusal",
        "relevo_served",
        "restore_loaded",
        "restore_made",
        "restore_point_made",
        "secrets_redis_password",
        "status_found",
        "upgrade_minor_foreseen",
        "upgrade_minor_goes_on",
        "upgrade_minor_looked",
        "upgrade_minor_planned",
        "upgrade_minor_reached",
        "upgrade_minor_scratch",
    }
)
#: What the credentials of the role awx give to each job in AWX. A unit test reads them there.
GIVEN_BY_AWX = frozenset(
    {"relevo_ca_certificate_file", "relevo_ca_key_file", "relevo_known_hosts_file", "relevo_secrets_file"}
)
#: Well-known variables of others that are a letter from one of ours: of geerlingguy.postgresql.
OF_OTHERS = frozenset({"postgresql_locales", "postgresql_user"})

#: Begin so many variables of others, those that AWX itself gives among them, that only a slip of one letter counts.
COMMON = frozenset({"awx_", "cleanup_", "node_", "packages_", "schedule_", "secrets_", "seed_", "status_"})
#: Nobody means anything else by these, so a slip in them counts, too. "package_extra" is not one of packages_extra.
UNMISTAKABLE = ("docker_nodes_", "haproxy_", "pgbackrest_", "postgresql_", "relevo_")
#: How alike two names are, without what they begin with, that are one, misspelt: of 1. retention_ful and retention_full
#: are; retention_diff is not, which is an option of pgBackRest's own.
ALIKE = 0.85


@dataclass(frozen=True)
class Unknown:
    """A variable that begins like ours and that nobody here reads. ``nearest``: ours that is most like it, empty for
    none. ``misspelt``: whether it can hardly mean anything else."""

    name: str
    hosts: list[str] = field(default_factory=list)
    nearest: str = ""
    misspelt: bool = False


def roots_of(roles: Iterable[str]) -> list[str]:
    """What our variables begin with; the longest first, since ``catalog_check_`` is not of ``catalog_``."""
    return sorted({f"{role}_" for role in roles} | {"node_", "relevo_"}, key=lambda root: (-len(root), root))


def one_slip(one: str, other: str) -> bool:
    """Whether a letter too many, too few or another one, or two that have changed places, makes one name the other."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return (len(one) <= 1 and len(other) <= 1) or (len(one) == 2 and one == other[::-1])


def unknown_variables(
    given: Mapping[str, Iterable[str]], known: Collection[str], roots: Sequence[str], others: Collection[str]
) -> list[Unknown]:
    """The variables of these hosts that begin like ours, or almost so, and that nobody here reads; by name.

    ``given`` has the names of each host's variables. ``others`` are names, or patterns such as ``redis_*``, that belong
    to somebody else.
    """
    hosts: dict[str, list[str]] = {}
    for host, names in given.items():
        for name in names:
            # Facts, and what belongs to one role alone.
            if not name.startswith(("ansible_", "_")) and name not in known:
                hosts.setdefault(name, []).append(host)
    ours = sorted(known)
    unmistakable = [one for one in ours if one.startswith(UNMISTAKABLE)]
    found = []
    for name in sorted(hosts):
        if any(fnmatchcase(name, other) for other in others):
            continue
        root = next((root for root in roots if name.startswith(root)), "")
        # One that begins like none of ours may have its slip there: docker_node_recreate.
        candidates = [one for one in ours if one.startswith(root)] if root else unmistakable
        slips = [one for one in candidates if one_slip(name, one)]
        if slips:
            found.append(Unknown(name, hosts[name], slips[0], name not in OF_OTHERS))
        elif root and root not in COMMON:
            nearest, likeness = _most_like(name, candidates, root)
            found.append(Unknown(name, hosts[name], nearest, likeness >= ALIKE))
    return found


def _most_like(name: str, candidates: Sequence[str], root: str) -> tuple[str, float]:
    """The one of the candidates that is worth asking about, or none, and how alike they are."""
    rest = name.removeprefix(root)
    by_likeness = {
        one: SequenceMatcher(None, rest, one.removeprefix(root), autojunk=False).ratio() for one in candidates
    }
    best = max(by_likeness, key=by_likeness.__getitem__, default="")
    return (best, by_likeness[best]) if best and by_likeness[best] >= ALIKE / 2 else ("", 0.0)


def misspelt_faults(unknown: Iterable[Unknown]) -> list[str]:
    """A sentence or two for each name that is almost one of ours."""
    return [
        f"The variable {one.name} is set ({_named(one.hosts)}), and nobody reads it: did you mean {one.nearest}? "
        "Correct the name; or, if it belongs to something else, name it in inventory_check_others."
        for one in unknown
        if one.misspelt
    ]


def unknown_line(unknown: Iterable[Unknown]) -> str:
    """One line about the others; empty for none."""
    names = [f"{one.name} (nearest: {one.nearest})" if one.nearest else one.name for one in unknown if not one.misspelt]
    if not names:
        return ""
    return (
        f"No variable of this collection has the name of these, which begin like ours: {', '.join(names)}. What they "
        "set is not set. If they belong to something else, name them in inventory_check_others."
    )


def _named(hosts: Sequence[str], most: int = 3) -> str:
    """The hosts, not a thousand of them."""
    if len(hosts) <= most + 1:
        return ", ".join(hosts)
    return f"{', '.join(hosts[:most])} and {len(hosts) - most} more"
