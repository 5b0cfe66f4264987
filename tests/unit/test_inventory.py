# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clusters of an inventory, what is wrong with it, and which clusters a play is about."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.filter.postgresql_paths import default_version
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import (
    Cluster,
    address_fault,
    choose,
    clusters_of,
    faults_of,
    same_settings,
    serving,
    volume_faults,
)
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._names import slot_name
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer

RUNIT = {"node_service_manager": "runit"}
GROUPS = {"postgres": ["a1", "a2", "b1"], "pgbackrest": ["r"], "redis": ["c"]}
HOSTS: dict[str, dict[str, Any]] = {
    "a1": {"node_cluster": "a", "node_preferred_primary": True, **RUNIT},
    "a2": {"node_cluster": "a", "node_address": "10.0.0.2", "postgresql_port": "6432", **RUNIT},
    "b1": {"node_cluster": "b", "node_preferred_primary": True, **RUNIT},
    "r": RUNIT,
    "c": RUNIT,
}


def test_two_clusters_may_share_a_repository_host_and_a_redis() -> None:
    found = clusters_of(GROUPS, HOSTS)
    assert list(found) == ["a", "b"]
    assert [(node.name, node.host, node.port) for node in found["a"].nodes] == [
        ("a1", "a1", 5432),
        ("a2", "10.0.0.2", 6432),
    ]
    assert found["a"].preferred == ["a1"]
    assert {cluster.repository for cluster in found.values()} == {"r"}
    assert found["b"].hosts == ["b1", "r", "c"]


def test_a_host_that_names_a_cluster_serves_no_other() -> None:
    hosts = {"r": {}, "s": {"node_cluster": "b"}}
    assert serving("a", ["s", "r"], hosts) == "r"
    assert serving("b", ["r", "s"], hosts) == "s"
    assert serving("a", ["s"], hosts) == ""
    assert serving("a", [], hosts) == ""


def test_a_good_inventory_has_no_fault() -> None:
    groups = {"postgres": ["a", "b"], "pgbackrest": ["r"]}
    hostvars: dict[str, dict[str, Any]] = {name: {"node_service_manager": "runit"} for name in "abr"}
    hostvars["a"]["node_preferred_primary"] = True
    assert faults_of(groups, hostvars, ["postgres", "pgbackrest"], "17") == []


@pytest.mark.parametrize(
    ("group", "variables", "refused"),
    [
        ("pgbackrest", {"pgbackrest_repo_path": "/var/lib/pgbackrest/shop"}, False),
        ("pgbackrest", {"pgbackrest_repo_path": "/srv/backup"}, True),
        ("pgbackrest", {"pgbackrest_repo_path": "/var/lib/pgbackrest/../backup"}, True),
        ("pgbackrest", {"pgbackrest_repo_path": "/var/lib/pgbackrest2"}, True),
        ("pgbackrest", {}, False),
        ("redis", {"redis_data_dir": "/data"}, True),
        ("redis", {"redis_data_dir": "/var/lib/redis/"}, False),
    ],
)
def test_the_data_of_a_container_are_on_its_volume(group: str, variables: dict[str, str], refused: bool) -> None:
    assert bool(volume_faults(group, "n", {"node_kind": "docker", **variables})) == refused
    # A machine has its own disks.
    assert volume_faults(group, "n", {"node_kind": "ssh", **variables}) == []


def test_each_fault_of_an_inventory_is_named() -> None:
    faults = faults_of({"postgres": ["a", "b"]}, {"a": {"node_service_manager": "cron"}, "b": {}}, ["pgbackrest"], "17")
    assert [fault.split(". ")[0] for fault in faults] == [
        'The inventory has no host in the group "pgbackrest"',
        'The cluster "main" has 0 preferred primaries',
        "a has no node_service_manager",
        "b has no node_service_manager",
    ]


def test_a_cluster_without_a_repository_host_is_a_fault() -> None:
    hosts = HOSTS | {"r": RUNIT | {"node_cluster": "a"}}
    (fault,) = faults_of(GROUPS, hosts, ["postgres"], "17")
    assert fault.startswith('No host of the group "pgbackrest" serves the cluster "b".')


