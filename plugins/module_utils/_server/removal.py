# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``site.yml`` and the servers have left on a machine that is taken out of its cluster, and its removal.

A container goes with its volumes; a machine stays, with its packages. Each step may be killed, and run again.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import _names
from .._errors import RelevoError
from .adoption_files import UNITS
from .lsn import SEGMENT

SYSTEM = Path("/")
#: By part of a host (the groups of the inventory): the units, and what is below the root of the file system, the data
#: last: they know the tablespaces. What a part that stays has here stays, too.
SERVICES: Mapping[str, Sequence[str]] = {
    "postgres": ("postgresql", "pgbackrest"),
    "pgbackrest": ("pgbackrest",),
    "redis": (),
    "haproxy": ("haproxy",),
}
#: With two repositories the configuration has others beside it (see ``_repository/alone``).
_PGBACKREST = (_names.PGBACKREST_CONF.name, "repo1.conf", "repo2.conf", "repo2-ca.crt")
_SHARED = (
    *(str(_names.PGBACKREST_CONF.with_name(name)).lstrip("/") for name in _PGBACKREST),
    "run/relevo",
    "etc/postgresql-common/createcluster.d/relevo.conf",
)
_DATA = tuple(str(path).lstrip("/") for path in (_names.LOG_DIR, _names.RESTORE_DIR, _names.MARKER_DIR))
PATHS: Mapping[str, Sequence[str]] = {
    # In the spool it says of segments that they are archived, which a server that is set up there later would believe.
    "postgres": (*_SHARED, "var/spool/pgbackrest/archive", *_DATA),
    "pgbackrest": (*_SHARED, str(_names.SCRATCH_DIR).lstrip("/")),
    "redis": ("run/relevo",),
    "haproxy": ("run/relevo",),
}
#: Last of all: as long as it is there, a machine knows that it belongs to a cluster.
LAST = str(_names.CONFIG_DIR).lstrip("/")
#: What a part that stays needs of it. A server needs all of it.
CONFIGURATION: Mapping[str, Sequence[str]] = {
    "pgbackrest": (_names.CA_FILE.parent.name, _names.PASSFILE.name),
    "redis": (),
    "haproxy": (_names.CA_FILE.parent.name, "haproxy.cfg", "haproxy.servers"),
}
#: What the server keeps among its WAL; somebody else's file in a directory elsewhere stays.
_WAL = re.compile(
    rf"{SEGMENT.pattern}(\.partial|\.[0-9A-F]{{8}}\.backup)?|[0-9A-F]{{8}}\.history"
    r"|xlogtemp\.\d+|archive_status|summaries"
)


@dataclass(frozen=True)
class Machine:
    """A machine, what it was, and what it goes on being (``keeps``), by the groups of the inventory.

    ``version``: of PostgreSQL. ``repository``: the repository's directory, which goes. ``second``: that of a second
    one, which may be on a share, so that only what pgBackRest leaves of a repository without a stanza goes.
    """

    kinds: Sequence[str]
    version: str
    repository: Path | None = None
    keeps: Sequence[str] = ()
    root: Path = SYSTEM
    second: Path | None = None

    @property
    def data(self) -> Path:
        return self.root / str(_names.data_directory(self.version)).lstrip("/")

    def services(self) -> list[str]:
        """The names of our services that go."""
        needed = {service for part in self.keeps for service in SERVICES[part]}
        wanted = dict.fromkeys(service for kind in self.kinds for service in SERVICES[kind])
        return [service for service in wanted if service not in needed]

    def units(self) -> list[Path]:
        """Our units, and our part of those of others that we have adopted."""
        folder = self.root / str(UNITS).lstrip("/")
        named = [folder / f"relevo-{service}.service" for service in self.services()]
        adopted = folder.glob("*.service.d/relevo.conf") if "postgres" in self.kinds else []
        return [path for path in (*named, *sorted(adopted)) if path.exists()]

    def tablespaces(self) -> list[Path]:
        """What the server has in the directories of its tablespaces: those belong to whoever made them."""
        links = sorted((self.data / "pg_tblspc").glob("*"))
        return [path for link in links if link.is_dir() for path in sorted(link.resolve().glob(f"PG_{self.version}_*"))]

    def wal(self) -> list[Path]:
        """What the server has in a directory of its WAL elsewhere, which may be where a disk is mounted."""
        link = self.data / "pg_wal"
        if not (link.is_symlink() and link.is_dir()):
            return []
        return [path for path in sorted(link.resolve().iterdir()) if _WAL.fullmatch(path.name)]

    def configuration(self) -> list[Path]:
        """What goes of our directory of configuration, empty where all of it is needed or gone."""
        folder = self.root / LAST
        if not folder.is_dir() or "postgres" in self.keeps:
            return []
        needed = {name for part in self.keeps for name in CONFIGURATION[part]}
        if not needed:
            return [folder]
        found = [path for path in sorted(folder.iterdir()) if path.name not in needed]
        return sorted(found, key=lambda path: path.name == _names.CONFIG_FILE.name)

    def paths(self) -> list[Path]:
        """What is there of all that goes, in the order in which it goes."""
        needed = {path for part in self.keeps for path in PATHS[part]}
        wanted = dict.fromkeys(path for kind in self.kinds for path in PATHS[kind])
        found = [self.root / path for path in wanted if path not in needed]
        if "postgres" in self.kinds:
            found += [*self.tablespaces(), *self.wal(), self.data.with_name(f"{self.data.name}.new"), self.data]
        if self.repository is not None and self.repository.is_dir():
            # The directory itself may be where a disk is mounted.
            found += sorted(self.repository.iterdir())
        if self.second is not None:
            folders = [self.second / name for name in ("archive", "backup")]
            found += [path for path in folders if path.is_dir() and not any(path.iterdir())]
        found += self.configuration()
        return [path for path in found if path.exists() or path.is_symlink()]


def systemctl(*words: str) -> None:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RelevoError(f"systemctl {' '.join(words)} failed: {done.stderr.strip()}")


def disable_units(machine: Machine) -> list[str]:
    """Stop our units and keep them from being started at boot. Returns the names of those that were not so yet."""
    done = []
    for path in machine.units():
        if path.suffix != ".service":
            continue
        asked = subprocess.run(
            ["systemctl", "show", "--value", "--property=UnitFileState,ActiveState", path.name],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if set(asked.stdout.split()) & {"enabled", "active", "activating"}:
            systemctl("disable", "--now", path.name)
            done.append(path.name)
    return done


def remove_units(units: Iterable[Path]) -> list[str]:
    """Our units, which must be stopped. Returns their names."""
    removed = []
    for path in units:
        if path.suffix == ".service":
            systemctl("disable", path.name)
        path.unlink()
        removed.append(str(path))
    if removed:
        systemctl("daemon-reload")
    return removed


def remove_paths(paths: Iterable[Path]) -> list[str]:
    """Files and directories, with all below them. Returns what was removed."""
    removed = []
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        removed.append(str(path))
    return removed
