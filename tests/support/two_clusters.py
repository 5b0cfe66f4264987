"""Two clusters in one inventory, with one repository host and one Redis for both."""

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
    """north and south. ``name``: of their network, with which all names begin; ``port``: where Redis is published."""

    name: str
    port: int

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
        variables = SHARED_VARIABLES | {"docker_nodes_network": self.name, "postgresql_seed_files": []}
        inventory = {"all": {"children": {name: {"hosts": hosts} for name, hosts in groups.items()}, "vars": variables}}
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "inventory.yml"
        path.write_text(yaml.safe_dump(inventory, sort_keys=False))
        return path
