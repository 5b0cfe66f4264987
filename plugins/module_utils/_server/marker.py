# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small files beside PGDATA that keep a server from starting: who fenced it, and what was cut off.

A *fence* marker is written before another node is promoted: this node must not come back as a primary. A *rejoin*
marker says that PGDATA is being overwritten: it must not be started at all. A *restore* marker says that the whole
cluster is being taken back to a moment: until that is reached nobody of it may start, be promoted, or return by itself;
its reason is the command that finishes it. A *removed* marker says that the node belongs to its cluster no more: only
``add_node.yml`` brings it back. A *start pass* is the opposite, the permission of the very process that aborts a
hand-over, or has just restored the data, and dies with it.
"""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from .. import _names
from .._durable import sync_directory, write_file
from .._errors import RelevoError

Kind = Literal["fence", "rejoin", "restore", "removed"]
START_PASS = "start-pass.json"


@dataclass(frozen=True)
class Marker:
    """Why this node may not start; ``timeline`` is the fenced primary's, 0 where it was not known."""

    kind: Kind
    node: str
    by: str
    at: str
    successor: str = ""
    timeline: int = 0
    reason: str = ""

    @classmethod
    def now(cls, kind: Kind, *, node: str, by: str, successor: str = "", timeline: int = 0, reason: str = "") -> Marker:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(kind, node, by, at, successor, timeline, reason)

    def in_force(self, local_timeline: int) -> bool:
        """Whether it still forbids the start of a server on ``local_timeline``.

        A fence holds for the primary that was fenced. A server on a newer timeline was promoted since, so a marker
        left on a candidate is harmless even if nobody could remove it.
        """
        return self.kind != "fence" or self.timeline <= 0 or local_timeline <= self.timeline

    def describe(self) -> str:
        parts = [f"by {self.by}", f"at {self.at}"]
        parts += [f"for {self.successor}"] if self.successor else []
        parts += [f"({self.reason})"] if self.reason else []
        return " ".join(parts)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, kind: Kind, text: str) -> Marker:
        """Read a marker; a garbled one was meant to forbid, so it becomes one that always does."""
        try:
            given = json.loads(text)
            return cls(
                kind,
                node=str(given["node"]),
                by=str(given["by"]),
                at=str(given["at"]),
                successor=str(given.get("successor") or ""),
                timeline=int(given.get("timeline") or 0),
                reason=str(given.get("reason") or ""),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls.unreadable(kind, "its content is not a marker")

    @classmethod
    def unreadable(cls, kind: Kind, why: str) -> Marker:
        return cls(kind, node="?", by="somebody", at="an unknown time", reason=f"the marker cannot be read: {why}")


def path(kind: Kind, directory: Path | None = None) -> Path:
    """Where a node keeps the marker (on its data volume, outside PGDATA)."""
    return (directory or _names.MARKER_DIR) / f"{kind}.json"


def require_no_restore(node: str, directory: Path | None = None) -> None:
    """Raise ``RelevoError`` where the cluster is being restored in place: no hand-over may touch it half-restored."""
    found = read("restore", directory)
    if found:
        raise RelevoError(
            f"The cluster of {node} is being restored in place, by {found.by} since {found.at}, and that is not "
            f"finished. Nothing was changed. Finish it: {found.reason}"
        )


def removed_words(node: str, found: Marker) -> str:
    """What to do about a node that was removed from its cluster, whose data were kept."""
    return (
        f"{node} was removed from its cluster by {found.by} at {found.at}. Take it out of the inventory, or add it "
        f"again: add_node.yml -e node={node}."
    )


def removed_refusal(node: str, found: Marker) -> str:
    """Why such a node takes over nothing."""
    return f"{removed_words(node, found)} Nothing was changed."


def require_membership(node: str, directory: Path | None = None) -> None:
    """Raise ``RelevoError`` for a node that was removed from its cluster: it takes over nothing any more.

    Its server may still run, where the removal was cut off.
    """
    found = read("removed", directory)
    if found:
        raise RelevoError(removed_refusal(node, found))


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Why the node ``node`` takes over nothing, as its disk has it; for a program on that node."""
    try:
        require_no_restore(question["node"])
        require_membership(question["node"])
    except RelevoError as error:
        return {"refusal": error.message}
    return {"refusal": ""}


def ensure_directory(directory: Path) -> None:
    """Create the markers' directory, owned by postgres."""
    if directory.is_dir():
        return
    directory.mkdir(mode=0o700)
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(directory, account.pw_uid, account.pw_gid)
    sync_directory(directory.parent)


def write(marker: Marker, directory: Path | None = None) -> None:
    """Put the marker in place; it has reached the disk when this returns."""
    where = path(marker.kind, directory)
    ensure_directory(where.parent)
    write_file(where, marker.to_json())


def read(kind: Kind, directory: Path | None = None) -> Marker | None:
    """The marker, or None when there is none. One that cannot be read counts as one that forbids."""
    try:
        return Marker.from_json(kind, path(kind, directory).read_text(errors="replace"))
    except FileNotFoundError:
        return None
    except OSError as error:
        return Marker.unreadable(kind, error.strerror or str(error))


def remove(kind: Kind, directory: Path | None = None) -> bool:
    """Remove the marker durably; returns whether there was one."""
    where = path(kind, directory)
    try:
        where.unlink()
    except FileNotFoundError:
        return False
    sync_directory(where.parent)
    return True


def start_time(pid: int) -> str | None:
    """When a process started, in clock ticks since boot: together with its number it names one process for good."""
    try:
        # The second field, the command in brackets, may hold blanks; field 22 is the 20th after it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def write_start_pass(directory: Path | None = None) -> None:
    """Let the server start past the guard as long as the calling process lives.

    Only for a process that knows that nobody was promoted: of a planned hand-over that is aborted, or of a restore.
    """
    where = (directory or _names.MARKER_DIR) / START_PASS
    ensure_directory(where.parent)
    write_file(where, json.dumps({"pid": os.getpid(), "starttime": start_time(os.getpid())}) + "\n")


def take_start_pass(directory: Path | None = None) -> bool:
    """Whether there was a valid start pass; it is used up either way."""
    where = (directory or _names.MARKER_DIR) / START_PASS
    try:
        given = json.loads(where.read_text())
        valid = isinstance(given, dict) and start_time(int(given["pid"])) == str(given["starttime"])
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError):
        valid = False
    where.unlink(missing_ok=True)
    return valid
