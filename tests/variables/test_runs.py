"""Variables of a single run, given with ``-e``: what they change in what the playbook does."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from cluster import docker, shell, wait_until
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from nondefault import (
    CLUSTER,
    PRIMARY,
    REDIS,
    REPOSITORY,
    STANDBY,
    VALUES,
    backups,
    given,
    inspected,
    log_of,
    ran,
    redis,
    secrets,
    sql,
)

FAILOVER, FAILBACK = "playbooks/failover.yml", "playbooks/failback.yml"


def newest(key: str) -> str:
    return str(backups()[-1].get(key))


@pytest.mark.variables("backup_cycle_days")
def test_the_cycle_is_data() -> None:
    ran("backup.yml", *given(backup_cycle_days={"1": ["full"], "2": ["diff"]}, day=2))
    assert newest("type") == "diff"


@pytest.mark.variables("backup_cycle_day", "backup_cycle_requested_by")
@pytest.mark.variables("backup_cycle_process_max", "backup_cycle_retention_full")
def test_a_backup_of_ones_own() -> None:
    by = "night shift: Ñandú"
    variables = {"backup_cycle_day": "2", "backup_cycle_requested_by": by}
    ran("backup.yml", *given(backup_cycle_process_max=3, backup_cycle_retention_full=2, **variables))
    said = log_of("backup")
    assert "--process-max=3" in said
    assert "--repo1-retention-full=2" in said
    assert newest("type") == "incr"
    shown = shell(
        REPOSITORY,
        *("pgbackrest", f"--stanza={CLUSTER}", "--output=json", f"--set={newest('label')}", "info"),
        user="postgres",
    )
    assert json.loads(shown)[0]["backup"][-1]["annotation"]["relevo-by"] == by


@pytest.mark.variables("backup_cycle_show_plan", "backup_cycle_only_first", "backup_cycle_force")
def test_whether_a_backup_is_made_at_all() -> None:
    before = len(backups())
    plan = ran("backup.yml", *given(backup_cycle_show_plan="json"), "-e", "day=2").output
    assert '"action"' in plan
    ran("backup.yml", *given(backup_cycle_only_first=True))
    ran("backup.yml")
    assert len(backups()) == before
    ran("backup.yml", *given(backup_cycle_force=True))
    assert len(backups()) > before


@pytest.mark.variables("backup_cycle_timeout")
def test_a_backup_that_takes_too_long_is_ended() -> None:
    before = len(backups())
    said = ran("backup.yml", *given(backup_cycle_timeout=0.05), "-e", "day=1", expect=2).text
    assert "0.05 s" in said
    assert len(backups()) == before


@contextmanager
def another_backup(stopped_for: float) -> Iterator[None]:
    """Somebody's own pgBackRest that makes a backup and stands still for this many seconds."""
    docker("exec", "-d", "-u", "postgres", REPOSITORY, "pgbackrest", f"--stanza={CLUSTER}", "--type=incr", "backup")
    wait_until(lambda: "backup/expire running" in info_text(), "the backup of somebody else", 60)
    stop = ["pkill", "-f", "type=incr backup"]
    shell(REPOSITORY, *stop, "--signal", "STOP")
    on = threading.Timer(stopped_for, shell, (REPOSITORY, *stop, "--signal", "CONT"))
    on.start()
    try:
        yield
    finally:
        on.join()


def info_text() -> str:
    return shell(REPOSITORY, "pgbackrest", f"--stanza={CLUSTER}", "info", user="postgres")


@pytest.mark.variables("backup_cycle_wait")
def test_a_running_backup_is_waited_for() -> None:
    with another_backup(40):
        said = ran("backup.yml", *given(backup_cycle_wait=2), "-e", "day=2", expect=2).text
        assert "is already running" in said
        ran("backup.yml", *given(backup_cycle_wait=120), "-e", "day=2")


@pytest.mark.variables("backup_cycle_online", "backup_cycle_offline_force")
def test_a_backup_without_the_server() -> None:
    offline = given(backup_cycle_online=False)
    said = ran("backup.yml", *offline, "-e", "day=1", expect=2).text
    assert "running" in said
    ran("backup.yml", *given(backup_cycle_online=False, backup_cycle_offline_force=True), "-e", "day=1")
    assert newest("type") == "full"
    # Not consistent, so it is not what the others build on.
    ran("backup.yml", "-e", "day=1")


