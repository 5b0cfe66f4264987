"""Two clusters in one inventory, with one repository host and one Redis for both, and HAProxy where that is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cluster import ROOT

SHARED_VARIABLES = yaml.safe_load((ROOT / "molecule" / "inventory.yml").read_text())["all"]["vars"]


@dataclass(frozen=True)
class TwoClusters:
    """north and south. ``name``: of their network, with which all names begin; ``port``: where Redis is published;
    ``proxied``: whether one HAProxy is in front of both."""

    name: str
    port: int
    proxied: bool = False

    @property
    def clusters(self) -> Mapping[str, tuple[str, str]]:
        """The pairs of servers, each with its preferred primary first."""
        return {cluster: (f"{self.name}_{cluster[0]}1", f"{self.name}_{cluster[0]}2") for cluster in ("north", "south")}

    @property
    def repository(self) -> str:
        return f"{self.name}_pgbackrest"

    @property
    def redis(self) -> str:
        return f"{self.name}_redis"

    @property
    def proxy(self) -> str:
        return f"{self.name}_proxy"

    @property
    def proxy_ports(self) -> Mapping[str, tuple[int, int]]:
        """Where HAProxy leads to a cluster's primary, and to its standby. In front of two, nothing is published."""
        return {"north": (5000, 5001), "south": (5002, 5003)}

    @property
    def folder(self) -> Path:
        """What holds the inventory, and beside it the secrets."""
        return ROOT / ".cache" / "clusters" / self.name

    def write_inventory(self) -> Path:
        """The repository host and Redis name no cluster, so they serve both."""
        servers: dict[str, Any] = {
            node: {"node_cluster": name, "node_preferred_primary": node == nodes[0]}
            for name, nodes in self.clusters.items()
            for node in nodes
        }
        redis = {self.redis: {"node_published_port": self.port}}
        groups = {"postgres": servers, "pgbackrest": {self.repository: {}}, "redis": redis}
        if self.proxied:
            for node in servers.values():
                node["haproxy_port"], node["haproxy_read_only_port"] = self.proxy_ports[node["node_cluster"]]
            groups["haproxy"] = {self.proxy: {}}
        variables = SHARED_VARIABLES | {"docker_nodes_network": self.name, "postgresql_seed_files": []}
        inventory = {"all": {"children": {name: {"hosts": hosts} for name, hosts in groups.items()}, "vars": variables}}
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "inventory.yml"
        path.write_text(yaml.safe_dump(inventory, sort_keys=False))
        return path
