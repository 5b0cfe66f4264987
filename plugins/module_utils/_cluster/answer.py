# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a server's answer to ``probe.PROBE``, by type.

A field that an answer lacks, or that is null there, has its default. LSNs are texts as PostgreSQL writes them, sizes
are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

T = TypeVar("T")

#: What to do about a primary that waits for a synchronous standby.
WAY_OUT = "Run rejoin.yml, or go on without one: site.yml -e postgresql_synchronous=false."


def read(kind: type[T], given: Mapping[str, Any] | None) -> T:
    """One part from its JSON object."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in (given or {}).items() if name in known and value is not None})


@dataclass(frozen=True)
class Sender:
    """A row of ``pg_stat_replication``: a standby that is connected to this server."""

    name: str = ""
    address: str | None = None
    state: str = ""
    sync_state: str = ""
    flush_lsn: str | None = None
    replay_lsn: str | None = None

    @property
    def streams(self) -> bool:
        return self.state == "streaming"

    @property
    def counts(self) -> bool:
        """Whether a commit may be acknowledged once this standby has it."""
        return self.streams and self.sync_state in ("sync", "quorum")


@dataclass(frozen=True)
class Receiver:
    """``pg_stat_wal_receiver``: whom this standby receives from."""

    status: str = ""
    host: str | None = None
    port: int | None = None
    slot: str | None = None

    @property
    def streams(self) -> bool:
        return self.status == "streaming"


@dataclass(frozen=True)
class Slot:
    """A replication slot; ``kept_bytes`` is None while it keeps nothing. ``synced``: a copy of the primary's."""

    name: str = ""
    type: str = "physical"
    active: bool = False
    wal_status: str | None = None
    restart_lsn: str | None = None
    kept_bytes: int | None = None
    database: str | None = None
    temporary: bool = False
    failover: bool = False
    synced: bool = False
    invalidated: str | None = None


@dataclass(frozen=True)
class Archiver:
    """``pg_stat_archiver``; ages are seconds."""

    archived: int = 0
    last_archived: str | None = None
    last_archived_age_s: int | None = None
    failed: int = 0
    last_failed: str | None = None
    failing: bool = False


@dataclass(frozen=True)
class SynchronousState:
    """What was asked for (``wanted``), which primary it was last ``in_force`` on, and the ``names`` required now.

    ``waiting`` sessions wait for a standby, the longest for ``waiting_s`` seconds.
    """

    wanted: bool = False
    in_force: str = ""
    names: str = ""
    waiting: int = 0
    waiting_s: int = 0

    def vouches_for(self, primary: str, timeline: int) -> bool:
        """Whether ``primary`` required a synchronous standby when it died, as far as the standby that says so knows.

        The note was written after the requirement was in force. So a standby that has it has every commit before it,
        and each one after it waited for a standby, unless somebody ended the requirement while this one was away.
        """
        return self.wanted and self.in_force == in_force(primary, timeline)


def in_force(primary: str, timeline: int) -> str:
    """The note that the requirement is in force on ``primary`` on its ``timeline``."""
    return f"{primary}/{timeline}"


def moment(text: str) -> datetime | None:
    """An ISO 8601 time with its zone; None for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
