# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container nodes: the fence contract by means of the Docker engine. Nothing else of the collection knows Docker,
except what creates the containers."""

from __future__ import annotations

import errno
import functools
import io
import posixpath
import socket
import tarfile
import time
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from .. import _names
from .._errors import RelevoError
from .offline_node import MARKER_PATH, FileStream, Proof, Status, why_not_started

try:
    import docker
    import docker.errors
    import requests.exceptions

    DOCKER_IMPORT_ERROR: str | None = None
except ImportError:
    DOCKER_IMPORT_ERROR = traceback.format_exc()

DATA_DIRECTORY = str(_names.DATA_ROOT)
CHUNK = 1024 * 1024
# The longest that a kill is waited for: the engine gives up earlier by itself. What it says afterwards counts.
KILL_TIMEOUT = 30
_MARKER_LIMIT = 1024 * 1024


def connect(timeout: float = 60) -> Any:
    """Return the SDK's client of an engine that answers."""
    try:
        client = docker.from_env(timeout=timeout)
        client.ping()
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise RelevoError(
            "No Docker engine answers: start it (as root: systemctl start docker, or service docker start), install "
            "it (package docker.io), or set DOCKER_HOST; your user needs access to its socket.",
            engine_error=str(error),
        ) from error
    return client


#: One client for all that a task does: each new one pings the engine.
engine = functools.cache(connect)


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn what the engine answers into one sentence."""
    try:
        yield
    except docker.errors.APIError as error:
        raise RelevoError(f"{what} failed: the Docker engine says: {error.explanation or error}.") from error
    except requests.exceptions.RequestException as error:
        raise RelevoError(f"{what} failed: the Docker engine does not answer: {error}.") from error
    except tarfile.TarError as error:
        raise RelevoError(f"{what} failed: what the Docker engine sent is not whole: {error}.") from error


def is_bound(address: str, port: int) -> bool:
    """Whether a process of this machine listens on a port that the engine would publish."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as probe:
        # What merely lingers of old connections does not keep the engine from listening.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def is_local(client: Any) -> bool:
    """Whether the engine is reached over a socket of this machine, so that its ports are this machine's."""
    return str(client.api.base_url).startswith("http+docker://")