@pytest.mark.parametrize("where", ["a2", "r", "c"])
def test_the_former_name_of_the_variable_is_refused_with_the_new_one(where: str) -> None:
    """Ignored, it would found a new stanza that knows none of the backups."""
    hosts = HOSTS | {where: HOSTS[where] | {"cluster_name": "shop"}}
    (fault,) = faults_of(GROUPS, hosts, ["postgres"], "17")
    assert f"cluster_name is set ({where}). It is called node_cluster now" in fault
    assert "-e cluster=NAME" in fault


@pytest.mark.parametrize("choice", ["all", "named", "one"])
def test_nobody_has_to_name_the_only_cluster(choice: Any) -> None:
    assert choose(["shop"], "", choice) == ["shop"]
    assert choose(["shop"], "shop", choice) == ["shop"]


def test_what_looks_takes_all_and_what_changes_wants_a_name() -> None:
    assert choose(["a", "b"], "", "all") == ["a", "b"]
    for choice in ("named", "one"):
        with pytest.raises(RelevoError, match="The inventory has a, b, .* Name it: -e cluster=a"):
            choose(["a", "b"], "", choice)


def test_several_are_named_with_commas_where_several_may_be() -> None:
    assert choose(["a", "b", "c"], "c, a", "named") == ["a", "c"]
    with pytest.raises(RelevoError, match="one cluster at a time, and c, a were named"):
        choose(["a", "b", "c"], "c,a", "one")


def test_an_unknown_name_is_refused_with_the_list() -> None:
    with pytest.raises(RelevoError, match="There is no cluster x. The inventory has a, b. Nothing was touched."):
        choose(["a", "b"], "x", "all")


def faults_of_names(*names: str, **variables: dict[str, str]) -> list[str]:
    hostvars = {name: {"node_service_manager": "systemd", **variables.get(name, {})} for name in names}
    hostvars[names[0]]["node_preferred_primary"] = "true"
    return faults_of({"postgres": list(names)}, hostvars, ["postgres"], default_version())


def test_names_of_one_slot_are_refused() -> None:
    assert faults_of_names("db-1", "db_1", "db-2") == [
        "The replication slots of db-1 and db_1 would have the same name, db_1. Rename all but one of them: "
        "in a slot's name every character but a-z, 0-9 and _ becomes _."
    ]
    # PostgreSQL takes no letter beyond ASCII, so these are one slot too.
    assert "cañón and ca_ón" in faults_of_names("cañón", "ca_ón")[0]
    assert faults_of_names("db1", "db2", "DB3") == []


def test_a_name_that_postgresql_would_write_otherwise_is_refused() -> None:
    """By its application_name a standby is found in pg_stat_replication."""
    [fault] = faults_of_names("cañón", "b")
    assert fault.startswith("The name cañón has other characters than those of ASCII")


def test_a_name_too_long_for_a_slot_is_refused() -> None:
    assert faults_of_names("a" * 63, "b") == []
    assert "too long for a replication slot" in faults_of_names("a" * 64, "b")[0]


def test_two_clusters_may_have_the_same_slots() -> None:
    """Each has servers of its own."""
    hostvars = {
        "db-1": {"node_service_manager": "runit", "node_preferred_primary": True},
        "db_1": {"node_service_manager": "runit", "node_preferred_primary": True, "node_cluster": "other"},
    }
    assert faults_of({"postgres": ["db-1", "db_1"]}, hostvars, ["postgres"], default_version()) == []


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
        "a: postgresql_version is 17.2. Give a major version alone, 15 or newer."
    ]
    assert "a: postgresql_version is 14." in faults_of_names("a", a={"postgresql_version": "14"})[0]
    assert faults_of_names("a", "b", a={"postgresql_version": "19"}, b={"postgresql_version": "18"}) == [
        'The nodes of the cluster "main" have several postgresql_versions: 19 on a, 18 on b. Give all of them one.'
    ]


