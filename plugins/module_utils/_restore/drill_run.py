# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying a drill out: restore, look, remove. Whatever happens, nothing but the result stays."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from .. import _names, _process
from .._errors import RelevoError
from .._repository.archive import in_repository
from .._repository.command import CONFIG, FIRST
from .._server.session import Session, SessionError
from .._wait import TimedOutError, wait_until
from . import blame, instance, scratch
from .drill import Check, Result
from .scratch import Files

#: What pg_amcheck ends with where it found something; other codes say that it could not look.
CORRUPT = 2
#: What the server's log says then. A process that ended for bad data has written why, and aborts.
KILLED = "was terminated by signal 9"
#: For how long writers wait at most at each attempt to lock what is counted, and the seconds from one to the next.
LOCK_MS, LOCK_EVERY = 500, 5.0
#: The statement took too long, a lock timeout, a deadlock, and what is not a table, as a materialized view.
NO_LOCK = ("57014", "55P03", "40P01", "42809")


@dataclass(frozen=True)
class Looks:
    """What is looked at. ``counts``: of tables of ``database``, how many rows the primary had at the target."""

    checks: Sequence[Check] = ()
    database: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    jobs: int = 1


def name_for(cluster: str) -> str:
    return f"{scratch.cluster_part(cluster)}{scratch.DRILL}"


def carry_out(files: Files, order: instance.Order, looks: Looks, result: Result, config: Path = CONFIG) -> Result:
    """The result, with what was found; what an earlier drill left is removed first."""
    # One that was left behind by a killed play would remove this one's instance at its end.
    with instance.held(Files(files.root, f"{files.name}-run"), order.timeout):
        return _alone(files, order, looks, result, config)


def _alone(files: Files, order: instance.Order, looks: Looks, result: Result, config: Path) -> Result:
    _refuse_another(files, order.cluster)
    instance.remove(files, order.timeout)
    try:
        try:
            made, _changed = instance.make(files, order, config)
        except blame.FaultError as error:
            return replace(result, failures=[*result.failures, error.message])
        reached = made.reached
        started = time.monotonic()
        failures = _look(files, made.port, order, looks)
        return replace(
            result,
            copy_s=reached["copy_s"],
            recovery_s=reached["recovery_s"],
            check_s=round(time.monotonic() - started, 1),
            lsn=reached["lsn"],
            failures=[*result.failures, *failures],
        )
    finally:
        instance.remove(files, order.timeout)


def _refuse_another(files: Files, cluster: str) -> None:
    """``RelevoError`` where what has that name is not of a drill of this cluster: it would be removed with its data."""
    if not files.note.exists():
        return
    there = instance.look(files)
    if "drill" not in there.request or there.cluster != cluster:
        raise RelevoError(
            f"The scratch instance {there.name} of cluster {there.cluster} was not made by a drill of {cluster}, which "
            f"would remove it. Remove it yourself with restore.yml -e cluster={there.cluster} -e remove={there.name}, "
            "then run this again."
        )


def _look(files: Files, port: int, order: instance.Order, looks: Looks) -> list[str]:
    found = [*_amcheck(port, order, looks.jobs), *_checks(files, port, looks.checks), *_counts(files, port, looks)]
    if found and KILLED in files.log.read_text(errors="replace"):
        raise RelevoError(
            "A process of the drill's server was killed while it was looked at (signal 9), as by a host without "
            "memory. That says nothing of the backup; run this again when there is more."
        )
    return found


def _amcheck(port: int, order: instance.Order, jobs: int) -> list[str]:
    """What pg_amcheck says of heaps and B-trees of all databases."""
    command = [str(_names.bin_directory(order.version) / "pg_amcheck"), "--all", "--install-missing", f"--jobs={jobs}"]
    where = [f"--host={_names.SOCKET_DIR}", f"--port={port}", "--username=postgres"]
    # What a database or a role limits is meant for applications.
    options = f"{_names.unlimited(int(order.version), superuser=True)} {scratch.SESSION}"
    done = _process.run(["nice", "-n", str(order.nice), *command, *where], order.timeout, PGOPTIONS=options)
    if done.returncode == 0:
        return []
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    words = " ".join(said[:2]) or f"status {done.returncode}"
    if done.returncode != CORRUPT:
        raise RelevoError(f"pg_amcheck could not look: {words}. That says nothing of the backup.")
    return [f"pg_amcheck found: {words}."]


def _checks(files: Files, port: int, checks: Sequence[Check]) -> list[str]:
    found = []
    for check in checks:
        try:
            with instance.session(files, port, check.database) as session:
                found.append(check.verdict(session.value(check.query, timeout=instance.DAY)))
        except SessionError as error:
            found.append(f"{check.name or check.query} in {check.database}: {error.message}.")
    return [one for one in found if one]


def _counts(files: Files, port: int, looks: Looks) -> list[str]:
    if not looks.counts:
        return []
    try:
        with instance.session(files, port, looks.database) as session:
            here = rows_of(session, list(looks.counts))
    except SessionError as error:
        return [f"The tables of {looks.database} could not be counted: {error.message}."]
    return [
        f"{table} in {looks.database} has {here[table]} rows, and the primary had {rows} then."
        for table, rows in looks.counts.items()
        if here[table] != rows
    ]


