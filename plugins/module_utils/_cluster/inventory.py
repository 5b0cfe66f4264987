# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clusters of an inventory: who belongs to which, what is wrong with it, and which of them a play is about.

A host of the group ``postgres`` belongs to its ``node_cluster``. A repository host, or the host of the catalog's Redis,
serves the cluster that it names too; one that names none serves all that have none of their own.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from ansible.module_utils.parsing.convert_bool import boolean

from .._errors import RelevoError
from .._names import MAX_SLOT_NAME, PORT, VOLUMES, slot_name, version_fault
from .._server.peer import Peer

DEFAULT = "main"
VERSION = "postgresql_version"
SERVICE_MANAGERS = ("runit", "systemd")
EVERYWHERE = ("0.0.0.0", "::")
#: The groups whose hosts clusters are made of. A host of several is what the first of them says.
GROUPS = ("postgres", "pgbackrest", "redis", "haproxy")
#: Those whose hosts have a key and a certificate.
IDENTIFIED = frozenset({"postgres", "pgbackrest", "haproxy"})

#: How many clusters a play may be about: ``all`` of them when none is named; several, but ``named``; or ``one``.
Choice = Literal["all", "named", "one"]
Groups = Mapping[str, Sequence[str]]
HostVars = Mapping[str, Mapping[str, Any]]

#: Variables of the role ``postgresql`` that the server's files do not depend on. Not every play is given the secrets.
SHAPE_NO_FILE = ("postgresql_databases", "postgresql_secrets_given", "postgresql_seed_files", "postgresql_users")


@dataclass(frozen=True)
class Cluster:
    """A cluster as the inventory describes it; ``repository`` and ``redis`` are empty where it has none. ``proxies``:
    the hosts with HAProxy in front of it."""

    name: str
    nodes: list[Peer]
    preferred: list[str]
    repository: str
    redis: str
    proxies: list[str] = field(default_factory=list)

    @property
    def hosts(self) -> list[str]:
        """Everything that the cluster needs, the nodes first."""
        serving = [host for host in (self.repository, self.redis, *self.proxies) if host]
        return [node.name for node in self.nodes] + serving

    def parts_of(self, host: str) -> list[str]:
        """The groups of GROUPS that a host is in for this cluster."""
        is_part = {
            "postgres": any(node.name == host for node in self.nodes),
            "pgbackrest": host == self.repository,
            "redis": host == self.redis,
            "haproxy": host in self.proxies,
        }
        return [group for group in GROUPS if is_part[group]]

    def part_of(self, host: str) -> str:
        """The group of GROUPS that a host of this cluster is in for it, the first of several; what else it is to others
        does not count."""
        return next(iter(self.parts_of(host)), "haproxy")


def cluster_of(host: Mapping[str, Any]) -> str:
    return str(host.get("node_cluster") or DEFAULT)


def servers_of(cluster: str, names: Sequence[str], hostvars: HostVars) -> list[str]:
    """Those of these hosts of the group ``postgres`` that belong to a cluster, in their order.

    What ``inventory_check`` found at the start of the play is looked up where it is there: each host of a play asks
    this, several times, and asking all others for their variables each time would cost minutes with a thousand hosts.
    """
    found = hostvars["localhost"].get("inventory_check_found") if "localhost" in hostvars else None
    # Of this cluster alone: Ansible works out each value of a variable that is looked at.
    members = (found or {}).get("servers", {}).get(cluster)
    if members is not None:
        known = set(members)
        return [name for name in names if name in known]
    return [name for name in names if cluster_of(hostvars[name]) == cluster]


def serving(cluster: str, names: Sequence[str], hostvars: HostVars) -> str:
    """Which of a group's hosts serves a cluster; empty when none does."""
    return next(iter(all_serving(cluster, names, hostvars)), "")


def all_serving(cluster: str, names: Sequence[str], hostvars: HostVars) -> list[str]:
    """The hosts of a group that serve a cluster: those that name it, or else those that name none."""
    # The variables of a host cost 20 ms, and most inventories have one host of the kind.
    owners = {name: str(hostvars[name].get("node_cluster") or "") for name in names}
    own = [name for name, owner in owners.items() if owner == cluster]
    return own or [name for name, owner in owners.items() if not owner]


def address_of(name: str, host: Mapping[str, Any]) -> str:
    """How the other nodes reach a host."""
    return str(host.get("node_address") or name)


