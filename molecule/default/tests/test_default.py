"""The cluster that the default scenario made: what a DBA would look at first."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg.conninfo import make_conninfo
from testinfra.host import Host

Node = Callable[[str], Host]
ROOT = Path(__file__).resolve().parents[3]
DEFAULTS = yaml.safe_load((ROOT / "roles/postgresql/defaults/main.yml").read_text(encoding="utf-8"))
SECRETS = Path(__file__).resolve().parents[2] / ".secrets"
INTERNAL_ROLES = ("relevo_replication", "relevo_rewind", "relevo_monitor", "relevo_handover")


def sql(host: Host, statement: str, dbname: str = "imdb") -> str:
    """Ask over the socket as root, the way people do: docker exec NODE psql -U root -d imdb."""
    command = host.run("psql -U root -d %s -XAtc %s", dbname, statement)
    assert command.rc == 0, command.stderr
    return command.stdout.strip()


def login(port: int, **options: str) -> psycopg.Connection[tuple[object, ...]]:
    """A client outside, through the published port."""
    password = (SECRETS / "user_imdb").read_text().strip()
    defaults = {"host": "127.0.0.1", "user": "imdb", "dbname": "imdb", "password": password, "sslmode": "verify-full"}
    given = defaults | {"sslrootcert": str(SECRETS / "tls" / "ca.crt")} | options
    return psycopg.connect(make_conninfo(**given, port=port, connect_timeout=5))


@pytest.mark.parametrize(("name", "in_recovery"), [("primary", "f"), ("standby", "t")])
def test_people_log_in_over_the_socket_without_a_password(node: Node, name: str, in_recovery: str) -> None:
    assert sql(node(name), "SELECT pg_is_in_recovery()") == in_recovery


@pytest.mark.parametrize("name", ["primary", "standby"])
def test_postgres_logs_in_over_the_socket_whatever_users_there_are(name: str) -> None:
    command = ["docker", "exec", "-u", "postgres", f"relevo_test_{name}", "psql", "-XAtc", "SELECT current_user"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "postgres"


def test_the_standby_streams_through_its_slot(node: Node) -> None:
    streaming = "SELECT application_name || ' ' || state FROM pg_stat_replication"
    assert sql(node("primary"), streaming) == "relevo_test_standby streaming"
    assert sql(node("primary"), "SELECT slot_name || active FROM pg_replication_slots") == "relevo_test_standbytrue"
    assert sql(node("standby"), "SELECT count(*) FROM pg_replication_slots") == "0"
    assert sql(node("primary"), "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)") == "t"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("data_checksums", "on"),
        ("ssl", "on"),
        ("password_encryption", "scram-sha-256"),
        ("archive_mode", "on"),
        ("restore_command", ""),
        ("log_truncate_on_rotation", "on"),
        ("log_filename", "postgresql-%a.log"),
        ("server_version_num", None),
    ],
)
def test_the_servers_are_set_up_alike(node: Node, setting: str, value: str | None) -> None:
    found = {name: sql(node(name), f"SELECT current_setting('{setting}')") for name in ("primary", "standby")}
    assert found["primary"] == found["standby"]
    if value is None:
        assert found["primary"].startswith(DEFAULTS["postgresql_version"])
    else:
        assert found["primary"] == value


def test_the_seed_file_and_the_sample_were_loaded_once(node: Node) -> None:
    assert sql(node("primary"), "SELECT count(*) FROM seeded") == "3"
    assert int(sql(node("standby"), "SELECT count(*) FROM titles")) > 1000
    best = sql(node("primary"), "SELECT count(*) FROM top_titles('Drama', 1950, 2020)")
    assert int(best) > 0


def test_the_first_backup_is_in_the_catalog(node: Node) -> None:
    password = (SECRETS / "redis").read_text().strip()
    keys = node("redis").run("REDISCLI_AUTH=%s redis-cli --scan --pattern 'backup:*'", password).stdout.split()
    assert len(keys) == 1
    record = node("redis").run("REDISCLI_AUTH=%s redis-cli hgetall " + keys[0], password).stdout.splitlines()
    names, values = record[0::2], record[1::2]
    assert names[:7] == [
        "fecha",
        "hora",
        "tipo_backup",
        "direccion_almacenamiento",
        "maestro_usado",
        "metodo",
        "stanza",
    ]
    assert values[2] == "completo"
    assert values[3].startswith("/var/lib/pgbackrest/backup/main/")
    assert values[4:7] == ["relevo_test_primary", "pgBackRest", "main"]


def test_our_own_roles_have_the_least_they_need(node: Node) -> None:
    rows = sql(
        node("primary"),
        "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles"
        " WHERE rolname LIKE 'relevo%' ORDER BY 1",
    ).splitlines()
    assert rows == [
        # HAProxy looks with it; it has no password.
        "relevo_check|f|f|f|f",
        "relevo_handover|f|f|f|t",
        "relevo_monitor|f|f|f|f",
        "relevo_replication|f|f|f|t",
        "relevo_rewind|f|f|f|f",
    ]
    # An application cannot take the lock of a hand-over: it may not connect to the database that has it.
    with pytest.raises(psycopg.OperationalError), login(15432, dbname="relevo"):
        pass


def test_the_network_wants_tls_and_a_password() -> None:
    with login(15432) as connection:
        assert connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)
    with (
        pytest.raises(psycopg.OperationalError, match="no pg_hba.conf entry|no encryption"),
        login(15432, sslmode="disable"),
    ):
        pass
    with (
        pytest.raises(psycopg.OperationalError, match="password authentication failed"),
        login(15432, password="wrong"),
    ):
        pass


@pytest.mark.parametrize("user", ["root", "postgres"])
def test_superusers_do_not_log_in_over_the_network(user: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="pg_hba.conf rejects"), login(15432, user=user):
        pass


def test_redis_wants_its_password_and_keeps_what_it_is_told(node: Node) -> None:
    redis = node("redis")
    assert "NOAUTH" in redis.run("redis-cli ping").stdout
    password = (SECRETS / "redis").read_text().strip()
    answer = redis.run("REDISCLI_AUTH=%s redis-cli config get appendonly", password)
    assert answer.stdout.split() == ["appendonly", "yes"]


@pytest.mark.parametrize("name", ["primary", "standby", "pgbackrest"])
def test_the_nodes_keep_their_secrets_to_postgres(node: Node, name: str) -> None:
    for path in ("/etc/relevo/pgpass", "/etc/relevo/tls/node.key"):
        file = node(name).file(path)
        assert (file.user, file.mode) == ("postgres", 0o600)
    held = node(name).file("/etc/relevo/pgpass").content_string
    roles = [line.split(":")[3] for line in held.splitlines()]
    assert roles == (["relevo_monitor"] if name == "pgbackrest" else list(INTERNAL_ROLES))


@pytest.mark.parametrize("name", ["primary", "standby", "pgbackrest", "redis"])
def test_no_secret_shows_in_processes_logs_or_the_engine(node: Node, name: str) -> None:
    container = f"relevo_test_{name}"
    seen = node(name).check_output("ps axeww")
    for command in (["docker", "inspect", container], ["docker", "logs", container]):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seen += done.stdout + done.stderr
    secrets = [path.read_text().strip() for path in SECRETS.iterdir() if path.is_file()]
    assert len(secrets) >= 6
    assert not [secret for secret in secrets if secret in seen]


def test_the_secrets_on_the_controller_are_for_their_owner_only() -> None:
    assert SECRETS.stat().st_mode & 0o777 == 0o700
    for path in [*SECRETS.iterdir(), *(SECRETS / "tls").glob("*.key")]:
        if path.is_file():
            assert path.stat().st_mode & 0o777 == 0o600, path


def test_archiving_works_and_the_stanza_is_there(node: Node) -> None:
    command = node("pgbackrest").run("su postgres -c 'pgbackrest --stanza=main info'")
    assert command.rc == 0
    assert "wal archive min/max" in command.stdout
    # It fails until the stanza is made, and the server tries again.
    working = (
        "SELECT archived_count > 0 AND last_archived_time > coalesce(last_failed_time, '-infinity')"
        " FROM pg_stat_archiver"
    )
    assert sql(node("primary"), working) == "t"


def test_a_stop_of_the_container_is_a_clean_stop_and_a_start_brings_it_back(node: Node) -> None:
    subprocess.run(["docker", "stop", "relevo_test_standby"], check=True, capture_output=True, timeout=130)
    done = subprocess.run(
        ["docker", "inspect", "-f", "{{.State.ExitCode}}", "relevo_test_standby"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() in ("0", "143")
    subprocess.run(["docker", "start", "relevo_test_standby"], check=True, capture_output=True, timeout=30)
    ready = node("standby").run("timeout 30 sh -c 'until psql -U root -d imdb -XAtc \"SELECT 1\"; do sleep 0.2; done'")
    assert ready.rc == 0, ready.stderr
    log = node("standby").check_output("tail -n 20 /var/lib/postgresql/log/postgresql-$(date -u +%a).log")
    assert "database system was shut down in recovery" in log