def rows_of(session: Session, tables: Sequence[str]) -> dict[str, int]:
    """How many rows each table has; a name is written as in SQL."""
    found = {}
    for table in tables:
        # The server takes the name apart, so nothing but a table can be meant.
        name = session.value("SELECT $1::regclass::text", (table,))
        found[table] = int(session.value(f"SELECT count(*) FROM {name}", timeout=instance.DAY))
    return found


@dataclass(frozen=True)
class Snapshot:
    """What the primary held at ``lsn`` of ``timeline``."""

    lsn: str
    counts: dict[str, int]
    timeline: int = 0


class NotCountedError(RelevoError):
    """The rows cannot be counted at a position, which says nothing of the backup."""


def count_at_a_position(session: Session, tables: Sequence[str], timeout: float, repository: int = FIRST) -> Snapshot:
    """Rows of tables of the primary, and the position to which a restore has exactly those; it is archived then.

    ``repository``: where it is to be archived, of two: the one that is restored from.

    Raises ``NotCountedError`` where there was neither a quiet moment nor a lock, each within ``timeout`` seconds.
    """
    try:
        what = "a moment at which no transaction writes, to count the rows of drill_tables"
        lsn = wait_until(lambda: _quiet(session), what, timeout)
    except TimedOutError:
        lsn = _locked(session, tables, timeout)
    counts = rows_of(session, tables)
    session.query("COMMIT")
    segment = str(session.value("SELECT pg_walfile_name($1::pg_lsn)", (lsn,)))
    # An empty message: a segment in which nothing was written after the position would not be switched.
    session.query("SELECT pg_logical_emit_message(false, 'relevo', '')")
    session.query("SELECT pg_switch_wal()")

    def archived() -> bool:
        said = "SELECT coalesce(last_archived_wal >= $1, false) FROM pg_stat_archiver"
        return session.flag(said, (segment,)) or in_repository(segment, repository)

    wait_until(archived, f"the segment {segment} to be archived (status.yml says what keeps it back)", timeout)
    # After a failover with a loss the position may be on two timelines.
    return Snapshot(lsn, counts, int(segment[:8], 16))


def _quiet(session: Session) -> str:
    """The position, in a transaction whose snapshot is of there; empty, and none, where somebody writes.

    No transaction that has an id is at work and no WAL is written: otherwise one whose commit is before the position
    might not be seen yet, or one be seen whose commit is after it. One is at work as long as it has the lock on its own
    id, which it gives back when it can be seen; a snapshot does not list the newest of them.
    """
    before = str(session.value("SELECT pg_current_wal_insert_lsn()"))
    if session.flag("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock')"):
        return ""
    session.query("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    lsn = str(session.value("SELECT pg_current_wal_insert_lsn()"))
    if lsn == before:
        return lsn
    session.query("ROLLBACK")
    return ""


def _locked(session: Session, tables: Sequence[str], timeout: float) -> str:
    """The same on a primary that is never quiet: nobody can commit a change of these tables while it is taken."""
    # The first query of the transaction is to have the snapshot, so what they are is asked before.
    names = ", ".join(str(session.value("SELECT $1::regclass::text", (table,))) for table in tables)
    # Given up before the server looks for a deadlock, of which it might make a writer the victim.
    patience = min(LOCK_MS, int(session.value("SELECT setting FROM pg_settings WHERE name = 'deadlock_timeout'")) // 2)
    said = ""

    def snapshot() -> str:
        nonlocal said
        session.query("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        try:
            session.query(f"SET LOCAL statement_timeout = {max(patience, 1)}")
            # Kept to the end: what truncates a table does not look at snapshots.
            session.query(f"LOCK TABLE {names} IN ACCESS SHARE MODE")
            session.query("SAVEPOINT unlocked")
            # Not before all writers have ended, and it can be seen that they have. LOCK itself takes no snapshot.
            session.query(f"LOCK TABLE {names} IN SHARE MODE")
            lsn = str(session.value("SELECT pg_current_wal_insert_lsn()"))
            # The lock goes, and the snapshot stays: it is the transaction's.
            session.query("ROLLBACK TO SAVEPOINT unlocked")
            session.query("SET LOCAL statement_timeout = 0")
        except SessionError as error:
            if error.sqlstate not in NO_LOCK:
                raise
            said = error.message
            session.query("ROLLBACK")
            return ""
        return lsn

    try:
        return wait_until(snapshot, "the lock", timeout, LOCK_EVERY)
    except TimedOutError:
        raise NotCountedError(
            f"The rows of {', '.join(tables)} were not counted: the primary wrote all the time, and within "
            f"{timeout:g} s no lock on them could be had for an instant ({said})."
        ) from None


def age_of(newest: datetime | None, now: datetime) -> float | None:
    """Seconds since the newest WAL was archived."""
    return None if newest is None else (now - newest).total_seconds()