def address_fault(address: str) -> str:
    """Why a ``node_address`` cannot be one, and what to write; empty for a name or an address, IPv4 or IPv6."""
    if not address or re.search(r"[\s,/]", address):
        return "has more than an address. Give one name or address, without a length of its network"
    if "[" in address or "]" in address:
        return "is in brackets. Give the address alone"
    if address.count(":") == 1:
        return "has a port. Give the address alone, and PostgreSQL's port as postgresql_port"
    if ":" not in address:
        return ""
    try:
        found = ipaddress.IPv6Address(address)
    except ValueError:
        return "is not an address. Give a name, or an IPv4 or IPv6 address"
    if found.is_link_local:
        return "is valid on one link only, and means another machine on each. Give an address that all nodes share"
    return ""


def peer_of(name: str, host: Mapping[str, Any]) -> Peer:
    return Peer(name, address_of(name, host), int(host.get("postgresql_port") or PORT))


def entrance_of(name: str, host: Mapping[str, Any]) -> tuple[str, int] | None:
    """Address and port of a server as the controller reaches it; a container without a published port has none."""
    if host.get("node_kind", "ssh") != "docker":
        peer = peer_of(name, host)
        return peer.host, peer.port
    if not host.get("node_published_port"):
        return None
    address = str(host.get("docker_nodes_published_address", "127.0.0.1"))
    return "127.0.0.1" if address in EVERYWHERE else address, int(host["node_published_port"])


def also_in(host: str, groups: Groups, parts: Sequence[str]) -> list[str]:
    """The groups of GROUPS that a host is in besides those of ``parts``: what it goes on being without them."""
    return [group for group in GROUPS if group not in parts and host in groups.get(group, ())]


def members_of(names: Iterable[str], hostvars: HostVars) -> dict[str, dict[str, Mapping[str, Any]]]:
    """The variables of these hosts, by cluster and name, in their order."""
    clusters: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name in names:
        host = hostvars[name]
        clusters.setdefault(cluster_of(host), {})[name] = host
    return clusters


def is_preferred(host: Mapping[str, Any]) -> bool:
    """An INI inventory, and ``-e``, give texts: ``false`` is false there, too."""
    return boolean(host.get("node_preferred_primary", False), strict=False)


def clusters_of(groups: Groups, hostvars: HostVars) -> dict[str, Cluster]:
    """The clusters by name, in the order in which the inventory names them."""
    # Ansible puts a host's variables together anew each time that it is asked for them.
    hosts = {name: hostvars[name] for name in groups.get("postgres", [])}
    members: dict[str, list[str]] = {}
    for name, host in hosts.items():
        members.setdefault(cluster_of(host), []).append(name)
    return {
        cluster: Cluster(
            cluster,
            [peer_of(name, hosts[name]) for name in names],
            [name for name in names if is_preferred(hosts[name])],
            serving(cluster, groups.get("pgbackrest", []), hostvars),
            serving(cluster, groups.get("redis", []), hostvars),
            all_serving(cluster, groups.get("haproxy", []), hostvars),
        )
        for cluster, names in members.items()
    }


def same_settings(hostvars: HostVars, names: Iterable[str]) -> bool:
    """Whether the inventory gives these servers the same variables of ``postgresql``, and so the same files."""
    hosts = [hostvars[name] for name in names if name in hostvars]
    # Only these are looked up: Ansible works a value out when it is asked for, and may not be able to.
    given = [
        {key: host[key] for key in host if key.startswith("postgresql_") and key not in SHAPE_NO_FILE} for host in hosts
    ]
    return all(one == given[0] for one in given)


def version_faults(cluster: str, versions: Mapping[str, str]) -> list[str]:
    """What is wrong with the major versions of the nodes of one cluster, by node."""
    faults = [f"{name}: {fault}" for name, version in versions.items() if (fault := version_fault(version))]
    if not faults and len(set(versions.values())) > 1:
        given = ", ".join(f"{version} on {name}" for name, version in versions.items())
        faults.append(f'The nodes of the cluster "{cluster}" have several {VERSION}s: {given}. Give all of them one.')
    return faults


def slot_faults(names: Sequence[str]) -> list[str]:
    """What keeps the nodes of one cluster from having a replication slot each."""
    by_slot: dict[str, list[str]] = {}
    for name in names:
        by_slot.setdefault(slot_name(name), []).append(name)
    faults = [
        f"The replication slots of {' and '.join(owners)} would have the same name, {slot}. Rename all but one of "
        "them: in a slot's name every character but a-z, 0-9 and _ becomes _."
        for slot, owners in by_slot.items()
        if len(owners) > 1
    ]
    # It is also the application_name, of which PostgreSQL keeps ASCII only: nobody would see that this one streams.
    faults += [
        f"The name {name} has other characters than those of ASCII, by which no standby is found again. Rename the "
        "host in the inventory; its node_address may stay as it is."
        for name in names
        if not name.isascii()
    ]
    faults += [
        f"The name {owners[0]} is too long for a replication slot. Give it at most {MAX_SLOT_NAME} characters."
        for slot, owners in by_slot.items()
        if len(slot) > MAX_SLOT_NAME
    ]
    return faults


