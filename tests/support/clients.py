"""Clients outside the cluster: one that writes, one that watches how many servers take writes."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psycopg
from cluster import PORTS, PRIMARY, REDIS, SECRETS, STANDBY, psql, shell, wait_until
from psycopg.conninfo import make_conninfo

SERIES = 10**9
ROLE = "SELECT pg_is_in_recovery()"


def dsn() -> str:
    """How a client outside reaches whichever server takes writes."""
    password = (SECRETS / "user_imdb").read_text().strip().replace("\\", "\\\\").replace("'", "\\'")
    ports = ",".join(str(port) for port in PORTS.values())
    return (
        f"host=127.0.0.1,127.0.0.1 port={ports} user=imdb password='{password}' dbname=imdb connect_timeout=2"
        f" target_session_attrs=read-write sslmode=verify-full sslrootcert={SECRETS / 'tls' / 'ca.crt'}"
    )


def dsn_of(port: int) -> str:
    """How a client outside reaches the server at this port, whatever it is."""
    ports = ",".join(str(one) for one in PORTS.values())
    alone = dsn().replace("127.0.0.1,127.0.0.1", "127.0.0.1").replace(ports, str(port))
    return alone.replace("target_session_attrs=read-write", "")


@dataclass
class Background:
    """Works in a thread of its own until it is told to stop."""

    #: What it was stopped by, if it did not stop by itself, or what it has not come back from.
    trouble: str = field(default="", init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def _begin(self, work: Callable[..., None], *arguments: int) -> None:
        def kept() -> None:
            try:
                work(*arguments)
            except Exception as error:
                self.trouble = f"{type(self).__name__} died: {error!r}"
                raise

        self._thread = threading.Thread(target=kept, daemon=True)
        self._thread.start()

    def _end(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(30)
            if self._thread.is_alive():
                self.trouble = f"{type(self).__name__} hangs"


@dataclass
class Writer(Background):
    """A client outside that inserts numbers and keeps those that were acknowledged; it reconnects by itself.

    Several at a time need a ``series`` each. With a ``ledger``, each number is on the disk before the next is tried.
    """

    pause: float = 0.02
    series: int = 0
    ledger: Path | None = None
    acknowledged: list[int] = field(default_factory=list)
    longest_outage: float = 0.0
    last_error: str = ""

    def where(self) -> str:
        """Whom it connects to."""
        return dsn()

    def __enter__(self) -> Self:
        with psycopg.connect(self.where(), autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS trial (id bigint PRIMARY KEY, at timestamptz DEFAULT now())")
            first = self.series * SERIES
            newest = "SELECT coalesce(max(id), %s) FROM trial WHERE id >= %s AND id < %s"
            last = connection.execute(newest, (first, first, first + SERIES)).fetchone()
        assert last is not None
        self._begin(self._write, last[0])
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end()

    def _write(self, last: int) -> None:
        number, written_at = last, time.monotonic()
        while not self._stop.is_set():
            try:
                with psycopg.connect(self.where(), autocommit=True) as connection:
                    while not self._stop.is_set():
                        # A number whose fate is unknown is never tried again: it may be there or not.
                        number += 1
                        connection.execute("INSERT INTO trial (id) VALUES (%s)", (number,))
                        self.longest_outage = max(self.longest_outage, time.monotonic() - written_at)
                        written_at = time.monotonic()
                        self._keep(number)
                        self._stop.wait(self.pause)
            except psycopg.Error as error:
                self.last_error = " ".join(f"{error}".split())
                self._stop.wait(0.02)

    def _keep(self, number: int) -> None:
        if self.ledger:
            with self.ledger.open("a") as file:
                file.write(f"{number}\n")
                file.flush()
                os.fsync(file.fileno())
        self.acknowledged.append(number)


@dataclass
class Newcomers(Background):
    """Clients that come and go: each knows the server by the authority in the folder, and by its name."""

    pause: float = 0.1
    connected: int = 0
    refused: list[str] = field(default_factory=list)

    def where(self) -> list[str]:
        """Whom they connect to, one after the other."""
        return [dsn_of(port) for port in PORTS.values()]

    def __enter__(self) -> Self:
        self._begin(self._come)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end()

    def _come(self) -> None:
        while not self._stop.is_set():
            for server in self.where():
                try:
                    psycopg.connect(server).close()
                    self.connected += 1
                except psycopg.Error as error:
                    self.refused.append(" ".join(f"{error}".split()))
            self._stop.wait(self.pause)


@dataclass
class NeverTwo(Background):
    """Asks both servers from outside, again and again; fails the test if ever both took writes at one time."""

    rounds: int = 0
    both: int = 0
    # Nodes that are cut off, so that no client outside reaches them: they are asked over their own socket.
    inside: set[str] = field(default_factory=set)

    def __enter__(self) -> NeverTwo:
        self._begin(self._watch)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end()
        assert self.trouble == ""
        assert self.rounds > 0, "nobody watched"
        assert self.both == 0, f"in {self.both} of {self.rounds} rounds both servers took writes"

    def _watch(self) -> None:
        while not self._stop.is_set():
            # The first is asked again: a hand-over may have come between the two answers.
            self.both += self._asks(PRIMARY) and self._asks(STANDBY) and self._asks(PRIMARY)
            self.rounds += 1
            self._stop.wait(0.1)

    def _asks(self, node: str) -> bool:
        return takes_writes_inside(node) if node in self.inside else takes_writes(node)


def role_inside(node: str) -> str:
    """What a client on the node itself finds there: ``primary``, ``standby``, or nothing while the server is down."""
    command = ["docker", "exec", node, "psql", "-U", "root", "-d", "imdb", "-XAtc", ROLE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return {"f": "primary", "t": "standby"}.get(done.stdout.strip(), "")


def takes_writes_inside(node: str) -> bool:
    """Whether a client on the node itself would find a primary there."""
    return role_inside(node) == "primary"


def takes_writes(node: str) -> bool:
    """Whether a client outside would find a primary at this node's port."""
    try:
        with psycopg.connect(dsn_of(PORTS[node]), autocommit=True) as connection:
            return connection.execute(ROLE).fetchone() == (False,)
    except psycopg.Error:
        return False


