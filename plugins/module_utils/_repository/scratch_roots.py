# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which directories of this host scratch instances are: what looks for all of them finds those of every play.

The repository host also keeps a note of each that is made on another host: from here nobody would see that one of them
reads a backup, or that it is there.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from .._durable import sync_directory, write_file
from .._errors import RelevoError
from .._names import SCRATCH_DIR

#: A directory for each scratch instance of ``restore.yml``. Its ``instance.json`` says which cluster's data it gets
#: (``cluster``) and, where known, from which backup (``backup``); ``outcome.json`` is there once it has all of it.
SCRATCH = SCRATCH_DIR
NOTE = "instance.json"


def roots() -> list[Path]:
    """Those that are there: the default one, and others in which an instance was made."""
    return [path for path in dict.fromkeys([SCRATCH, *_noted()]) if path.is_dir()]


def lock_file() -> Path:
    """Held by who chooses a port, or adds a directory: one for all of them. Makes its directory."""
    SCRATCH.mkdir(mode=0o700, parents=True, exist_ok=True)
    return SCRATCH / ".ports.lock"


def add(root: Path) -> None:
    """Note a directory; the caller holds the lock. One that is gone is forgotten."""
    known = _noted()
    if root not in (SCRATCH, *known):
        write_file(registry(), "".join(f"{path}\n" for path in [*known, root] if path.is_dir()))


def registry() -> Path:
    """The file with the directories, but for the default one."""
    return SCRATCH / ".roots"


def listed(text: str) -> list[Path]:
    """What it says."""
    return [Path(line) for line in text.splitlines()]


def cluster_in(note: str) -> str:
    """Which cluster's data an instance gets, by its note; empty where that cannot be read."""
    try:
        return str(json.loads(note)["cluster"])
    except (ValueError, KeyError, TypeError):
        return ""


def _noted() -> list[Path]:
    return listed(registry().read_text()) if registry().exists() else []


@dataclass(frozen=True)
class Elsewhere:
    """A scratch instance on another ``host``. ``reading``: it has not reached its target, and needs its backup.

    ``backup``: its label; empty where it is not known, then any may be meant.
    """

    host: str
    name: str
    cluster: str
    backup: str = ""
    reading: bool = False

    @property
    def path(self) -> Path:
        return _notes() / f"{self.host}+{self.name}.json"

    @property
    def stands(self) -> bool:
        """Whether just this is noted already."""
        return self.path.exists() and _read(self.path) == self

    def note(self) -> None:
        """Write it durably, in place of what was noted of this instance before."""
        _notes().mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(self.path, json.dumps(asdict(self), sort_keys=True) + "\n")

    def forget(self) -> None:
        """The instance is gone."""
        self.path.unlink()
        sync_directory(_notes())


def elsewhere(cluster: str = "") -> list[Elsewhere]:
    """Those on other hosts, of one cluster or of all; by host and name."""
    noted = [_read(path) for path in sorted(_notes().glob("*.json"))]
    return [one for one in noted if cluster in ("", one.cluster)]


def _notes() -> Path:
    return SCRATCH / ".elsewhere"


def _read(path: Path) -> Elsewhere:
    try:
        return Elsewhere(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise RelevoError(
            f"{path} on the repository host says that a scratch instance is made on another host, and cannot be read. "
            "Nothing was removed. Remove the file when you know that no restore is under way there."
        ) from error
