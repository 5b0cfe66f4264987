"""What the rival pairs have in common: their names, how they are made and looked at, how their primary dies."""

from __future__ import annotations

import time

import psycopg

from systems import repository
from systems.base import (
    DATABASE,
    FIRST_PORTS,
    PASSWORD,
    POSTGRESQL_SETTINGS,
    PREFIX,
    TUNED_OFFSET,
    USER,
    BenchmarkError,
    docker,
    in_node,
    multi_host_dsn,
    wait_until,
)
from systems.containers import images_of_containers, remove, running, start
from systems.images import rival_image

PGDATA = repository.PGDATA
BIN = "/usr/lib/postgresql/17/bin"
#: The clients log in with a password, as the product's do; the nodes among themselves need none in this network. No
#: rival has TLS for its clients, which the product has: each new connection is a little cheaper for them.
HBA = (
    "local all all trust",
    f"host all {USER} all scram-sha-256",
    "host all all all trust",
    "host replication all all trust",
)
#: A server can be out of recovery and yet refuse writes: pg_auto_failover sets it so while it demotes.
READ_ONLY = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool"
#: PostgreSQL's documentation of wal_retrieve_retry_interval: a lower value "makes the recovery more responsive". The
#: default of 5 s can hold a standby whose primary has just gone.
TUNED_SETTINGS = {"wal_retrieve_retry_interval": "100ms"}


def accepts(node: str) -> bool:
    """Whether a server takes connections on its socket."""
    try:
        in_node(node, f"{BIN}/pg_isready", "-q", "-h", repository.SOCKETS)
    except BenchmarkError:
        return False
    return True


