# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which directories of this host scratch instances are: what looks for all of them finds those of every play."""

from __future__ import annotations

from pathlib import Path

from .._durable import write_file
from .._names import DATA_ROOT

#: A directory for each scratch instance of ``restore.yml``. Its ``instance.json`` says which cluster's data it gets
#: (``cluster``) and, where known, from which backup (``backup``); ``outcome.json`` is there once it has all of it.
SCRATCH = DATA_ROOT / "scratch"


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
        write_file(_registry(), "".join(f"{path}\n" for path in [*known, root] if path.is_dir()))


def _registry() -> Path:
    return SCRATCH / ".roots"


def _noted() -> list[Path]:
    return [Path(line) for line in _registry().read_text().splitlines()] if _registry().exists() else []
