# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session needs of libpq, PostgreSQL's own client library, under the names that ``psycopg.pq`` has for it.

To load psycopg takes 0.19 s of processor time on a node (3.1 and 3.2 alike; measured), most of it for types, cursors
and asyncio, and to load this 0.01 s. In an emergency two programs do so one after the other while nobody takes writes,
and so does each module of ours that asks a server. Both call the same library, ``libpq.so.5``: it has had that name
since PostgreSQL 8.2, since no release has taken a function from it or changed one.

Only what a session calls is here, so that ``psycopg.pq`` can take its place where the system has no such library: see
``AVAILABLE``.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable, Sequence
from ctypes import c_char_p, c_int, c_void_p
from enum import IntEnum
from typing import Any

_library: ctypes.CDLL | None
try:
    _library = ctypes.CDLL("libpq.so.5")
except OSError:
    _library = None
#: Whether anything here can be called. A controller may have libpq only within psycopg.
AVAILABLE = _library is not None

SEVERITY = re.compile(r"\A(?:ERROR|FATAL|PANIC):\s+")


class Error(Exception):
    """libpq could not do it; the connection is of no more use."""


# The numbers are those of libpq-fe.h, which has only ever added some.
class ConnStatus(IntEnum):
    """Of all that there are, what is compared."""

    OK = 0
    BAD = 1


class PollingStatus(IntEnum):
    """What a connection that is being made waits for."""

    FAILED = 0
    READING = 1
    WRITING = 2
    OK = 3


class ExecStatus(IntEnum):
    """Of all that there are, what a result of an error has."""

    BAD_RESPONSE = 5
    FATAL_ERROR = 7


class Ping(IntEnum):
    """What a server says to somebody who does not log in."""

    OK = 0
    REJECT = 1
    NO_RESPONSE = 2
    NO_ATTEMPT = 3


class DiagnosticField(IntEnum):
    """A part of an error, by its letter in the protocol."""

    SQLSTATE = ord("C")
    MESSAGE_PRIMARY = ord("M")


def _missing(*_given: Any) -> Any:
    raise Error("this system has no libpq.so.5")


def _function(name: str, result: type[Any] | None, *arguments: type[Any]) -> Callable[..., Any]:
    if _library is None:
        return _missing
    function = getattr(_library, name)
    function.restype, function.argtypes = result, arguments
    return function  # type: ignore[no-any-return]


_connect_start = _function("PQconnectStart", c_void_p, c_char_p)
_connect_poll = _function("PQconnectPoll", c_int, c_void_p)
_finish = _function("PQfinish", None, c_void_p)
_ping = _function("PQping", c_int, c_char_p)
_status = _function("PQstatus", c_int, c_void_p)
_socket = _function("PQsocket", c_int, c_void_p)
_server_version = _function("PQserverVersion", c_int, c_void_p)
_error_message = _function("PQerrorMessage", c_char_p, c_void_p)
_set_nonblocking = _function("PQsetnonblocking", c_int, c_void_p, c_int)
_send_query = _function("PQsendQuery", c_int, c_void_p, c_char_p)
_send_query_params = _function(
    "PQsendQueryParams", c_int, c_void_p, c_char_p, c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_int
)
_flush = _function("PQflush", c_int, c_void_p)
_is_busy = _function("PQisBusy", c_int, c_void_p)
_consume_input = _function("PQconsumeInput", c_int, c_void_p)
_get_result = _function("PQgetResult", c_void_p, c_void_p)
_clear = _function("PQclear", None, c_void_p)
_result_status = _function("PQresultStatus", c_int, c_void_p)
_result_error_message = _function("PQresultErrorMessage", c_char_p, c_void_p)
_result_error_field = _function("PQresultErrorField", c_char_p, c_void_p, c_int)
_ntuples = _function("PQntuples", c_int, c_void_p)
_nfields = _function("PQnfields", c_int, c_void_p)
_fname = _function("PQfname", c_char_p, c_void_p, c_int)
_get_value = _function("PQgetvalue", c_void_p, c_void_p, c_int, c_int)
_get_length = _function("PQgetlength", c_int, c_void_p, c_int, c_int)
_get_is_null = _function("PQgetisnull", c_int, c_void_p, c_int, c_int)

