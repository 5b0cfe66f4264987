# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a node that is down, whatever kind of node it is.

This is the only place that a caller needs: ``Node`` is the contract, and there is one implementation of it for each
``node_kind``. A node that is up is worked on through its own connection instead.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .. import _names
from .._errors import RelevoError
from .._server import abandoned_timelines
from .._server.lsn import SEGMENT, history_name, segment_name, segment_start

SALVAGE_DIRECTORY = f"{_names.MARKER_DIR}/salvage"
MARKER_PATH = f"{_names.MARKER_DIR}/fence.json"
#: Of a node that was removed from its cluster and whose data were kept.
REMOVED_PATH = f"{_names.MARKER_DIR}/removed.json"

Status = Literal["running", "paused", "restarting", "stopped", "missing", "unknown"]


def why_not_started(name: str, status: Status) -> str:
    """Why a container cannot just be started, and what to run; empty where it can."""
    if status == "missing":
        return f"There is no container {name} to start. Run site.yml, which creates it."
    if status == "paused":
        return f"The container {name} is paused. Run docker unpause {name}, then this again."
    return ""


_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# XLogLongPageHeaderData of src/include/access/xlog_internal.h: magic, info, timeline, page address, length of the
# rest of a record, padding, system identifier, segment size, block size.
_LONG_HEADER = struct.Struct("=HHIQI4xQII")
_LONG_HEADER_FLAG = 0x0002


@dataclass(frozen=True)
class Proof:
    """Whether a node is proved to be stopped, and the words of whoever says so."""

    proved: bool
    evidence: str


@dataclass
class FileStream:
    """A file of a node while it is read; ``chunks`` yields its content in order."""

    size: int
    chunks: Iterator[bytes]


class Target(Protocol):
    """What WAL is copied to."""

    def write_file(self, path: str, stream: FileStream) -> None:
        """Write a file below /var/lib/postgresql, owned by postgres, mode 0600, with its directories."""


class Node(Target, Protocol):
    """The fence contract."""

    name: str

    def wal_directory(self) -> str:
        """Where the node's server keeps its WAL."""

    def state(self) -> Status:
        """What the node's engine says about it."""

    def fence(self) -> bool:
        """Stop the node at once and for good; returns whether that changed anything."""

    def prove_stopped(self) -> Proof:
        """Ask whoever runs the node whether it is stopped."""

    def write_marker(self, text: str) -> None:
        """Write the fence marker onto the node's data volume; it can be read back when this returns."""

    def read_marker(self) -> str | None:
        """The fence marker's text, or None when there is none."""

    def read_file(self, path: str) -> AbstractContextManager[FileStream | None]:
        """Open a file of the node; None when there is no such file."""

    def list_directory(self, path: str) -> list[str]:
        """The names in a directory of the node, sorted. May cost as much as reading all of it."""

    def start(self) -> bool:
        """Start the node; returns whether that changed anything."""


@dataclass
class WalCopy:
    """What ``copy_wal`` did; ``ended`` says why it went no further, empty when only its ``limit`` was reached.

    ``following``: the segment to go on with. ``newer_timeline``: the one that the source went on on, of which nothing
    is copied; 0 when there is none. ``interrupted``: a file could not be read or written, so there may be more.
    """

    directory: str
    segments: list[str] = field(default_factory=list)
    bytes: int = 0
    ended: str = ""
    following: str = ""
    newer_timeline: int = 0
    interrupted: bool = False


@dataclass(frozen=True)
class SegmentHeader:
    """The first page header of a WAL segment."""

    timeline: int
    address: int
    system_identifier: int
    segment_size: int


def parse_segment_header(data: bytes) -> SegmentHeader | None:
    """Read the header at the start of a segment; None when there is none, as in a file made in advance."""
    if len(data) < _LONG_HEADER.size:
        return None
    magic, info, timeline, address, _rest, system, segment_size, _block = _LONG_HEADER.unpack_from(data)
    if not magic or not info & _LONG_HEADER_FLAG or segment_size < 1024 * 1024 or segment_size & (segment_size - 1):
        return None
    return SegmentHeader(timeline, address, system, segment_size)


