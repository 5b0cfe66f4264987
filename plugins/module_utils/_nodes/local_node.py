# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fence contract on a machine that answers while its server does not, for a program that runs there."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import _names
from .._durable import sync_directory, write_file
from .._errors import RelevoError
from .._server.server import Server
from .._server.service import Service
from .._wait import wait_until
from .offline_node import MARKER_PATH, FileStream, Proof, Status

CHUNK = 1024 * 1024
#: A process that was killed ends at once, unless the kernel waits for a disk on its behalf.
KILL_TIMEOUT = 20.0


class LocalNode:
    """This machine: its service manager stops the server for good, and its processes are the proof."""

    def __init__(
        self, name: str, service: Service, server: Server | None = None, data_root: Path | None = None
    ) -> None:
        self.name = name
        self._service = service
        self._server = server or Server()
        self._data_root = data_root or _names.DATA_ROOT

    # --- state -------------------------------------------------------------------------------------------------

    def has_data(self) -> bool:
        """Whether the disk with the data is there: a marker beside them is read before they are used."""
        return self._server.initialised

    def lives(self) -> bool:
        """Whether its server gives an answer of any kind."""
        if not self._server.processes():
            return False
        # Loads psycopg: the usual case is a server that is gone.
        from .._server.session import PSYCOPG_IMPORT_ERROR, local_answer

        return not PSYCOPG_IMPORT_ERROR and local_answer() != "none"

    def state(self) -> Status:
        return "stopped" if self.prove_stopped().proved else "running"

    def prove_stopped(self) -> Proof:
        left = self._server.processes()
        if left:
            numbers = ", ".join(str(number) for number in left[:5])
            return Proof(False, f"processes of PostgreSQL are left on {self.name}: {numbers}")
        if not self._service.stopped():
            return Proof(False, f"the service manager of {self.name} means to start PostgreSQL")
        return Proof(True, f"the service manager of {self.name} has stopped PostgreSQL, and no process of it is left")

    # --- fence and start ---------------------------------------------------------------------------------------

    def fence(self) -> bool:
        """Stop the server at once.

        Killed as a container's is: a fast stop waits for what hangs. What was acknowledged is in its WAL.
        """
        if self.prove_stopped().proved:
            return False
        self._service.ask_to_stop()
        wait_until(self._killed, f"PostgreSQL on {self.name} to end", KILL_TIMEOUT, interval=0.02)
        return True

    def _killed(self) -> bool:
        """Whether nothing is left; what is gets killed, again and again, since it may have just been started."""
        for number in self._server.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        return self.prove_stopped().proved

    def start(self) -> bool:
        self._service.start()
        return True

    # --- files -------------------------------------------------------------------------------------------------

    def wal_directory(self) -> str:
        return str(self._server.pgdata / "pg_wal")

    @contextmanager
    def read_file(self, path: str) -> Iterator[FileStream | None]:
        try:
            file = Path(path).open("rb")  # noqa: SIM115
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            raise self._unreadable(path, error) from error
        with file:

            def chunks() -> Iterator[bytes]:
                try:
                    yield from iter(lambda: file.read(CHUNK), b"")
                except OSError as error:
                    raise self._unreadable(path, error) from error

            yield FileStream(os.fstat(file.fileno()).st_size, chunks())

    def _unreadable(self, path: str, error: OSError) -> RelevoError:
        return RelevoError(f"{path} of {self.name} cannot be read: {error.strerror}. Look at its disk.")

    def list_directory(self, path: str) -> list[str]:
        try:
            return sorted(entry.name for entry in Path(path).iterdir())
        except FileNotFoundError:
            return []

    def write_file(self, path: str, stream: FileStream) -> None:
        where = Path(path)
        if self._data_root not in where.parents or ".." in where.parts:
            raise RelevoError(f"{path} is not below {self._data_root}.")
        missing = [folder for folder in where.parents if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700)
            if os.geteuid() == 0:
                account = pwd.getpwnam("postgres")
                os.chown(folder, account.pw_uid, account.pw_gid)
            sync_directory(folder.parent)
        write_file(where, b"".join(stream.chunks))

    def read_marker(self) -> str | None:
        with self.read_file(self._marker_path()) as stream:
            return None if stream is None else b"".join(stream.chunks).decode(errors="replace")

    def write_marker(self, text: str) -> None:
        data = text.encode()
        self.write_file(self._marker_path(), FileStream(len(data), iter([data])))

    def _marker_path(self) -> str:
        return str(self._data_root / Path(MARKER_PATH).relative_to(_names.DATA_ROOT))
