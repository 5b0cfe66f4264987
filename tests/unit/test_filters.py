"""The filters over the inventory."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.filter.cluster_nodes import cluster_nodes
from ansible_collections.relevo.postgres.plugins.filter.inventory_faults import inventory_faults
from ansible_collections.relevo.postgres.plugins.filter.preferred_primaries import preferred_primaries

HOSTVARS: dict[str, dict[str, Any]] = {
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


def test_a_good_inventory_has_no_fault() -> None:
    groups = {"postgres": ["a", "b"], "pgbackrest": ["r"]}
    hostvars: dict[str, dict[str, Any]] = {name: {"node_service_manager": "runit"} for name in "abr"}
    hostvars["a"]["node_preferred_primary"] = True
    assert inventory_faults(groups, hostvars, ["postgres", "pgbackrest"]) == []


def test_each_fault_of_an_inventory_is_named() -> None:
    faults = inventory_faults(
        {"postgres": ["a", "b"]}, {"a": {"node_service_manager": "cron"}, "b": {}}, ["pgbackrest"]
    )
    assert [fault.split(". ")[0] for fault in faults] == [
        'The inventory has no host in the group "pgbackrest"',
        'The cluster "main" has 0 preferred primaries',
        "a has no node_service_manager",
        "b has no node_service_manager",
    ]
