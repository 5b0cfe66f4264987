# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy in front of a cluster: which clusters a host serves, on which ports, and how its checks ask a server.

A check is what a client does when it logs in, over TLS and with the proxy's certificate: the server says by itself
whether it is a standby (``in_hot_standby``, which PostgreSQL reports to every client since 14). Nothing has to run
beside the server for it. HAProxy can begin with TLS at once only, which a server understands from ``SINCE`` on.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._names import CHECK_ROLE, PROXY_PORT, PROXY_READ_ONLY_PORT, with_port
from .inventory import EVERYWHERE, GROUPS, SERVICE_MANAGERS, Cluster, Groups, HostVars, address_of, clusters_of

#: Where primaries and standbys are reached, when the inventory does not say otherwise. As the role ``haproxy`` has it.
PORT, READ_ONLY_PORT = PROXY_PORT, PROXY_READ_ONLY_PORT
#: The first major version that takes TLS from the first byte (its release notes: ``sslnegotiation=direct``).
SINCE = 17
#: The protocol's version 3.0, and the message that ends a session.
_VERSION, _TERMINATE = 0x30000, b"X\0\0\0\x04"
#: What a server says of itself after a login; ReadyForQuery, idle; and the error "too many connections".
_STANDBY, _READY, _TOO_MANY = "in_hot_standby", b"Z\0\0\0\x05I", b"C53300\0"


@dataclass(frozen=True)
class Served:
    """A cluster behind a proxy. ``servers``: name, address with port, and whether the address is a name."""

    cluster: str
    port: int
    read_only_port: int
    servers: Sequence[Mapping[str, Any]]


def ports_of(node: Mapping[str, Any], proxy: Mapping[str, Any]) -> tuple[int, int]:
    """The ports of a cluster on a proxy: those of the cluster's nodes, so that clusters on one host can differ, or
    else those of the proxy."""
    given = ((name, default) for name, default in (("haproxy_port", PORT), ("haproxy_read_only_port", READ_ONLY_PORT)))
    first, second = (int(node.get(name) or proxy.get(name) or default) for name, default in given)
    return first, second


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def served(host: str, groups: Groups, hostvars: HostVars, without: str = "", gone: Sequence[str] = ()) -> list[Served]:
    """What a host of the group ``haproxy`` serves. ``without``: a cluster that is being removed, ``gone``: nodes
    that are."""
    found = []
    for cluster in clusters_of(groups, hostvars).values():
        if host not in cluster.proxies or cluster.name == without:
            continue
        port, read_only = ports_of(hostvars[cluster.nodes[0].name], hostvars[host])
        servers = [
            {
                "name": node.name,
                "place": with_port(node.host, node.port),
                # HAProxy's own resolver asks DNS alone, and drops what that has not known for some weeks. A machine's
                # name may be known to /etc/hosts only, and its address stays.
                "resolves": _is_name(node.host) and hostvars[node.name].get("node_kind") == "docker",
            }
            for node in cluster.nodes
            if node.name not in gone
        ]
        found.append(Served(cluster.name, port, read_only, servers))
    return found


def _container_faults(
    proxy: str, host: Mapping[str, Any], clusters: Sequence[Cluster], hostvars: HostVars
) -> list[str]:
    """What a container cannot be: more than one kind of host, and in front of more than its published ports lead to."""
    if host.get("node_kind", "ssh") != "docker" or not host.get("node_published_port"):
        return []
    behind = [cluster for cluster in clusters if proxy in cluster.proxies]
    if len(behind) > 1:
        names = " and ".join(cluster.name for cluster in behind)
        return [
            f"{proxy} is a container, which publishes one pair of ports, and is in front of {names}: only one of them "
            "could be reached. Give each cluster a host of the group haproxy that names it in node_cluster, with ports "
            "of its own (node_published_port, node_published_read_only_port)."
        ]
    wrong = [one for one in behind if ports_of(hostvars[one.nodes[0].name], host) != ports_of({}, host)]
    return [
        f"{proxy} is a container, whose published ports lead to what is set for it, and the hosts of {one.name} have "
        f"another haproxy_port or haproxy_read_only_port. Set these for {proxy} alone."
        for one in wrong
    ]