class Rival:
    """Two PostgreSQL containers under a rival's care; each rival says how it makes, moves and repairs them."""

    name: str
    #: Whether it promotes the standby by itself when the primary is dead.
    automatic: bool

    def __init__(self, variant: str) -> None:
        self.variant = variant
        self.stem = f"{PREFIX}_{self.name}_{variant}"
        first = FIRST_PORTS[self.name] + (TUNED_OFFSET if self.tuned else 0)
        self.ports = {f"{self.stem}_1": first, f"{self.stem}_2": first + 1}
        self.nodes = list(self.ports)
        #: Its other containers: where it keeps what it has decided.
        self.helpers: list[str] = []

    @property
    def tuned(self) -> bool:
        return self.variant == "tuned"

    @property
    def stanza(self) -> str:
        return self.stem

    # What each rival says for itself

    def _create(self) -> None:
        """Make the pair on containers that are up, whose pgBackRest knows the repository."""
        raise NotImplementedError

    def _switch_over(self, old: str, new: str) -> None:
        raise NotImplementedError

    def _fail_over(self, new: str) -> None:
        raise NotImplementedError

    def _rejoin(self, node: str, primary: str) -> None:
        """Make a node whose container runs again a standby, where that does not happen by itself."""

    def _settled(self, primary: str, standby: str) -> bool:
        """Whether the rival itself sees the pair as whole, and would take the next order."""
        raise NotImplementedError

    def _further_ports(self, _node: str) -> dict[int, int]:
        """What else is published: where the rival itself is asked."""
        return {}

    # The contract

    def up(self) -> None:
        image = rival_image(self.name)
        names = [*self.helpers, *self.nodes]
        there = images_of_containers()
        repository.up()
        runs = all(there.get(name) == image and running(name) for name in names)
        if runs and repository.knows(self.stanza) and self._whole():
            return
        # A pair that is not whole, or of an older image, is made anew: nothing of value is in it.
        remove(*names)
        repository.forget(self.stanza)
        for node, port in self.ports.items():
            start(node, image, ports={5432: port, **self._further_ports(node)})
            repository.join(node, self.stanza)
        self._create()
        wait_until(self._paired, f"{self.stem} to have a primary and a streaming standby", 120)
        repository.create_stanza(self.stanza, *self.nodes)
        self.ready()

    def down(self) -> None:
        remove(*self.nodes, *self.helpers)
        repository.down_when_unused()

    def dsn(self) -> str:
        return multi_host_dsn(*self.ports.values())

    def ready(self) -> None:
        wait_until(self._whole, f"{self.stem} to be whole: one primary, a streaming standby", 180)
        # Forces a switch of the WAL segment and waits for it in the archive.
        in_node(self._primary(), "pgbackrest", f"--stanza={self.stanza}", "check", timeout=120)
        wait_until(self._archived, f"{self.stem} to have archived all that is ready", 60)

    def hand_over(self) -> dict[str, float]:
        old = self._primary()
        figures = {}
        if self.tuned:
            # What is left to write decides how long the stop takes: all three's users checkpoint before.
            started = time.monotonic()
            self._query(old, "CHECKPOINT")
            figures["checkpoint"] = time.monotonic() - started
        started = time.monotonic()
        self._switch_over(old, self._other(old))
        return figures | {"command": time.monotonic() - started}

    def kill_primary(self) -> None:
        docker("kill", "-s", "KILL", self._primary())

    def emergency(self) -> dict[str, float]:
        started = time.monotonic()
        self._fail_over(self._other(self._dead()))
        return {"command": time.monotonic() - started}

    def heal(self) -> None:
        dead = [node for node in self.nodes if not running(node)]
        if len(dead) == 1:
            # Otherwise the old primary could come back before anybody has taken its place.
            survivor = self._other(dead[0])
            wait_until(lambda: self._writable(survivor), f"{survivor} to take writes", 180)
        for node in dead:
            docker("start", node)
        if not self._paired():
            primary = self._primary()
            self._rejoin(self._other(primary), primary)
        self.ready()

    def versions(self) -> dict[str, str]:
        node = self.nodes[0]
        postgresql = in_node(node, f"{BIN}/postgres", "--version").split()[2]
        return {"PostgreSQL": postgresql, "pgBackRest": in_node(node, "pgbackrest", "version").split()[-1]}

    # What the pair looks like

    def _other(self, node: str) -> str:
        return next(one for one in self.nodes if one != node)

    def _dead(self) -> str:
        dead = [node for node in self.nodes if not running(node)]
        if len(dead) != 1:
            raise BenchmarkError(f"{self.stem}: one node should be dead, but {len(dead)} are. Kill the primary first.")
        return dead[0]

    def _query(self, node: str, sql: str) -> list[tuple[object, ...]]:
        """Ask a server as the clients do, over its published port."""
        dsn = f"host=127.0.0.1 port={self.ports[node]} dbname={DATABASE} user={USER} password={PASSWORD}"
        with psycopg.connect(f"{dsn} connect_timeout=3", autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def _writable(self, node: str) -> bool:
        try:
            return self._query(node, READ_ONLY) == [(False,)]
        except psycopg.OperationalError:
            # A server that is on its way up or down, or has no such database yet.
            return False

    def _primary(self) -> str:
        found = [node for node in self.nodes if self._writable(node)]
        if len(found) != 1:
            raise BenchmarkError(f"{self.stem} should have one primary, but has {len(found)}. Call ready first.")
        return found[0]

    def _paired(self) -> bool:
        found = [node for node in self.nodes if self._writable(node)]
        if len(found) != 1:
            return False
        primary = found[0]
        streams = self._query(primary, "SELECT state FROM pg_stat_replication") == [("streaming",)]
        return streams and self._settled(primary, self._other(primary))

    def _whole(self) -> bool:
        """As `_paired`, and the standby answers clients too."""
        try:
            return self._paired() and all(self._query(node, "SELECT 1") for node in self.nodes)
        except psycopg.OperationalError:
            return False

    def _archived(self) -> bool:
        """A segment that still waits for the archiver would be part of the next stop."""
        waiting = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
        return self._query(self._primary(), waiting) == [(0,)]

    # How it is made

    def _settings(self) -> dict[str, str]:
        """The server's settings: the benchmark's common ones, the archive, and what a tuned pair adds."""
        archive = {"archive_command": f"pgbackrest --stanza={self.stanza} archive-push %p"}
        listen = {"listen_addresses": "*", "unix_socket_directories": repository.SOCKETS}
        return {**POSTGRESQL_SETTINGS, **archive, **listen, **(TUNED_SETTINGS if self.tuned else {})}

    def _postgresql_conf(self) -> str:
        return "".join(f"{name} = '{value}'\n" for name, value in self._settings().items())

    def _create_clients_database(self, primary: str) -> None:
        """The clients' role sees the statistics too, so that the pair is looked at through the clients' own door."""
        for sql in (
            f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor, pg_checkpoint",
            f"CREATE DATABASE {DATABASE} OWNER {USER}",
            # The clone of the standby begins with a checkpoint that takes its time, minutes, if it has much to write.
            "CHECKPOINT",
        ):
            in_node(primary, "psql", "-XAtq", "-d", "postgres", "-c", sql)