class _Reader(io.RawIOBase):
    """The engine's chunks as a file that tarfile can read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = next(self._chunks, b"")
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


@dataclass(frozen=True)
class _Opened:
    """An archive that the engine sends, and the entry that was read of it."""

    archive: tarfile.TarFile
    first: tarfile.TarInfo


def tar_of(entries: list[tarfile.TarInfo], stream: FileStream | None = None) -> Iterator[bytes]:
    """Yield an archive of directories and, as its last entry, one file, without holding the file in memory.

    Fails when the stream's length is not what was promised, so that the engine never takes half a file for a whole one.
    """
    for entry in entries:
        yield entry.tobuf(tarfile.PAX_FORMAT)
    if stream is not None:
        sent = 0
        for chunk in stream.chunks:
            sent += len(chunk)
            yield chunk
        if sent != stream.size:
            raise RelevoError(f"A file changed while it was copied: {sent} bytes instead of {stream.size}. Try again.")
        yield bytes(-sent % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def data_directory_of(inspected: Mapping[str, Any]) -> str:
    """The data directory of a container, from the engine's answer about it: the image's variable ``PGDATA``."""
    environment = (inspected.get("Config") or {}).get("Env") or []
    for name, _equals, value in (str(entry).partition("=") for entry in environment):
        if name == "PGDATA":
            return value
    name = str(inspected.get("Name", "")).lstrip("/")
    raise RelevoError(f"The container {name} has no variable PGDATA: it is not a PostgreSQL node of Relevo.")


class ContainerNode:
    """A node that is a container of the same name."""

    def __init__(self, client: Any, name: str) -> None:
        self.name = name
        self._client = client

    # --- state -------------------------------------------------------------------------------------------------

    def _inspect(self) -> dict[str, Any] | None:
        with engine_errors(f"Inspecting the container {self.name}"):
            try:
                found: dict[str, Any] = self._client.api.inspect_container(self.name)
            except docker.errors.NotFound:
                return None
            except requests.exceptions.ConnectionError:
                # Lost at once: one that came too late would take as long again.
                found = self._client.api.inspect_container(self.name)
        return found

    @staticmethod
    def _status(found: dict[str, Any] | None) -> Status:
        if found is None:
            return "missing"
        state = found["State"]
        # A paused container counts as running too, and so does one that is about to be restarted.
        if state.get("Paused"):
            return "paused"
        if state.get("Restarting"):
            return "restarting"
        return "running" if state.get("Running") else "stopped"

    def state(self) -> Status:
        return self._status(self._inspect())

    def prove_stopped(self) -> Proof:
        found = self._inspect()
        status = self._status(found)
        if found is None:
            return Proof(True, f"Docker has no container {self.name}")
        if status != "stopped":
            return Proof(False, f"Docker says that the container {self.name} is {status}")
        state = found["State"]
        ended = f", exit status {state.get('ExitCode')} at {state.get('FinishedAt')}"
        return Proof(True, f"Docker says that the container {self.name} is {state.get('Status', 'stopped')}{ended}")

    # --- fence and start ---------------------------------------------------------------------------------------

    def fence(self) -> bool:
        """Kill the container.

        A paused one is killed too: the engine sends SIGKILL first and thaws it then. What was under way in it may still
        be acknowledged in that moment; its WAL is on the disk, so the salvage has it. A killed container counts as
        stopped by hand, so the policy ``unless-stopped`` leaves it down.
        """
        if self.state() in ("missing", "stopped"):
            return False
        said = ""
        try:
            with engine_errors(f"Killing the container {self.name}"):
                self._client.api.kill(self.name)
                self._client.api.wait(self.name, timeout=KILL_TIMEOUT)
        except RelevoError as error:
            # It may have ended by itself before, or after the engine's answer was waited for.
            said = f" ({error.message.rstrip('.')})"
        proof = self.prove_stopped()
        if not proof.proved:
            raise RelevoError(
                f"{self.name} could not be fenced: {proof.evidence} after it was killed{said}. Look at the engine."
            )
        return True

    def start(self) -> bool:
        status = self.state()
        if refusal := why_not_started(self.name, status):
            raise RelevoError(refusal)
        if status in ("running", "restarting"):
            return False
        with engine_errors(f"Starting the container {self.name}"):
            self._client.api.start(self.name)
        return True

    # --- files -------------------------------------------------------------------------------------------------

    @contextmanager
    def _archive(self, path: str) -> Iterator[_Opened | None]:
        """The engine's archive of a path, at its first entry; works on a stopped container's volumes too."""
        with engine_errors(f"Reading {path} of {self.name}"):
            try:
                chunks, _stat = self._client.api.get_archive(self.name, path, chunk_size=CHUNK)
            except docker.errors.NotFound as error:
                if self._inspect() is None:
                    raise RelevoError(f"There is no container {self.name} to read {path} from.") from error
                chunks = None
            if chunks is None:
                yield None
                return
            with closing(chunks), tarfile.open(mode="r|", fileobj=io.BufferedReader(_Reader(chunks), CHUNK)) as archive:
                entry = archive.next()
                yield _Opened(archive, entry) if entry else None

    @contextmanager
    def read_file(self, path: str) -> Iterator[FileStream | None]:
        with self._archive(path) as found:
            if found is None:
                yield None
                return
            content = found.archive.extractfile(found.first)
            if content is None:
                raise RelevoError(f"{path} of {self.name} is not a regular file.")
            yield FileStream(found.first.size, iter(lambda: content.read(CHUNK), b""))

    def first_with(self, path: str, name: str) -> str:
        """The first directory in ``path`` that has a file ``name``; empty for none.

        The engine sends what is below in the order of names. What this one holds is not waited for: it may be large.
        """
        seen: set[str] = set()
        while below := self._first_directory(path, seen):
            # Not while that is being read: the engine keeps the container locked until the end (seen with 20.10).
            with self.read_file(f"{path}/{below}/{name}") as there:
                if there is not None:
                    return below
            seen.add(below)
        return ""

    def _first_directory(self, path: str, without: Collection[str]) -> str:
        """The name of the first directory in ``path`` other than these; empty for none."""
        with self._archive(path) as found:
            if found is None:
                return ""
            top = f"{found.first.name.rstrip('/')}/"
            for entry in found.archive:
                below = entry.name.rstrip("/").removeprefix(top) if entry.name.startswith(top) else ""
                if entry.isdir() and below and "/" not in below and below not in without:
                    return below
        return ""

    def list_directory(self, path: str) -> list[str]:
        with self._archive(path) as found:
            if found is None:
                return []
            # The engine has no other way to list what is on a stopped container's volume.
            entries = (entry.name for entry in found.archive if entry.name != found.first.name)
            return sorted(name.rpartition("/")[2] for name in entries)

    @functools.cached_property
    def _pgdata(self) -> str:
        """The data directory, of which its image tells the server too."""
        found = self._inspect()
        if found is None:
            raise RelevoError(f"There is no container {self.name} whose data could be read.")
        return data_directory_of(found)

    def version(self) -> str:
        """The major version of PostgreSQL for which the container was made."""
        return posixpath.basename(posixpath.dirname(self._pgdata))

    def wal_directory(self) -> str:
        return f"{self._pgdata}/pg_wal"

    @functools.cached_property
    def _postgres(self) -> tuple[int, int]:
        """The numbers of the user and the group that own the data."""
        # The file is small, and there as soon as there is a cluster.
        for path in (f"{self._pgdata}/PG_VERSION", DATA_DIRECTORY):
            with self._archive(path) as found:
                if found is not None:
                    return found.first.uid, found.first.gid
        raise RelevoError(f"The container {self.name} has no {DATA_DIRECTORY}: it is not a PostgreSQL node.")

    def write_file(self, path: str, stream: FileStream) -> None:
        inside = posixpath.relpath(path, DATA_DIRECTORY)
        if inside.startswith(".."):
            raise RelevoError(f"{path} is not below {DATA_DIRECTORY}.")
        owner = self._postgres
        parts = inside.split("/")
        entries = [self._entry("/".join(parts[:at]), owner, 0o700) for at in range(1, len(parts))]
        entries.append(self._entry(inside, owner, 0o600, stream.size))
        with engine_errors(f"Writing {path} of {self.name}"):
            self._client.api.put_archive(self.name, DATA_DIRECTORY, tar_of(entries, stream))

    @staticmethod
    def _entry(name: str, owner: tuple[int, int], mode: int, size: int | None = None) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(name)
        entry.uid, entry.gid = owner
        entry.mode = mode
        entry.mtime = time.time()
        if size is None:
            entry.type = tarfile.DIRTYPE
        else:
            entry.size = size
        return entry

    def read_marker(self) -> str | None:
        with self.read_file(MARKER_PATH) as stream:
            if stream is None:
                return None
            if stream.size > _MARKER_LIMIT:
                raise RelevoError(f"{MARKER_PATH} of {self.name} is not a marker: it has {stream.size} bytes.")
            return b"".join(stream.chunks).decode(errors="replace")

    def write_marker(self, text: str) -> None:
        data = text.encode()
        self.write_file(MARKER_PATH, FileStream(len(data), iter([data])))
        if self.read_marker() != text:
            raise RelevoError(f"The fence marker of {self.name} could not be read back. Look at its data volume.")
