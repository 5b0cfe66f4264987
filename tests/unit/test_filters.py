"""The filters over the inventory."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.filter.cluster_nodes import cluster_nodes
from ansible_collections.relevo.postgres.plugins.filter.inventory_faults import inventory_faults
from ansible_collections.relevo.postgres.plugins.filter.postgresql_paths import default_version
from ansible_collections.relevo.postgres.plugins.filter.preferred_primaries import preferred_primaries
from ansible_collections.relevo.postgres.plugins.module_utils._names import slot_name

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


def faults_of_names(*names: str, **variables: dict[str, str]) -> list[str]:
    hostvars = {name: {"node_service_manager": "systemd", **variables.get(name, {})} for name in names}
    hostvars[names[0]]["node_preferred_primary"] = "true"
    return inventory_faults({"postgres": list(names)}, hostvars, ["postgres"])


def test_names_of_one_slot_are_refused() -> None:
    assert faults_of_names("db-1", "db_1", "db-2") == [
        "The replication slots of db-1 and db_1 would have the same name, db_1. Rename all but one of them: "
        "in a slot's name every character but a-z, 0-9 and _ becomes _."
    ]
    # PostgreSQL takes no letter beyond ASCII, so these are one slot too.
    assert "cañón and ca_ón" in faults_of_names("cañón", "ca_ón")[0]
    assert faults_of_names("db1", "db2", "DB3") == []


def test_a_name_too_long_for_a_slot_is_refused() -> None:
    assert faults_of_names("a" * 63, "b") == []
    assert "too long for a replication slot" in faults_of_names("a" * 64, "b")[0]


def test_two_clusters_may_have_the_same_slots() -> None:
    """Each has servers of its own."""
    hostvars = {
        "db-1": {"node_service_manager": "runit", "node_preferred_primary": True},
        "db_1": {"node_service_manager": "runit", "node_preferred_primary": True, "cluster_name": "other"},
    }
    assert inventory_faults({"postgres": ["db-1", "db_1"]}, hostvars, ["postgres"]) == []


@pytest.mark.parametrize(
    ("node", "slot"), [("postgres_slave", "postgres_slave"), ("DB-1.example", "db_1_example"), ("señal", "se_al")]
)
def test_the_slot_of_a_node(node: str, slot: str) -> None:
    assert slot_name(node) == slot


def test_the_versions_of_a_cluster() -> None:
    """As numbers or as text, but major versions, new enough, and one for all nodes."""
    assert faults_of_names("a", "b", a={"postgresql_version": 18}, b={"postgresql_version": "18"}) == []  # type: ignore[dict-item]
    assert faults_of_names("a", "b", a={"postgresql_version": default_version()}) == []
    assert faults_of_names("a", a={"postgresql_version": "17.2"}) == [
        "a: postgresql_version is 17.2. Give a major version alone, 17 or newer."
    ]
    assert "a: postgresql_version is 16." in faults_of_names("a", a={"postgresql_version": "16"})[0]
    assert faults_of_names("a", "b", a={"postgresql_version": "19"}, b={"postgresql_version": "18"}) == [
        'The nodes of the cluster "main" have several postgresql_versions: 19 on a, 18 on b. Give all of them one.'
    ]


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
