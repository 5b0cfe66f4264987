# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL session in which every wait has a deadline.

libpq's own time-outs do not cover a server that is frozen after the connection was made (its kernel goes on
acknowledging packets), nor the resolution of a host's name. A hand-over must decide within seconds in both cases,
so this uses libpq's asynchronous interface and waits on the socket itself.
"""

from __future__ import annotations

import select
import time
import traceback
from typing import Any

from .. import _names
from .._errors import RelevoError
from . import addresses
from .credentials import Credentials
from .installation import local_port, version_at_socket
from .peer import Life, Peer

PSYCOPG_IMPORT_ERROR: str | None = None
try:
    import psycopg
    from psycopg import pq
    from psycopg.conninfo import make_conninfo
except ImportError:
    PSYCOPG_IMPORT_ERROR = traceback.format_exc()

Row = dict[str, Any]


class SessionError(RelevoError):
    """The server could not be asked, or answered with an error; ``sqlstate`` is set in the second case."""

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class NotConnected(SessionError):
    """The server, or the system for it, refused the connection: libpq has its words."""


#: Seconds for an answer of this node's own server that nothing goes on without: a busy machine takes long, too.
PATIENCE = 30.0


def socket_dsn(port: int, dbname: str, options: str = "") -> str:
    """How a program of PostgreSQL reaches a server of this host as its superuser; any name of a database.

    ``options``: more than those of all our sessions; they stand for its ``PGOPTIONS``.
    """
    given = f"{options} {_options_at(port)}".strip()
    return str(make_conninfo(host=str(_names.SOCKET_DIR), port=port, user="postgres", dbname=dbname, options=given))


def _options_at(port: int) -> str:
    return _names.unlimited(version_at_socket(port), superuser=True)


class Session:
    """One connection; every method takes or has a time-out in seconds and raises ``SessionError`` when it passes."""

    def __init__(self, conninfo: str, label: str, timeout: float = 5.0) -> None:
        self.label = label
        self.timeout = timeout
        self._pgconn = self._open(conninfo, time.monotonic() + timeout)
        # Only the server knows its version, and only now.
        if self._pgconn.server_version >= _names.TRANSACTION_TIMEOUT_SINCE * 10000:
            self.query("SET transaction_timeout = 0")

    @classmethod
    def local(cls, dbname: str = "postgres", application_name: str = "relevo", timeout: float = 5.0) -> Session:
        """A superuser's session over this node's socket (peer).

        Its own commits wait for no standby: it must be able to act on a primary that accepts no writes because no
        synchronous standby is connected.
        """
        return cls.at_socket(local_port(), dbname, "the server of this node", timeout, application_name)

    @classmethod
    def at_socket(
        cls,
        port: int,
        dbname: str,
        label: str,
        timeout: float = 5.0,
        application_name: str = "relevo",
        options: str = "",
    ) -> Session:
        """A superuser's session at a server of this host, by the port in its socket's name; ``options``: more."""
        conninfo = make_conninfo(
            host=str(_names.SOCKET_DIR),
            port=port,
            user="postgres",
            dbname=dbname,
            application_name=application_name,
            client_encoding="UTF8",
            options=f"-c synchronous_commit=local {_options_at(port)} {options}".rstrip(),
        )
        return cls(conninfo, label, timeout)

    @classmethod
    def remote(
        cls,
        node: Peer,
        user: str,
        credentials: Credentials | None = None,
        *,
        dbname: str = _names.OWN_DATABASE,
        application_name: str = "relevo",
        timeout: float = 5.0,
        address: str = "",
    ) -> Session:
        """A session at another node: TLS with its certificate verified, password from the passfile.

        ``address``: where it is reached, if not under the name that its certificate has.
        """
        credentials = credentials or Credentials()
        started = time.monotonic()
        try:
            hostaddr = addresses.reach(address or node.host, node.port, timeout)
        except addresses.NotReached as error:
            raise SessionError(error.message) from error
        conninfo = make_conninfo(
            host=node.host,
            hostaddr=hostaddr,
            port=node.port,
            user=user,
            dbname=dbname,
            application_name=application_name,
            client_encoding="UTF8",
            passfile=str(credentials.passfile),
            sslmode="verify-full",
            sslrootcert=str(credentials.ca_file),
            options=f"{_names.unlimited()} {_names.KEPT_ALIVE}",
        )
        return cls(conninfo, node.name, max(0.1, timeout - (time.monotonic() - started)))

    def _open(self, conninfo: str, deadline: float) -> pq.abc.PGconn:
        pgconn = pq.PGconn.connect_start(conninfo.encode())
        try:
            while pgconn.status != pq.ConnStatus.BAD:
                step = pgconn.connect_poll()
                if step == pq.PollingStatus.OK:
                    pgconn.nonblocking = 1
                    return pgconn
                if step == pq.PollingStatus.FAILED:
                    break
                self._wait(pgconn, deadline, "a connection", writing=step == pq.PollingStatus.WRITING)
            reason = " ".join(pgconn.error_message.decode(errors="replace").split()) or "no reason given"
        except SessionError:
            pgconn.finish()
            raise
        pgconn.finish()
        raise NotConnected(f"{self.label}: {reason}")

    def _wait(self, pgconn: pq.abc.PGconn, deadline: float, what: str, writing: bool = False) -> None:
        remaining = deadline - time.monotonic()
        readers, writers = ([], [pgconn.socket]) if writing else ([pgconn.socket], [])
        if remaining <= 0 or not any(select.select(readers, writers, [], remaining)):
            raise SessionError(f"{self.label}: no answer in time (waited for {what})")

    def send(self, sql: str, parameters: tuple[str | int | None, ...] = ()) -> None:
        """Send a statement without waiting for its answer (see ``result``)."""
        values = [None if value is None else str(value).encode() for value in parameters]
        try:
            # The simple protocol is enough without parameters, and allows utility statements.
            if values:
                self._pgconn.send_query_params(sql.encode(), values)
            else:
                self._pgconn.send_query(sql.encode())
            self._pgconn.flush()
        except psycopg.Error as error:
            raise SessionError(f"{self.label}: {error}") from error

    def result(self, timeout: float | None = None) -> list[Row]:
        """The rows of the statement sent before, every value as text or None."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        rows: list[Row] = []
        failure: SessionError | None = None
        while True:
            while self._pgconn.is_busy():
                self._wait(self._pgconn, deadline, "the result of a statement")
                try:
                    self._pgconn.consume_input()
                except psycopg.Error as error:
                    raise SessionError(f"{self.label}: {error}") from error
            result = self._pgconn.get_result()
            if result is None:
                break
            if result.status in (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE):
                text = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message or b"").decode(
                    errors="replace"
                )
                state = result.error_field(pq.DiagnosticField.SQLSTATE)
                failure = SessionError(f"{self.label}: {text.strip()}", state.decode() if state else None)
                continue
            names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
            for row in range(result.ntuples):
                values = (result.get_value(row, column) for column in range(result.nfields))
                # A database in SQL_ASCII holds, and sends, what no encoding knows.
                texts = (None if value is None else value.decode(errors="replace") for value in values)
                rows.append(dict(zip(names, texts, strict=True)))
        if failure:
            raise failure
        return rows

    def query(self, sql: str, parameters: tuple[str | int | None, ...] = (), timeout: float | None = None) -> list[Row]:
        """Send a statement and return its rows."""
        self.send(sql, parameters)
        return self.result(timeout)

    def value(self, sql: str, parameters: tuple[str | int | None, ...] = (), timeout: float | None = None) -> Any:
        """The first column of the first row, or None."""
        rows = self.query(sql, parameters, timeout)
        return next(iter(rows[0].values())) if rows else None

    def flag(self, sql: str, parameters: tuple[str | int | None, ...] = (), timeout: float | None = None) -> bool:
        """A boolean value."""
        return bool(self.value(sql, parameters, timeout) == "t")

    def close(self) -> None:
        self._pgconn.finish()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def answer_of(node: Peer, timeout: int = 2) -> Life:
    """What a server says that gives us no session, in whatever language: any answer is a proof of life.

    ``none``; ``starting``, which also is stopping or recovering; or ``refused``, which is any other answer: too many
    connections, a refused login. ``timeout``: whole seconds, at least 2.
    """
    try:
        address = addresses.reach(node.host, node.port, timeout)
    except addresses.NotReached:
        return "none"
    conninfo = make_conninfo(
        host=node.host,
        hostaddr=address,
        port=node.port,
        user=_names.MONITOR_ROLE,
        dbname=_names.OWN_DATABASE,
        # Nobody logs in: what was wrong with the certificate must not hide that the server lives.
        sslmode="prefer",
        gssencmode="disable",
        connect_timeout=timeout,
        application_name="relevo ping",
    )
    with addresses.Listener(address, node.port) as listener:
        return _ping(conninfo, listener)


def local_answer(timeout: int = 2) -> Life:
    """What this node's own server says to somebody on its socket, as ``answer_of``."""
    socket_dir, port = str(_names.SOCKET_DIR), local_port()
    conninfo = make_conninfo(host=socket_dir, port=port, connect_timeout=timeout, application_name="relevo ping")
    with addresses.Listener(f"{socket_dir}/.s.PGSQL.{port}") as listener:
        return _ping(conninfo, listener)


def _ping(conninfo: str, listener: addresses.Listener) -> Life:
    """``listener``: what a server says that gets no process for us has no SQLSTATE, and libpq takes it for silence."""
    said = pq.Ping(pq.PGconn.ping(conninfo.encode()))
    if said == pq.Ping.REJECT:
        return "starting"
    return "refused" if said == pq.Ping.OK or listener.heard_error() else "none"
