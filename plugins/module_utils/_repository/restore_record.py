# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a restore in place, on the repository host: from before its first step to after its last one.

While it stands nobody but that restore works on the cluster: whoever takes the operation lock is refused. It is also by
what a second run knows what the first one had decided. A garbled one forbids like any other.

It is read and written on the repository host alone, unlike the record of a fence. So where the repository is a bucket,
it stands on that host's own disk.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .. import _names
from .._durable import sync_directory, write_file
from .._errors import RelevoError
from .._hung_disk import NoAnswerError
from .._server import marker
from .command import CONFIG
from .directory import answer_of
from .pgbackrest import in_bucket, repository_directory

#: Below the repository's path, beside the records of fences.
FOLDER = "relevo/restore"


def place_of_records(text: str) -> Path:
    """Below what the records of the repository host stand, from the text of its configuration.

    Where the repository is a bucket: where pgBackRest would have one of its own, a container's volume and the package's
    directory on a machine. Raises ``RelevoError`` where the repository is another host's.
    """
    return _names.REPOSITORY_DIR if in_bucket(text) else repository_directory(text)


@dataclass(frozen=True)
class Unfinished:
    """A restore in place that was begun. ``at`` is a time in UTC, which names it; ``node`` gets the data first.

    ``asked``: the target as it was understood; ``plan``: RestorePlan; ``undo``: Undo, empty where there is no way back;
    ``command`` finishes it.
    """

    cluster: str
    node: str
    by: str
    at: str
    command: str
    asked: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    undo: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        return (
            f"The cluster {self.cluster} is being restored in place, by {self.by} since {self.at}, and that is not "
            f"finished. Nothing was changed. Finish it: {self.command}"
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Unfinished:
        """Raises ``RelevoError`` for what is not such a record."""
        try:
            cluster, node, by, at, command = (str(given[name]) for name in ("cluster", "node", "by", "at", "command"))
            asked, plan, undo = (dict(given[name]) for name in ("asked", "plan", "undo"))
        except (KeyError, TypeError, ValueError) as error:
            raise RelevoError(f"That is no record of a restore in place: {error!r}.") from error
        return cls(cluster, node, by, at, command, asked, plan, undo)


def unfinished_of(repository: Path, nodes: Collection[str]) -> Unfinished | None:
    """The restore in place of the cluster that has one of these nodes, for who does not know the cluster's name."""
    for path in sorted((repository / FOLDER).glob("*.json")):
        found = RestoreRecord(path.stem, repository).read()
        if found and found.node in nodes:
            return found
    return None


def refuse_while_restoring(nodes: Collection[str], config: Path = CONFIG) -> None:
    """Where this is the repository host: say that the cluster is being restored in place, if that is why."""
    try:
        repository = place_of_records(config.read_text())
    except (RelevoError, OSError):
        return
    try:
        unfinished = answer_of(repository, lambda: unfinished_of(repository, nodes))
    except NoAnswerError:
        # What is known of the servers is said all the same.
        return
    if unfinished:
        raise RelevoError(unfinished.sentence, unfinished_restore=unfinished.as_dict())


@dataclass(frozen=True)
class RestoreRecord:
    """The record of one cluster, on the repository host."""

    cluster: str
    repository: Path

    @property
    def path(self) -> Path:
        return self.repository / FOLDER / f"{self.cluster}.json"

    def read(self) -> Unfinished | None:
        """What it says; None where there is none. Raises ``RelevoError`` for one that cannot be understood."""
        try:
            return Unfinished.from_dict(json.loads(self.path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, RelevoError) as error:
            raise RelevoError(
                f"{self.path} on the repository host says that the cluster {self.cluster} is being restored in place, "
                "and cannot be read. Nothing was changed. Remove it only when you know that no restore is under way."
            ) from error

    def write(self, unfinished: Unfinished) -> bool:
        """Write it durably; returns whether that changed anything."""
        content = json.dumps(unfinished.as_dict(), indent=1, sort_keys=True) + "\n"
        if self.path.exists() and self.path.read_text() == content:
            return False
        self.require_place()
        for folder in (self.path.parent.parent, self.path.parent):
            marker.ensure_directory(folder)
        write_file(self.path, content, mode=0o640)
        return True

    def require_place(self) -> None:
        """Refuse the empty place of a share, or a host without the package's directory."""
        if not self.repository.is_dir():
            raise RelevoError(
                f"The repository host's directory {self.repository}, where the record of a restore is to be, does not "
                "exist. Nothing was changed. Mount it, or make it for postgres (mode 0750), then run this again."
            )

    def remove(self) -> bool:
        """Remove it durably; returns whether there was one."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        sync_directory(self.path.parent)
        return True
