"""The same hand-overs as a client that names both nodes sees them, and one that knows nothing but HAProxy's address.

Import it only where ``systems.relevo`` may be imported, which names the tests' cluster.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import yaml
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

# First: it names the tests' cluster, whose driver reads that name when it is imported.
from systems.relevo import IN_RECOVERY, Relevo, play  # isort: skip
import cluster  # isort: skip
from bench.emergency import KILLED, MOVED_SECONDS, REACTION
from bench.figures import side_by_side
from bench.pieces import one_line
from bench.prober import Prober
from bench.rounds import Turns, say
from bench.targets import Row
from systems.base import PREFIX, docker, in_node, multi_host_dsn, wait_until

PROXY = f"{PREFIX}_proxy"
READ_WRITE, READ_ONLY = cluster.FIRST_PORT + 8, cluster.FIRST_PORT + 9
PLANNED = "planned"
#: What the session that is open before has written, and tries to commit.
UNCOMMITTED = -1


def through(port: int) -> str:
    """The DSN of a client that knows the proxy only."""
    return make_conninfo(multi_host_dsn(port, sslmode="require"), target_session_attrs="any")


@contextmanager
def in_front() -> Iterator[None]:
    """HAProxy in front of Relevo's pair, in its inventory, so that every play knows of it."""
    before = cluster.INVENTORY.read_text()
    hosts = yaml.safe_load(before)
    ports = {"node_published_port": READ_WRITE, "node_published_read_only_port": READ_ONLY}
    hosts["all"]["children"]["haproxy"] = {"hosts": {PROXY: ports}}
    cluster.INVENTORY.write_text(yaml.safe_dump(hosts))
    try:
        play("site.yml")
        yield
    finally:
        remove()
        cluster.INVENTORY.write_text(before)


def remove() -> None:
    """By name, whether it is there or not."""
    if docker("ps", "-aq", "--filter", f"name=^{PROXY}$").strip():
        docker("rm", "-f", "-v", PROXY)
    if volumes := docker("volume", "ls", "-q", "--filter", f"name=^{PROXY}_").split():
        docker("volume", "rm", *volumes)


def is_standby(port: int) -> bool | None:
    """Whether a standby answers at a port of the proxy; None: nobody answers."""
    try:
        with psycopg.connect(through(port), autocommit=True) as connection:
            return connection.execute(IN_RECOVERY).fetchone() == (True,)
    except psycopg.OperationalError:
        return None


def ready(relevo: Relevo) -> None:
    """The pair is whole, and HAProxy has found each server where it is now: one that came back has another address."""
    relevo.ready()
    wait_until(
        lambda: is_standby(READ_WRITE) is False and is_standby(READ_ONLY) is True,
        "HAProxy to lead to the primary and to its standby",
        60,
    )


class Session(threading.Thread):
    """A session that was open before, idle in a transaction that has written: it tries to commit once it is told
    anything, which can only be its end.
    """

    def __init__(self, dsn: str, table: str) -> None:
        super().__init__(daemon=True)
        self._connection, self._table = psycopg.connect(dsn), table
        self.ended = 0.0
        #: Of its commit; none: it could.
        self.error = ""

    def __enter__(self) -> Session:
        self._connection.execute(SQL("INSERT INTO {} (id) VALUES (%s)").format(Identifier(self._table)), (UNCOMMITTED,))
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._connection.close()

    def run(self) -> None:
        select.select([self._connection], [], [], MOVED_SECONDS)
        self.ended = time.monotonic()
        try:
            self._connection.commit()
        except psycopg.OperationalError as error:
            self.error = one_line(error.diag.message_primary or f"{error}".splitlines()[0])


def one(relevo: Relevo, kind: str) -> Row:
    """One hand-over under the eyes of both clients; after an emergency, the pair is made whole again."""
    ready(relevo)
    try:
        return _watched(relevo, kind)
    finally:
        if kind == KILLED:
            relevo.heal()


def _watched(relevo: Relevo, kind: str) -> Row:
    row: Row = {}
    proxy = through(READ_WRITE)
    with (
        Prober(relevo.dsn()) as direct,
        Prober(proxy, "probe_proxied") as proxied,
        Session(proxy, proxied.table) as session,
    ):
        before, since = {client: client.server for client in (direct, proxied)}, time.monotonic()
        if kind == KILLED:
            relevo.kill_primary()
            time.sleep(REACTION)
            row |= relevo.emergency()
        else:
            row |= relevo.hand_over()
        for client, server in before.items():
            client.wait_moved(server, MOVED_SECONDS)
        session.join()
        row["lost"] = sum(len(client.finish()) for client in before)
        row["acknowledged"] = sum(len(client.acknowledged) for client in before)
        row["session_error"] = session.error
        row["session_wrote"] = not session.error or UNCOMMITTED in proxied.rows()
        return row | side_by_side(direct.acknowledged, proxied.acknowledged, since, session.ended)


def measure(relevo: Relevo, rounds: int) -> dict[str, Any]:
    """``rounds`` of a hand-over there, one back, and an emergency; one row each."""
    turns = Turns()
    say("proxy: HAProxy is put in front")
    with in_front():
        version = in_node(PROXY, "haproxy", "-v", user="root").split()[2]
        for number in range(rounds):
            for kind, again in ((PLANNED, 2 * number), (PLANNED, 2 * number + 1), (KILLED, number)):
                turns.take(relevo, kind, again, partial(one, relevo, kind))
    return {"rows": turns.rows, "haproxy": version}