@pytest.mark.variables("catalog_view", "catalog_limit", "catalog_language")
def test_views_of_the_catalog() -> None:
    said = ran("playbooks/catalog.yml", *given(catalog_view="json", catalog_limit=1)).output
    listed = json.loads(said[said.index("\n[") : said.rindex("\n]") + 2])
    assert [record["etiqueta"] for record in listed] == [newest("label")]
    assert "BACKUPS REGISTRADOS EN REDIS" in ran("playbooks/catalog.yml", *given(catalog_language="es")).text


@pytest.mark.variables("catalog_required", "catalog_redis_timeout")
def test_a_redis_that_hangs() -> None:
    docker("pause", REDIS)
    try:
        behind = ran("backup.yml", *given(catalog_redis_timeout=0.5), "-e", "day=2").text
        assert "0.5 s" in behind
        ran("playbooks/catalog.yml", *given(catalog_redis_timeout=0.5, catalog_required=True), expect=2)
    finally:
        docker("unpause", REDIS)


@pytest.mark.variables("catalog_repo_path")
def test_a_record_says_where_the_repository_is() -> None:
    ran("backup.yml", "-e", "day=2")
    said = ran("playbooks/catalog.yml", *given(catalog_view="json")).output
    assert VALUES["pgbackrest_repo_path"] + "/backup/" in said


@pytest.mark.variables("catalog_redis_host", "catalog_redis_port", "catalog_redis_username", "catalog_redis_password")
def test_a_redis_of_ones_own_with_a_user() -> None:
    redis("ACL", "SETUSER", "auditor", "on", ">geheim:1", "~*", "&*", "+@all")
    address = docker("inspect", "-f", '{{(index .NetworkSettings.Networks "relevo_vars").IPAddress}}', REDIS).strip()
    own = given(
        catalog_redis_host=address,
        catalog_redis_port=VALUES["redis_port"],
        catalog_redis_username="auditor",
        catalog_redis_password="geheim:1",
        catalog_redis_db=5,
        catalog_required=True,
    )
    ran("backup.yml", *own, "-e", "day=2")
    assert int(redis("DBSIZE", db=5)) > 0


@pytest.mark.variables("sample_database_name", "sample_database_owner", "sample_database_scale", "sample_database_seed")
def test_the_sample() -> None:
    ran("playbooks/up.yml")
    assert sql("SELECT count(*) FROM titles", dbname="shop") == "4000"
    assert (
        sql("SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'titles'", dbname="shop") == "shop"
    )


@pytest.mark.variables("handover_long_query", "handover_window", "handover_requested_by", "failover_candidate")
def test_a_hand_over_of_ones_own() -> None:
    sleeping = f"psql -p {VALUES['postgresql_port']} -d postgres -XAtc 'SELECT pg_sleep(300)'"
    docker("exec", "-d", "-u", "postgres", STANDBY, "sh", "-c", sleeping)
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
    wait_until(lambda: sql(asleep, STANDBY) == "1", "the query on the standby", 30)
    time.sleep(1.1)
    said = ran(FAILOVER, *given(handover_long_query=1), expect=2).text
    assert "a query on relevo_vars_b has run for" in said
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'", STANDBY)
    aborted = ran(FAILOVER, *given(handover_window=0.001), expect=2).text
    assert "aborted" in aborted
    ran(FAILOVER, *given(failover_candidate=STANDBY, handover_requested_by="the night shift"))
    assert sql("SELECT pg_is_in_recovery()", STANDBY) == "f"
    ran(FAILBACK)
    assert sql("SELECT pg_is_in_recovery()", PRIMARY) == "f"


