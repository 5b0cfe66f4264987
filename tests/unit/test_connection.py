"""The connection strings that name all nodes of a cluster, for each kind of client."""

from __future__ import annotations

from typing import Any

import psycopg.conninfo
import pytest

from ansible_collections.relevo.postgres.plugins.filter.connection_strings import connection_strings as text_of
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.connection import (
    ConnectionStrings,
    Target,
    connection_strings,
    target_of,
)

TARGET = Target([("127.0.0.1", 5432), ("127.0.0.1", 5433)], "web", "shop", "/secrets/tls/ca.crt")
SHOP: dict[str, Any] = {
    "relevo_secrets_dir": "/secrets",
    "postgresql_databases": [{"name": "audit"}, {"name": "shop", "owner": "web"}],
    "postgresql_users": [
        {"name": "root", "flags": "SUPERUSER", "peer_only": True},
        {"name": "web", "password_secret": "user_web"},
    ],
}
CONTAINER = {"node_kind": "docker", "node_published_port": 5432, **SHOP}


def strings(**changes: Any) -> ConnectionStrings:
    found = connection_strings(Target(**{**TARGET.__dict__, **changes}))
    assert found is not None
    return found


def test_each_kind_of_client_gets_all_nodes_and_asks_for_the_primary() -> None:
    assert strings() == ConnectionStrings(
        libpq="postgresql://web@127.0.0.1:5432,127.0.0.1:5433/shop?target_session_attrs=read-write&connect_timeout=5"
        "&sslmode=verify-full&sslrootcert=/secrets/tls/ca.crt",
        jdbc="jdbc:postgresql://127.0.0.1:5432,127.0.0.1:5433/shop?user=web&targetServerType=primary&connectTimeout=5"
        "&sslmode=verify-full&sslrootcert=/secrets/tls/ca.crt",
        psycopg="host=127.0.0.1,127.0.0.1 port=5432,5433 user=web dbname=shop target_session_attrs=read-write "
        "connect_timeout=5 sslmode=verify-full sslrootcert=/secrets/tls/ca.crt",
    )


@pytest.mark.parametrize(
    ("peer_only", "user"), [("false", "web"), ("no", "web"), (False, "web"), (None, "web"), ("true", ""), ("yes", "")]
)
def test_who_is_peer_only_is_said_by_what_the_text_means(peer_only: object, user: str) -> None:
    only = [{"name": "web", "password_secret": "user_web", "peer_only": peer_only}]
    assert target_of({"a": CONTAINER | {"postgresql_users": only}}).user == user


def parsed(text: str) -> dict[str, Any]:
    return dict(psycopg.conninfo.conninfo_to_dict(text))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"nodes": [("db1.example", 5432)]},
        {"nodes": [("2001:db8::1", 5432), ("2001:db8::2", 6432)]},
        {"user": "we@b/o", "database": "a b?c&d"},
        {"user": "o'brien", "database": "back\\slash"},
        {"ca_file": "/home/some body/ca.crt"},
        {"user": ""},
    ],
)
def test_libpq_reads_the_same_out_of_both_of_its_forms(changes: dict[str, Any]) -> None:
    found = strings(**changes)
    target = Target(**{**TARGET.__dict__, **changes})
    expected = {
        "host": ",".join(host for host, _port in target.nodes),
        "port": ",".join(str(port) for _host, port in target.nodes),
        "dbname": target.database,
        "target_session_attrs": "read-write",
        "connect_timeout": "5",
        "sslmode": "verify-full",
        "sslrootcert": target.ca_file,
    } | ({"user": target.user} if target.user else {})
    assert parsed(found.libpq) == expected
    assert parsed(found.psycopg) == expected


def test_jdbc_quotes_as_urls_do() -> None:
    found = strings(nodes=[("2001:db8::1", 5432)], user="we@b", database="a b").jdbc
    assert found.startswith("jdbc:postgresql://[2001:db8::1]:5432/a%20b?user=we%40b&targetServerType=primary&")


def test_without_a_user_the_client_takes_its_own() -> None:
    found = strings(user="")
    assert found.libpq.startswith("postgresql://127.0.0.1:5432,")
    assert "user" not in found.jdbc
    assert "user=" not in found.psycopg


def test_without_a_node_there_is_nothing_to_connect_to() -> None:
    assert connection_strings(Target([], "web", "shop", "/ca.crt")) is None


def test_no_password_is_in_them() -> None:
    secret = {**CONTAINER, "postgresql_users": [{"name": "web", "password": "hidden"}]}
    assert "hidden" not in text_of(["n1"], {"n1": secret})


@pytest.mark.parametrize(
    ("hosts", "nodes"),
    [
        ([CONTAINER, {**CONTAINER, "node_published_port": "5433"}], [("127.0.0.1", 5432), ("127.0.0.1", 5433)]),
        # A container that cannot be reached from here would be passed over, and it may be primary.
        ([CONTAINER, {"node_kind": "docker", "node_address": "n2"}], [("n1", 5432), ("n2", 5432)]),
        (
            [{"node_address": "192.0.2.11"}, {"node_address": "192.0.2.12", "postgresql_port": 6432}],
            [("192.0.2.11", 5432), ("192.0.2.12", 6432)],
        ),
    ],
)
def test_where_the_nodes_are_reached(hosts: list[dict[str, Any]], nodes: list[tuple[str, int]]) -> None:
    assert target_of({f"n{number}": host for number, host in enumerate(hosts, 1)}).nodes == nodes


def test_as_whom_and_to_which_database() -> None:
    found = target_of({"n1": CONTAINER})
    assert (found.user, found.database, found.ca_file) == ("web", "shop", "/secrets/tls/ca.crt")
    empty = target_of({"n1": {"node_kind": "docker", "node_published_port": 1, "inventory_dir": "/inventory"}})
    assert (empty.user, empty.database, empty.ca_file) == ("", "postgres", "/inventory/.secrets/tls/ca.crt")


def test_the_text_names_each_cluster_of_several() -> None:
    other = {**CONTAINER, "node_published_port": 5440, "node_cluster": "other"}
    lines = text_of(["n1", "n2"], {"n1": CONTAINER, "n2": other}).splitlines()
    assert [line for line in lines if line.startswith("Connect")] == ["Connect to main:", "Connect to other:"]
    alone = text_of(["n1"], {"n1": CONTAINER}).splitlines()
    assert alone[0] == "Connect to whichever node is primary (password and a copy of ca.crt apart):"
    assert [line.split()[0] for line in alone[1:]] == ["libpq", "JDBC", "psycopg"]
