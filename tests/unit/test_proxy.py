"""HAProxy in front of a cluster: whom it serves, on which ports, and how its checks tell a primary from a standby."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.relevo.postgres.plugins.action import inventory_check
from ansible_collections.relevo.postgres.plugins.filter.connection_strings import connection_strings
from ansible_collections.relevo.postgres.plugins.filter.proxied_clusters import proxied_clusters
from ansible_collections.relevo.postgres.plugins.module_utils._cluster import proxy
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import all_serving, clusters_of
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes import container_plan

ROLES = Path(__file__).resolve().parents[2] / "roles"
NODE = {"node_service_manager": "systemd"}
HOSTS: dict[str, dict[str, Any]] = {
    "a1": {**NODE, "node_address": "192.0.2.1"},
    "a2": {**NODE, "node_address": "2001:db8::2", "postgresql_port": 6432},
    "b1": {**NODE, "node_kind": "docker", "node_cluster": "shop", "haproxy_port": 5100, "haproxy_read_only_port": 5101},
    "p": NODE,
}
GROUPS = {"postgres": ["a1", "a2", "b1"], "haproxy": ["p"]}


def served(host: str = "p", **changes: Any) -> list[proxy.Served]:
    return proxy.served(host, GROUPS, HOSTS, **changes)


def test_a_host_that_names_no_cluster_serves_all_on_their_own_ports() -> None:
    assert [(one.cluster, one.port, one.read_only_port) for one in served()] == [
        ("main", 5000, 5001),
        ("shop", 5100, 5101),
    ]
    assert served()[0].servers == [
        {"name": "a1", "place": "192.0.2.1:5432", "resolves": False},
        {"name": "a2", "place": "[2001:db8::2]:6432", "resolves": False},
    ]
    assert served()[1].servers == [{"name": "b1", "place": "b1:5432", "resolves": True}]


def test_the_address_of_a_machine_is_that_which_its_name_had() -> None:
    machines = HOSTS | {"b1": {**HOSTS["b1"], "node_kind": "ssh"}}
    [_, shop] = proxy.served("p", GROUPS, machines)
    assert shop.servers == [{"name": "b1", "place": "b1:5432", "resolves": False}]


def test_what_is_being_removed_is_left_out() -> None:
    assert [one.cluster for one in served(without="main")] == ["shop"]
    assert [server["name"] for server in served(gone=["a1"])[0].servers] == ["a2"]


@pytest.mark.parametrize(
    ("owners", "found"),
    [
        ({"p": "", "q": ""}, ["p", "q"]),
        ({"p": "main", "q": ""}, ["p"]),
        ({"p": "other", "q": ""}, ["q"]),
        ({"p": "other"}, []),
        ({}, []),
    ],
)
def test_who_is_in_front_of_a_cluster(owners: dict[str, str], found: list[str]) -> None:
    hosts = {name: {"node_cluster": owner} for name, owner in owners.items()}
    assert all_serving("main", list(owners), hosts) == found


def faults(**changes: Any) -> str:
    hosts = HOSTS | changes
    return " ".join(proxy.proxy_faults(list(clusters_of(GROUPS, hosts).values()), hosts, "17"))


def test_two_clusters_cannot_share_a_port() -> None:
    assert faults() == ""
    said = faults(b1={**NODE, "node_cluster": "shop", "haproxy_port": 5001})
    assert said.startswith("Port 5001 of p would be used twice, by main and shop. Give the hosts of one cluster")
    assert "Port 5001 of p would be used twice, by main." in faults(p={"haproxy_port": 5001})


def test_a_proxy_says_how_it_is_run() -> None:
    assert faults(p={}).startswith(
        "p has no node_service_manager. Set it to runit (our container image) or systemd, or"
    )


CONTAINER = {"node_kind": "docker", "node_service_manager": "runit", "node_published_port": 7000}


@pytest.mark.parametrize(
    ("proxy", "shop", "said"),
    [
        # A machine listens on all ports of its clusters; a container that publishes none is asked within its network.
        (NODE, {}, ""),
        (CONTAINER | {"node_published_port": None}, {}, ""),
        (
            CONTAINER,
            {},
            "p is a container, which publishes one pair of ports, and is in front of main and shop: only one",
        ),
        (CONTAINER | {"node_cluster": "main"}, {}, ""),
        (
            CONTAINER | {"node_cluster": "shop"},
            {},
            "p is a container, whose published ports lead to what is set for it, and the hosts of shop have another",
        ),
        (CONTAINER | {"node_cluster": "shop", "haproxy_port": 5100, "haproxy_read_only_port": 5101}, {}, ""),
        (CONTAINER | {"node_cluster": "shop"}, {"haproxy_port": "5000", "haproxy_read_only_port": 5001}, ""),
    ],
)
def test_what_a_container_can_publish(proxy: dict[str, Any], shop: dict[str, Any], said: str) -> None:
    assert faults(p=proxy, b1=HOSTS["b1"] | shop).startswith(said)
    assert bool(faults(p=proxy, b1=HOSTS["b1"] | shop)) == bool(said)


@pytest.mark.parametrize(
    ("kind", "groups", "said"),
    [
        ("docker", {"haproxy": ["p"]}, []),
        ("docker", {"haproxy": ["p"], "redis": ["other"]}, []),
        (
            "docker",
            {"haproxy": ["p"], "redis": ["p"]},
            ["p is a container and in the groups haproxy and redis: its image"],
        ),
        (
            "docker",
            {"haproxy": ["p"], "pgbackrest": ["p"]},
            ["groups haproxy and pgbackrest: its image would be made for"],
        ),
        (
            "docker",
            {"haproxy": ["p"], "postgres": ["p"], "redis": ["p"]},
            ["and postgres and redis: its image would be"],
        ),
        ("ssh", {"haproxy": ["p"], "redis": ["p"], "pgbackrest": ["p"]}, []),
    ],
)
def test_a_container_has_one_program(kind: str, groups: dict[str, list[str]], said: list[str]) -> None:
    found = proxy.shared_container_faults(groups, {"p": {"node_kind": kind}, "other": {}})
    assert len(found) == len(said)
    for fault, words in zip(found, said, strict=True):
        assert words in fault


@pytest.mark.parametrize(
    ("choice", "proxies", "refused"), [("one", True, True), ("one", False, False), ("all", False, False)]
)
def test_proxies_are_judged_where_that_is_asked_for(choice: str, proxies: bool, refused: bool) -> None:
    checked = inventory_check.ActionModule.__new__(inventory_check.ActionModule)
    hosts = {"a": NODE | {"node_preferred_primary": True}, "repo": NODE, "p": CONTAINER}
    checked._task_vars = {
        "groups": {"postgres": ["a"], "pgbackrest": ["repo"], "redis": ["p"], "haproxy": ["p"]},
        "hostvars": hosts,
    }
    options = {"groups": ["postgres"], "cluster": "", "choice": choice, "proxies": proxies, "python": False}
    options |= {"names": "ignore", "others": []}
    if refused:
        with pytest.raises(
            RelevoError, match=r"p is a container and in the groups haproxy and redis.*Nothing was touched"
        ):
            checked.work(options)
    else:
        assert checked.work(options)["clusters"] == ["main"]


@pytest.mark.parametrize(("version", "refused"), [("15", True), ("16", True), ("17", False), ("18", False)])
def test_a_server_must_take_tls_from_the_first_byte(version: str, refused: bool) -> None:
    said = faults(b1={**HOSTS["b1"], "postgresql_version": version})
    assert ('The cluster "shop" has PostgreSQL' in said) == refused
    without = {"postgres": ["b1"]}
    old = {"b1": {"postgresql_version": version}}
    assert proxy.proxy_faults(list(clusters_of(without, old).values()), old, "17") == []


def test_a_check_logs_in_and_says_goodbye() -> None:
    sent = bytes.fromhex(proxy.startup())
    length = int.from_bytes(sent[:4], "big")
    assert sent[4:8] == b"\0\x03\0\0"
    assert sent[8:length].split(b"\0")[:4] == [b"user", b"relevo_check", b"database", b"postgres"]
    assert sent[length:] == b"X\0\0\0\x04"


def parameter(name: str, value: str) -> bytes:
    body = f"{name}\0{value}\0".encode()
    return b"S" + (len(body) + 4).to_bytes(4, "big") + body


READY = b"Z\0\0\0\x05I"
FULL = b"E\0\0\0\x30SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0"
STARTING = b"E\0\0\0\x30SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"


@pytest.mark.parametrize(
    ("answer", "says_something", "ready", "role"),
    [
        (parameter("in_hot_standby", "off") + READY, True, True, "primary"),
        (parameter("in_hot_standby", "on") + READY, True, True, "standby"),
        (FULL, True, False, ""),
        (STARTING, False, False, ""),
    ],
)
def test_what_an_answer_means(answer: bytes, says_something: bool, ready: bool, role: str) -> None:
    """As HAProxy compares it: a pattern with the answer in capital hex, the others byte by byte."""
    check = proxied_clusters("p", GROUPS, HOSTS)["check"]
    assert bool(re.search(check["an_answer"], answer.hex().upper())) == says_something
    assert (bytes.fromhex(check["ready"]) in answer) == ready
    assert [kind for kind in ("primary", "standby") if bytes.fromhex(check[kind]) in answer] == ([role] if role else [])


def test_the_ports_are_those_of_the_role_and_of_the_image() -> None:
    defaults = yaml.safe_load((ROLES / "haproxy" / "defaults" / "main.yml").read_text())
    assert (defaults["haproxy_port"], defaults["haproxy_read_only_port"]) == (proxy.PORT, proxy.READ_ONLY_PORT)
    assert (container_plan.PORTS["haproxy"], container_plan.READ_ONLY_PORT) == (proxy.PORT, proxy.READ_ONLY_PORT)


def test_a_container_publishes_both_ports_and_has_no_data() -> None:
    wanted = container_plan.Wanted.from_dict(
        {
            "name": "p",
            "kind": "haproxy",
            "cluster": "main",
            "published_port": 7000,
            "published_read_only_port": 7001,
            "ports": {"haproxy": 6000, "haproxy_read_only": "6001", "redis": 1},
        }
    )
    assert wanted.published_ports("127.0.0.1") == ["127.0.0.1:7000:6000", "127.0.0.1:7001:6001"]
    assert wanted.volumes() == {"p_etc": "/etc/relevo"}
    alone = container_plan.Wanted.from_dict({"name": "p", "kind": "haproxy", "cluster": "main", "published_port": 7000})
    assert alone.published_ports("127.0.0.1") == ["127.0.0.1:7000:5000"]


def strings(variables: dict[str, Any]) -> list[str]:
    hosts = {"a1": HOSTS["a1"], "p": variables}
    return connection_strings(["a1"], hosts, {"haproxy": ["p"]}).splitlines()


def test_the_strings_name_the_proxy() -> None:
    lines = strings({"node_address": "db.example"})
    assert lines[4] == "Or to the one address of HAProxy, which finds the primary:"
    assert lines[5].startswith("  libpq    postgresql://db.example:5000/postgres?target_session_attrs=read-write&")
    assert lines[8] == "Or to its standbys, to read:"
    assert lines[9].startswith("  libpq    postgresql://db.example:5001/postgres?connect_timeout=5&")
    assert "targetServerType" not in lines[10]


def test_the_strings_name_what_a_container_publishes() -> None:
    docker = {"node_kind": "docker", "docker_nodes_published_address": "0.0.0.0"}
    assert len(strings(docker)) == len(("heading", "libpq", "JDBC", "psycopg"))
    lines = strings({**docker, "node_published_port": 7000})
    assert len(lines) == 2 * len(("heading", "libpq", "JDBC", "psycopg"))
    assert "postgresql://127.0.0.1:7000/" in lines[5]
