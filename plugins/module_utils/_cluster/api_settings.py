# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control API is told, worked out from the inventory and the variables of its role. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._errors import RelevoError
from .inventory import Groups, HostVars, clusters_of, entrance_of

LOOPBACK_NAMES = ("localhost",)
#: The keys that the service knows, by variable: those of its ``AWX_TEMPLATES`` and ``Limits``, which no plugin imports.
KNOWN_KEYS = {
    "awx_templates": (
        "status",
        "catalog",
        "catalog_check",
        "backup",
        "failover",
        "failback",
        "rejoin",
        "cleanup",
        "restore",
        "restore_in_place",
        "drill",
    ),
    "limits": ("body_bytes", "body_s", "rate", "burst", "refusals", "connections"),
}


@dataclass(frozen=True)
class ApiSettings:
    """``settings`` is the service's file, ``watch`` the watcher's; ``groups`` are those that its user needs."""

    settings: dict[str, Any]
    watch: dict[str, Any]
    groups: list[str]


def is_loopback(address: str) -> bool:
    if address in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def fault_of(given: Mapping[str, Any]) -> str:
    """Why these variables cannot be meant; empty when they can."""
    certificate, key = given.get("tls_certificate"), given.get("tls_key")
    if bool(certificate) != bool(key):
        return (
            "One of control_api_tls_certificate and control_api_tls_key is set, and the other is not. Set both or none."
        )
    if given.get("tls_client_authority") and not certificate:
        return (
            "control_api_tls_client_authority asks clients for certificates, and TLS is off. "
            "Set control_api_tls_certificate."
        )
    if not is_loopback(given["listen"]) and not certificate and not given["plain_http"]:
        return (
            f"control_api_listen is {given['listen']}, where tokens would travel in the clear. Set "
            "control_api_tls_certificate and control_api_tls_key, or control_api_plain_http=true behind a proxy "
            "that does TLS."
        )
    if given["open_legacy"] and (given["plain_http"] or not is_loopback(given["listen"])):
        return (
            "control_api_open_legacy serves this machine without a token, and with control_api_plain_http, or a "
            "control_api_listen that others reach, a proxy may stand here whose requests are anybody's. Set "
            "control_api_open_legacy=false, and give a token to who asks."
        )
    if given["backend"] == "awx" and not (given.get("awx_url") and given.get("awx_token_file")):
        return "control_api_backend is awx, and control_api_awx_url or control_api_awx_token_file is missing. Set both."
    for network in given["health_from"]:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            return f"{network} in control_api_health_from is not a network. Write it as 10.0.0.0/24."
    for variable, known in KNOWN_KEYS.items():
        if unknown := sorted(map(str, set(given.get(variable) or {}) - set(known))):
            return f"control_api_{variable} has {', '.join(unknown)}, which is not known. It takes {', '.join(known)}."
    return ""


def api_settings(groups: Groups, hostvars: HostVars, given: Mapping[str, Any]) -> ApiSettings:
    """``given``: the role's variables without its name, and the paths that its tasks found out. Raises RelevoError."""
    if fault := fault_of(given):
        raise RelevoError(f"{fault} Nothing was changed.")
    hosts = {name: hostvars[name] for name in groups.get("postgres", [])}
    clusters = [
        {
            "name": cluster.name,
            "preferred": next(iter(cluster.preferred), ""),
            "nodes": [_node(node.name, node.host, node.port, hosts[node.name]) for node in cluster.nodes],
        }
        for cluster in clusters_of(groups, hostvars).values()
    ]
    kept = (
        "listen",
        "port",
        "state_directory",
        "playbooks",
        "project_directory",
        "secrets_directory",
        "watcher",
        "open_legacy",
        "allowed_hosts",
        "health_from",
        "tls_certificate",
        "tls_key",
        "tls_client_authority",
        "keep_jobs",
        "limits",
    )
    settings = {name: given[name] for name in kept}
    watch = {
        "passfile": given["passfile"],
        "authority": given["authority"],
        "clusters": [{"name": one["name"], "nodes": one["nodes"]} for one in clusters],
    }
    containers = any(host.get("node_kind") == "docker" for host in hosts.values())
    return ApiSettings(
        {**settings, "backend": _backend(given), "clusters": clusters}, watch, ["docker"] if containers else []
    )


def _node(name: str, host: str, port: int, variables: Mapping[str, Any]) -> dict[str, Any]:
    address, reached = entrance_of(name, variables) or (host, port)
    return {"name": name, "host": host, "address": address, "port": reached}


def _backend(given: Mapping[str, Any]) -> dict[str, Any]:
    if given["backend"] == "awx":
        return {
            "kind": "awx",
            "url": given["awx_url"],
            "token_file": given["awx_token_file"],
            "authority": given.get("awx_authority") or "",
            "templates": dict(given.get("awx_templates") or {}),
            "organization": str(given.get("awx_organization") or "Default"),
        }
    return {
        "kind": "runner",
        "ansible_playbook": given["ansible_playbook"],
        "inventory": list(given["inventory"]),
        "ansible_config": given["ansible_config"] or "",
        "collections_path": given["collections_path"],
    }
