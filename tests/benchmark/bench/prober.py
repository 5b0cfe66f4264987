"""The client: it inserts a number every 2 ms over its DSN and keeps which of them were acknowledged when.

It is a process of its own, so that nothing that the benchmark does meanwhile delays it; libpq is used directly, since
it is libpq that applications of every language wait for. Each acknowledgement is sent at once to the benchmark, which
so knows it even if this process hangs.
"""

from __future__ import annotations

import os
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from bench.figures import Acknowledged, lost
from systems.base import BenchmarkError, wait_until

PAUSE = 0.002
RECONNECT_AFTER = 0.005
#: How long an insert may go without an answer before the client tries another connection.
PATIENCE = 5.0
#: Inserts before a hand-over begins, and on the new primary before the client stops.
STEADY = 100
PACKET = struct.Struct("=qdq")
BENCHMARK = Path(__file__).resolve().parents[1]


class Prober:
    """Runs the client from ``__enter__`` until ``stop``."""

    def __init__(self, dsn: str, table: str = "probe") -> None:
        self._dsn = dsn
        #: Clients at the same time need a table each.
        self.table = table
        self.acknowledged: list[Acknowledged] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Prober:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(SQL("DROP TABLE IF EXISTS {}").format(Identifier(self.table)))
            connection.execute(SQL("CREATE TABLE {} (id bigint PRIMARY KEY)").format(Identifier(self.table)))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.prober"],
            cwd=BENCHMARK,
            env=os.environ | {"PROBER_DSN": self._dsn, "PROBER_TABLE": self.table},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait(lambda: len(self.acknowledged) >= STEADY, f"{STEADY} acknowledged inserts", 60)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while packet := self._process.stdout.read(PACKET.size):
            self.acknowledged.append(Acknowledged(*PACKET.unpack(packet)))

    def _wait(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        def met() -> bool:
            if self._process is None or self._process.poll() is not None:
                raise BenchmarkError("The client ended by itself; its error is above.")
            return condition()

        wait_until(met, what, timeout, interval=0.02)

    @property
    def server(self) -> int:
        """Which server took the newest insert, as ``server_of`` has it."""
        return self.acknowledged[-1].server

    def wait_moved(self, before: int, timeout: float) -> None:
        """Wait until inserts are steadily taken by another server than ``before``."""

        def steady() -> bool:
            newest = self.acknowledged[-STEADY:]
            return len(newest) == STEADY and all(row.server != before for row in newest)

        try:
            self._wait(steady, "inserts to be taken by the other server", timeout)
        except BenchmarkError as error:
            # A client that still writes to the old primary while the new one takes writes too has lost all that.
            gone = lost(self.stop(), self.rows())
            raise BenchmarkError(
                f"{error} Of the client's {len(self.acknowledged)} acknowledged rows the primary lacks {len(gone)}."
            ) from error

    def finish(self) -> list[int]:
        """End the client; the acknowledged numbers that the primary has not."""
        return lost(self.stop(), self.rows())

    def stop(self) -> list[Acknowledged]:
        """End the client; all that it was told."""
        if self._process is not None and self._reader is not None:
            self._process.terminate()
            self._process.wait(30)
            self._reader.join(30)
            self._process = None
        return self.acknowledged

    def rows(self) -> list[int]:
        """The numbers that the server has now."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            return [int(row[0]) for row in connection.execute(SQL("SELECT id FROM {}").format(Identifier(self.table)))]


def insert(connection: pq.abc.PGconn, number: int) -> bool:
    """Whether the insert was acknowledged; False also where nobody knows."""
    connection.send_query_prepared(b"probe", [str(number).encode()])
    connection.flush()
    deadline = time.monotonic() + PATIENCE
    while connection.is_busy():
        if not select.select([connection.socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        connection.consume_input()
    # The server says "INSERT 0 1" before it commits and "ready" afterwards (extended protocol). One that is stopped
    # between the two ends the results with an error, and the row is not there.
    results = []
    while (result := connection.get_result()) is not None:
        results.append(result.status)
    committed = connection.status == pq.ConnStatus.OK and connection.transaction_status == pq.TransactionStatus.IDLE
    return committed and results == [pq.ExecStatus.COMMAND_OK]


def hosts_of(dsn: str) -> list[bytes]:
    """A DSN for each host of a multi-host DSN."""
    settings = conninfo_to_dict(dsn)
    hosts, ports = str(settings["host"]).split(","), str(settings["port"]).split(",")
    return [
        make_conninfo("", **(settings | {"host": host, "port": port})).encode()
        for host, port in zip(hosts, ports, strict=True)
    ]


def connect(hosts: list[bytes]) -> tuple[int, pq.abc.PGconn] | None:
    """The first host that takes writes, by its place in the DSN.

    They are tried one by one, as psycopg and JDBC do. libpq itself gives up, without trying the next host, when a
    connection is accepted and closed without a word; that is what the engine's proxy does at the published port of a
    container in which nobody listens, where a machine would refuse the connection.
    """
    for server, host in enumerate(hosts):
        connection = pq.PGconn.connect(host)
        if connection.status == pq.ConnStatus.OK:
            return server, connection
        connection.finish()
    return None


def server_of(connection: pq.abc.PGconn, place: int, hosts: list[bytes]) -> int:
    """A server by its place in the DSN; behind an address that leads to several, by the address that it has itself."""
    if len(hosts) > 1:
        return place
    return int(connection.exec_(b"SELECT inet_server_addr() - inet '0.0.0.0'").get_value(0, 0) or 0)


def probe(dsn: str, table: str, report: Callable[[Acknowledged], None]) -> None:
    """Insert until the process is ended. A number whose fate is unknown is never tried again."""
    hosts = hosts_of(dsn)
    number = 0
    while True:
        if found := connect(hosts):
            place, connection = found
            try:
                server = server_of(connection, place, hosts)
                prepared = connection.prepare(b"probe", f"INSERT INTO {table} (id) VALUES ($1)".encode())
                while prepared.status == pq.ExecStatus.COMMAND_OK:
                    number += 1
                    if not insert(connection, number):
                        break
                    report(Acknowledged(number, time.monotonic(), server))
                    time.sleep(PAUSE)
            except psycopg.Error:
                # The server has gone in the middle of it: the next connection finds the one that takes writes.
                pass
            finally:
                connection.finish()
        time.sleep(RECONNECT_AFTER)


if __name__ == "__main__":
    probe(
        os.environ["PROBER_DSN"],
        os.environ["PROBER_TABLE"],
        lambda row: (os.write(1, PACKET.pack(*row)), None)[1],
    )