#: Variables that name a directory of a container's data, by the group that has it.
DIRECTORIES = {"pgbackrest": "pgbackrest_repo_path", "redis": "redis_data_dir"}


def volume_faults(group: str, name: str, host: Mapping[str, Any]) -> list[str]:
    """Why the data of a container would go with it, since they are not on its volume."""
    variable = DIRECTORIES.get(group, "")
    given = host.get(variable)
    if not given or host.get("node_kind") != "docker":
        return []
    volume, path = VOLUMES[group], PurePosixPath(posixpath.normpath(str(given)))
    if path.is_relative_to(volume):
        return []
    return [
        f"{name} is a container whose volume is {volume}, and {variable} is {given}: its data would go with the "
        f"container. Set {variable} to a directory below {volume}."
    ]


def faults_of(groups: Groups, hostvars: HostVars, required: Sequence[str], default_version: str) -> list[str]:
    """What is wrong with an inventory, a sentence or two for each fault; empty when nothing is.

    ``default_version`` is that of PostgreSQL where a host names none.
    """
    nodes, proxies = groups.get("postgres", []), groups.get("haproxy", [])
    servers = [*nodes, *groups.get("pgbackrest", [])]
    faults = [
        f'The inventory has no host in the group "{group}". Name an inventory that has the groups '
        f"{' and '.join(required)}, with -i; examples/hosts.example.yml shows one."
        for group in required
        if not groups.get(group)
    ]
    # Ansible puts a host's variables together anew each time that it is asked for them.
    hosts = {name: hostvars[name] for name in dict.fromkeys([*servers, *groups.get("redis", []), *proxies])}
    outdated = [name for name, host in hosts.items() if "cluster_name" in host]
    if outdated:
        # Ignored, it would put the hosts into the cluster main, with a new stanza that knows none of their backups.
        faults.append(
            f"The variable cluster_name is set ({', '.join(outdated)}). It is called node_cluster now: rename it in "
            "the inventory. On the command line it is -e cluster=NAME."
        )
        return faults
    for cluster in clusters_of(groups, hosts).values():
        if len(cluster.preferred) != 1:
            faults.append(
                f'The cluster "{cluster.name}" has {len(cluster.preferred)} preferred primaries. '
                'Set node_preferred_primary: true on exactly one of its hosts in the group "postgres".'
            )
        if groups.get("pgbackrest") and not cluster.repository:
            faults.append(
                f'No host of the group "pgbackrest" serves the cluster "{cluster.name}". Give it one with '
                f"node_cluster: {cluster.name}, or leave node_cluster out on one, which then serves all."
            )
        names = [node.name for node in cluster.nodes]
        faults += slot_faults(names)
        faults += version_faults(cluster.name, {name: str(hosts[name].get(VERSION, default_version)) for name in names})
    faults += [
        f"{name}: the node_address {address_of(name, host)} {fault}."
        for name, host in hosts.items()
        if (fault := address_fault(address_of(name, host)))
    ]
    faults += [
        f"{name} has no node_service_manager. Set it to runit (our container image) or systemd."
        for name in dict.fromkeys(servers)
        if hosts[name].get("node_service_manager") not in SERVICE_MANAGERS
    ]
    for group in DIRECTORIES:
        for name in groups.get(group, []):
            faults += volume_faults(group, name, hosts[name])
    return faults


def choose(known: Sequence[str], wanted: str, choice: Choice) -> list[str]:
    """The clusters that a play is about, in the order of the inventory.

    ``wanted`` is what was typed: a name, or several with commas between them where ``choice`` allows that.
    """
    asked = [name.strip() for name in wanted.split(",") if name.strip()]
    have = f"The inventory has {', '.join(known)}"
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise RelevoError(f"There is no cluster {unknown[0]}. {have}. Nothing was touched.")
    if not asked:
        if choice != "all" and len(known) > 1:
            raise RelevoError(
                f"{have}, and this play does not guess which one is meant. Nothing was touched. "
                f"Name it: -e cluster={known[0]}."
            )
        return list(known)
    if choice == "one" and len(set(asked)) > 1:
        raise RelevoError(
            f"This play is about one cluster at a time, and {', '.join(asked)} were named. Nothing was touched."
        )
    return [name for name in known if name in asked]