_NoticeProcessor = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)
_set_notice_processor = _function("PQsetNoticeProcessor", c_void_p, c_void_p, _NoticeProcessor, c_void_p)
#: libpq prints what a server remarks, unless somebody takes it.
_ignore = _NoticeProcessor(lambda _argument, _notice: None)


class PGresult:
    """One result. What it returns is a copy: libpq's own memory goes with it."""

    def __init__(self, pointer: int) -> None:
        self._pointer: int | None = pointer

    def __del__(self) -> None:
        _clear(self._pointer)

    @property
    def status(self) -> int:
        return int(_result_status(self._pointer))

    @property
    def error_message(self) -> bytes:
        return bytes(_result_error_message(self._pointer))

    def error_field(self, field: int) -> bytes | None:
        found: bytes | None = _result_error_field(self._pointer, field)
        return found

    @property
    def ntuples(self) -> int:
        return int(_ntuples(self._pointer))

    @property
    def nfields(self) -> int:
        return int(_nfields(self._pointer))

    def fname(self, column: int) -> bytes | None:
        found: bytes | None = _fname(self._pointer, column)
        return found

    def get_value(self, row: int, column: int) -> bytes | None:
        if _get_is_null(self._pointer, row, column):
            return None
        return ctypes.string_at(_get_value(self._pointer, row, column), _get_length(self._pointer, row, column))


class PGconn:
    """One connection. libpq takes no question to one that is finished, but ``PQflush`` would crash."""

    def __init__(self, pointer: int) -> None:
        self._pointer: int | None = pointer
        self._process = os.getpid()
        _set_notice_processor(pointer, _ignore, None)

    def __del__(self) -> None:
        # A process that was forked has its parent's connection, which must not end with it.
        if os.getpid() == self._process:
            self.finish()

    @classmethod
    def connect_start(cls, conninfo: bytes) -> PGconn:
        pointer = _connect_start(conninfo)
        if not pointer:
            raise MemoryError("libpq could not allocate a connection")
        return cls(pointer)

    @classmethod
    def ping(cls, conninfo: bytes) -> int:
        return int(_ping(conninfo))

    def connect_poll(self) -> int:
        return int(_connect_poll(self._pointer))

    def finish(self) -> None:
        pointer, self._pointer = self._pointer, None
        if pointer:
            _finish(pointer)

    @property
    def status(self) -> int:
        return int(_status(self._pointer))

    @property
    def socket(self) -> int:
        found = int(_socket(self._pointer))
        if found < 0:
            raise Error("the connection is lost")
        return found

    @property
    def server_version(self) -> int:
        return int(_server_version(self._pointer))

    @property
    def error_message(self) -> bytes:
        return bytes(_error_message(self._pointer))

    def _require(self, done: bool, what: str) -> None:
        if not done:
            words = SEVERITY.sub("", self.error_message.decode(errors="replace")).strip()
            raise Error(f"{what} failed: {words or 'no error details available'}")

    def _set_nonblocking(self, value: int) -> None:
        self._require(_set_nonblocking(self._pointer, value) == 0, "setting nonblocking")

    nonblocking = property(None, _set_nonblocking)

    def _require_open(self) -> None:
        if not self._pointer:
            raise Error("the connection is closed")

    def send_query(self, sql: bytes) -> None:
        self._require_open()
        self._require(_send_query(self._pointer, sql) == 1, "sending query")

    def send_query_params(self, sql: bytes, values: Sequence[bytes | None]) -> None:
        """Each value as text, of a type that the server finds; every value of the answer as text."""
        self._require_open()
        given = (c_char_p * len(values))(*values)
        done = _send_query_params(self._pointer, sql, len(values), None, given, None, None, 0)
        self._require(done == 1, "sending query and params")

    def flush(self) -> int:
        """1 where not all could be sent yet."""
        self._require_open()
        done = int(_flush(self._pointer))
        self._require(done >= 0, "flushing")
        return done

    def is_busy(self) -> int:
        return int(_is_busy(self._pointer))

    def consume_input(self) -> None:
        self._require(_consume_input(self._pointer) == 1, "consuming input")

    def get_result(self) -> PGresult | None:
        pointer = _get_result(self._pointer)
        return PGresult(pointer) if pointer else None