def why_not_own(name: str, header: SegmentHeader | None) -> str:
    """Why the file's content does not belong to its name; empty when it does.

    PostgreSQL renames old segments for later use, so a name alone proves nothing. The first page of the segment in
    which a timeline begins still carries the number of an older one.
    """
    if header is None:
        return f"{name} was made in advance and is empty"
    if header.address != segment_start(name, header.segment_size):
        return f"{name} is a recycled file"
    if header.timeline > int(name[:8], 16):
        return f"{name} holds a page of the newer timeline {header.timeline}"
    return ""


@dataclass(frozen=True)
class WalRange:
    """Which segments to copy: those in ``names``, or all of ``timeline`` from ``first`` (or else the oldest) on.

    At most ``limit`` of them, where that is not 0.
    """

    names: tuple[str, ...] = ()
    first: str | None = None
    timeline: int | None = None
    limit: int = 0

    def __post_init__(self) -> None:
        for name in (*self.names, self.first or "0" * 24):
            if not SEGMENT.fullmatch(name):
                raise RelevoError(f"{name!r} is not the name of a WAL segment. Give 24 upper-case hexadecimal digits.")

    def start(self, source: Node) -> list[str]:
        """The names to begin with; without any, the oldest that ``source`` has."""
        if self.names or self.first:
            return list(self.names) or [str(self.first)]
        prefix = f"{self.timeline or 0:08X}"
        names = source.list_directory(source.wal_directory())
        return [name for name in names if SEGMENT.fullmatch(name) and name.startswith(prefix)][:1]


def copy_wal(source: Node, target: Target, run_id: str, wanted: WalRange) -> WalCopy:
    """Copy segments from the ``pg_wal`` of a stopped node to a staging directory on another node.

    Ends at the first that is not there, whose content does not belong to its name, or that cannot be carried: what
    came before is worth having without it. Of such a one a part may be left on the target. Raises ``RelevoError`` where
    the source is not proved to be stopped, or where it cannot be read whether it went on on a newer timeline.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise RelevoError(f"{run_id!r} cannot name a run. Use letters, digits, dots and dashes.")
    proof = source.prove_stopped()
    if not proof.proved:
        raise RelevoError(
            f"The WAL of {source.name} cannot be taken: it is not proved to be stopped ({proof.evidence}). "
            "Fence it first."
        )
    done = WalCopy(f"{SALVAGE_DIRECTORY}/{run_id}")
    names = wanted.start(source)
    if not names:
        done.ended = f"there is no segment of timeline {wanted.timeline}"
        return done
    done.newer_timeline = newer_timeline(source, int(names[0][:8], 16))
    try:
        _carry(source, target, names, wanted, done)
    except RelevoError as error:
        done.ended, done.interrupted = error.message.rstrip("."), True
    return done


def _carry(source: Node, target: Target, names: list[str], wanted: WalRange, done: WalCopy) -> None:
    """Copy the segments, and say in ``done`` how far that came."""
    directory = source.wal_directory()
    while names:
        name = names.pop(0)
        with source.read_file(f"{directory}/{name}") as stream:
            if stream is None:
                done.ended = f"there is no {name}"
                return
            first = next(stream.chunks, b"")
            header = parse_segment_header(first)
            done.ended = why_not_own(name, header)
            if done.ended or header is None:
                return
            if stream.size != header.segment_size:
                # It may have had more, which nobody knows.
                done.ended, done.interrupted = f"{name} is cut off after {stream.size} bytes", True
                return
            target.write_file(f"{done.directory}/{name}", FileStream(stream.size, _chain(first, stream.chunks)))
        done.segments.append(name)
        done.bytes += header.segment_size
        if not wanted.names:
            following = segment_start(name, header.segment_size) + header.segment_size
            done.following = segment_name(int(name[:8], 16), following, header.segment_size)
            names.append(done.following)
            if len(done.segments) == wanted.limit:
                return
    done.ended = "all that were asked for are copied"


def ensure_marker(node: Node, text: str) -> bool:
    """Write the fence marker onto a node's disk; returns whether that changed anything."""
    if node.read_marker() == text:
        return False
    node.write_marker(text)
    return True