def shared_container_faults(groups: Groups, hostvars: HostVars) -> list[str]:
    """The containers that are in the group ``haproxy`` and in another one: the image of a container has one program."""
    faults = []
    for proxy in groups.get("haproxy", []):
        others = [group for group in GROUPS if group != "haproxy" and proxy in groups.get(group, [])]
        if others and hostvars[proxy].get("node_kind", "ssh") == "docker":
            faults.append(
                f"{proxy} is a container and in the groups haproxy and {' and '.join(others)}: its image would be made "
                f"for {others[0]} alone. Give HAProxy a host of its own, or make {proxy} a machine."
            )
    return faults


def proxy_faults(clusters: Sequence[Cluster], hostvars: HostVars, default_version: str) -> list[str]:
    """What is wrong with the proxies of an inventory, in sentences."""
    proxies = dict.fromkeys(proxy for cluster in clusters for proxy in cluster.proxies)
    faults = [fault for one in proxies for fault in _container_faults(one, hostvars[one], clusters, hostvars)]
    taken: dict[tuple[str, int], str] = {}
    for cluster in clusters:
        first = hostvars[cluster.nodes[0].name]
        version = str(first.get("postgresql_version", default_version))
        if cluster.proxies and version.isdecimal() and int(version) < SINCE:
            faults.append(
                f'The cluster "{cluster.name}" has PostgreSQL {version}, and HAProxy can ask a server who it is since '
                f"PostgreSQL {SINCE}. Take {', '.join(cluster.proxies)} out of the group haproxy, and let clients name "
                "all nodes (docs/reference/connect.md)."
            )
        for proxy in cluster.proxies:
            if hostvars[proxy].get("node_service_manager") not in SERVICE_MANAGERS:
                faults.append(
                    f"{proxy} has no node_service_manager. Set it to runit (our container image) or systemd, or take "
                    "it out of the group haproxy."
                )
            for port in ports_of(first, hostvars[proxy]):
                owner = taken.setdefault((proxy, port), cluster.name)
                if owner != cluster.name or ports_of(first, hostvars[proxy]).count(port) > 1:
                    users = " and ".join(dict.fromkeys((owner, cluster.name)))
                    faults.append(
                        f"Port {port} of {proxy} would be used twice, by {users}."
                        " Give the hosts of one cluster another haproxy_port and haproxy_read_only_port."
                    )
    return list(dict.fromkeys(faults))


def startup() -> str:
    """What a check sends, in hex: a login in the role of ours, and goodbye.

    Both at once: the server's answer is whole when it closes the connection, so that HAProxy does not wait for more of
    it, and the server's log has nothing of a client that vanished.
    """
    given = {"user": CHECK_ROLE, "database": "postgres", "application_name": "relevo_haproxy"}
    body = struct.pack(">I", _VERSION) + b"".join(f"{key}\0{value}\0".encode() for key, value in given.items()) + b"\0"
    return (struct.pack(">I", len(body) + 4) + body + _TERMINATE).hex()


def in_recovery(answer: str) -> str:
    """What the server's answer has for a standby (``on``) or a primary (``off``), in hex."""
    return f"{_STANDBY}\0{answer}\0".encode().hex()


def ready() -> str:
    """The end of a login that worked, in hex."""
    return _READY.hex()


def an_answer() -> str:
    """A pattern for either end of a login that tells something, for HAProxy's ``rbinary``: in capitals."""
    return f"({_READY.hex()}|{_TOO_MANY.hex()})".upper()


def entrance_of_proxy(name: str, host: Mapping[str, Any], node: Mapping[str, Any]) -> tuple[str, int, int] | None:
    """Where the controller reaches a cluster through a proxy: address, port, and port for reading, 0 where that cannot
    be reached. None for a container without a published port. ``node``: the variables of the cluster's first node."""
    if host.get("node_kind", "ssh") != "docker":
        return (address_of(name, host), *ports_of(node, host))
    if not host.get("node_published_port"):
        return None
    address = str(host.get("docker_nodes_published_address", "127.0.0.1"))
    outside = "127.0.0.1" if address in EVERYWHERE else address
    return outside, int(host["node_published_port"]), int(host.get("node_published_read_only_port") or 0)
