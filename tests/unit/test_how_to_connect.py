"""What ``make up`` says at its end: how to reach what the inventory describes, whatever that is."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.filter.how_to_connect import how_to_connect
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.connection import database_of

SHOP: dict[str, Any] = {
    "postgresql_databases": [{"name": "audit"}, {"name": "shop", "owner": "web"}],
    "postgresql_users": [
        {"name": "root", "flags": "SUPERUSER", "peer_only": True},
        {"name": "batch"},
        {"name": "web", "password_secret": "user_web"},
    ],
}
CONTAINER = {"node_kind": "docker", "node_published_port": 5432}


def said(*hosts: dict[str, Any], **shared: Any) -> str:
    common = {"inventory_dir": "/inventory", "relevo_secrets_dir": "/secrets", **shared}
    hostvars = {f"n{number}": {**common, **host} for number, host in enumerate(hosts, 1)}
    return how_to_connect(list(hostvars), hostvars)


def test_containers_are_reached_through_their_published_ports() -> None:
    assert said(CONTAINER, {**CONTAINER, "node_published_port": "5433"}, **SHOP).splitlines() == [
        "Connect, from this machine, to whichever node is primary:",
        "",
        "  PGPASSWORD=$(cat /secrets/user_web) psql \\",
        '    "host=127.0.0.1,127.0.0.1 port=5432,5433 \\',
        "     user=web dbname=shop target_session_attrs=read-write \\",
        '     sslmode=verify-full sslrootcert=/secrets/tls/ca.crt"',
        "",
        "As a superuser, on a node: docker exec -it -u postgres n1 psql -d audit",
    ]


def test_secrets_are_beside_the_inventory_where_nothing_else_is_said() -> None:
    assert "sslrootcert=/inventory/.secrets/tls/ca.crt" in said(CONTAINER, **SHOP, relevo_secrets_dir="")


def test_machines_are_reached_at_their_addresses() -> None:
    text = said({"node_address": "192.0.2.11"}, {"postgresql_port": 6432}, **SHOP)
    assert "host=192.0.2.11,n2 port=5432,6432" in text
    assert "As a superuser, on n1: sudo -u postgres psql -d audit" in text


@pytest.mark.parametrize(
    ("address", "shown"), [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("192.0.2.9", "192.0.2.9")]
)
def test_ports_are_reached_where_they_are_published(address: str, shown: str) -> None:
    assert f"host={shown} port" in said(CONTAINER, docker_nodes_published_address=address, **SHOP)


@pytest.mark.parametrize("users", [[], [{"name": "root", "peer_only": True}], [{"name": "nobody"}]])
def test_without_a_user_it_says_how_to_get_one(users: list[dict[str, Any]]) -> None:
    text = said(CONTAINER, postgresql_users=users)
    assert "postgresql_users, then run site.yml" in text
    assert "docker exec -it -u postgres n1 psql" in text
    assert "imdb" not in text
    assert "PGPASSWORD" not in text


def test_an_empty_inventory_names_no_database() -> None:
    assert said(CONTAINER).endswith("docker exec -it -u postgres n1 psql")


def test_without_a_published_port_it_says_so() -> None:
    assert "give the nodes a node_published_port" in said({"node_kind": "docker"}, **SHOP)


@pytest.mark.parametrize(
    "given", [{"secrets_given": {"user_web": "x"}}, {"postgresql_users": [{"name": "web", "password": "x"}]}]
)
def test_a_password_that_was_given_is_in_no_file(given: dict[str, Any]) -> None:
    """psql asks for it."""
    text = said(CONTAINER, **{**SHOP, **given})
    assert "  psql \\" in text.splitlines()
    assert "PGPASSWORD" not in text


def test_each_cluster_is_named() -> None:
    text = said({**CONTAINER, **SHOP}, {"node_kind": "docker", "node_cluster": "other"})
    assert [line for line in text.splitlines() if line.startswith("Cluster")] == ["Cluster main", "Cluster other"]
    assert "Cluster" not in said({**CONTAINER, **SHOP})


@pytest.mark.parametrize(
    ("user", "databases", "expected"),
    [
        ("web", [{"name": "a"}, {"name": "b", "owner": "web"}], "b"),
        ("web", [{"name": "a", "owner": "other"}], "a"),
        ("web", [], "postgres"),
    ],
)
def test_the_database_of_a_user(user: str, databases: list[dict[str, str]], expected: str) -> None:
    assert database_of(user, databases) == expected
