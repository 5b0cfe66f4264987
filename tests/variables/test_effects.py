"""What each variable of inventory.yml has done, seen in the servers, the repository, Redis and the engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest
from cluster import docker, shell
from cryptography import x509
from nondefault import (
    CLUSTER,
    PRIMARY,
    REDIS,
    REPOSITORY,
    STANDBY,
    VALUES,
    backups,
    inspected,
    option,
    parameter,
    ran,
    redis,
    secrets,
    sql,
)
from psycopg.conninfo import make_conninfo


def ports(node: str) -> str:
    published: dict[str, list[dict[str, str]]] = json.loads(inspected(node, ".HostConfig.PortBindings"))
    return " ".join(f"{one['HostIp']}:{one['HostPort']}:{inner}" for inner, (one,) in published.items())


def manifest() -> str:
    """What the newest backup says of itself; its files have no names of their own, since they are bundled."""
    path = f"{VALUES['pgbackrest_repo_path']}/backup/{CLUSTER}/{backups()[-1]['label']}/backup.manifest"
    return shell(REPOSITORY, "cat", path, user="postgres")


def config_of_redis(name: str) -> str:
    return redis("CONFIG", "GET", name).split("\n", 1)[1]


def guard(name: str) -> str:
    return str(json.loads(shell(PRIMARY, "cat", "/etc/relevo/guard.json"))[name])


#: Of the primary, on the address of docker_nodes_published_address.
PUBLISHED = 15532

#: Variable, where to look, and what must be there.
EFFECTS: list[tuple[str, Callable[[], str], str]] = [
    ("docker_nodes_network", lambda: inspected(PRIMARY, ".HostConfig.NetworkMode"), '"relevo_vars"'),
    ("docker_nodes_published_address", lambda: ports(PRIMARY), "127.0.0.2:15532:6432/tcp"),
    ("docker_nodes_shm_size", lambda: inspected(PRIMARY, ".HostConfig.ShmSize"), str(192 * 2**20)),
    ("docker_nodes_log_max_size", lambda: inspected(REDIS, '(index .HostConfig.LogConfig.Config "max-size")'), '"5m"'),
    ("docker_nodes_log_max_files", lambda: inspected(REDIS, '(index .HostConfig.LogConfig.Config "max-file")'), '"2"'),
    ("postgresql_cluster", lambda: parameter("archive_command"), "pgbackrest --stanza=shop archive-push %p"),
    ("postgresql_port", lambda: parameter("port", STANDBY), "6432"),
    ("postgresql_locale", lambda: sql("SELECT datlocale FROM pg_database WHERE datname = 'postgres'"), "C"),
    ("postgresql_parameters", lambda: parameter("work_mem"), "8MB"),
    ("postgresql_parameters", lambda: parameter("search_path"), "shop, public"),
    ("postgresql_wal_keep_size", lambda: parameter("wal_keep_size", STANDBY), "256MB"),
    ("postgresql_max_slot_wal_keep_size", lambda: parameter("max_slot_wal_keep_size"), "4GB"),
    ("postgresql_archive_timeout", lambda: parameter("archive_timeout"), "7min"),
    ("postgresql_log_days", lambda: parameter("log_filename"), "postgresql-%d.log"),
    (
        "postgresql_hba",
        lambda: sql("SELECT type || ' ' || database[1] FROM pg_hba_file_rules WHERE user_name = '{shop}'"),
        "hostssl shop",
    ),
    (
        "postgresql_databases",
        lambda: sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'"),
        "shop",
    ),
    ("postgresql_users", lambda: sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'root'"), "t"),
    ("postgresql_start_guard_isolated", lambda: guard("isolated"), "start"),
    ("postgresql_synchronous", lambda: parameter("synchronous_standby_names"), 'ANY 1 ("relevo_vars_b")'),
    ("pgbackrest_stanza", lambda: str(len(backups()) > 0), "True"),
    ("pgbackrest_repo_path", lambda: shell(REPOSITORY, "ls", "/var/lib/pgbackrest/shop/backup").strip(), "shop"),
    ("pgbackrest_retention_full", lambda: option("repo1-retention-full"), "1"),
    ("pgbackrest_process_max", lambda: option("process-max"), "2"),
    ("pgbackrest_compress_type", lambda: str('option-compress-type="lz4"' in manifest()), "True"),
    ("pgbackrest_archive_timeout", lambda: option("archive-timeout"), "90"),
    ("pgbackrest_archive_async", lambda: option("archive-async", PRIMARY), "y"),
    ("pgbackrest_io_timeout", lambda: option("io-timeout", STANDBY), "30"),
    ("pgbackrest_port", lambda: option("repo1-host-port", STANDBY), "8555"),
    ("pgbackrest_listen_address", lambda: option("tls-server-address"), "0.0.0.0"),
    ("pgbackrest_log_level_file", lambda: option("log-level-file"), "detail"),
    ("pgbackrest_options", lambda: option("compress-level"), "1"),
    ("pgbackrest_socket_dir", lambda: option("pg2-socket-path"), "/run/postgresql"),
    ("pgbackrest_tls_dir", lambda: option("tls-server-ca-file"), "/etc/relevo/./tls/ca.crt"),
    ("redis_port", lambda: config_of_redis("port"), "6390"),
    ("redis_bind", lambda: config_of_redis("bind"), "0.0.0.0"),
    ("redis_save", lambda: config_of_redis("save"), "900 2"),
    ("redis_maxmemory", lambda: config_of_redis("maxmemory"), str(64 * 2**20)),
    ("redis_data_dir", lambda: config_of_redis("dir"), "/var/lib/redis/shop"),
    ("redis_password", lambda: redis("PING"), "PONG"),
    ("catalog_redis_db", lambda: str(int(redis("DBSIZE", db=3)) > 0) + redis("DBSIZE"), "True0"),
    ("catalog_stanza", lambda: str(f"{CLUSTER}" in redis("KEYS", "*", db=3)), "True"),
    ("secrets_dir", lambda: str(oct((secrets() / "user_shop").parent.stat().st_mode & 0o777)), "0o700"),
]


@pytest.mark.parametrize(("variable", "look", "expected"), EFFECTS, ids=[effect[0] for effect in EFFECTS])
def test_effect(variable: str, look: Callable[[], str], expected: str) -> None:
    assert look() == expected


def test_pgbackrest_listens_where_its_port_says() -> None:
    assert ":8555" in shell(REPOSITORY, "sh", "-c", "cat /proc/net/tcp /proc/net/tcp6 | grep -i ':216B' && echo :8555")


def connect(user: str, password: str, dbname: str, host: str, **more: str) -> str:
    """Log in from this machine, with the certificate verified; returns who we are."""
    identity = {"user": user, "password": password, "dbname": dbname, "host": host}
    trusted = {"sslmode": "verify-full", "sslrootcert": str(secrets() / "tls" / "ca.crt")}
    with psycopg.connect(make_conninfo(port=PUBLISHED, **identity, **trusted, **more)) as session:
        row = session.execute("SELECT current_user").fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.variables("secrets_published_addresses", "secrets_published_names")
def test_a_user_logs_in_at_the_published_address_and_name() -> None:
    password = (secrets() / "user_shop").read_text().strip()
    assert connect("shop", password, "shop", VALUES["secrets_published_addresses"][0]) == "shop"
    assert connect("shop", password, "shop", VALUES["secrets_published_names"][0], hostaddr="127.0.0.2") == "shop"
    with pytest.raises(psycopg.OperationalError, match="no pg_hba.conf entry"):
        connect("shop", password, "postgres", "127.0.0.2")


def test_no_log_has_a_password() -> None:
    """Of a server that logs what is defined."""
    log = shell(PRIMARY, "sh", "-c", "cat /var/lib/postgresql/log/*.log")
    assert "CREATE DATABASE" in log
    assert (secrets() / "user_shop").read_text().strip() not in log
    assert VALUES["secrets_given"]["relevo_monitor"] not in log


@pytest.mark.variables("secrets_given")
def test_a_role_of_ours_has_the_secret_that_was_given() -> None:
    given = VALUES["secrets_given"]["relevo_monitor"]
    assert connect("relevo_monitor", given, "relevo", "127.0.0.2") == "relevo_monitor"
    assert not (secrets() / "relevo_monitor").exists()


@pytest.mark.variables("secrets_certificate_days")
def test_a_certificate_is_valid_for_as_long_as_was_said() -> None:
    text = shell(STANDBY, "cat", "/etc/relevo/tls/node.crt")
    certificate = x509.load_pem_x509_certificate(text.encode())
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert VALUES["secrets_certificate_days"] - 2 <= left.days <= VALUES["secrets_certificate_days"]


def test_the_catalog_speaks_english_and_shows_two() -> None:
    ran("backup.yml", "-e", "day=2")
    ran("backup.yml", "-e", "day=2")
    said = ran("playbooks/catalog.yml").text.replace("│", " ").split()
    labels = [backup["label"] for backup in backups()]
    assert len(labels) == 3
    assert [label for label in labels if label in said] == labels[-2:]
    assert "BACKUPS" in said


def test_a_finished_system_is_left_as_it_is() -> None:
    assert ran("site.yml").changed == 0
    assert ran("site.yml", "--check").changed == 0
    assert docker("ps", "-q", "--filter", f"name={PRIMARY}")
