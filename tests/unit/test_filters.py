"""The filters over the inventory."""

from __future__ import annotations

from ansible_collections.relevo.postgres.plugins.filter.cluster_nodes import cluster_nodes
from ansible_collections.relevo.postgres.plugins.filter.preferred_primaries import preferred_primaries

HOSTVARS = {
    "a": {"node_preferred_primary": True},
    "b": {"node_address": "10.0.0.2", "node_port": "6432"},
    "c": {"cluster_name": "other", "node_preferred_primary": True},
}


def test_the_nodes_of_a_cluster() -> None:
    assert cluster_nodes(["a", "b", "c"], HOSTVARS) == [
        {"name": "a", "host": "a", "port": 5432},
        {"name": "b", "host": "10.0.0.2", "port": 6432},
    ]
    assert [node["name"] for node in cluster_nodes(["a", "b", "c"], HOSTVARS, "other")] == ["c"]


def test_the_preferred_primaries_by_cluster() -> None:
    assert preferred_primaries(["a", "b", "c"], HOSTVARS) == {"main": ["a"], "other": ["c"]}