@pytest.mark.variables("handover_catch_up")
def test_a_candidate_that_does_not_catch_up() -> None:
    receiver = ["pkill", "-f", "postgres: walreceiver", "--signal"]
    shell(STANDBY, *receiver, "STOP")
    try:
        # More than a segment, without waiting for the standby.
        sql("SET synchronous_commit = local; CREATE TABLE behind AS SELECT generate_series(1, 800000) AS id")
        started = time.monotonic()
        said = ran(FAILOVER, *given(handover_catch_up=1), expect=2).text
        assert "Timed out after 1 s waiting for relevo_vars_b to catch up" in said
        assert time.monotonic() - started < 60
    finally:
        shell(STANDBY, *receiver, "CONT")
        sql("DROP TABLE behind")
    assert sql("SELECT pg_is_in_recovery()") == "f"


@pytest.mark.variables("failover_show_plan", "failback_show_plan", "rejoin_show_plan")
def test_plans_change_nothing() -> None:
    for play in ("failover", "failback", "rejoin"):
        said = ran(f"playbooks/{play}.yml", *given(**{f"{play}_show_plan": "json"})).output
        assert '"action"' in said
    assert sql("SELECT pg_is_in_recovery()") == "f"


@pytest.mark.variables("status_format", "status_require")
def test_a_status_of_ones_own() -> None:
    assert '"version": 1' in ran("playbooks/status.yml", *given(status_format="json")).output
    docker("pause", STANDBY)
    try:
        ran("playbooks/status.yml", *given(status_require="healthy"), expect=2)
    finally:
        docker("unpause", STANDBY)


@pytest.mark.variables("postgresql_port")
def test_another_port_is_refused_while_the_servers_run() -> None:
    said = ran("site.yml", *given(postgresql_port=7432), expect=2).text
    assert "The server listens on port 6432, but postgresql_port is 7432." in said
    assert "port = '6432'" in shell(PRIMARY, "cat", "/etc/relevo/postgresql.conf")


@pytest.mark.variables("redis_config")
def test_a_container_starts_redis_with_one_file() -> None:
    said = ran("site.yml", *given(redis_config="/etc/relevo/other.conf"), expect=2).text
    assert "in a container Redis is started with /etc/relevo/redis.conf" in said
    assert redis("PING") == "PONG"


@contextmanager
def silent_registry() -> Iterator[str]:
    """A registry that takes connections and says nothing; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.variables(
    *("docker_nodes_base_image", "docker_nodes_base_fallback", "docker_nodes_base_suite"),
    *("docker_nodes_pull_timeout", "docker_nodes_bootstrap_timeout"),
)
def test_a_base_image_of_ones_own() -> None:
    with silent_registry() as registry:
        base = {"docker_nodes_base_image": f"{registry}/debian:x", "docker_nodes_base_fallback": "relevo/base:other"}
        quick = {"docker_nodes_pull_timeout": 2}
        said = ran("site.yml", *given(docker_nodes_base_suite="nosuite", **base, **quick), expect=2).text
        assert "could not be pulled (not finished after 2 s), and mmdebstrap of nosuite failed" in said
        said = ran("site.yml", *given(docker_nodes_bootstrap_timeout=1, **base, **quick), expect=2).text
        assert "mmdebstrap has not ended within 1 s" in said
    assert docker("images", "-q", "relevo/base:other") == ""
    assert sql("SELECT 1") == "1"


@pytest.mark.variables("docker_nodes_recreate")
def test_a_changed_container_is_replaced_with_its_data() -> None:
    other = given(docker_nodes_shm_size="160M")
    before = inspected(PRIMARY, ".Id")
    said = ran("site.yml", *other).text
    assert "waits for a new container" in said or "docker_nodes_recreate" in said
    assert inspected(PRIMARY, ".Id") == before
    ran("site.yml", *other, *given(docker_nodes_recreate=True))
    assert inspected(PRIMARY, ".HostConfig.ShmSize") == str(160 * 2**20)
    assert sql("SELECT count(*) FROM titles", dbname="shop") == "4000"
    assert backups()
    ran("site.yml", *given(docker_nodes_recreate=True))


def certificate_for(name: str) -> tuple[str, str]:
    """A certificate of the cluster's authority, and its key, as PEM."""
    folder = secrets() / "tls"
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    signed_with = cast("ec.EllipticCurvePublicKey", authority.public_key())
    signer = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_with),
            critical=False,
        )
        .sign(cast("ec.EllipticCurvePrivateKey", signer), hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), plain.decode()


