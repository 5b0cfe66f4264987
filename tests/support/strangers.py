"""A primary and a standby on the machines of the tests, as somebody else sets them up who has not heard of us."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from cluster import INVENTORY, PGDATA, PRIMARY, SECRETS, STANDBY, VERSION, shell, wait_until

CONFIG = f"/etc/postgresql/{VERSION}/main"
DEBIANS = f"postgresql@{VERSION}-main"
BY_HAND = "pg"
#: As PostgreSQL's documentation has it (Starting the Database Server).
HAND_UNIT = f"""[Unit]
Description=PostgreSQL
After=network-online.target
[Service]
Type=notify
User=postgres
RuntimeDirectory=postgresql
RuntimeDirectoryPreserve=yes
ExecStart=/usr/lib/postgresql/{VERSION}/bin/postgres -D {PGDATA}
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
KillSignal=SIGINT
TimeoutSec=infinity
Restart=on-failure
[Install]
WantedBy=multi-user.target
"""
SETTINGS = "listen_addresses = '*'\nwork_mem = 7MB\nrandom_page_cost = 1.5\n"
#: Archiving is on, and nothing is archived: then nothing of ours needs a restart at once.
ARCHIVING = "archive_mode = on\narchive_command = '/bin/true'\n"
RULES = "host replication repl all scram-sha-256\nhost all all all scram-sha-256\n"
PASSWORD = "before-us"
ROWS = 50_000


def as_postgres(node: str, sql: str, database: str = "postgres") -> str:
    return shell(node, "psql", "-d", database, "-XAtc", sql, user="postgres").strip()


def add(node: str, file: str, text: str) -> None:
    shell(node, "tee", "-a", file, stdin=text)


def debian_primary() -> None:
    shell(PRIMARY, "pg_createcluster", VERSION, "main")
    add(PRIMARY, f"{CONFIG}/postgresql.conf", SETTINGS + ARCHIVING)
    add(PRIMARY, f"{CONFIG}/pg_hba.conf", RULES)
    shell(PRIMARY, "systemctl", "start", DEBIANS)


def debian_standby() -> None:
    shell(STANDBY, "pg_createcluster", VERSION, "main")
    shell(STANDBY, "rm", "-r", PGDATA)
    copy_of_primary()
    add(STANDBY, f"{CONFIG}/postgresql.conf", SETTINGS + ARCHIVING)
    add(STANDBY, f"{CONFIG}/pg_hba.conf", RULES)
    shell(STANDBY, "systemctl", "start", DEBIANS)


def hand_primary() -> None:
    """With the files in the data directory, and without archiving."""
    shell(PRIMARY, "install", "-d", "-o", "postgres", "-m", "0700", PGDATA)
    shell(PRIMARY, f"/usr/lib/postgresql/{VERSION}/bin/initdb", "-D", PGDATA, "--auth=peer", user="postgres")
    add(PRIMARY, f"{PGDATA}/postgresql.conf", f"{SETTINGS}unix_socket_directories = '/var/run/postgresql'\n")
    add(PRIMARY, f"{PGDATA}/pg_hba.conf", RULES)
    start_by_hand(PRIMARY)


def hand_standby() -> None:
    copy_of_primary()
    start_by_hand(STANDBY)


def start_by_hand(node: str) -> None:
    shell(node, "tee", f"/etc/systemd/system/{BY_HAND}.service", stdin=HAND_UNIT)
    shell(node, "systemctl", "enable", "--now", BY_HAND)


def copy_of_primary() -> None:
    shell(STANDBY, "install", "-d", "-o", "postgres", "-m", "0700", PGDATA)
    where = f"host={PRIMARY} user=repl password={PASSWORD}"
    copy = ["pg_basebackup", "-d", where, "-D", PGDATA, "-R", "-C", "-S", "theirs", "-c", "fast"]
    shell(STANDBY, *copy, user="postgres")


def fill() -> None:
    """A user with a password, a database with rows, and the role that the standby streams with."""
    as_postgres(PRIMARY, f"CREATE ROLE repl LOGIN REPLICATION PASSWORD '{PASSWORD}'")
    as_postgres(PRIMARY, f"CREATE ROLE imdb LOGIN PASSWORD '{PASSWORD}'")
    as_postgres(PRIMARY, "CREATE DATABASE imdb OWNER imdb")
    as_postgres(PRIMARY, f"CREATE TABLE theirs AS SELECT id FROM generate_series(1, {ROWS}) id", "imdb")


def found_cluster(primary: Callable[[], None], standby: Callable[[], None]) -> None:
    """The two servers, streaming; and the inventory that somebody begins with: nobody's password is in it."""
    primary()
    fill()
    standby()
    sql = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
    wait_until(lambda: as_postgres(PRIMARY, sql) == "1", "their standby to stream", 60)
    SECRETS.mkdir(parents=True, exist_ok=True)
    (SECRETS / "user_imdb").write_text(PASSWORD)
    write_variables({})


def write_variables(more: dict[str, object]) -> None:
    own = {"postgresql_users": [{"name": "root", "flags": "SUPERUSER", "peer_only": True}], "postgresql_databases": []}
    folder = INVENTORY.parent / "group_vars"
    folder.mkdir(exist_ok=True)
    (folder / "all.yml").write_text(json.dumps(own | more))


def started(node: str) -> str:
    """When the server was started, and with which process: neither changes unless somebody restarts it."""
    return as_postgres(node, "SELECT pg_postmaster_start_time()") + shell(
        node, "head", "-1", f"{PGDATA}/postmaster.pid"
    )


def files(node: str) -> dict[str, str]:
    """Their configuration, by the name of the file; for servers that Debian's tools have made."""
    return {
        name: shell(node, "cat", f"{CONFIG}/{name}") for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf")
    }


def without_ours(found: dict[str, str]) -> dict[str, str]:
    """The same without the block that docs/adopting.md tells of."""
    block = re.compile(r"^# >>> relevo\.postgres.*?^# <<< relevo\.postgres\n", re.MULTILINE | re.DOTALL)
    return {name: block.sub("", text) for name, text in found.items()}


def state_of(unit: str, node: str) -> str:
    """What systemd says of a unit of theirs."""
    return shell(node, "systemctl", "show", "-p", "ActiveState", "--value", unit).strip()
