# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``site.yml`` and the servers have left on a machine that is taken out of its cluster, and its removal.

A container goes with its volumes; a machine stays, with its packages. Each step may be killed, and run again.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .. import _names
from .._errors import RelevoError
from .adoption_files import UNITS

SYSTEM = Path("/")
#: By kind of host: the units, and what is below the root of the file system, the data last: they know the tablespaces.
SERVICES = {"postgres": ("postgresql", "pgbackrest"), "pgbackrest": ("pgbackrest",), "haproxy": ("haproxy",)}
_SHARED = (
    *(f"etc/pgbackrest/{name}" for name in ("pgbackrest.conf", "repo1.conf", "repo2.conf", "repo2-ca.crt")),
    "run/relevo",
)
_DATA = "var/lib/postgresql"
PATHS = {
    "postgres": (
        *_SHARED,
        "etc/postgresql-common/createcluster.d/relevo.conf",
        f"{_DATA}/log",
        f"{_DATA}/restore",
        f"{_DATA}/relevo",
    ),
    "pgbackrest": (*_SHARED, f"{_DATA}/scratch", f"{_DATA}/relevo"),
    "haproxy": ("run/relevo",),
}
#: Last of all: as long as it is there, a machine knows that it belongs to a cluster.
LAST = str(_names.CONFIG_DIR).lstrip("/")


@dataclass(frozen=True)
class Machine:
    """A machine and what it was. ``version``: of PostgreSQL. ``repository``: the repository's directory, which goes."""

    kind: str
    version: str
    repository: Path | None = None
    root: Path = SYSTEM

    @property
    def data(self) -> Path:
        return self.root / str(_names.data_directory(self.version)).lstrip("/")

    def units(self) -> list[Path]:
        """Our units, and our part of those of others that we have adopted."""
        folder = self.root / str(UNITS).lstrip("/")
        named = [folder / f"relevo-{service}.service" for service in SERVICES[self.kind]]
        adopted = folder.glob("*.service.d/relevo.conf") if self.kind == "postgres" else []
        return [path for path in (*named, *sorted(adopted)) if path.exists()]

    def tablespaces(self) -> list[Path]:
        """What the server has in the directories of its tablespaces: those belong to whoever made them."""
        links = sorted((self.data / "pg_tblspc").glob("*"))
        return [path for link in links if link.is_dir() for path in sorted(link.resolve().glob(f"PG_{self.version}_*"))]

    def paths(self) -> list[Path]:
        """What is there of all that goes, in the order in which it goes."""
        found = [self.root / path for path in PATHS[self.kind]]
        if self.kind == "postgres":
            found += [*self.tablespaces(), self.data.with_name(f"{self.data.name}.new"), self.data]
        if self.repository is not None and self.repository.is_dir():
            # The directory itself may be where a disk is mounted.
            found += sorted(self.repository.iterdir())
        found.append(self.root / LAST)
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
