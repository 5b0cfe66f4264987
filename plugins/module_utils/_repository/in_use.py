# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are being read on this host, the repository's: none of them may be removed meanwhile.

The operation lock keeps our own restores and cleanups apart. This finds what holds no lock: a restore that somebody
started by hand, one that goes on after its play was killed, and a scratch instance that has not reached its target.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .scratch_roots import elsewhere, roots

PROC = Path("/proc")


def in_use(stanza: str, labels: Sequence[str], scratch: Path | None = None, proc: Path = PROC) -> dict[str, str]:
    """Why a backup is needed, by label: the rest of a sentence that begins with the label.

    ``scratch``: where scratch instances are, if not everywhere where one was made, on this host or on another.
    """
    found: dict[str, str] = {}
    for process, command in _restores(stanza, proc):
        label = _option(command, "set")
        # Which one it has chosen it does not say on its command line.
        for name in labels if label in ("", "latest") else [label]:
            found.setdefault(name, f"is read by a restore (process {process} on the repository host)")
    for instance, label in _readers(stanza, scratch):
        for name in [label] if label else labels:
            found.setdefault(name, f"is read by the scratch instance {instance}")
    return found


def _readers(stanza: str, scratch: Path | None) -> Iterator[tuple[str, str]]:
    """The scratch instances that are being restored, and of which backup; empty where that is not known."""
    for root in [scratch] if scratch else roots():
        for name, instance in _unfinished(root):
            if instance.get("cluster") == stanza:
                yield name, str(instance.get("backup") or "")
    if scratch is None:
        yield from ((f"{one.name} on {one.host}", one.backup) for one in elsewhere(stanza) if one.reading)


def _restores(stanza: str, proc: Path) -> Iterator[tuple[int, list[str]]]:
    for path in sorted(proc.glob("[0-9]*/cmdline")):
        try:
            command = path.read_bytes().decode(errors="replace").rstrip("\0").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if Path(command[0]).name == "pgbackrest" and "restore" in command and _option(command, "stanza") == stanza:
            yield int(path.parent.name), command


def _option(command: Sequence[str], name: str) -> str:
    """The value of ``--name=value`` or ``--name value``; empty where it is not given."""
    for place, word in enumerate(command):
        if word.startswith(f"--{name}="):
            return word.partition("=")[2]
        if word == f"--{name}" and place + 1 < len(command):
            return command[place + 1]
    return ""


def _unfinished(scratch: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in sorted(scratch.glob("*/instance.json")):
        if not path.with_name("outcome.json").exists():
            try:
                yield path.parent.name, dict(json.loads(path.read_text()))
            except FileNotFoundError:
                continue