@pytest.mark.parametrize("address", ["db1", "db1.example.org", "10.0.0.5", "fd00::12", "2001:db8:0:0:0:0:0:1", "::1"])
def test_a_name_or_an_address_of_either_family_is_one(address: str) -> None:
    assert address_fault(address) == ""


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("[fd00::12]", "is in brackets"),
        ("[fd00::12]:5432", "is in brackets"),
        ("10.0.0.5:5432", "as postgresql_port"),
        ("db1:5432", "as postgresql_port"),
        ("fd00::12/64", "without a length of its network"),
        ("10.0.0.5, 10.0.0.6", "more than an address"),
        ("fd00::1::2", "is not an address"),
        ("fe80::1%eth0", "valid on one link only"),
        ("fe80::1", "valid on one link only"),
    ],
)
def test_what_is_typed_instead_of_an_address_is_a_fault(address: str, said: str) -> None:
    assert said in address_fault(address)
    hosts = {**HOSTS, "a2": {**HOSTS["a2"], "node_address": address}}
    found = faults_of(GROUPS, hosts, ["postgres"], "17")
    assert any(f"a2: the node_address {address} " in fault and said in fault for fault in found)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({}, {}, True),
        ({"postgresql_parameters": {"jit": "off"}}, {"postgresql_parameters": {"jit": "off"}}, True),
        ({"postgresql_parameters": {"jit": "off"}}, {}, False),
        ({"postgresql_hba": []}, {"postgresql_hba": [{"user": "x"}]}, False),
        # What has nothing to do with the server's files.
        ({"postgresql_users": [{"name": "x"}]}, {}, True),
        ({"node_address": "10.0.0.1"}, {"node_address": "10.0.0.2"}, True),
    ],
)
def test_whether_the_inventory_gives_all_nodes_the_same_settings(
    first: dict[str, Any], second: dict[str, Any], same: bool
) -> None:
    assert same_settings({"a": first, "b": second, "c": {"postgresql_port": 1}}, ["a", "b", "gone"]) is same


def test_a_variable_that_cannot_be_worked_out_is_not_asked_for() -> None:
    class Lazy(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            if key in ("postgresql_users", "other"):
                raise KeyError(f"{key} needs a secret that this play was not given")
            return super().__getitem__(key)

    host = Lazy(postgresql_users=[], other="", postgresql_port=5432)
    assert same_settings({"a": host, "b": host}, ["a", "b"])


def test_a_host_has_the_part_that_it_has_in_this_cluster() -> None:
    """It may be another cluster's repository host and this one's proxy."""
    peers = [Peer(name, name) for name in ("a1", "a2")]
    mine = Cluster("a", peers, ["a1"], "repo_a", "cache", ["repo_b", "b1"])
    hosts = ("a2", "repo_a", "cache", "repo_b", "b1")
    assert [mine.part_of(host) for host in hosts] == ["postgres", "pgbackrest", "redis", "haproxy", "haproxy"]


@pytest.mark.parametrize(
    ("repository", "redis", "proxies", "host", "parts"),
    [
        ("r", "r", [], "r", ["pgbackrest", "redis"]),
        ("r", "r", ["r"], "r", ["pgbackrest", "redis", "haproxy"]),
        ("r", "c", ["r"], "r", ["pgbackrest", "haproxy"]),
        ("r", "c", ["c"], "c", ["redis", "haproxy"]),
        ("r", "a1", ["a1"], "a1", ["postgres", "redis", "haproxy"]),
    ],
)
def test_a_host_of_several_parts_is_what_the_first_says(
    repository: str, redis: str, proxies: list[str], host: str, parts: list[str]
) -> None:
    """Taken for Redis alone, a repository host would be upgraded without the other hosts' pgBackRest."""
    cluster = Cluster("a", [Peer("a1", "a1")], ["a1"], repository, redis, proxies)
    assert cluster.parts_of(host) == parts
    assert cluster.part_of(host) == parts[0]