@pytest.mark.variables("catalog_redis_tls", "catalog_redis_ca_certs")
def test_a_redis_over_tls() -> None:
    certificate, key = certificate_for(REDIS)
    shell(REDIS, "sh", "-c", "mkdir -p /tmp/tls && cat > /tmp/tls/node.crt", stdin=certificate)
    shell(REDIS, "sh", "-c", "cat > /tmp/tls/node.key", stdin=key)
    shell(REDIS, "sh", "-c", "cat > /tmp/tls/ca.crt", stdin=(secrets() / "tls" / "ca.crt").read_text())
    identity = ["--tls-cert-file", "/tmp/tls/node.crt", "--tls-key-file", "/tmp/tls/node.key"]
    authority = ["--tls-ca-cert-file", "/tmp/tls/ca.crt", "--tls-auth-clients", "no", "--requirepass", "geheim"]
    server = ["redis-server", "--port", "0", "--tls-port", "6391", "--bind", "0.0.0.0", "--dir", "/tmp"]
    docker("exec", "-d", REDIS, *server, *identity, *authority)
    asked = ["redis-cli", "--tls", "--cacert", "/tmp/tls/ca.crt", "-p", "6391", "-h", REDIS, "--no-auth-warning"]
    command = ["docker", "exec", "-e", "REDISCLI_AUTH=geheim", REDIS, *asked]

    def answer(*words: str) -> str:
        return subprocess.run(
            [*command, *words], capture_output=True, text=True, timeout=30, check=False
        ).stdout.strip()

    wait_until(lambda: answer("PING") == "PONG", "Redis over TLS", 30)
    own = {"catalog_redis_port": 6391, "catalog_redis_password": "geheim", "catalog_required": True}
    over_tls = given(catalog_redis_tls=True, catalog_redis_ca_certs="/etc/relevo/tls/ca.crt", **own)
    ran("backup.yml", *over_tls, "-e", "day=2")
    assert int(answer("-n", str(VALUES["catalog_redis_db"]), "DBSIZE")) > 0
    # The system's authorities have not signed it.
    said = ran("backup.yml", *given(catalog_redis_tls=True, **own), "-e", "day=2", expect=2).text
    assert "certificate" in said.lower()
    answer("SHUTDOWN", "NOSAVE")


SEED = """
CREATE TABLE seeded AS SELECT current_user::text AS who, coalesce(host(inet_client_addr()), 'socket') AS way;
"""


@pytest.mark.variables("seed_unix_socket", "seed_bin_dir", "seed_login_user")
def test_a_seed_of_ones_own(tmp_path: Path) -> None:
    seed = tmp_path / "quick.sql"
    seed.write_text(SEED)
    programs = {"seed_bin_dir": "/usr/lib/postgresql/17/bin", "seed_login_user": "postgres"}
    files = [{"path": str(seed), "database": "shop"}]
    ran("site.yml", *given(postgresql_seed_files=files, seed_unix_socket="/run/postgresql", **programs))
    assert sql("SELECT who, way FROM seeded", dbname="shop") == "postgres|socket"


@pytest.mark.variables("seed_node_directory", "seed_timeout")
def test_a_seed_that_takes_too_long(tmp_path: Path) -> None:
    seed = tmp_path / "slow.sql"
    seed.write_text("CREATE TABLE slow AS SELECT 1; SELECT pg_sleep(300);")
    files = [{"path": str(seed), "database": "shop"}]
    own = given(postgresql_seed_files=files, seed_timeout=8, seed_node_directory="/var/lib/relevo-other")
    with ThreadPoolExecutor() as pool:
        play = pool.submit(ran, "site.yml", *own, expect=2)
        there = ["sh", "-c", "test ! -d /var/lib/relevo-other || ls /var/lib/relevo-other"]
        wait_until(lambda: shell(PRIMARY, *there) != "", "the copy of the seed", 300)
        assert "8 s" in play.result().text
    assert shell(PRIMARY, *there) == ""
    assert sql("SELECT to_regclass('slow') IS NULL", dbname="shop") == "t"