def removed_text(node: Node) -> str | None:
    """The marker that says that a node was removed from its cluster; None when there is none."""
    with node.read_file(REMOVED_PATH) as stream:
        return None if stream is None else b"".join(stream.chunks).decode(errors="replace")


def ensure_removed(node: Node, text: str) -> bool:
    """Write that marker, where there is none yet; returns whether that changed anything."""
    if removed_text(node) is not None:
        return False
    data = text.encode()
    node.write_file(REMOVED_PATH, FileStream(len(data), iter([data])))
    return True


def newer_timeline(source: Node, timeline: int) -> int:
    """The newest timeline after ``timeline`` of which a node's ``pg_wal`` has the history; 0 when it has none.

    Asked file by file, since a container can list a directory only by sending all of it.
    """
    newest, number, directory = 0, timeline + 1, source.wal_directory()
    while True:
        with source.read_file(f"{directory}/{history_name(number)}") as stream:
            if stream is None:
                return newest
            text = b"".join(stream.chunks).decode(errors="replace")
        newest = newest if text == abandoned_timelines.TEXT else number
        number += 1


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def run_for(node: str, command: Sequence[str], timeout: float) -> tuple[int | None, str]:
    """Run a command of the owner's about a node: its exit status, and what it printed; None and why without one."""
    try:
        done = subprocess.run(
            list(command),
            env={**os.environ, "RELEVO_NODE": node},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"has not ended within {timeout:g} s"
    except OSError as error:
        return None, f"could not be run: {error.strerror}"
    # A warning is not its last word.
    return done.returncode, (done.stderr + done.stdout).strip()[-500:]


class CommandNode:
    """A machine over SSH: whether it is stopped, only a command of its owner can tell."""

    def __init__(self, name: str, command: Sequence[str], timeout: float) -> None:
        self.name = name
        self._command = list(command)
        self._timeout = timeout

    def _run(self) -> Proof:
        """Run the fence command; exit status 0 means that the node is stopped and stays so."""
        if not self._command:
            return Proof(False, f"no fence command is set for {self.name}")
        called = f"the fence command {self._command[0]}"
        status, said = run_for(self.name, self._command, self._timeout)
        if status is None:
            return Proof(False, f"{called} {said}")
        return Proof(status == 0, f"{called} ended with status {status}" + (f": {said}" if said else ""))

    def _impossible(self, what: str) -> RelevoError:
        return RelevoError(
            f"{self.name} is a machine over SSH, and {what} is not possible while it is down. "
            "Bring the machine up, or go on without it with force=true."
        )

    def wal_directory(self) -> str:
        raise self._impossible("reading its files")

    def state(self) -> Status:
        return "unknown"

    def fence(self) -> bool:
        proof = self._run()
        if not proof.proved:
            raise RelevoError(
                f"{self.name} could not be fenced: {proof.evidence}. Set failover_fence_command to a command that "
                "stops the machine and ends with status 0, or stop it by hand and use force=true."
            )
        return True

    def prove_stopped(self) -> Proof:
        return self._run()

    def write_marker(self, text: str) -> None:
        raise self._impossible("writing its fence marker")

    def read_marker(self) -> str | None:
        raise self._impossible("reading its fence marker")

    def read_file(self, path: str) -> AbstractContextManager[FileStream | None]:
        raise self._impossible("reading its files")

    def list_directory(self, path: str) -> list[str]:
        raise self._impossible("reading its files")

    def write_file(self, path: str, stream: FileStream) -> None:
        raise self._impossible("writing its files")

    def start(self) -> bool:
        raise self._impossible("starting it")