def wait_until_streaming(primary: str) -> None:
    sql = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
    wait_until(lambda: takes_writes(primary) and psql(primary, sql) == "1", f"the standby of {primary} to stream", 90)


def more(writer: Writer, rows: int = 20) -> list[int]:
    """Let the client get some more rows acknowledged; returns all that are."""
    wanted = len(writer.acknowledged) + rows

    def enough() -> bool:
        assert writer.trouble == ""
        return len(writer.acknowledged) >= wanted

    try:
        wait_until(enough, f"{rows} more rows to be acknowledged", 60)
    except AssertionError as error:
        error.add_note(f"The client's last error: {writer.last_error or 'none'}")
        raise
    return list(writer.acknowledged)


def _log_in(node: str, where: str, role: str, password: str) -> None:
    """Over the network, and out again; ``where``: the database, as a part of the connection's string."""
    conninfo = make_conninfo(
        where,
        user=role,
        host="127.0.0.1",
        port=PORTS[node],
        password=password,
        sslmode="require",
        connect_timeout=5,
    )
    psycopg.connect(conninfo, autocommit=True).close()


def may_log_in(node: str, role: str, password: str) -> bool:
    """Over the network, as ``role`` and where its right to do so lies."""
    user = "imdb" if role == "user_imdb" else role
    own = {"user_imdb": "dbname=imdb", "relevo_replication": "replication=true", "relevo_rewind": "dbname=postgres"}
    try:
        _log_in(node, own.get(role, "dbname=relevo"), user, password)
    except psycopg.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
        return False
    return True


def log_in(node: str, role: str, password: str, database: str) -> str:
    """Why the server refuses a login over the network; empty when it does not. ``database`` "": for replication."""
    try:
        _log_in(node, f"dbname={database}" if database else "replication=true", role, password)
    except psycopg.OperationalError as error:
        return " ".join(str(error).split())
    return ""


def redis_says(password: str, host: str = REDIS) -> str:
    return shell(host, "env", f"REDISCLI_AUTH={password}", "redis-cli", "ping").strip()
